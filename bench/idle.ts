/** What the daemon costs while nothing happens, on hosts with 50 units each. */
import type { Host } from '../test/harness/host.ts';
import type { Cluster } from './cluster.ts';
import { cpuTimeOf, DAEMON, hostCpuTimeOf, residentMemoryOf } from './observe.ts';
import type { Row } from './row.ts';

const UNITS = 50;
/** After the start, before anything is measured. */
const REST_MS = 30_000;
/** How long processor time is added up for one sample. */
const WINDOW_MS = 60_000;

/** 50 services that run on every host. */
export const IDLE_SERVICES = Array.from(
  { length: UNITS },
  (_, i) => `  - name: unit@${i + 1}\n    type: global\n`,
).join('');

/** Four rows: resident memory at the end of each window, and processor time over it, of the followers and of the leader. */
export async function measureIdle(
  cluster: Cluster,
  windows: number,
  progress: (percent: number) => void,
): Promise<Row[]> {
  await pause(REST_MS);
  const leader = await cluster.leader();
  const memory = { follower: [] as number[], leader: [] as number[] };
  const cpu = { follower: [] as number[], leader: [] as number[] };
  for (let window = 0; window < windows; window++) {
    const used = await Promise.all(cluster.hosts.map(usedIn(WINDOW_MS)));
    const resident = await Promise.all(cluster.hosts.map((host) => residentMemoryOf(host, DAEMON)));
    for (const [index, host] of cluster.hosts.entries()) {
      const role = host === leader ? 'leader' : 'follower';
      cpu[role].push(used[index] ?? Number.NaN);
      memory[role].push(resident[index] ?? Number.NaN);
    }
    progress(Math.max(...used));
  }
  if ((await cluster.leader()) !== leader) throw new Error('the leader changed while nothing was to happen');
  const rows = (['follower', 'leader'] as const).flatMap((role): Row[] => [
    {
      name: `memory of an idle ${role} with ${UNITS} units (VmRSS)`,
      unit: 'MB',
      samples: memory[role],
      goals: [{ of: 'median', atMost: 64 }],
    },
    {
      name: `processor time of an idle ${role} with ${UNITS} units, of one core`,
      unit: '%',
      samples: cpu[role],
      goals: [{ of: 'median', atMost: 0.3 }],
    },
  ]);
  return rows;
}

/** One unit on each host, told to others apart by whether it may run twice. */
export function oneEach(isolation: 'keep' | 'stop'): string {
  const units = ['a', 'b', 'c', 'd', 'e'];
  return units.map((key) => `  - name: unit@${key}\n    count: 1\n    isolation: ${isolation}\n`).join('');
}

/** Two rows, of all hosts but the leader's: processor time of the daemon, and of the whole host with its systemd. */
export function measureOneEach(isolation: 'keep' | 'stop') {
  return async (cluster: Cluster, windows: number, progress: (percent: number) => void): Promise<Row[]> => {
    await pause(REST_MS);
    const leader = await cluster.leader();
    const followers = cluster.hosts.filter((host) => host !== leader);
    const daemon: number[] = [];
    const whole: number[] = [];
    for (let window = 0; window < windows; window++) {
      const [ofDaemon, ofHost] = await Promise.all([
        Promise.all(followers.map(usedIn(WINDOW_MS))),
        Promise.all(followers.map(usedIn(WINDOW_MS, hostCpuTimeOf))),
      ]);
      daemon.push(...ofDaemon);
      whole.push(...ofHost);
      progress(Math.max(...ofHost));
    }
    if ((await cluster.leader()) !== leader) throw new Error('the leader changed while nothing was to happen');
    const what = `with one unit that has isolation: ${isolation}, of one core`;
    return [
      { name: `processor time of an idle follower ${what}`, unit: '%', samples: daemon, goals: [] },
      { name: `processor time of its whole host ${what}`, unit: '%', samples: whole, goals: [] },
    ];
  };
}

/** Share of one core that the daemon and what it starts use, or the whole host, in percent. */
export function usedIn(
  windowMs: number,
  spentBy = (host: Host) => cpuTimeOf(host, DAEMON),
): (host: Host) => Promise<number> {
  return async (host) => {
    const start = performance.now();
    const before = await spentBy(host);
    await pause(windowMs);
    const after = await spentBy(host);
    return ((after - before) / (performance.now() - start)) * 100;
  };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
