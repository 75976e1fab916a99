/**
 * Whether discovery under load slows the scheduler: the same is measured three times in one run. Before the load; while much
 * is registered and chosen, and no daemon follows it; and while every host follows every label, by a template that lists
 * all that is registered, and a client of each host listens to a stream and asks for a label once a second.
 */
import { readFile } from 'node:fs/promises';
import type { Host } from '../test/harness/host.ts';
import { mainPidOf } from '../test/harness/main-pid.ts';
import { until } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { measureFailover } from './failover.ts';
import { pause, usedIn } from './idle.ts';
import { Load, type LoadCounts, type LoadPlan } from './load.ts';
import { DAEMON, residentMemoryOf } from './observe.ts';
import type { Goal, Row } from './row.ts';
import { summarise } from './statistics.ts';

const SOURCE = '/etc/servicewatcher/load.tpl';
const RENDERED = '/etc/load.list';
const TEMPLATE = '{{#each services}}{{id}} {{address}}:{{port}}\n{{/each}}end\n';
/** What every host renders, to be written below `services:`. */
export const FOLLOWING = `templates:\n  - {source: ${SOURCE}, destination: ${RENDERED}}\n`;

const WINDOW_MS = 10_000;
/** How often the leader is asked for a sign of life, ms: how long it takes tells how long its loop is busy with other things. */
const ASK_MS = 50;
const FULL = { present: 5_000, perMinute: 10_000, picksPerMinute: 1_000 };
const SHARED = { sessions: 20, labels: 50 };
/** Of what was planned at least so much must have been done for a figure to count. */
const REACHED = 0.95;

/** What is measured before the load and during it. */
interface Phase {
  readonly failover: readonly number[];
  /** Time to compute and verify a placement: the mean of those of each failover. */
  readonly placement: readonly number[];
  readonly answer: readonly number[];
  readonly cpu: Readonly<Record<Role, readonly number[]>>;
  readonly memory: Readonly<Record<Role, readonly number[]>>;
  readonly machine: readonly number[];
  /** Placements in a minute without any failover. */
  readonly passes: readonly number[];
}
type Role = 'leader' | 'follower';

/** `share`: of the full load, for trying. */
export async function measureDiscoveryLoad(
  cluster: Cluster,
  runs: number,
  progress: (ms: number) => void,
  share: number,
): Promise<readonly Row[]> {
  const before = await measurePhase(cluster, runs, progress);
  const plan = planOf(cluster, share);
  const alone = await measureUnder(cluster, { ...plan, hosts: [] }, runs, progress);
  await Promise.all(cluster.hosts.map((host) => renders(host)));
  const followed = await measureUnder(cluster, plan, runs, progress);
  return [
    ...phaseRows(before, alone.phase, followed.phase, plan),
    ...alone.rows.map((row) => ({ ...row, name: `followed by nobody, ${row.name}` })),
    ...followed.rows.map((row) => ({ ...row, name: `followed by all hosts, ${row.name}` })),
  ];
}

/** `plan.hosts`: those that follow; none do when it is empty. */
async function measureUnder(cluster: Cluster, plan: LoadPlan, runs: number, progress: (ms: number) => void) {
  const load = await Load.start(cluster.lab, plan);
  try {
    const first = load.counts;
    const phase = await measurePhase(cluster, runs, progress);
    const last = load.counts;
    if (plan.hosts.length > 0) for (const host of cluster.hosts) await follows(host, plan);
    return { phase, rows: loadRows(first, last, load, plan) };
  } finally {
    await load.stop();
  }
}

function planOf({ lab, hosts }: Cluster, share: number): LoadPlan {
  return {
    ...SHARED,
    servers: lab.quorum.split(','),
    hosts: hosts.map(({ address }) => address),
    present: Math.round(FULL.present * share),
    perMinute: Math.round(FULL.perMinute * share),
    picksPerMinute: Math.round(FULL.picksPerMinute * share),
  };
}

