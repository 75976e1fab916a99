/** A unit fails on one host → it is active on another. */
import { monotonicNow } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { activeSince, isStarted, mainPidOf, startedOn } from './observe.ts';
import type { Row } from './row.ts';

const UNIT = 'unit@probe.service';

/** From the SIGKILL of the unit's main process to ActiveEnterTimestampMonotonic on the other host. */
export async function measureFailover(cluster: Cluster, runs: number, progress: (ms: number) => void): Promise<Row> {
  const samples: number[] = [];
  while (samples.length < runs) {
    await cluster.settled();
    const started = await Promise.all(cluster.hosts.map((host) => isStarted(host, UNIT)));
    const from = cluster.hosts[started.indexOf(true)];
    if (from === undefined) throw new Error(`${UNIT} runs nowhere although all is settled`);
    const others = cluster.hosts.filter((host) => host !== from);
    const pid = await mainPidOf(from, UNIT);
    const killed = monotonicNow();
    process.kill(pid, 'SIGKILL');
    const ms = (await activeSince(await startedOn(others, UNIT), UNIT, killed)) - killed;
    samples.push(ms);
    progress(ms);
    await from.systemctl('reset-failed', UNIT);
  }
  return {
    name: 'a unit fails → active on another host',
    unit: 'ms',
    samples,
    goals: [
      { of: 'median', atMost: 60 },
      { of: 'p90', atMost: 150 },
    ],
  };
}
