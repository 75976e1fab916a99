/**
 * What happened to this host's units, in its journal at once, and in ZooKeeper's history in batches: one znode in a second
 * on average, fewer in a large cluster. What cannot be written waits; when too much waits the oldest is dropped, and that is
 * told, too. Nothing waits for any of this.
 */
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import { encodeBatches, type HistoryEvent, RING_PREFIX } from '../shared/history.ts';
import { burst, decodePace, gatherMs, pauseMs } from '../shared/history-pace.ts';
import { logEvent } from '../shared/history-text.ts';
import type { Logger } from '../shared/log.ts';
import { isStoreError, type Store } from '../shared/store.ts';
import { HISTORY } from '../shared/znodes.ts';
import type { UnitEvent, UnitEvents } from './unit-events.ts';

/** So many events wait at most: hours of an ordinary host, and a few hundred KiB. */
export const MAX_WAITING = 1_000;
/** Events in one batch: with reasons of ordinary length they fit into one znode. */
const MAX_TAKEN = 50;
/** Pause after a write that failed, and between two looks whether this host is a member. */
const RETRY_MS = 1_000;
/** Longest wait for the last batch when the daemon ends. */
const CLOSE_DEADLINE_MS = 1_000;

export interface UnitHistoryOptions {
  readonly host: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** The host's name is ours in the present session: events may be written under it. */
  readonly mayWrite: () => boolean;
}

export class UnitHistory implements UnitEvents {
  private waiting: HistoryEvent[] = [];
  private dropped = 0;
  /** The batch being written, until its outcome is known; `id` stays the same when it is tried again. */
  private batch: { readonly id: string; readonly events: readonly HistoryEvent[] } | undefined;
  private count = 0;
  /** How many members the cluster has; undefined: not read yet. */
  private members: number | undefined;
  private readonly startedAt: number;
  private writing: Promise<void> | undefined;
  private cancel: (() => void) | undefined;
  /** When the batches written so far would have been written with a pause after each. */
  private paidUntil = Number.NEGATIVE_INFINITY;
  /** Not before this time is the next batch written. */
  private mayWriteAt = Number.NEGATIVE_INFINITY;
  private closed = false;

  constructor(private readonly options: UnitHistoryOptions) {
    this.startedAt = options.clock.date().getTime();
  }

  record(event: UnitEvent): void {
    if (this.closed) return;
    const { clock, host, log } = this.options;
    const told: HistoryEvent = { at: clock.date().toISOString(), ...event, host };
    logEvent(log, told);
    this.waiting.push(told);
    if (this.waiting.length > MAX_WAITING) {
      this.waiting.shift();
      this.dropped += 1;
    }
    this.arm(gatherMs(host, this.members ?? 0));
  }

  /** Writes what waits, if it can be written soon, and ends. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.cancel?.();
    const { clock } = this.options;
    let end = () => {};
    const deadline = new Promise<void>((resolve) => {
      end = clock.after(CLOSE_DEADLINE_MS, resolve);
    });
    const last = async () => {
      await this.writing;
      if (this.due() && this.options.mayWrite()) await this.write().catch(() => undefined);
    };
    await Promise.race([last(), deadline]);
    end();
  }

  private due(): boolean {
    return this.batch !== undefined || this.waiting.length > 0;
  }

  private arm(ms: number): void {
    if (this.closed || this.cancel !== undefined || this.writing !== undefined) return;
    const { clock } = this.options;
    this.cancel = clock.after(Math.max(ms, this.mayWriteAt - clock.now()), () => {
      this.cancel = undefined;
      this.begin();
    });
  }

  private begin(): void {
    if (!this.options.mayWrite()) {
      this.arm(RETRY_MS);
      return;
    }
    let next = 0;
    this.writing = this.step()
      .catch((error: unknown) => {
        next = RETRY_MS;
        this.options.log.debug(`the history could not be written: ${messageOf(error)}; tried again`);
      })
      .finally(() => {
        this.writing = undefined;
        if (this.due()) this.arm(next);
      });
  }

  private async step(): Promise<void> {
    const { store, clock, host } = this.options;
    const known = this.members;
    this.members = decodePace((await store.get(HISTORY))?.data);
    if (known === undefined) this.mayWriteAt = clock.now() + gatherMs(host, this.members) - gatherMs(host, 0);
    if (this.mayWriteAt <= clock.now()) await this.write();
  }

  private async write(): Promise<void> {
    const { clock, host } = this.options;
    const members = this.members ?? 0;
    this.paidUntil = Math.max(clock.now(), this.paidUntil) + pauseMs(members);
    this.mayWriteAt = this.paidUntil - (burst(members) - 1) * pauseMs(members);
    this.batch ??= this.take();
    for (const data of encodeBatches(host, this.batch.id, this.batch.events)) await this.append(data);
    this.batch = undefined;
  }

  private take(): { readonly id: string; readonly events: readonly HistoryEvent[] } {
    const { host, clock } = this.options;
    const events = this.waiting.splice(0, MAX_TAKEN);
    if (this.dropped > 0) {
      const why = `${this.dropped} older events of this host were dropped: too many waited while ZooKeeper took none`;
      events.unshift({ at: clock.date().toISOString(), kind: 'events-dropped', host, reason: 'too-many', why });
      this.dropped = 0;
    }
    this.count += 1;
    return { id: `${host}/${this.startedAt}/${this.count}`, events };
  }

  private async append(data: Buffer): Promise<void> {
    const { store } = this.options;
    const create = () => store.create(RING_PREFIX.host, data, 'persistent-sequential');
    try {
      await create();
    } catch (error) {
      if (!isStoreError(error, 'no-node')) throw error;
      await store.ensure(HISTORY);
      await create();
    }
  }
}
