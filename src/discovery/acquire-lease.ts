/**
 * Acquires a startup lease: first come, first served, by a queue of ephemerals in which each watches only the one before
 * it, and the first the holder. A lease that has run out is ended by the first in the queue. How long it has lasted is
 * told by ZooKeeper's own clock, from when the znodes of the holder and of the waiter were made, and by what the waiter has
 * seen itself: the clocks of hosts do not matter.
 */
import { type Clock, delay } from '../shared/clock.ts';
import { compareSequence } from '../shared/sequence.ts';
import { isStoreError, type Operation, type Store, type Watch } from '../shared/store.ts';
import { leasePath } from '../shared/znodes.ts';
import {
  encodeHolder,
  encodeWaiter,
  type Held,
  holderPath,
  isOvertaken,
  type LeaseHolder,
  type LeaseView,
  lookAtLease,
  waiterPrefix,
} from './lease.ts';

export interface AcquireOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** A name that was checked (`isLabel`). */
  readonly label: string;
  /** Whoever asks with the id of the present holder has the lease at once, until it ends. */
  readonly id: string;
  readonly host: string;
  /** Told to those who wait, beside the host. */
  readonly address?: string;
  readonly acquireTimeoutMs: number;
  /** The lease ends so long after it was acquired, if nobody has ended it before. */
  readonly leaseTimeoutMs: number;
  /** Ends the wait as the timeout does. */
  readonly signal: AbortSignal;
}

/** `before`: waiters that came earlier. `holder` is undefined when it cannot be read. */
export type Acquisition =
  | { readonly kind: 'acquired'; readonly how: 'free' | 'ran-out' | 'own' }
  | { readonly kind: 'timeout'; readonly holder: LeaseHolder | undefined; readonly before: number }
  | { readonly kind: 'unreachable' };

/** Own place in the queue. `made`: ZooKeeper's time of its creation, which was at `at` of the local clock, or before. */
interface Entry {
  readonly path: string;
  readonly session: string;
  readonly made: number;
  readonly at: number;
}

type Step =
  | { readonly kind: 'acquired'; readonly how: 'free' | 'ran-out' | 'own' }
  | { readonly kind: 'again' }
  /** Until the znode is gone, or is not the one of `czxid` any more. */
  | { readonly kind: 'wait'; readonly path: string; readonly czxid?: bigint; readonly leftMs: number };

/** Longest time between two looks: a place in the queue that somebody removed is noticed. */
const LOOK_EVERY_MS = 10_000;
/** Pause after something went wrong, or somebody else was faster. */
const RETRY_MS = 20;

/**
 * Waits for the lease and takes it. What was under way when the time is over is waited for, so that the answer is true.
 * Leaves no place in the queue behind. Rejects only with errors that waiting does not mend.
 */
export function acquireLease(options: AcquireOptions): Promise<Acquisition> {
  return new Attempt(options).run();
}

class Attempt {
  private readonly end = new AbortController();
  private entry: Entry | undefined;
  /** An attempt to enter the queue may have done so. */
  private mayHaveEntered = false;
  /** A transaction that takes the lease may have been done. */
  private mayHaveTaken = false;
  private before = 0;
  /** The holder that was seen last, and since when. */
  private seen: { readonly czxid: bigint; readonly since: number } | undefined;

  constructor(private readonly options: AcquireOptions) {}

