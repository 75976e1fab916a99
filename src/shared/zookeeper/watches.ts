/**
 * Open watches: each delivers the latest value for as long as it is open. ZooKeeper's own watches fire once and live on one
 * connection; here the value is read again, leaving a new watch, after every event and every new connection.
 *
 * Invariants: one read at a time for each watch, so that values come in the order of their age; a watch whose reads fail
 * waits by itself, and so does one whose values are large; a fixed number of reads in flight for all.
 */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { isStoreError, type Watch } from '../store.ts';
import type { WatchEvent } from './calls.ts';

/** Of the requests in flight, reads of watches take at most half, so that thousands of them delay nothing else. */
const MAX_READS = 128;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;

export type WatchKind = 'data' | 'children';

export interface WatchesOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Values are delivered only while this is true. */
  readonly connected: () => boolean;
}

export interface WatchOptions<T> {
  /** How long it is not read again after this value, ms, whatever happens: what is large is not read for each change of it. */
  readonly restOf?: (value: T) => number;
  /** What stands for a znode that is not there. The watch ends with it, and nothing is left on the server. */
  readonly gone?: () => T;
}

interface Entry {
  readonly key: string;
  /** The value may have changed since it was last read, or was never read on this connection. */
  stale: boolean;
  busy: boolean;
  closed: boolean;
  failures: number;
  /** No read begins before, ms of the clock. */
  restsUntil: number;
  cancelPause: () => void;
  read(): Promise<void>;
  /** To be called when the znode is removed; undefined: it is read as after any other change. */
  readonly onRemoved: (() => void) | undefined;
}

export class Watches {
  private readonly byKey = new Map<string, Set<Entry>>();
  private readonly ready = new Set<Entry>();
  private reads = 0;

  constructor(private readonly options: WatchesOptions) {}

  /**
   * Opens a watch on a path of the server. `read` reads the value and leaves a watch there; `same` tells whether two values
   * need not be told apart.
   */
  open<T>(
    kind: WatchKind,
    path: string,
    read: () => Promise<T>,
    same: (a: T, b: T) => boolean,
    listener: (value: T) => void,
    { restOf = () => 0, gone }: WatchOptions<T> = {},
  ): Watch {
    let last: { readonly value: T } | undefined;
    const end = (value: T) => {
      this.close(entry);
      this.deliver(path, () => listener(value));
    };
    const entry: Entry = {
      key: `${kind} ${path}`,
      stale: true,
      busy: false,
      closed: false,
      failures: 0,
      restsUntil: Number.NEGATIVE_INFINITY,
      cancelPause: () => {},
      onRemoved: gone && (() => end(gone())),
      read: async () => {
        const value = await read();
        entry.restsUntil = this.options.clock.now() + restOf(value);
        if (entry.closed || (last !== undefined && same(last.value, value))) return;
        if (!this.options.connected()) {
          entry.stale = true;
          return;
        }
        last = { value };
        if (gone && same(gone(), value)) end(value);
        else this.deliver(path, () => listener(value));
      },
    };
    const entries = this.byKey.get(entry.key) ?? new Set();
    this.byKey.set(entry.key, entries.add(entry));
    this.enqueue(entry);
    return { close: () => this.close(entry) };
  }

  /** To be called on every new connection: no watch is left on the server then, and changes were missed. */
  connected(): void {
    for (const entries of this.byKey.values()) {
      for (const entry of entries) {
        entry.cancelPause();
        entry.failures = 0;
        entry.restsUntil = Number.NEGATIVE_INFINITY;
        this.refresh(entry);
      }
    }
  }

  /** To be called with every event from the server; its path is the server's. */
  event({ type, path }: WatchEvent): void {
    if (type === 'removed') this.removed(`data ${path}`);
    else if (type !== 'children-changed') this.refreshAll(`data ${path}`);
    if (type !== 'data-changed') this.refreshAll(`children ${path}`);
  }

  /** Closes every watch. */
  closeAll(): void {
    for (const entries of [...this.byKey.values()]) for (const entry of [...entries]) this.close(entry);
  }

  private close(entry: Entry): void {
    entry.closed = true;
    entry.cancelPause();
    this.ready.delete(entry);
    const entries = this.byKey.get(entry.key);
    entries?.delete(entry);
    if (entries?.size === 0) this.byKey.delete(entry.key);
  }

  private refreshAll(key: string): void {
    for (const entry of this.byKey.get(key) ?? []) this.refresh(entry);
  }

  private removed(key: string): void {
    for (const entry of [...(this.byKey.get(key) ?? [])]) {
      if (entry.closed) continue;
      if (entry.onRemoved && this.options.connected()) entry.onRemoved();
      else this.refresh(entry);
    }
  }

  private refresh(entry: Entry): void {
    entry.stale = true;
    // One that failed waits for its own time, whatever happens to the znode.
    if (!entry.busy && entry.failures === 0) this.enqueue(entry);
  }

  private enqueue(entry: Entry): void {
    const restMs = entry.restsUntil - this.options.clock.now();
    if (restMs > 0) {
      entry.cancelPause();
      entry.cancelPause = this.options.clock.after(restMs, () => this.enqueue(entry));
      return;
    }
    this.ready.add(entry);
    this.pump();
  }

  private pump(): void {
    for (const entry of this.ready) {
      if (this.reads >= MAX_READS || !this.options.connected()) return;
      this.ready.delete(entry);
      this.reads += 1;
      entry.busy = true;
      entry.stale = false;
      entry.read().then(
        () => this.onRead(entry),
        (error: unknown) => this.onFailure(entry, error),
      );
    }
  }

  private onRead(entry: Entry): void {
    entry.failures = 0;
    this.release(entry);
    if (entry.stale && !entry.closed) this.enqueue(entry);
    this.pump();
  }

  private onFailure(entry: Entry, error: unknown): void {
    this.release(entry);
    if (!entry.closed) this.retry(entry, error);
    this.pump();
  }

  private retry(entry: Entry, error: unknown): void {
    const { clock, log, random } = this.options;
    if (isStoreError(error, 'connection-loss', 'session-lost', 'closed')) {
      // The next connection reads everything again; it may have come already, while this read was failing.
      entry.stale = true;
      this.ready.add(entry);
      return;
    }
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(entry.failures, 10), MAX_PAUSE_MS);
    if (entry.failures === 0)
      log.warn('a watched znode cannot be read; trying again', { watch: entry.key, error: String(error) });
    entry.failures += 1;
    entry.stale = true;
    entry.cancelPause = clock.after(pauseMs * (0.5 + random() / 2), () => this.enqueue(entry));
  }

  private release(entry: Entry): void {
    this.reads -= 1;
    entry.busy = false;
  }

  private deliver(path: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.options.log.error('a listener to a znode failed; this is a bug', { path, error: String(error) });
    }
  }
}
