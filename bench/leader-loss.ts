/** The leader's daemon is killed → another one leads. */
import type { Host } from '../test/harness/host.ts';
import { monotonicNow, until } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { DAEMON, loggedAt, mainPidOf } from './observe.ts';
import { LOSS_GOAL, type Row } from './row.ts';

/** What a leader logs when its first placement is in force: written, or found to be what is written already. */
const FIRST_PLACEMENT = /placement written for|the placement stands/;

/** From the SIGKILL of the leader's daemon to its successor's first placement, by the journal's time. */
export async function measureLeaderLoss(cluster: Cluster, runs: number, progress: (ms: number) => void): Promise<Row> {
  const samples: number[] = [];
  while (samples.length < runs) {
    await cluster.settled();
    const leader = await cluster.leader();
    const pid = await mainPidOf(leader, DAEMON);
    const killed = monotonicNow();
    process.kill(pid, 'SIGKILL');
    // its own next process may lead again
    const ms = (await takenOver(cluster.hosts, killed)) - killed;
    samples.push(ms);
    progress(ms);
  }
  return { name: "the leader's daemon is killed → the next one has placed", unit: 'ms', samples, goals: [LOSS_GOAL] };
}

/** When one of `hosts`, as leader of a new term, had its first placement in force. */
export async function takenOver(hosts: readonly Host[], since: number): Promise<number> {
  const look = async () => {
    const logged = await Promise.all(hosts.map((host) => loggedAt(host, FIRST_PLACEMENT, since)));
    const times = logged.filter((at) => at !== undefined);
    return times.length > 0 && Math.min(...times);
  };
  return await until(look, { deadlineMs: 30_000, what: 'another daemon to lead', everyMs: 250 });
}
