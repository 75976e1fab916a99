/** One server of a label, told and not held. */
import { delay } from '../shared/clock.ts';
import { isStoreError } from '../shared/store.ts';
import { type ClaimOptions, claim } from './claim.ts';
import type { Registration } from './registration.ts';
import { untilLive } from './until-live.ts';

const RETRY_MS = 200;

/**
 * The least-loaded live server at this moment; those equally loaded come one after the other. Waits up to `waitMs` for one,
 * and answers undefined then. Rejects as the store does, and with the signal's reason.
 */
export async function pickOnce(
  options: ClaimOptions,
  waitMs: number,
  signal: AbortSignal,
): Promise<Registration | undefined> {
  const { clock } = options;
  const over = new AbortController();
  const cancel = Number.isFinite(waitMs) ? clock.after(waitMs, () => over.abort()) : () => {};
  const either = AbortSignal.any([signal, over.signal]);
  try {
    for (let waited = false; ; waited = true) {
      const answer = await claim(options, { counts: false }, waitMs === 0 ? signal : either);
      if (answer.kind === 'claimed') return answer.server;
      if (waitMs === 0) return undefined;
      // one that reads as live here and not there must not be asked for without a pause
      if (waited) await delay(clock, RETRY_MS, either);
      await untilLive(options, either);
    }
  } catch (error) {
    if (over.signal.aborted && !signal.aborted && !isStoreError(error)) return undefined;
    throw error;
  } finally {
    cancel();
  }
}
