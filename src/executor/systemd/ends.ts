/**
 * Ends of units that systemd has told and that may not be ends. Of a unit that it starts again by itself (Restart=) systemd
 * tells two states one after the other: that it failed or is dead, and that it waits for its restart (service_enter_dead in
 * its src/core/service.c; bus_unit_send_pending_change_signal sends the first one, so that all can be followed). Nobody may
 * act between the two: the end is told when systemd, asked anew, says the same. What is told of a unit keeps its order.
 */

interface Held {
  /** What systemd told of the unit afterwards: it waits. */
  readonly afterwards: (() => void)[];
}

export class UnitEnds {
  readonly #held = new Map<string, Held>();

  /**
   * @param isDown asks systemd whether the unit is inactive or failed at that moment; rejects when it does not answer: the
   * signal is believed then.
   */
  constructor(private readonly isDown: (unit: string) => Promise<boolean>) {}

  /** Calls `tell` when the end is confirmed, and not when something newer is told of the unit before. */
  hold(unit: string, tell: () => void): void {
    const held: Held = { afterwards: this.#held.get(unit)?.afterwards ?? [] };
    this.#held.set(unit, held);
    const settle = (isDown: boolean) => {
      if (this.#held.get(unit) !== held) return;
      this.#held.delete(unit);
      if (isDown) tell();
      for (const act of held.afterwards) act();
    };
    this.isDown(unit).then(settle, () => settle(true));
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
