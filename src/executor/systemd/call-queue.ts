/**
 * Bounds how many calls are in flight and gives each a deadline. First come, first served: no caller can starve another.
 */
import type { Clock } from '../../shared/clock.ts';
import { BusClosedError, BusDeadlineError } from './bus-error.ts';

interface QueuedCall {
  /** Sends the call; its promise may never settle. */
  readonly send: () => Promise<void>;
  readonly fail: (error: Error) => void;
  readonly cancelDeadline: () => void;
}

export class CallQueue {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #waiting = new Set<QueuedCall>();
  readonly #inFlight = new Set<QueuedCall>();
  #closed: string | undefined;

  /** @param limit largest number of calls in flight. */
  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /**
   * Runs `send` as soon as fewer than the limit are in flight and answers what it answers. Rejects with BusDeadlineError
   * when that took longer than `deadlineMs`, counted from now (a call still waiting is then never sent), and with
   * BusClosedError once the queue is closed.
   * @param member what is called, for the error message.
   */
  run<T>(member: string, deadlineMs: number, send: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) return reject(new BusClosedError(this.#closed));
      const call: QueuedCall = {
        send: () => send().then(resolve, reject),
        fail: reject,
        cancelDeadline: this.#clock.after(deadlineMs, () => {
          reject(new BusDeadlineError(member, deadlineMs));
          this.#finish(call);
        }),
      };
      this.#waiting.add(call);
      this.#pump();
    });
  }

  /** Fails all calls, sent or not, and every later one. */
  close(why: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = why;
    for (const call of [...this.#inFlight, ...this.#waiting]) {
      call.fail(new BusClosedError(why));
      this.#finish(call);
    }
  }

  #pump(): void {
    for (const call of this.#waiting) {
      if (this.#inFlight.size >= this.#limit || this.#closed !== undefined) return;
      this.#waiting.delete(call);
      this.#inFlight.add(call);
      void call.send().finally(() => this.#finish(call));
    }
  }

  #finish(call: QueuedCall): void {
    call.cancelDeadline();
    this.#waiting.delete(call);
    if (this.#inFlight.delete(call)) this.#pump();
  }
}
