/** Which znodes of the history are to be removed, and in what order they were written. */
import { RING_PREFIX, type Ring } from './history.ts';
import { HISTORY } from './znodes.ts';

/**
 * Batches that are kept of each kind. Of the leader's: weeks of an ordinary cluster, whose batches hold a few hundred bytes;
 * 5 to 20 times the placement anew of 50,000 instances on 5,000 hosts; and at most 64 MB of ZooKeeper's memory.
 */
export const KEPT = 1_000;
/** Batches of hosts that are kept for each member, if that is more: one decision makes a batch on every host. */
const KEPT_FOR_EACH_MEMBER = 2;

/** How many batches of a kind are kept in a cluster of so many members. */
export function kept(ring: Ring, members: number): number {
  return ring === 'leader' ? KEPT : Math.max(KEPT, KEPT_FOR_EACH_MEMBER * members);
}

/** The names of one kind, oldest first; what has another form of name is none of ours. */
export function ringOf(ring: Ring, names: readonly string[]): string[] {
  const prefix = RING_PREFIX[ring].slice(HISTORY.length + 1);
  return inOrder(names.filter((name) => name.startsWith(prefix)));
}

/** The names of batches of all kinds, oldest first. */
export function inOrder(names: readonly string[]): string[] {
  return names
    .flatMap((name) => {
      const number = sequence(name);
      return number === undefined ? [] : [{ name, number }];
    })
    .sort((a, b) => a.number - b.number)
    .map(({ name }) => name);
}

/** Names of batches that are too many, oldest first. */
export function surplus(names: readonly string[], members: number): string[] {
  const rings: readonly Ring[] = ['leader', 'host'];
  return rings.flatMap((ring) => {
    const all = ringOf(ring, names);
    return all.slice(0, Math.max(0, all.length - kept(ring, members)));
  });
}

function sequence(name: string): number | undefined {
  const digits = /^[a-z]+-(\d{10})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