/** Gives the host its template; resolves when it is rendered. */
async function renders(host: Host): Promise<void> {
  await host.write(SOURCE, TEMPLATE);
  process.kill(await mainPidOf(host, DAEMON), 'SIGHUP');
  const what = `${RENDERED} on ${host.name}`;
  await until(() => host.read(RENDERED).then((text) => text.endsWith('end\n')), { deadlineMs: 30_000, what });
}

/** Resolves when what the host has rendered holds about all that is present. */
async function follows(host: Host, { present }: LoadPlan): Promise<void> {
  const isThere = async () => (await host.read(RENDERED)).split('\n').length >= REACHED * present;
  await until(isThere, { deadlineMs: 30_000, what: `${RENDERED} on ${host.name} to hold the registrations` });
}

async function measurePhase(cluster: Cluster, runs: number, progress: (ms: number) => void): Promise<Phase> {
  await cluster.settled();
  const leader = await cluster.leader();
  const quiet = await measureQuiet(cluster, leader, Math.min(3, runs));
  const failover: number[] = [];
  const placement: number[] = [];
  while (failover.length < runs) {
    const earlier = await placementsOf(cluster, leader);
    const [row] = await measureFailover(cluster, 1, progress);
    failover.push(...(row?.samples ?? []));
    const { count, seconds } = await placementsOf(cluster, leader);
    if (count === earlier.count) throw new Error(`${leader.name} placed nothing at a failover`);
    placement.push(((seconds - earlier.seconds) / (count - earlier.count)) * 1_000);
  }
  if ((await cluster.leader()) !== leader) throw new Error('the leader changed');
  return { failover, placement, ...quiet };
}

/** While no unit fails. */
async function measureQuiet(cluster: Cluster, leader: Host, windows: number) {
  const cpu: Record<Role, number[]> = { leader: [], follower: [] };
  const memory: Record<Role, number[]> = { leader: [], follower: [] };
  const machine: number[] = [];
  const passes: number[] = [];
  const answer: number[] = [];
  for (let window = 0; window < windows; window++) {
    const [placed, busy] = [await placementsOf(cluster, leader), await machineTime()];
    const over = pause(WINDOW_MS);
    const used = Promise.all(cluster.hosts.map(usedIn(WINDOW_MS)));
    answer.push(...(await answersOf(cluster, leader, over)));
    const percents = await used;
    const resident = await Promise.all(cluster.hosts.map((host) => residentMemoryOf(host, DAEMON)));
    for (const [index, host] of cluster.hosts.entries()) {
      const role = host === leader ? 'leader' : 'follower';
      cpu[role].push(percents[index] ?? Number.NaN);
      memory[role].push(resident[index] ?? Number.NaN);
    }
    const [placedThen, busyThen] = [await placementsOf(cluster, leader), await machineTime()];
    machine.push(((busyThen.busy - busy.busy) / (busyThen.all - busy.all)) * 100);
    passes.push(((placedThen.count - placed.count) * 60_000) / WINDOW_MS);
  }
  return { cpu, memory, machine, passes, answer };
}

/** How long each sign of life took, until `over`. */
async function answersOf(cluster: Cluster, leader: Host, over: Promise<void>): Promise<number[]> {
  const samples: number[] = [];
  let ended = false;
  void over.then(() => {
    ended = true;
  });
  while (!ended) {
    const begun = performance.now();
    await cluster.lab.http(leader, '/healthz');
    samples.push(performance.now() - begun);
    await pause(ASK_MS);
  }
  return samples;
}

async function placementsOf(cluster: Cluster, leader: Host): Promise<{ count: number; seconds: number }> {
  const { body } = await cluster.lab.http(leader, '/metrics');
  const read = (part: string) =>
    Number(new RegExp(`^servicewatcher_placement_duration_seconds_${part} (\\S+)$`, 'm').exec(body)?.[1] ?? 0);
  return { count: read('count'), seconds: read('sum') };
}

