/**
 * Ends of units that systemd has told and that may not be ends. Of a unit that it starts again by itself (Restart=) systemd
 * tells two states one after the other: that it failed or is dead, and that it waits for its restart (service_enter_dead in
 * its src/core/service.c; bus_unit_send_pending_change_signal sends the first one, so that all can be followed). Nobody may
 * act between the two: an end is told when systemd, asked anew, says that the unit is down, and as it says it then: a
 * failure may have been reset meanwhile. What is told of a unit keeps its order.
 */
import { isDown } from '../../shared/active-state.ts';
import type { UnitState } from '../systemd.ts';

/** What systemd says of a unit. */
export type Told = Pick<UnitState, 'active' | 'sub'>;

interface Held {
  /** What systemd told of the unit afterwards: it waits. */
  readonly afterwards: (() => void)[];
}

export class UnitEnds {
  readonly #held = new Map<string, Held>();

  /**
   * @param ask what systemd says of the unit at that moment; rejects when it does not answer: the signal is believed then.
   */
  constructor(private readonly ask: (unit: string) => Promise<Told>) {}

  /** Calls `tell` when the end is confirmed, and not when something newer is told of the unit before. */
  hold(unit: string, signalled: Told, tell: (end: Told) => void): void {
    const held: Held = { afterwards: this.#held.get(unit)?.afterwards ?? [] };
    this.#held.set(unit, held);
    const settle = (now: Told) => {
      if (this.#held.get(unit) !== held) return;
      this.#held.delete(unit);
      if (isDown(now.active)) tell(now);
      for (const act of held.afterwards) act();
    };
    this.ask(unit).then(settle, () => settle(signalled));
  }

  /** A newer state of the unit is told by `tell`: an end that is not confirmed by now was none. */
  overtake(unit: string, tell: () => void): void {
    const held = this.#held.get(unit);
    this.#held.delete(unit);
    tell();
    for (const act of held?.afterwards ?? []) act();
  }

  /** Calls `act` when all that was told of the unit before is settled: at once, mostly. */
  after(unit: string, act: () => void): void {
    const held = this.#held.get(unit);
    if (held) held.afterwards.push(act);
    else act();
  }

  /** The connection is gone: what is held is never told. */
  forget(): void {
    this.#held.clear();
  }
}
