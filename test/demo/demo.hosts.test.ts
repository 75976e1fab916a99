import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from '../harness/process.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { until } from '../harness/until.ts';

describeOnHosts('the demo', () => {
  let env: NodeJS.ProcessEnv;
  let folder: string;
  beforeEach(async () => {
    // Apart from a demo that somebody runs on this machine.
    folder = await mkdtemp(join(tmpdir(), 'demo-'));
    env = { ...process.env, TMPDIR: folder };
  });
  afterEach(() => rm(folder, { recursive: true }));

  const demo = (...args: string[]) => run(['node', 'scripts/demo.mjs', ...args], { env, deadlineMs: 100_000 });

  it('shows without a person how a failed unit and a host without power are replaced', async () => {
    const { code, stdout, stderr } = await demo('--once');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/is active on w\d [0-9.]+ s after it failed on w\d/);
    expect(stdout).toMatch(/is active on w\d [0-9.]+ s after the power cut/);
    expect(await readdir(folder)).toEqual([]);
  }, 120_000);

  it('obeys another terminal, and leaves nothing behind after Ctrl-C', async () => {
    const live = spawn('node', ['scripts/demo.mjs'], { env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
    const gone = once(live, 'exit');
    const shown = collect(live);
    await until(() => shown().includes('3 / 3 ok'), { deadlineMs: 60_000, what: 'the table', everyMs: 200 });
    expect(await demo('sh', 'w2', 'hostname')).toMatchObject({ code: 0, stdout: 'w2\n' });
    expect(await demo('sh', 'w2', 'false')).toMatchObject({ code: 1 });
    expect(await demo('fly', 'w2')).toMatchObject({ code: 2, stdout: expect.stringContaining('usage: npm run demo') });
    expect(await demo('off', 'w3')).toMatchObject({ code: 0 });
    const hasLeft = () => shown().includes('2 host(s): w1, w2');
    await until(hasLeft, { deadlineMs: 20_000, what: 'w3 to be missed', everyMs: 200 });
    expect(await demo('on', 'w3')).toMatchObject({ code: 0 });
    // As a terminal does: to the whole process group.
    process.kill(-(live.pid ?? Number.NaN), 'SIGINT');
    expect(await gone).toEqual([0, null]);
    expect(shown()).toContain('The demo is removed.');
    expect(await readdir(folder)).toEqual([]);
    expect(await demo('off', 'w1')).toMatchObject({ code: 1, stderr: expect.stringContaining('no demo is running') });
  }, 120_000);
});

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  return () => text;
}