/** Of all the machine's processors since it was started, in ticks of the kernel. */
async function machineTime(): Promise<{ busy: number; all: number }> {
  const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  // cpu user nice system idle iowait irq softirq steal, proc(5)
  const times = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = times.reduce((sum, each) => sum + each, 0);
  return { all, busy: all - (times[3] ?? 0) - (times[4] ?? 0) };
}

function phaseRows(before: Phase, alone: Phase, followed: Phase, { perMinute, picksPerMinute }: LoadPlan): Row[] {
  const load = `with ${perMinute} registrations and ${picksPerMinute} picks a minute`;
  const rows = (
    what: string,
    unit: Row['unit'],
    of: (phase: Phase) => readonly number[],
    goals: readonly Goal[] = [],
  ) => [
    { name: `${what}, before the load`, unit, samples: of(before), goals: [] },
    { name: `${what}, ${load}`, unit, samples: of(alone), goals },
    ratioRow(what, of(before), of(alone)),
    { name: `${what}, ${load}, followed by all hosts`, unit, samples: of(followed), goals },
    ratioRow(`${what}, followed by all hosts`, of(before), of(followed)),
  ];
  const roles = ['leader', 'follower'] as const;
  return [
    ...rows('a unit fails → active on another host', 'ms', ({ failover }) => failover, [
      { of: 'median', atMost: 60 },
      { of: 'p90', atMost: 150 },
    ]),
    ...rows('the leader computes and verifies a placement', 'µs', ({ placement }) => placement.map((ms) => ms * 1_000)),
    ...rows('the leader answers a request for a sign of life', 'ms', ({ answer }) => answer),
    ...rows('placements that the leader computes while nothing fails', '/min', ({ passes }) => passes),
    ...roles.flatMap((role) => rows(`processor time of the ${role}, of one core`, '%', ({ cpu }) => cpu[role])),
    ...roles.flatMap((role) => rows(`memory of the ${role} (VmRSS)`, 'MB', ({ memory }) => memory[role])),
    ...rows('processor time of the whole machine, of all its cores', '%', ({ machine }) => machine),
  ];
}

function ratioRow(what: string, before: readonly number[], during: readonly number[]): Row {
  const ratio = summarise(during).median / summarise(before).median;
  return { name: `${what}: median during the load, by that before`, unit: '×', samples: [ratio], goals: [] };
}

/** Throws when the load was not what it shall be. */
function loadRows(first: LoadCounts, last: LoadCounts, load: Load, plan: LoadPlan): Row[] {
  const minutes = (last.at - first.at) / 60_000;
  const rate = (what: 'registered' | 'removed' | 'picked' | 'answers' | 'events') =>
    (last[what] - first[what]) / minutes;
  for (const [what, planned] of [
    ['registered', plan.perMinute],
    ['removed', plan.perMinute],
    ['picked', plan.picksPerMinute],
  ] as const) {
    const reached = rate(what);
    if (reached >= REACHED * planned) continue;
    throw new Error(
      `the load fell short: ${reached.toFixed(0)} ${what} a minute, of ${planned}; nothing is told by the rest`,
    );
  }
  if (last.pickFailures > first.pickFailures) throw new Error(`${last.pickFailures} picks failed`);
  const row = (name: string, value: number): Row => ({ name, unit: '/min', samples: [value], goals: [] });
  const over = `over ${(minutes * 60).toFixed(0)} s`;
  return [
    row(`the load: registrations made, ${last.present} being there, ${over}`, rate('registered')),
    row(`the load: registrations removed, ${over}`, rate('removed')),
    row(`the load: clients that came, had a server and went, ${over}`, rate('picked')),
    row('the load: answers of daemons for a label', rate('answers')),
    row('the load: events of streams', rate('events')),
    { name: 'the load: a client comes → it has its server', unit: 'ms', samples: load.pickMs, goals: [] },
  ];
}
