/**
 * The way between one client and a pretended server: messages keep their order, take their time, vanish when the connection
 * is reset, and are held back while it is merely silent, as TCP would.
 */
import type { Clock } from '../../src/shared/clock.ts';

export type LinkCondition = 'up' | 'silent' | 'reset';

export class FakeLink {
  private condition: LinkCondition = 'up';
  /** Messages of an earlier connection never arrive. */
  private connection = 0;
  private readonly lastArrival = { request: 0, answer: 0 };
  private held: (() => void)[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly latencyMs: () => number,
  ) {}

  get state(): LinkCondition {
    return this.condition;
  }

  /** Calls `arrive` when the message gets to the other side, if it does. */
  send(direction: 'request' | 'answer', arrive: () => void): void {
    const { connection } = this;
    const at = Math.max(this.clock.now() + this.latencyMs(), this.lastArrival[direction]);
    this.lastArrival[direction] = at;
    const deliver = () => {
      if (connection !== this.connection) return;
      if (this.condition === 'up') arrive();
      else if (this.condition === 'silent') this.held.push(deliver);
    };
    this.clock.after(at - this.clock.now(), deliver);
  }

  silence(): void {
    this.condition = 'silent';
  }

  reset(): void {
    this.condition = 'reset';
    this.abandon();
  }

  /** What was held back arrives now, unless its connection was abandoned meanwhile. */
  heal(): void {
    this.condition = 'up';
    const held = this.held;
    this.held = [];
    for (const deliver of held) deliver();
  }

  /** Gives the connection up: nothing that is under way arrives. */
  abandon(): void {
    this.connection += 1;
    this.held = [];
  }
}
