/** Time that passes only when a test says so. Deterministic: timers fire in the order of their times, then of their making. */
import type { Clock } from '../../src/shared/clock.ts';

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly fire: () => void;
}

/** More timers than this at one instant mean a loop that waits for nothing. */
const MAX_AT_ONE_INSTANT = 10_000;
/** Requests to the file system that Node has under way: they take real time, and this clock waits for them. */
const FILE_REQUEST = /^(FS|File|CloseReq)/;

export class FakeClock implements Clock {
  private time = 0;
  private made = 0;
  private readonly timers = new Set<Timer>();

  now(): number {
    return this.time;
  }

  date(): Date {
    return new Date(Date.UTC(2026, 0, 1) + this.time);
  }

  after(ms: number, fn: () => void): () => void {
    this.made += 1;
    const timer: Timer = { due: this.time + Math.max(0, ms), order: this.made, fire: fn };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  /** Lets `ms` pass: every timer due within fires at its time, and what it set off runs before the next one fires. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await settle();
    for (let next = this.next(); next && next.due <= end; next = this.next()) await this.fire(next);
    this.time = end;
  }

  /** Lets time pass until the condition holds; throws when it does not within `withinMs`. */
  async until(what: string, condition: () => boolean, withinMs = 60_000): Promise<void> {
    const end = this.time + withinMs;
    await settle();
    while (!condition()) {
      const next = this.next();
      if (!next || next.due > end) throw new Error(`waited ${withinMs} ms of the clock for ${what}`);
      await this.fire(next);
    }
  }

  /** Lets time pass until the promise has settled, and answers as it does. */
  async finish<T>(what: string, promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.until(what, () => settled, withinMs);
    return promise;
  }

  private instant = { time: -1, fired: 0 };

  private async fire(timer: Timer): Promise<void> {
    this.timers.delete(timer);
    this.time = timer.due;
    const fired = this.instant.time === this.time ? this.instant.fired + 1 : 1;
    this.instant = { time: this.time, fired };
    if (fired > MAX_AT_ONE_INSTANT) throw new Error(`at ${this.time} ms something waits for 0 ms again and again`);
    timer.fire();
    await settle();
  }

  private next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) {
      if (!first || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) first = timer;
    }
    return first;
  }
}

/** Lets promises, and requests to the file system, run until nothing more happens by itself. */
async function settle(): Promise<void> {
  do await new Promise<void>((resolve) => setImmediate(resolve));
  while (process.getActiveResourcesInfo().some((name) => FILE_REQUEST.test(name)));
}
