/**
 * Awaits the end of systemd's jobs. A job has an end (JobRemoved) that may be heard before the answer to the call which
 * queued it has told its path, so every call keeps the ends heard while it waits for that answer.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../../shared/clock.ts';
import type { JobOutcome } from '../systemd.ts';
import { BusCallError, BusClosedError, BusDeadlineError } from './bus-error.ts';

/** Errors in which the bus itself says that systemd is gone or went away before answering. */
const GONE: ReadonlySet<string> = new Set([
  'org.freedesktop.DBus.Error.NoReply',
  'org.freedesktop.DBus.Error.Disconnected',
  'org.freedesktop.DBus.Error.ServiceUnknown',
  'org.freedesktop.DBus.Error.NameHasNoOwner',
]);
/** Errors that say nothing about the unit: trying again later may well succeed. */
const OVERLOADED: ReadonlySet<string> = new Set([
  'org.freedesktop.DBus.Error.LimitsExceeded',
  'org.freedesktop.DBus.Error.NoMemory',
]);

interface Waiter {
  /** Undefined until the call that queues the job was answered. */
  path: string | undefined;
  /** Ends of jobs heard until then, by path. */
  readonly early: Map<string, JobOutcome>;
  readonly settle: (outcome: JobOutcome) => void;
}

export class Jobs {
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Calls `queue`, which answers the path of the job it queued, and awaits that job's end. Rejects with the signal's
   * reason when aborted (the job goes on), and with the error of `queue` when it says nothing about the unit.
   * @param deadlineMs for both together; then `deadline`.
   */
  outcome(queue: () => Promise<string>, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const finish = (settle: () => void) => {
        if (!this.#waiters.delete(waiter)) return;
        cancelDeadline();
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const waiter: Waiter = {
        path: undefined,
        early: new Map(),
        settle: (outcome) => finish(() => resolve(outcome)),
      };
      const onAbort = () => finish(() => reject(signal.reason));
      const cancelDeadline = this.#clock.after(deadlineMs, () => waiter.settle({ kind: 'deadline' }));
      // One signal may well cover hundreds of jobs; Node takes more than ten listeners for a leak.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
      queue().then(
        (path) => {
          const early = waiter.early.get(path);
          if (early) return waiter.settle(early);
          waiter.path = path;
          waiter.early.clear();
        },
        (error: unknown) => {
          const outcome = outcomeOfError(error);
          if (outcome) waiter.settle(outcome);
          else finish(() => reject(error));
        },
      );
    });
  }

  /** A job ended. Several may wait for it: systemd merges equal jobs into one. */
  removed(path: string, outcome: JobOutcome): void {
    for (const waiter of this.#waiters) {
      if (waiter.path === undefined) waiter.early.set(path, outcome);
      else if (waiter.path === path) waiter.settle(outcome);
    }
  }

  /** The connection is gone: every outcome is unknown. */
  disconnected(): void {
    for (const waiter of this.#waiters) waiter.settle({ kind: 'disconnected' });
  }
}

function outcomeOfError(error: unknown): JobOutcome | undefined {
  if (error instanceof BusClosedError) return { kind: 'disconnected' };
  if (error instanceof BusDeadlineError) return { kind: 'deadline' };
  if (!(error instanceof BusCallError) || OVERLOADED.has(error.errorName)) return undefined;
  if (GONE.has(error.errorName)) return { kind: 'disconnected' };
  return { kind: 'refused', error: error.errorName, message: error.message };
}
