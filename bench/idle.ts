/** What the daemon costs while nothing happens, on hosts with 50 units each. */
import type { Host } from '../test/harness/host.ts';
import type { Cluster } from './cluster.ts';
import { cpuTimeOf, DAEMON, residentMemoryOf } from './observe.ts';
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

/** Share of one core that the daemon and what it starts use, in percent. */
function usedIn(windowMs: number): (host: Host) => Promise<number> {
  return async (host) => {
    const start = performance.now();
    const before = await cpuTimeOf(host, DAEMON);
    await pause(windowMs);
    const after = await cpuTimeOf(host, DAEMON);
    return ((after - before) / (performance.now() - start)) * 100;
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