  async run(): Promise<Acquisition> {
    const { clock, signal, acquireTimeoutMs } = this.options;
    const stop = () => this.end.abort(new Error('the wait for the lease is over'));
    const cancel = clock.after(acquireTimeoutMs, stop);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      for (;;) {
        const step = await this.tryStep();
        if (step.kind === 'acquired') return step;
        if (this.end.signal.aborted) return await this.giveUp();
        if (step.kind === 'wait') await this.wait(step);
        else await delay(clock, RETRY_MS, this.end.signal).catch(() => undefined);
      }
    } finally {
      cancel();
      signal.removeEventListener('abort', stop);
      await this.leaveQueue();
    }
  }

  private async tryStep(): Promise<Step> {
    try {
      return await this.step();
    } catch (error) {
      if (isOvertaken(error) || isStoreError(error, 'connection-loss', 'session-lost', 'deadline'))
        return { kind: 'again' };
      throw error;
    }
  }

  private async step(): Promise<Step> {
    const { store, label, id } = this.options;
    if (store.state.kind !== 'connected') return { kind: 'again' };
    const view = await lookAtLease(store, label);
    const entry = await this.enter(store.state.session);
    const { held } = view;
    const leftMs = held === undefined ? 0 : this.left(held, entry);
    if (held?.holder?.id === id && leftMs > 0) return { kind: 'acquired', how: 'own' };
    const queue = ((await store.children(leasePath(label))) ?? []).filter((name) => /^n_-?\d+$/.test(name));
    queue.sort(compareSequence);
    this.before = queue.indexOf(entry.path.slice(leasePath(label).length + 1));
    if (this.before < 0) {
      this.entry = undefined;
      return { kind: 'again' };
    }
    const predecessor = queue[this.before - 1];
    if (predecessor !== undefined)
      return { kind: 'wait', path: `${leasePath(label)}/${predecessor}`, leftMs: LOOK_EVERY_MS };
    if (held !== undefined && leftMs > 0)
      return { kind: 'wait', path: held.node.path, czxid: held.node.czxid, leftMs: Math.min(leftMs, LOOK_EVERY_MS) };
    await this.take(view, entry);
    return { kind: 'acquired', how: held === undefined ? 'free' : 'ran-out' };
  }

  private async take({ fence, held }: LeaseView, entry: Entry): Promise<void> {
    const { store, clock, label, id, host, address, leaseTimeoutMs: timeoutMs } = this.options;
    const since = clock.date().toISOString();
    const data = encodeHolder({ id, host, since, timeoutMs, ...(address !== undefined && { address }) });
    const path = holderPath(label);
    this.mayHaveTaken = true;
    const end: Operation[] = held === undefined ? [] : [{ op: 'remove', path }];
    await store.transaction([
      fence,
      ...end,
      { op: 'create', path, data, mode: 'persistent' },
      { op: 'remove', path: entry.path },
    ]);
    this.entry = undefined;
  }

  /** How long the holder has the lease yet, ms; 0 or less: it has run out. Never too little but for a server's clock that was put forward. */
  private left({ node, timeoutMs }: Held, entry: Entry): number {
    const now = this.options.clock.now();
    if (this.seen?.czxid !== node.czxid) this.seen = { czxid: node.czxid, since: now };
    const lasted = entry.made + (now - entry.at) - node.ctime;
    // the servers' times are cut to whole milliseconds
    return timeoutMs + 1 - Math.max(lasted, now - this.seen.since);
  }

  /** Creates the place in the queue, or finds the one that an attempt with an unknown outcome has created after all. */
  private async enter(session: string): Promise<Entry> {
    if (this.entry?.session === session) return this.entry;
    const { store, clock, label, id, host } = this.options;
    const found = this.mayHaveEntered ? await this.findOwn(session) : undefined;
    this.mayHaveEntered = true;
    const path = found ?? (await store.create(waiterPrefix(label), encodeWaiter({ id, host }), 'ephemeral-sequential'));
    const at = clock.now();
    const made = (await store.get(path))?.ctime;
    // it is gone already: the next attempt makes another
    if (made === undefined) return { path, session, made: Number.NEGATIVE_INFINITY, at };
    this.mayHaveEntered = false;
    this.entry = { path, session, made, at };
    return this.entry;
  }

  private async findOwn(session: string): Promise<string | undefined> {
    const { store, label } = this.options;
    for (const name of (await store.children(leasePath(label))) ?? []) {
      const path = `${leasePath(label)}/${name}`;
      if ((await store.get(path))?.owner === session) return path;
    }
    return undefined;
  }

  private wait({ path, czxid, leftMs }: Extract<Step, { kind: 'wait' }>): Promise<void> {
    const { store, clock } = this.options;
    const over = new AbortController();
    const wake = () => over.abort();
    this.end.signal.addEventListener('abort', wake, { once: true });
    const unsubscribe = store.onState((state) => {
      if (state.kind === 'lost') wake();
    });
    const watch: Watch = store.watch(path, (node) => {
      if (node === undefined || (czxid !== undefined && node.czxid !== czxid)) wake();
    });
    return delay(clock, Math.max(1, leftMs), over.signal)
      .catch(() => undefined)
      .finally(() => {
        watch.close();
        unsubscribe();
        this.end.signal.removeEventListener('abort', wake);
      });
  }

  /** The last word: a transaction whose answer was lost may have done it. */
  private async giveUp(): Promise<Acquisition> {
    const { store, label, id } = this.options;
    if (store.state.kind !== 'connected') return { kind: 'unreachable' };
    try {
      const { held } = await lookAtLease(store, label);
      const holder = held?.holder;
      const hasIt = this.mayHaveTaken || (held && this.entry && this.left(held, this.entry) > 0);
      if (holder?.id === id && hasIt) return { kind: 'acquired', how: 'own' };
      return { kind: 'timeout', holder, before: Math.max(0, this.before) };
    } catch (error) {
      if (isStoreError(error, 'connection-loss', 'session-lost', 'deadline', 'closed')) return { kind: 'unreachable' };
      throw error;
    }
  }

  private async leaveQueue(): Promise<void> {
    const { entry } = this;
    this.entry = undefined;
    // where it cannot be removed it goes with the session
    if (entry !== undefined) await this.options.store.remove(entry.path).catch(() => undefined);
  }
}
