/** How often something is done about a unit that is unhealthy again and again, restarts and moves alike. Pure. */

/** The hour of `limitPerHour`. */
export const HOUR_MS = 3_600_000;
/** Pause after the first time in an hour; each is twice the one before. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 600_000;

/** How long it is left alone after the last of so many times (at least one) within an hour; ms. */
export function pauseAfter(times: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (times - 1));
}
