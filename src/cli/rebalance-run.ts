/**
 * Carries a rebalance out: asks the leader for one move after the other, in an ephemeral znode that ends with this command,
 * and goes on only when what was moved is up. Invariants: moves begin in their order, never two of one service at once;
 * after the first that does not succeed none begins; whatever ends this, each instance is where the leader has it.
 */
import type { Clock } from '../shared/clock.ts';
import type { AskedMove } from '../shared/cluster.ts';
import { decodeWish, encodeWish } from '../shared/rebalance.ts';
import { removeIfThere } from '../shared/remove-if-there.ts';
import { isStoreError, type Store, StoreError } from '../shared/store.ts';
import { REBALANCE } from '../shared/znodes.ts';
import { type MoveEnd, untilMoved } from './moved.ts';

export interface RunOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Unique for this command. */
  readonly id: string;
  /** Host on which it is asked for. */
  readonly by: string;
  /** In the order in which they are to be made. */
  readonly moves: readonly (AskedMove & { readonly service: string })[];
  /** So many may be under way at once, each of another service. */
  readonly atOnce: number;
  /** How long each move may take, ms. */
  readonly deadlineMs: number;
  /** Begin no more. */
  readonly stop: AbortSignal;
  /** Do not wait for those under way either. */
  readonly leave: AbortSignal;
  readonly onEnd: (move: AskedMove, end: MoveEnd) => void;
}

export type RunEnd =
  | { readonly kind: 'done' }
  /** Some other one is at it, or was until a session timeout ago. */
  | { readonly kind: 'busy'; readonly by: string }
  /** The first move that did not succeed. */
  | { readonly kind: 'stopped'; readonly move: AskedMove; readonly end: Exclude<MoveEnd, { kind: 'moved' }> }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'unreachable'; readonly why: string };

/** How long the leader may take to begin with a move, ms: another leader may have to be elected meanwhile. */
const ANSWER_MS = 30_000;

/** Never rejects. */
export async function carryOut(options: RunOptions): Promise<RunEnd> {
  const { store } = options;
  try {
    const other = await claim(options);
    if (other !== undefined) return { kind: 'busy', by: other };
    const run = new Run(options);
    const end = await run.end();
    await removeIfThere(store, REBALANCE);
    return end;
  } catch (error) {
    if (error instanceof StoreError) return { kind: 'unreachable', why: error.message };
    throw error;
  }
}

/** Answers who has it, if another one has. */
async function claim({ store, clock, id, by }: RunOptions): Promise<string | undefined> {
  const at = clock.date().toISOString();
  try {
    await store.create(REBALANCE, encodeWish({ id, by, at, moves: [] }), 'ephemeral');
    return undefined;
  } catch (error) {
    if (!isStoreError(error, 'node-exists')) throw error;
    const node = await store.get(REBALANCE);
    const wish = node && decodeWish(node.data, node.path);
    return wish?.ok ? `${wish.value.by}, since ${wish.value.at}` : 'another command';
  }
}

class Run {
  private readonly waiting: (AskedMove & { readonly service: string })[];
  private readonly underWay = new Map<string, { readonly move: AskedMove; readonly ended: Promise<void> }>();
  private failed: Extract<RunEnd, { kind: 'stopped' }> | undefined;
  private readonly lost = new AbortController();

  constructor(private readonly options: RunOptions) {
    this.waiting = [...options.moves];
  }

  async end(): Promise<RunEnd> {
    const { store, stop } = this.options;
    const unsubscribe = store.onState(({ kind }) => {
      if (kind === 'lost' || kind === 'closed') this.lost.abort(new Error('the session is lost'));
    });
    try {
      for (;;) {
        if (this.begin()) await this.ask();
        if (this.underWay.size === 0) break;
        await Promise.race([...this.underWay.values()].map(({ ended }) => ended));
        if (!this.lost.signal.aborted) await this.ask();
      }
    } finally {
      unsubscribe();
    }
    if (this.lost.signal.aborted) return { kind: 'unreachable', why: 'the ZooKeeper session of this command was lost' };
    if (this.failed) return this.failed;
    return stop.aborted && this.waiting.length > 0 ? { kind: 'interrupted' } : { kind: 'done' };
  }

  /** Begins with what may be begun; answers whether it did with any. */
  private begin(): boolean {
    const { atOnce, stop } = this.options;
    let begun = false;
    while (this.underWay.size < atOnce && !this.failed && !stop.aborted && !this.lost.signal.aborted) {
      const [next] = this.waiting;
      if (next === undefined || this.underWay.has(next.service)) break;
      this.waiting.shift();
      const { service, ...move } = next;
      this.underWay.set(service, { move, ended: this.follow(service, move) });
      begun = true;
    }
    return begun;
  }

  private async follow(service: string, move: AskedMove): Promise<void> {
    const { store, clock, id, deadlineMs, leave, onEnd } = this.options;
    const signal = AbortSignal.any([leave, this.lost.signal]);
    const end = await untilMoved(store, clock, { move, id, deadlineMs, answerMs: ANSWER_MS }, signal);
    this.underWay.delete(service);
    onEnd(move, end);
    if (end.kind !== 'moved') this.failed ??= { kind: 'stopped', move, end };
  }

  /** Tells the leader what is under way: it makes nothing else. */
  private async ask(): Promise<void> {
    const { store, clock, id, by } = this.options;
    const moves = [...this.underWay.values()].map(({ move }) => move);
    await store.set(REBALANCE, encodeWish({ id, by, at: clock.date().toISOString(), moves }));
  }
}
