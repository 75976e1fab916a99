/** A service is added to the configuration of one host → all its instances are active. */

import { mainPidOf } from '../test/harness/main-pid.ts';
import { monotonicNow, until } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { activeSince, DAEMON, isStarted } from './observe.ts';
import type { Row } from './row.ts';

const UNIT = 'unit@added.service';

/** From the SIGHUP that `systemctl reload` sends to ActiveEnterTimestampMonotonic on the last of the hosts. */
export async function measureReload(cluster: Cluster, runs: number, progress: (ms: number) => void): Promise<Row> {
  const [host] = cluster.hosts;
  if (host === undefined) throw new Error('the cluster has no hosts');
  const samples: number[] = [];
  while (samples.length < runs) {
    await cluster.settled();
    const daemon = await mainPidOf(host, DAEMON);
    await cluster.rewrite(host, `  - name: unit@added\n    count: ${cluster.hosts.length}\n`);
    const reloaded = monotonicNow();
    process.kill(daemon, 'SIGHUP');
    const entered = await Promise.all(cluster.hosts.map((one) => activeSince(one, UNIT, reloaded)));
    const ms = Math.max(...entered) - reloaded;
    samples.push(ms);
    progress(ms);
    await cluster.rewrite(host, '');
    process.kill(daemon, 'SIGHUP');
    await until(async () => !(await Promise.all(cluster.hosts.map((one) => isStarted(one, UNIT)))).includes(true), {
      deadlineMs: 30_000,
      what: `${UNIT} to be stopped again`,
    });
  }
  return {
    name: `a service is added by reload → its ${cluster.hosts.length} instances are active`,
    unit: 'ms',
    samples,
    goals: [],
  };
}
