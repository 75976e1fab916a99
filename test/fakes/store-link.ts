/**
 * The way between one client and a pretended server, over one connection after another: messages keep their order, take
 * their time, vanish when the connection is reset, and are held back while a direction is merely silent, as TCP would.
 */
import type { Clock } from '../../src/shared/clock.ts';
import { afterOutside } from './clock.ts';
import type { FakeProcess } from './process.ts';

export type Direction = 'request' | 'answer';

export class FakeLink {
  private isReset = false;
  private readonly silent = { request: false, answer: false };
  /** Number of the client's connection: answers to an earlier one are not heard. */
  private connection = 0;
  /** The server takes nothing from connections before this one: it has closed them, or heard of a newer one. */
  private oldestServed = 0;
  private readonly lastArrival = { request: 0, answer: 0 };
  private readonly held = { request: [] as (() => void)[], answer: [] as (() => void)[] };

  constructor(
    private readonly clock: Clock,
    private readonly process: FakeProcess,
    private readonly receive: (arrive: () => void) => void,
    private readonly latencyMs: () => number,
  ) {}

  /** Messages get through both ways. */
  get isUp(): boolean {
    return !this.isReset && !this.silent.request && !this.silent.answer;
  }

  /**
   * Calls `arrive` when the message gets to the other side, if it does. A request of a connection that the client has
   * given up since may still get to the server, like all that was on its way.
   */
  send(direction: Direction, arrive: (connection: number) => void): void {
    const { connection } = this;
    const at = Math.max(this.clock.now() + this.latencyMs(), this.lastArrival[direction]);
    this.lastArrival[direction] = at;
    const deliver = () => {
      if (this.isReset) return;
      if (this.silent[direction]) this.held[direction].push(deliver);
      else if (direction === 'request') {
        this.receive(() => {
          if (connection >= this.oldestServed) arrive(connection);
        });
      } else {
        this.process.hear(() => {
          if (connection === this.connection) arrive(connection);
        });
      }
    };
    if (direction === 'request') afterOutside(this.clock, at - this.clock.now(), deliver);
    else this.clock.after(at - this.clock.now(), deliver);
  }

  /** Nothing gets through in these directions, and nobody is told. */
  silence(...directions: readonly Direction[]): void {
    for (const direction of directions) this.silent[direction] = true;
  }

  /** The connection is refused and every message lost. */
  reset(): void {
    this.isReset = true;
    this.abandon();
    this.refuse();
  }

  /** What was held back arrives now, unless its connection is over for whom it is meant. */
  heal(): void {
    this.isReset = false;
    for (const direction of ['request', 'answer'] as const) {
      this.silent[direction] = false;
      for (const deliver of this.held[direction].splice(0)) deliver();
    }
  }

  /** The client gives the connection up: no answer on it is heard any more. */
  abandon(): void {
    this.connection += 1;
  }

  /** The server closes the connection, and calls `heard` when the client has heard of it. */
  close(heard: () => void): void {
    this.send('answer', heard);
    this.refuse();
  }

  /** The client makes another connection. */
  open(): void {
    this.connection += 1;
  }

  /** The server has heard of this connection: what comes on an earlier one is refused. */
  moved(connection: number): void {
    this.oldestServed = connection;
  }

  private refuse(): void {
    this.oldestServed = this.connection + 1;
  }
}
