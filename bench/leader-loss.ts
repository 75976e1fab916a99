/** The leader's daemon is killed → another one leads, and what failed meanwhile runs again. */
import type { Host } from '../test/harness/host.ts';
import { mainPidOf } from '../test/harness/main-pid.ts';
import { monotonicNow, until } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { activeSince, DAEMON, isStarted, loggedAt, startedOn } from './observe.ts';
import { LOSS_GOAL, type Row } from './row.ts';

/** What a leader logs when its first placement is in force: written, or found to be what is written already. */
const FIRST_PLACEMENT = /placement written for|the placement stands/;

/** Runs once. */
const UNIT = 'unit@probe.service';

/**
 * Two rows of the same SIGKILL of the leader's daemon: to its successor's first placement, by the journal's time; and to
 * ActiveEnterTimestampMonotonic, on another host, of a unit whose main process is killed while nobody leads.
 */
export async function measureLeaderLoss(
  cluster: Cluster,
  runs: number,
  progress: (ms: number) => void,
): Promise<readonly Row[]> {
  const leading: number[] = [];
  const active: number[] = [];
  while (leading.length < runs) {
    await cluster.settled();
    const leader = await cluster.leader();
    const started = await Promise.all(cluster.hosts.map((host) => isStarted(host, UNIT)));
    const from = cluster.hosts[started.indexOf(true)];
    if (from === undefined) throw new Error(`${UNIT} runs nowhere although all is settled`);
    const [daemon, main] = [await mainPidOf(leader, DAEMON), await mainPidOf(from, UNIT)];
    const killed = monotonicNow();
    process.kill(daemon, 'SIGKILL');
    process.kill(main, 'SIGKILL');
    const to = await startedOn(
      cluster.hosts.filter((host) => host !== from),
      UNIT,
    );
    active.push((await activeSince(to, UNIT, killed)) - killed);
    // its own next process may lead again
    const ms = (await takenOver(cluster.hosts, killed)) - killed;
    leading.push(ms);
    progress(ms);
    await from.systemctl('reset-failed', UNIT);
  }
  const lost = "the leader's daemon is killed";
  return [
    { name: `${lost} → the next one has placed`, unit: 'ms', samples: leading, goals: [LOSS_GOAL] },
    {
      name: `${lost} → a unit that failed with it is active elsewhere`,
      unit: 'ms',
      samples: active,
      goals: [LOSS_GOAL],
    },
  ];
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
