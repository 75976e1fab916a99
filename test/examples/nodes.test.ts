/** The node of deploy/examples/nodes: that it sees a cluster that was split, so that its example cannot hide one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectRoot } from '../harness/project.ts';
import { until } from '../harness/until.ts';
import { faultsOf, type NodeView } from './nodes.ts';

const PROGRAM = join(projectRoot, 'deploy/examples/nodes/node.mjs');
const WAIT = { deadlineMs: 15_000, everyMs: 50 };

/** Names that are registered. */
let registered: string[];
let registry: Server;
let running: ChildProcess[];

beforeEach(async () => {
  registered = [];
  running = [];
  registry = createServer((_, response) => {
    response.end(JSON.stringify(registered.map((name) => ({ id: `w1:${name}`, address: '127.0.0.1' }))));
  });
  registry.listen(0, '127.0.0.1');
  await once(registry, 'listening');
});
afterEach(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  registry.close();
});

/** A prefix that makes ports below those that the kernel gives to clients. */
const PORTS = '273';

function start(name: string): { readonly child: ChildProcess; readonly said: () => string } {
  const address = registry.address();
  if (address === null || typeof address === 'string') throw new Error('the registry does not listen');
  const child = spawn(process.execPath, [PROGRAM, name, PORTS, `http://127.0.0.1:${address.port}/`]);
  running.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (more) => (text += more));
  return { child, said: () => text };
}

async function healthy(name: string): Promise<NodeView> {
  const ask = async (): Promise<NodeView | undefined> => {
    const answer = await fetch(`http://127.0.0.1:${PORTS}${name}/`);
    return answer.status === 200 ? JSON.parse(await answer.text()) : undefined;
  };
  return until(ask, { ...WAIT, what: `node ${name} to be healthy` });
}

describe('the node of the example', () => {
  it('joins those that it finds', async () => {
    start('01');
    const first = await healthy('01');
    registered.push('01');
    start('02');
    const second = await healthy('02');
    expect([first.saw, second.saw, second.cluster]).toEqual([[], ['01'], first.cluster]);
    expect((await healthy('01')).members).toEqual(['01', '02']);
  });

  it('refuses to go on when two have begun a cluster at the same time', async () => {
    const both = [start('01'), start('02')];
    await Promise.all([healthy('01'), healthy('02')]);
    registered.push('01', '02');
    const ended = () => both.find(({ child }) => child.exitCode !== null);
    const one = await until(ended, { ...WAIT, what: 'the end of one of them' });
    expect([one.child.exitCode, one.said()]).toEqual([1, expect.stringContaining('split brain: node 0')]);
  });
});

describe('what is said of ten nodes', () => {
  const view = (name: string, saw: readonly string[], began: number, cluster = 'c'): NodeView => ({
    host: 'w1',
    name,
    cluster,
    saw,
    members: ['01', '02'],
    began,
    healthyAt: began + 10,
  });

  it('is nothing when each saw all before it, and what is wrong otherwise', () => {
    expect(faultsOf([view('01', [], 0), view('02', ['01'], 20)])).toEqual([]);
    expect(faultsOf([view('01', [], 0), view('02', [], 5, 'd')])).toEqual([
      'node 02 saw [], not [01]',
      'node 02 was started before node 01 was healthy',
      'they are 2 clusters',
    ]);
    expect(faultsOf([{ ...view('01', [], 0), members: ['01'] }, view('02', ['01'], 20)])).toEqual([
      'node 01 knows only 01',
    ]);
  });
});
