/**
 * Turns: those who choose a server of a label do so one after the other, in the order in which they came, so that each
 * sees the choices of all before it. Everybody watches only the one ahead of it.
 *
 * Invariant: whoever removes its turn in the transaction that acts upon what it read was the first in the queue until then,
 * whatever became of its connection in between. A turn that is not used is taken away by the next in the queue after
 * `TURN_MS`: a process that hangs delays the others by no more, and begins anew at the end of the queue.
 */

import type { Clock } from '../shared/clock.ts';
import { removeIfThere } from '../shared/remove-if-there.ts';
import type { Store } from '../shared/store.ts';
import { untilCalled } from '../shared/until-called.ts';
import { turnPrefix, turnsAmong } from './client-entry.ts';

export interface QueueOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** The znode, which must exist, whose children the turns are. */
  readonly parent: string;
  /** The znode whose children are chosen from. */
  readonly from: string;
  /** A UUID: turns with it are this process's own. */
  readonly who: string;
}

/** The children of both, `from` read after the turns: it holds all that those before this one have seen. */
export interface Sight {
  readonly names: readonly string[];
  readonly choices: readonly string[];
}

/** How long a turn may take: it takes some round trips, so this is for a process that hangs, or is gone. */
export const TURN_MS = 2_000;

/** `sight`: what was there when it became this one's turn. */
export interface MyTurn {
  readonly path: string;
  readonly number: number;
  readonly sight: Sight;
}

/** One round trip: ZooKeeper answers the requests of a session in their order. */
export async function look({ store, parent, from }: QueueOptions): Promise<Sight> {
  const [names = [], choices = []] = await Promise.all([store.children(parent), store.children(from)]);
  return { names, choices };
}

/** Resolves when it is this process's turn; rejects as the store does, and with the signal's reason. */
export async function takeTurn(options: QueueOptions, signal: AbortSignal): Promise<MyTurn> {
  for (;;) {
    signal.throwIfAborted();
    const { store, parent, who } = options;
    const path = await store.create(`${parent}/${turnPrefix(who)}`, Buffer.alloc(0), 'ephemeral-sequential');
    const turn = await untilFirst(options, path, signal);
    if (turn) return turn;
  }
}

/** Undefined when the turn is there no more: taken away, or lost with its session. */
async function untilFirst(options: QueueOptions, path: string, signal: AbortSignal): Promise<MyTurn | undefined> {
  const { store, parent, who } = options;
  const own = path.slice(parent.length + 1);
  for (;;) {
    signal.throwIfAborted();
    const sight = await look(options);
    const turns = turnsAmong(sight.names);
    const at = turns.findIndex(({ name }) => name === own);
    const mine = turns[at];
    if (!mine) return undefined;
    // one whose making was not answered: nobody would ever use it
    const strays = turns.filter((turn) => turn.who === who && turn !== mine);
    for (const stray of strays) await removeIfThere(store, `${parent}/${stray.name}`);
    if (strays.length > 0) continue;
    const ahead = turns[at - 1];
    if (!ahead) return { path, number: mine.number, sight };
    // the longest that all of those ahead may take: whoever waits looks no more often than it must
    const isGone = await untilGone(options, `${parent}/${ahead.name}`, at * TURN_MS, signal);
    if (!isGone && at === 1) await removeIfThere(store, `${parent}/${ahead.name}`);
  }
}

/** True as soon as the znode is seen to be gone, false when it is still there after `ms`. */
function untilGone({ store, clock }: QueueOptions, path: string, ms: number, signal: AbortSignal): Promise<boolean> {
  return untilCalled<boolean>(signal, (done) => {
    const cancel = clock.after(ms, () => done(false));
    const gone = (node: unknown) => {
      if (!node) done(true);
    };
    // the name of a turn never comes again
    const watch = store.watch(path, gone, 'gone');
    return {
      close: () => {
        cancel();
        watch.close();
      },
    };
  });
}
