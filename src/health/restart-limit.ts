/** Whether an unhealthy unit is restarted now: with growing pauses, and not too often in any hour. Pure. */

/** The hour of `limitPerHour`. */
const HOUR_MS = 3_600_000;
/** Pause after the first restart in an hour; each is twice the one before. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 600_000;

export type RestartDecision =
  | { readonly kind: 'now' }
  /** Not before `at`; ms of the same clock as `now`. */
  | { readonly kind: 'later'; readonly at: number }
  /** So often within an hour that it is left as it is; undefined: for ever. */
  | { readonly kind: 'limit'; readonly until: number | undefined };

/** Those of the restarts that count still, oldest first. */
export function withinHour(restarts: readonly number[], now: number): readonly number[] {
  return restarts.filter((at) => now - at < HOUR_MS);
}

/** `restarts`: when it was restarted, in order, ms of the same clock as `now`. */
export function decideRestart(restarts: readonly number[], limitPerHour: number, now: number): RestartDecision {
  const recent = withinHour(restarts, now);
  if (recent.length >= limitPerHour) {
    const counted = limitPerHour === 0 ? undefined : recent.at(-limitPerHour);
    return { kind: 'limit', until: counted === undefined ? undefined : counted + HOUR_MS };
  }
  const last = recent.at(-1);
  if (last === undefined) return { kind: 'now' };
  const at = last + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (recent.length - 1));
  return at <= now ? { kind: 'now' } : { kind: 'later', at };
}
