/**
 * Hosts that joined a moment ago take no new shared or multi instances yet: hosts that boot together are waited for, so
 * that the first one does not get everything (`partitioner_boundary`). Pure.
 */

export interface JoiningState {
  /** Members known at the last step. */
  readonly known: ReadonlySet<string>;
  readonly joining: ReadonlySet<string>;
  /** When the wait of all that are joining ends, ms. */
  readonly until: number;
}

export const NOBODY_JOINING: JoiningState = { known: new Set(), joining: new Set(), until: 0 };

/**
 * A member not known before joins, unless `settled` (it has a desired state already: its daemon restarted, or the leader
 * changed). Each joining host makes all of them wait `boundaryMs` from now.
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
  if (fresh.length > 0) {
    const joining = new Set([...before.joining, ...fresh].filter((host) => known.has(host)));
    return { known, joining, until: now + boundaryMs };
  }
  if (now >= before.until) return { known, joining: new Set(), until: 0 };
  return { known, joining: new Set([...before.joining].filter((host) => known.has(host))), until: before.until };
}
