/**
 * Requests on their way: held while there is no connection, sent in order when there is, a limited number at a time.
 *
 * Invariants: every request settles, with a `StoreError` at the latest a deadline after it was sent, or after a deadline
 * without any connection while it waits. Waiting behind others on a connection that works is no failure.
 */
import type { Clock } from '../clock.ts';
import { StoreError, type StoreErrorCode } from '../store.ts';
import { describeError, type Outcome, SESSION_EXPIRED, SESSION_MOVED } from './calls.ts';
import type { Call } from './client.ts';
import type { SessionClient } from './session.ts';

/** Enough to keep a server busy, few enough that one request waits milliseconds behind the others. */
const MAX_IN_FLIGHT = 256;
/** After these this connection is of no use; a new one tells what became of the session. */
const RECONNECT: ReadonlySet<number> = new Set([SESSION_EXPIRED, SESSION_MOVED]);
const CLOSED = 'the connection was closed by this program';

/** `urgent` overtakes `normal`: for the reads of watches, whose number in flight is limited elsewhere. */
export type Lane = 'urgent' | 'normal';

interface Entry {
  readonly lane: Lane;
  /** When it was asked for, then when it was sent. */
  since: number;
  send(client: SessionClient): void;
  fail(code: StoreErrorCode, why: string): void;
}

export class RequestQueue {
  private readonly waiting: Readonly<Record<Lane, Set<Entry>>> = { urgent: new Set(), normal: new Set() };
  private inFlight = 0;
  private client: SessionClient | undefined;
  /** When the connection was last lost. */
  private detachedAt = 0;
  private closed = false;

  constructor(private readonly clock: Clock) {}

  /** Sends what `make` makes. `paths` names in an error what it was about (the operations of a transaction, in order). */
  submit<T>(paths: readonly string[], make: () => Call<T>, deadlineMs: number, lane: Lane = 'normal'): Promise<T> {
    return new Promise((resolve, reject) => {
      let cancel = () => {};
      const fail = (code: StoreErrorCode, why: string, at = paths[0] ?? '/') => {
        cancel();
        reject(new StoreError(code, at, `ZooKeeper, ${at}: ${why}`));
      };
      const onOutcome = (client: SessionClient, outcome: Outcome<T>) => {
        this.inFlight -= 1;
        if (outcome.ok) {
          cancel();
          resolve(outcome.value);
        } else {
          const { code, message } = describeError(outcome.error);
          fail(code, message, paths[outcome.index ?? 0]);
          if (RECONNECT.has(outcome.error)) client.reconnect(message);
        }
        this.pump();
      };
      const entry: Entry = {
        lane,
        since: this.clock.now(),
        fail,
        send: (client) => client.send(make(), (outcome) => onOutcome(client, outcome)),
      };
      const arm = (ms: number) => {
        cancel = this.clock.after(ms, () => this.expire(entry, deadlineMs, arm));
      };
      if (this.closed) {
        fail('closed', CLOSED);
        return;
      }
      arm(deadlineMs);
      this.waiting[lane].add(entry);
      this.pump();
    });
  }

  /** From now on requests are sent with `client`. */
  attach(client: SessionClient): void {
    this.client = client;
    this.pump();
  }

  /** From now on requests are held. */
  detach(): void {
    this.client = undefined;
    this.detachedAt = this.clock.now();
  }

  /** Rejects what was not sent yet. */
  rejectWaiting(code: StoreErrorCode, why: string): void {
    for (const lane of [this.waiting.urgent, this.waiting.normal]) {
      const entries = [...lane];
      lane.clear();
      for (const entry of entries) entry.fail(code, why);
    }
  }

  /** For good: what waits is rejected, and everything that comes later. */
  close(): void {
    this.closed = true;
    this.detach();
    this.rejectWaiting('closed', CLOSED);
  }

  /** Called when an entry's time may be up; settles it or asks for another look. */
  private expire(entry: Entry, deadlineMs: number, arm: (ms: number) => void): void {
    const lane = this.waiting[entry.lane];
    const isWaiting = lane.has(entry);
    const waitedMs = this.clock.now() - (isWaiting ? Math.max(entry.since, this.detachedAt) : entry.since);
    if (isWaiting && this.client !== undefined) {
      arm(deadlineMs);
    } else if (waitedMs < deadlineMs) {
      arm(deadlineMs - waitedMs);
    } else {
      lane.delete(entry);
      const why = isWaiting ? 'no connection' : 'no answer';
      entry.fail('deadline', `${why} within ${Math.round(deadlineMs)} ms; look for ZooKeeper in the log`);
    }
  }

  private pump(): void {
    for (const lane of [this.waiting.urgent, this.waiting.normal]) {
      for (const entry of lane) {
        const { client } = this;
        if (client === undefined || !client.connected || this.inFlight >= MAX_IN_FLIGHT) return;
        lane.delete(entry);
        this.inFlight += 1;
        entry.since = this.clock.now();
        entry.send(client);
      }
    }
  }
}
