/**
 * A process of a pretended host: what it waits for and what it hears reach it while it runs; while it is paused (SIGSTOP)
 * they are held back, in order, and come after SIGCONT; once it is dead they are lost.
 */
import type { Clock } from '../../src/shared/clock.ts';

interface Event {
  cancelled: boolean;
  readonly happen: () => void;
}

export class FakeProcess implements Clock {
  readonly #clock: Clock;
  #state: 'running' | 'paused' | 'dead' = 'running';
  readonly #timers: Event[] = [];
  readonly #heard: Event[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get paused(): boolean {
    return this.#state === 'paused';
  }

  get dead(): boolean {
    return this.#state === 'dead';
  }

  now(): number {
    return this.#clock.now();
  }

  date(): Date {
    return this.#clock.date();
  }

  after(ms: number, fn: () => void): () => void {
    const timer: Event = { cancelled: false, happen: fn };
    const cancel = this.#clock.after(ms, () => this.#arrive(timer, this.#timers));
    return () => {
      timer.cancelled = true;
      cancel();
    };
  }

  /** Something reaches the process from outside. */
  hear(happen: () => void): void {
    this.#arrive({ cancelled: false, happen }, this.#heard);
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  /** What was held back happens now, each by itself: timers before messages, or the other way round. */
  resume(first: 'timers' | 'messages' = 'timers'): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    const timers = this.#timers.splice(0);
    const heard = this.#heard.splice(0);
    const all = first === 'timers' ? [...timers, ...heard] : [...heard, ...timers];
    // a pause that follows at once holds them back again
    for (const each of all)
      this.#clock.after(0, () => this.#arrive(each, timers.includes(each) ? this.#timers : this.#heard));
  }

  /** SIGKILL. */
  kill(): void {
    this.#state = 'dead';
    this.#timers.length = 0;
    this.#heard.length = 0;
  }

  #arrive(event: Event, held: Event[]): void {
    if (event.cancelled || this.#state === 'dead') return;
    if (this.#state === 'paused') held.push(event);
    else event.happen();
  }
}
