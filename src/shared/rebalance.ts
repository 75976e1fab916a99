/** The payloads of `rebalance` (what is asked for) and `leader` (what its leader answers, and knows besides). */
import * as z from 'zod';
import type { LeaderNotes, RebalanceWish } from './cluster.ts';
import { host, natural, unit } from './payload-parts.ts';
import { type Decoded, decodePayload, encodePayload } from './payloads.ts';
import type { Equal, Mutable } from './type-equality.ts';

/** So many moves can be under way at once. */
export const MAX_AT_ONCE = 100;
const MAX_ID = 200;

const asked = { unit, from: host, to: host };

const wish = z.object({
  id: z.string().max(MAX_ID),
  by: z.string().max(MAX_ID),
  at: z.string().max(MAX_ID),
  moves: z.array(z.object(asked)).max(MAX_AT_ONCE),
});

const notes = z.object({
  epoch: natural,
  held: z.array(host),
  brake: z.boolean(),
  joining: z.array(host),
  rebalance: z.object({ id: z.string(), refused: z.array(z.object({ ...asked, why: z.string() })) }).optional(),
});

/** Fails to compile when a type and its schema drift apart. */
const agreed: readonly [
  Equal<Mutable<RebalanceWish>, Mutable<z.infer<typeof wish>>>,
  Equal<Mutable<LeaderNotes>, Mutable<z.infer<typeof notes>>>,
] = [true, true];
void agreed;

export const encodeWish = (value: RebalanceWish): Buffer => encodePayload(value);
export const encodeNotes = (value: LeaderNotes): Buffer => encodePayload(value);

/** The decoders never throw. `path` is only what the problem calls the payload: its znode. */
export const decodeWish = (data: Buffer, path: string): Decoded<RebalanceWish> => decodePayload(wish, data, path);
export const decodeNotes = (data: Buffer, path: string): Decoded<LeaderNotes> => decodePayload(notes, data, path);
