/** Time that passes only when a test says so. Deterministic: timers fire in the order of their times, then of their making. */
import type { Clock } from '../../src/shared/clock.ts';

interface Timer {
  readonly due: number;
  readonly order: number;
  fire: (() => void) | undefined;
  /** What it does settles no promise. */
  readonly outside: boolean;
}

export interface FakeClockOptions {
  /** What runs on this clock uses files, which take real time: it waits for them. Default true. */
  readonly files?: boolean;
  /** Called after each timer, when what it set off has run. */
  readonly onSettled?: () => void;
}

/** More timers than this at one instant mean a loop that waits for nothing. */
const MAX_AT_ONE_INSTANT = 10_000;
/** Requests to the file system that Node has under way: they take real time, and this clock waits for them. */
const FILE_REQUEST = /^(FS|File|CloseReq)/;
/** So many waits for promises between two looks at the event loop. */
const AT_ONCE = 100;
/** What the wall clock shows at the beginning. */
const EPOCH = Date.UTC(2026, 0, 1);

/**
 * As `clock.after`, for what happens outside of all processes: in a server, or in systemd, where no promise waits for it.
 * A pretended clock that waits for no files goes on at once when it is done.
 */
export function afterOutside(clock: Clock, ms: number, fn: () => void): () => void {
  return clock instanceof FakeClock ? clock.afterOutside(ms, fn) : clock.after(ms, fn);
}

export class FakeClock implements Clock {
  private time = 0;
  private made = 0;
  /** How far the wall clock is off. */
  private wallOffset = 0;
  /** A binary heap; a cancelled timer stays in it until it is due. */
  private readonly heap: Timer[] = [];
  private readonly files: boolean;
  private readonly promises = new Promises();
  private readonly onSettled: () => void;

  constructor(options: FakeClockOptions = {}) {
    this.files = options.files ?? true;
    this.onSettled = options.onSettled ?? (() => {});
  }

  now(): number {
    return this.time;
  }

  date(): Date {
    return new Date(EPOCH + this.time + this.wallOffset);
  }

  /** Sets the wall clock forward or back; `now` does not change. */
  stepWall(ms: number): void {
    this.wallOffset += ms;
  }

  after(ms: number, fn: () => void): () => void {
    return this.arm(ms, fn, false);
  }

  /** As `afterOutside` says. */
  afterOutside(ms: number, fn: () => void): () => void {
    return this.arm(ms, fn, !this.files);
  }

  private arm(ms: number, fn: () => void, outside: boolean): () => void {
    this.made += 1;
    const timer: Timer = { due: this.time + Math.max(0, ms), order: this.made, fire: fn, outside };
    this.push(timer);
    return () => {
      timer.fire = undefined;
    };
  }

  /** Lets `ms` pass: every timer due within fires at its time, and what it set off runs before the next one fires. */
  async advance(ms: number): Promise<void> {
    const end = this.time + ms;
    await this.settle();
    for (let next = this.next(); next && next.due <= end; next = this.next()) {
      this.fire(next);
      if (!next.outside) await this.settle();
      this.onSettled();
    }
    this.time = end;
  }

  /** Lets time pass until the condition holds; throws when it does not within `withinMs`. */
  async until(what: string, condition: () => boolean, withinMs = 60_000): Promise<void> {
    const end = this.time + withinMs;
    await this.settle();
    while (!condition()) {
      const next = this.next();
      if (!next || next.due > end) throw new Error(`waited ${withinMs} ms of the clock for ${what}`);
      this.fire(next);
      if (!next.outside) await this.settle();
      this.onSettled();
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

  private fire(timer: Timer): void {
    const { fire } = timer;
    this.pop();
    this.time = timer.due;
    const fired = this.instant.time === this.time ? this.instant.fired + 1 : 1;
    this.instant = { time: this.time, fired };
    if (fired > MAX_AT_ONE_INSTANT) throw new Error(`at ${this.time} ms something waits for 0 ms again and again`);
    fire?.();
  }

  /** The next timer that was not cancelled. */
  private next(): Timer | undefined {
    while (this.heap[0] && !this.heap[0].fire) this.pop();
    return this.heap[0];
  }

  private push(timer: Timer): void {
    const { heap } = this;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (!parent || isBefore(parent, timer)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = timer;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      let child = heap[down];
      const right = heap[down + 1];
      if (child && right && isBefore(right, child)) {
        down += 1;
        child = right;
      }
      if (!child || isBefore(last, child)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
  }

  /** Lets promises, and requests to the file system, run until nothing more happens by itself. */
  private async settle(): Promise<void> {
    if (!this.files) return this.promises.settled();
    do await new Promise<void>((resolve) => setImmediate(resolve));
    while (process.getActiveResourcesInfo().some((name) => FILE_REQUEST.test(name)));
  }
}

/** Waits for promises only: without a look at the event loop each time, which takes longer than they do. */
class Promises {
  /** Callbacks that Node will call one after the other, with all that promises have to do in between. */
  private coming = 0;
  private resolve: (() => void) | undefined;

  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.resolve = resolve;
      if (this.coming > 0) return;
      this.coming = AT_ONCE;
      for (let each = 0; each < AT_ONCE; each++) setImmediate(this.call);
    });
  }

  private readonly call = () => {
    const { resolve } = this;
    this.coming -= 1;
    this.resolve = undefined;
    resolve?.();
  };
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}
