/**
 * How fast hosts may add to the history. The leader writes the number of members into `/history` itself; each host waits
 * longer the more there are, and none at the same moment as all others, so that an event that concerns thousands of hosts
 * makes no more than `PER_SECOND` writes in a second.
 */
import * as z from 'zod';
import { decodePayload, encodePayload } from './payloads.ts';

/** A tenth of what an ensemble takes from one client one at a time: placements have the rest. */
const PER_SECOND = 500;
/** A host writes one batch in this time, ms. */
const PAUSE_MS = 1_000;
/** After some quiet it may write so many without a pause, where hosts are few: a unit that fails right after it started is told in time. */
const BURST = 3;
/** What happens together is written together; someone who follows the history does not notice, ms. */
const GATHER_MS = 100;

const pace = z.object({ members: z.int().nonnegative() });

export const encodePace = (members: number): Buffer => encodePayload({ members });

/** Number of members as the leader has written it; 0 when nobody has, or nobody can read it. */
export function decodePace(data: Buffer | undefined): number {
  if (data === undefined || data.length === 0) return 0;
  const decoded = decodePayload(pace, data, '/history');
  return decoded.ok ? decoded.value.members : 0;
}

/** From one batch of a host to its next, on average, ms. */
export function pauseMs(members: number): number {
  return Math.max(PAUSE_MS, (members * 1_000) / PER_SECOND);
}

/** How many batches a host may write without a pause. */
export function burst(members: number): number {
  return pauseMs(members) === PAUSE_MS ? BURST : 1;
}

/** From the first event to the batch that holds it, ms: another for each host when there are many. */
export function gatherMs(host: string, members: number): number {
  return GATHER_MS + (pauseMs(members) - PAUSE_MS) * share(host);
}

/** A number from 0 to 1 for each name, evenly spread (FNV-1a, 32 bits). */
function share(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash / 2 ** 32;
}
