/** A unit fails on one host → it is active on another. */

import { mainPidOf } from '../test/harness/main-pid.ts';
import { monotonicNow } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { activeSince, isStarted, loggedAt, startedOn } from './observe.ts';
import type { Row } from './row.ts';

const UNIT = 'unit@probe.service';

/**
 * From the SIGKILL of the unit's main process to ActiveEnterTimestampMonotonic on the other host; and what of that passed
 * between the journal's entry of the order to start and the latter, in systemd alone.
 */
export async function measureFailover(cluster: Cluster, runs: number, progress: (ms: number) => void): Promise<Row[]> {
  const samples: number[] = [];
  const inSystemd: number[] = [];
  while (samples.length < runs) {
    await cluster.settled();
    const started = await Promise.all(cluster.hosts.map((host) => isStarted(host, UNIT)));
    const from = cluster.hosts[started.indexOf(true)];
    if (from === undefined) throw new Error(`${UNIT} runs nowhere although all is settled`);
    const others = cluster.hosts.filter((host) => host !== from);
    const pid = await mainPidOf(from, UNIT);
    const killed = monotonicNow();
    process.kill(pid, 'SIGKILL');
    const to = await startedOn(others, UNIT);
    const active = await activeSince(to, UNIT, killed);
    const ms = active - killed;
    samples.push(ms);
    const ordered = await loggedAt(to, /starting unit@probe/, killed);
    if (ordered !== undefined) inSystemd.push(active - ordered);
    progress(ms);
    await from.systemctl('reset-failed', UNIT);
  }
  return [
    {
      name: 'a unit fails → active on another host',
      unit: 'ms',
      samples,
      goals: [
        { of: 'median', atMost: 60 },
        { of: 'p90', atMost: 150 },
      ],
    },
    {
      name: 'of that: from the order to start it until systemd has it active',
      unit: 'ms',
      samples: inSystemd,
      goals: [],
    },
  ];
}
