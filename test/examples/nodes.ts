/** `npm run example -- nodes`: ten nodes on five hosts that start one after the other, in both ways of deploy/examples/nodes. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../harness/host.ts';
import { Lab } from '../harness/lab.ts';
import { projectRoot } from '../harness/project.ts';
import { addUnits } from '../harness/units.ts';
import { monotonicNow, until } from '../harness/until.ts';

const FOLDER = join(projectRoot, 'deploy/examples/nodes');
const HOSTS = 5;
export const NAMES = ['01', '02', '03', '04', '05', '06', '07', '08', '09', '10'];
const DEADLINE_MS = 60_000;
/** Ways to start them: label, and the first two digits of the ports. */
const WAYS = { serial: { label: 'nodes', ports: '92' }, leases: { label: 'leased', ports: '93' } } as const;

/** What a node says of itself; times in ms of `monotonicNow`'s clock. */
export interface NodeView {
  readonly host: string;
  readonly name: string;
  readonly cluster: string;
  /** Names of those it found when it started, sorted. */
  readonly saw: readonly string[];
  /** Names of all that it knows by now, sorted. */
  readonly members: readonly string[];
  readonly began: number;
  readonly healthyAt: number;
}

type Print = (line: string) => void;

export async function run(stop: AbortSignal, print: Print): Promise<void> {
  print(`Booting ${HOSTS} hosts and 3 ZooKeeper servers; the daemons start at the same time, with start: serial.`);
  const nodes = await Nodes.create(stop);
  try {
    report(await nodes.startSerially(print), print);
    print('');
    print('The same with a lease in ExecStartPre=: all ten are started at the same time.');
    report(await nodes.startWithLeases(print), print);
  } finally {
    await nodes.destroy();
  }
}

/** Says what each node saw; throws when it was not what it should have seen. */
function report(views: readonly NodeView[], print: Print): void {
  for (const { name, host, saw } of views)
    print(`  node ${name} on ${host} saw ${saw.length === 0 ? 'nobody' : saw.join(', ')}`);
  const faults = faultsOf(views);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  print(`Each of the ${views.length} saw all before it, and they are one cluster.`);
}

/** What is wrong with nodes that are to have started one after the other, one sentence each. `views`: in the order of their starts. */
export function faultsOf(views: readonly NodeView[]): string[] {
  const faults: string[] = [];
  for (const [index, { name, saw, began }] of views.entries()) {
    const before = views.slice(0, index);
    const expected = before.map((view) => view.name).sort();
    if (saw.join() !== expected.join()) faults.push(`node ${name} saw [${saw}], not [${expected}]`);
    const last = before.at(-1);
    if (last && began < last.healthyAt) faults.push(`node ${name} was started before node ${last.name} was healthy`);
  }
  const clusters = new Set(views.map(({ cluster }) => cluster));
  if (clusters.size !== 1) faults.push(`they are ${clusters.size} clusters`);
  for (const { name, members } of views)
    if (members.length !== views.length) faults.push(`node ${name} knows only ${members}`);
  return faults;
}

/** The steps of the story. */
export class Nodes {
  private constructor(
    readonly lab: Lab,
    private readonly stop: AbortSignal,
  ) {}

  /** Boots hosts that have the units; no daemon runs yet. */
  static async create(stop: AbortSignal): Promise<Nodes> {
    const lab = await Lab.create({ hosts: HOSTS, zookeeper: 3 });
    const nodes = new Nodes(lab, stop);
    try {
      await Promise.all(lab.hosts.map((host) => nodes.prepare(host)));
      return nodes;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  /** Starts all daemons at once, whose configuration names the ten; answers when all are registered, in the order of their starts. */
  async startSerially(print: Print): Promise<readonly NodeView[]> {
    const config = await file('config.yml');
    const began = monotonicNow();
    const [views] = await Promise.all([
      this.follow('serial', began, print),
      ...this.lab.hosts.map((host) => host.install({ config })),
    ]);
    return views;
  }

  /** The same with units that wait for a lease, all started at once by hand. The daemons run already. */
  async startWithLeases(print: Print): Promise<readonly NodeView[]> {
    const began = monotonicNow();
    const start = (host: Host, index: number) => {
      const own = NAMES.filter((_, at) => at % HOSTS === index).map((name) => `leased-node@${name}.service`);
      return host.systemctl('start', '--no-block', ...own);
    };
    const [views] = await Promise.all([this.follow('leases', began, print), ...this.lab.hosts.map(start)]);
    return views;
  }

  async destroy(): Promise<void> {
    await this.lab.destroy();
  }

  private async prepare(host: Host): Promise<void> {
    await host.write('/usr/local/lib/nodes/node.mjs', await file('node.mjs'));
    const units = ['node@.service', 'leased-node@.service', 'leased-node-watch@.service'];
    await addUnits(host, Object.fromEntries(await Promise.all(units.map(async (unit) => [unit, await file(unit)]))));
  }

  /** Says when each is registered; resolves when all are, and have joined. */
  private async follow(way: keyof typeof WAYS, began: number, print: Print): Promise<readonly NodeView[]> {
    const told = new Set<string>();
    const tell = async (): Promise<readonly NodeView[]> => {
      const views = await this.views(way);
      for (const { name, host, saw, healthyAt, began: started } of views) {
        if (told.has(name)) continue;
        told.add(name);
        const [at, tookMs] = [((started - began) / 1000).toFixed(2), Math.round(healthyAt - started)];
        print(`  +${at} s  node ${name} on ${host} starts, finds ${saw.length}, is healthy ${tookMs} ms later`);
      }
      return views;
    };
    const all = async () => {
      if (this.stop.aborted) return [];
      const views = await tell();
      if (views.length < NAMES.length) throw new Error(`${views.length} of ${NAMES.length} are registered`);
      return views;
    };
    const views = await until(all, { deadlineMs: DEADLINE_MS, everyMs: 250, what: 'ten nodes to be registered' });
    if (views.length === 0) throw new Error('interrupted');
    print(`All ten run ${((monotonicNow() - began) / 1000).toFixed(1)} s after they were switched on.`);
    return views;
  }

  /** What all that are registered say, in the order of their starts. */
  private async views(way: keyof typeof WAYS): Promise<readonly NodeView[]> {
    const { label, ports } = WAYS[way];
    const [first] = this.lab.hosts;
    if (first === undefined) throw new Error('there are no hosts');
    const { body } = await this.lab.http(first, `/discovery/${label}`);
    const entries: readonly { readonly host: string; readonly id: string }[] = JSON.parse(body);
    const views = await Promise.all(
      entries.map(async ({ host, id }): Promise<NodeView> => {
        const answer = await this.lab.http(host, '/', Number(ports + id.slice(-2)));
        return { host, ...JSON.parse(answer.body) };
      }),
    );
    return views.sort((a, b) => a.began - b.began);
  }
}

function file(name: string): Promise<string> {
  return readFile(join(FOLDER, name), 'utf8');
}
