/**
 * The brake: when many hosts vanish at once the fault is probably not theirs. Their instances are held where they were
 * for a while, and move only if the hosts have not come back by then. Pure.
 */
import type { Brake } from '../shared/spec.ts';

export interface BrakeState {
  /** Lost host → time it was first missed, ms. Those whose instances have moved already stay here for `AT_ONCE_MS`. */
  readonly lostSince: ReadonlyMap<string, number>;
  /** Hosts held, until `until`. */
  readonly engaged: { readonly hosts: ReadonlySet<string>; readonly until: number } | undefined;
}

export const BRAKE_RELEASED: BrakeState = { lostSince: new Map(), engaged: undefined };

/** Losses this close together count as one event: sessions that break at the same moment end some time apart. */
const AT_ONCE_MS = 10_000;

/**
 * `placed`: hosts that have a desired state; `members`: hosts that are live. The brake engages when strictly more than
 * `brake.above` of the placed hosts, and at least `brake.atLeast`, were lost at once; a host that comes back is let go.
 */
export function applyBrake(
  before: BrakeState,
  placed: readonly string[],
  members: ReadonlySet<string>,
  brake: Brake,
  now: number,
): BrakeState {
  const lost = new Set(placed.filter((host) => !members.has(host)));
  if (before.engaged) {
    // what was held and moves now belongs to an event that is over
    if (now >= before.engaged.until) return BRAKE_RELEASED;
    // hosts lost while it holds belong to the same event
    const engaged = lost.size > 0 ? { hosts: lost, until: before.engaged.until } : undefined;
    return { lostSince: since(before, lost, now), engaged };
  }
  const moved = [...before.lostSince].filter(([host, at]) => !members.has(host) && now - at <= AT_ONCE_MS);
  const lostSince = since(before, new Set([...lost, ...moved.map(([host]) => host)]), now);
  const all = new Set([...placed, ...lostSince.keys()]);
  const many = lostSince.size >= brake.atLeast && lostSince.size > brake.above * all.size;
  return { lostSince, engaged: many && lost.size > 0 ? { hosts: lost, until: now + brake.holdMs } : undefined };
}

function since(before: BrakeState, lost: ReadonlySet<string>, now: number): Map<string, number> {
  return new Map([...lost].map((host) => [host, before.lostSince.get(host) ?? now]));
}
