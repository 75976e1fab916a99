/**
 * The brake: when many hosts vanish at once the fault is probably not theirs. Their instances are held where they were
 * for a while, and move only if the hosts have not come back by then. Pure.
 */
import type { Brake } from '../shared/model.ts';

export interface BrakeState {
  /** Lost host → time it was first missed, ms. */
  readonly lostSince: ReadonlyMap<string, number>;
  /** Hosts held, until `until`. */
  readonly engaged: { readonly hosts: ReadonlySet<string>; readonly until: number } | undefined;
}

export const BRAKE_RELEASED: BrakeState = { lostSince: new Map(), engaged: undefined };

/** Losses this close together count as one event. */
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
  const lost = placed.filter((host) => !members.has(host));
  const lostSince = new Map(lost.map((host) => [host, before.lostSince.get(host) ?? now]));
  const recent = lost.filter((host) => now - (lostSince.get(host) ?? now) <= AT_ONCE_MS);
  if (before.engaged) {
    if (now >= before.engaged.until) return { lostSince, engaged: undefined };
    const engaged = before.engaged;
    // hosts lost while it holds belong to the same event
    const hosts = new Set(lost);
    return { lostSince, engaged: hosts.size > 0 ? { hosts, until: engaged.until } : undefined };
  }
  const many = recent.length >= brake.atLeast && recent.length > brake.above * placed.length;
  const released = lost.some((host) => now - (lostSince.get(host) ?? now) > AT_ONCE_MS);
  if (!many || released) return { lostSince, engaged: undefined };
  return { lostSince, engaged: { hosts: new Set(lost), until: now + brake.holdMs } };
}
