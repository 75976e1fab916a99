/**
 * Hosts that joined a moment ago take no new shared or multi instances yet: hosts that boot together are waited for, so
 * that the first one does not get everything (`partitioner_boundary`). Pure.
 */

export interface JoiningState {
  /** Members known at the last step. */
  readonly known: ReadonlySet<string>;
  readonly joining: ReadonlySet<string>;
  /** When the last one joined, ms. */
  readonly since: number;
  /** When the wait of all that are joining ends, ms. */
  readonly until: number;
}

export const NOBODY_JOINING: JoiningState = { known: new Set(), joining: new Set(), since: 0, until: 0 };

/**
 * A member not known before joins, unless `settled` (it has a desired state already: its daemon restarted, or the leader
 * changed). Each joining host makes all of them wait `boundaryMs` from now; another boundary later counts from the same moment.
 */
export function applyJoining(
  before: JoiningState,
  members: readonly string[],
  settled: (host: string) => boolean,
  boundaryMs: number,
  now: number,
): JoiningState {
  const fresh = members.filter((host) => !before.known.has(host) && !settled(host));
  const known = new Set(members);
  const since = fresh.length > 0 ? now : before.since;
  const until = since + boundaryMs;
  if (fresh.length === 0 && now >= until) return { known, joining: new Set(), since, until };
  const joining = new Set([...before.joining, ...fresh].filter((host) => known.has(host)));
  return { known, joining, since, until };
}
