/** A host's daemon is stopped in good order → its instance is active elsewhere, and, where it led, another one leads. */
import type { Host } from '../test/harness/host.ts';
import { monotonicNow } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { SPREAD, spread } from './host-loss.ts';
import { takenOver } from './leader-loss.ts';
import { activeSince, DAEMON, loggedAt } from './observe.ts';
import type { Goal, Row } from './row.ts';

/** What was promised for a host that is stopped; the instance's own start, a few hundredths of a second here, is part of what is measured. */
const STOP_GOAL: Goal = { of: 'median', atMost: 300 };
const HAND_OVER_GOAL: Goal = { of: 'median', atMost: 200 };
/** What a leader logs when its term ends. */
const TERM_ENDS = /no longer the leader/;

/** From the `systemctl stop` of a daemon that does not lead to ActiveEnterTimestampMonotonic elsewhere. */
export async function measureHostStop(cluster: Cluster, runs: number, progress: (ms: number) => void): Promise<Row> {
  const samples: number[] = [];
  while (samples.length < runs) {
    await cluster.settled();
    const leader = await cluster.leader();
    const { taken, free } = await spread(cluster);
    const candidates = taken.filter((host) => host !== leader);
    const stopped = candidates[samples.length % candidates.length];
    if (stopped === undefined) throw new Error(`${SPREAD} runs on no host but the leader's`);
    const { since, done } = stop(stopped);
    const ms = (await activeSince(free, SPREAD, since)) - since;
    samples.push(ms);
    progress(ms);
    await done;
    await stopped.systemctl('start', DAEMON);
  }
  const name = 'a host is stopped in good order → its instance is active elsewhere';
  return { name, unit: 'ms', samples, goals: [STOP_GOAL] };
}

/**
 * Two rows of the same `systemctl stop` of the leader's daemon: from the end of its term, by its journal, to its
 * successor's first placement; and from the stop to its instance's start elsewhere.
 */
export async function measureLeaderStop(
  cluster: Cluster,
  runs: number,
  progress: (ms: number) => void,
): Promise<readonly Row[]> {
  const leading: number[] = [];
  const active: number[] = [];
  while (leading.length < runs) {
    await cluster.settled();
    const leader = await cluster.leader();
    const { taken, free } = await spread(cluster);
    const { since, done } = stop(leader);
    const others = cluster.hosts.filter((host) => host !== leader);
    const placed = await takenOver(others, since);
    await done;
    const ended = await loggedAt(leader, TERM_ENDS, since);
    if (ended === undefined) throw new Error(`${leader.name} never said that its term was over`);
    leading.push(placed - ended);
    progress(placed - ended);
    if (taken.includes(leader)) active.push((await activeSince(free, SPREAD, since)) - since);
    await leader.systemctl('start', DAEMON);
  }
  const stopped = 'the leader is stopped in good order';
  return [
    {
      name: `${stopped}: from the end of its term until the next one has placed`,
      unit: 'ms',
      samples: leading,
      goals: [HAND_OVER_GOAL],
    },
    { name: `${stopped} → its instance is active elsewhere`, unit: 'ms', samples: active, goals: [STOP_GOAL] },
  ];
}

/** Does not wait for the stop to end: what is measured happens meanwhile. */
function stop(host: Host): { readonly since: number; readonly done: Promise<unknown> } {
  const since = monotonicNow();
  const done = host.systemctl('stop', DAEMON);
  // awaited later: until then a failure must not count as unhandled
  done.catch(() => undefined);
  return { since, done };
}
