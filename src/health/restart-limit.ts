/** Whether an unhealthy unit is restarted now: with growing pauses, and not too often in any hour. Pure. */
import { HOUR_MS, pauseAfter } from '../shared/back-off.ts';

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
  const at = last + pauseAfter(recent.length);
  return at <= now ? { kind: 'now' } : { kind: 'later', at };
}
