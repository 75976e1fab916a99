/**
 * The timing rule: until when a host that hears nothing may take it that others let it be, and from when on it must be
 * done with stopping. The only place where these times are computed; SPEC.md explains them. Pure.
 *
 * All of them count from `confirmedAt`: the newest time at which ZooKeeper's leader is known to have heard of the session,
 * or later, so that the session cannot expire before `confirmedAt` + its timeout.
 */

/** Times after `confirmedAt`, ms, for one session timeout. They rise in this order. */
export interface IsolationTiming {
  /** From one proof that the session lives to the next, on hosts that need it. */
  readonly beatMs: number;
  /** How long the word that a client was heard takes at most from its server to ZooKeeper's leader: half a tick. */
  readonly touchLagMs: number;
  /** From one ping to the next, on every host. */
  readonly pingMs: number;
  /** Silence after which another server is tried: what is left until `stopAfterMs` is for finding one. */
  readonly suspectMs: number;
  /** Units with `isolation: stop` begin to stop. */
  readonly stopAfterMs: number;
  /** What is left of them is killed. */
  readonly killAfterMs: number;
  /** The session may have expired: others may start them. */
  readonly expiryMs: number;
}

/** Shares of the session timeout, in twelfths. */
const TWELFTHS = { beat: 1, touchLag: 1, ping: 2, suspect: 5, stopAfter: 8, killAfter: 11 } as const;

/**
 * Between the kill and the earliest expiry, at least: for starting `systemctl`, for the kernel to end processes, and for
 * arming a guard, which is late by as long as systemd takes to answer.
 */
const LEAST_MARGIN_MS = 250;

export function isolationTiming(sessionTimeoutMs: number): IsolationTiming {
  const share = (twelfths: number) => (sessionTimeoutMs * twelfths) / 12;
  return {
    beatMs: share(TWELFTHS.beat),
    touchLagMs: share(TWELFTHS.touchLag),
    pingMs: share(TWELFTHS.ping),
    suspectMs: share(TWELFTHS.suspect),
    stopAfterMs: share(TWELFTHS.stopAfter),
    killAfterMs: share(TWELFTHS.killAfter),
    expiryMs: sessionTimeoutMs,
  };
}

/** How long units with `isolation: stop` have to stop in before they are killed, ms. */
export function stopBudgetMs(sessionTimeoutMs: number): number {
  // not the difference of two rounded times: a quarter of 5 s is 1.25 s, and a unit that takes so long fits
  return (sessionTimeoutMs * (TWELFTHS.killAfter - TWELFTHS.stopAfter)) / 12;
}

/** How late a guard may end: half of the margin between the kill and the expiry. The other half is for the kill itself. */
export function guardSlackMs(sessionTimeoutMs: number): number {
  const { killAfterMs, expiryMs } = isolationTiming(sessionTimeoutMs);
  return (expiryMs - killAfterMs) / 2;
}

/** The shortest session timeout (ms, whole) with which units that need `stopMs` to stop can have `isolation: stop`. */
export function leastSessionTimeoutMs(stopMs: number): number {
  const forStop = (stopMs * 12) / (TWELFTHS.killAfter - TWELFTHS.stopAfter);
  const forMargin = (LEAST_MARGIN_MS * 12) / (12 - TWELFTHS.killAfter);
  return Math.ceil(Math.max(forStop, forMargin));
}
