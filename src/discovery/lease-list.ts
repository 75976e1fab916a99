/** All leases and turns to start that somebody has or waits for, from one reading of ZooKeeper: for people to look at. */
import { compare } from '../shared/names.ts';
import { compareSequence } from '../shared/sequence.ts';
import type { Store } from '../shared/store.ts';
import { LEASES, leasePath } from '../shared/znodes.ts';
import { decodeHolder, decodeWaiter, holderPath, type LeaseHolder, type LeaseWaiter } from './lease.ts';
import { hasTurn, type Queued, queuedBy, queueOf } from './queued.ts';

/** A startup lease, or the queue of a service with `start`; those who wait in the order in which they came. */
export type LeaseStatus =
  | {
      readonly kind: 'lease';
      readonly label: string;
      readonly holder?: LeaseHolder;
      readonly waiters: readonly LeaseWaiter[];
    }
  | {
      readonly kind: 'start';
      readonly service: string;
      /** Those that are being started now. */
      readonly starting: readonly Queued[];
      readonly waiters: readonly Queued[];
    };

/** Waiters of one lease that are read; those behind them are left out. */
const MAX_READ = 200;

/** Only those with a holder or a waiter, sorted by name. Rejects with a `StoreError` when ZooKeeper does not answer. */
export async function readLeases(store: Store): Promise<readonly LeaseStatus[]> {
  const names = ((await store.children(LEASES)) ?? []).sort(compare);
  const all = await Promise.all(
    names.map((name) => {
      const service = queueOf(name);
      return service === undefined ? readLease(store, name) : readQueue(store, name, service);
    }),
  );
  return all.filter((each) => each !== undefined);
}

async function readLease(store: Store, label: string): Promise<LeaseStatus | undefined> {
  const names = (await store.children(leasePath(label))) ?? [];
  const node = names.includes('holder') ? await store.get(holderPath(label)) : undefined;
  const decoded = node && decodeHolder(node.data, node.path);
  const queue = inOrder(names, (name) => /^n_-?\d+$/.test(name));
  const waiters = await Promise.all(queue.map((name) => readWaiter(store, `${leasePath(label)}/${name}`)));
  if (!node && queue.length === 0) return undefined;
  return {
    kind: 'lease',
    label,
    ...(decoded?.ok && { holder: decoded.value }),
    waiters: waiters.filter((each) => each !== undefined),
  };
}

async function readWaiter(store: Store, path: string): Promise<LeaseWaiter | undefined> {
  const node = await store.get(path);
  const decoded = node && decodeWaiter(node.data, path);
  return decoded?.ok ? decoded.value : undefined;
}

async function readQueue(store: Store, name: string, service: string): Promise<LeaseStatus | undefined> {
  const queue = inOrder((await store.children(leasePath(name))) ?? [], (each) => queuedBy(each) !== undefined);
  const nodes = await Promise.all(queue.map((each) => store.get(`${leasePath(name)}/${each}`)));
  const starting: Queued[] = [];
  const waiters: Queued[] = [];
  for (const [index, each] of queue.entries()) {
    const node = nodes[index];
    const who = queuedBy(each);
    if (node && who) (hasTurn(node) ? starting : waiters).push(who);
  }
  return starting.length + waiters.length === 0 ? undefined : { kind: 'start', service, starting, waiters };
}

function inOrder(names: readonly string[], which: (name: string) => boolean): string[] {
  return names.filter(which).sort(compareSequence).slice(0, MAX_READ);
}
