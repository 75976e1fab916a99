/**
 * Startup leases: what is in ZooKeeper of one, and how it changes hands. A lease has at most one holder: the persistent
 * `leases/<label>/holder`, which outlives the session of the command that acquired it. Whoever waits has an ephemeral
 * `leases/<label>/n_…`.
 *
 * Every change of the holder is one transaction that begins with a write of `leases/<label>` itself, at the version that
 * was read before the holder was: a decision that was made on an older state is refused, so that no two can both take it.
 */
import * as z from 'zod';
import { host, natural } from '../shared/payload-parts.ts';
import { type Decoded, decodePayload, encodePayload } from '../shared/payloads.ts';
import { isStoreError, type Operation, type Store, type Znode } from '../shared/store.ts';
import { leasePath } from '../shared/znodes.ts';

/** What an id may be: it is printed, and stands in a payload. */
const ID = /^[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?$/;
/** A lease that would last for longer is one that nobody has asked for. */
export const MAX_LEASE_MS = 24 * 60 * 60_000;
/** Who holds a lease, or waits for one, takes far less. */
const MAX_BYTES = 4 * 1024;

const id = z.string().regex(ID, 'is no id');
const holderSchema = z.object({
  id,
  host,
  address: z.string().max(255).optional(),
  since: z.string().max(40),
  timeoutMs: natural.max(MAX_LEASE_MS),
});
const waiterSchema = z.object({ id, host });

/** Who has a lease. `since`: ISO 8601, for people only. `timeoutMs`: it ends so long after its znode was created. */
export type LeaseHolder = z.infer<typeof holderSchema>;
/** Who waits for a lease. */
export type LeaseWaiter = z.infer<typeof waiterSchema>;

/** How long a lease lasts whose holder cannot be read, ms; what `acquire-lease` asks for by default. */
export const DEFAULT_LEASE_MS = 300_000;
/** How often a change is tried anew when somebody else's came first. */
const TRIES = 20;

/** True for what may be the id of a holder: 1 to 200 printable ASCII characters, no space at either end. */
export function isLeaseId(id: string): boolean {
  return ID.test(id);
}

export const holderPath = (label: string): string => `${leasePath(label)}/holder`;
export const waiterPrefix = (label: string): string => `${leasePath(label)}/n_`;
export const encodeHolder = (value: LeaseHolder): Buffer => encodePayload(value);
export const encodeWaiter = (value: LeaseWaiter): Buffer => encodePayload(value);
/** The decoders never throw; `path` is what the problem calls the payload. */
export const decodeHolder = (data: Buffer, path: string): Decoded<LeaseHolder> =>
  decodePayload(holderSchema, data, path, MAX_BYTES);
export const decodeWaiter = (data: Buffer, path: string): Decoded<LeaseWaiter> =>
  decodePayload(waiterSchema, data, path, MAX_BYTES);

/** Somebody holds it. */
export interface Held {
  readonly node: Znode;
  /** Undefined when it cannot be read. */
  readonly holder: LeaseHolder | undefined;
  readonly timeoutMs: number;
}

/** A lease as it was at one moment, and what makes sure that it has not changed since. */
export interface LeaseView {
  /** Must be the first step of a transaction that changes the holder. */
  readonly fence: Operation;
  readonly held: Held | undefined;
}

/** Reads a lease. Rejects with a `StoreError` when ZooKeeper does not answer. */
export async function lookAtLease(store: Store, label: string): Promise<LeaseView> {
  const path = leasePath(label);
  for (;;) {
    const parent = await store.get(path);
    if (parent === undefined) await store.ensure(path);
    // a version of 0 cannot be asked for
    else if (parent.version === 0) await store.set(path, Buffer.alloc(0));
    else {
      const node = await store.get(holderPath(label));
      const fence: Operation = { op: 'set', path, data: Buffer.alloc(0), version: parent.version };
      return { fence, held: node && toHeld(node) };
    }
  }
}

function toHeld(node: Znode): Held {
  const decoded = decodeHolder(node.data, node.path);
  const holder = decoded.ok ? decoded.value : undefined;
  return { node, holder, timeoutMs: holder?.timeoutMs ?? DEFAULT_LEASE_MS };
}

/** `free`: nobody held it, as it had ended before, say. `held`: by another, and it stays so; undefined: it cannot be read. */
export type Release =
  | { readonly kind: 'released' }
  | { readonly kind: 'free' }
  | { readonly kind: 'held'; readonly by: LeaseHolder | undefined };

/**
 * Ends the lease if `id` holds it. Rejects with a `StoreError` when ZooKeeper does not answer: it may have been done then,
 * and may be asked for again.
 */
export async function releaseLease(store: Store, label: string, id: string): Promise<Release> {
  for (let attempt = 1; ; attempt++) {
    const { fence, held } = await lookAtLease(store, label);
    if (held === undefined) return { kind: 'free' };
    if (held.holder?.id !== id) return { kind: 'held', by: held.holder };
    try {
      await store.transaction([fence, { op: 'remove', path: held.node.path }]);
      return { kind: 'released' };
    } catch (error) {
      if (!isOvertaken(error) || attempt >= TRIES) throw error;
    }
  }
}

/** A transaction was refused because something of what it was decided on has changed since. */
export function isOvertaken(error: unknown): boolean {
  return isStoreError(error, 'bad-version', 'no-node', 'node-exists');
}
