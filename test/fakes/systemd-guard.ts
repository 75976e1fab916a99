/** The guards of a fake systemd: each waits, stops its units, and kills what is left of them, unless it is ended before. */
import type { Guard } from '../../src/executor/systemd.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { compare } from '../../src/shared/names.ts';
import { FakeRefusal } from './systemd-refusal.ts';

const SIGKILL = 9;

/** What a guard does to a unit of the systemd that it runs in. */
export interface GuardedUnits {
  /** `systemctl stop --no-block`; a unit that is not there is left alone. */
  stop(unit: string): void;
  kill(unit: string, signal: number): void;
}

export class FakeGuards {
  readonly #clock: Clock;
  readonly #units: GuardedUnits;
  /** Name → what cancels its next step. */
  readonly #running = new Map<string, () => void>();

  constructor(clock: Clock, units: GuardedUnits) {
    this.#clock = clock;
    this.#units = units;
  }

  /** Names of those that run, sorted. */
  get names(): string[] {
    return [...this.#running.keys()].sort(compare);
  }

  /** Throws a FakeRefusal when one of this name runs. */
  start({ unit, units, afterMs, stopMs }: Guard): void {
    if (this.#running.has(unit)) {
      throw new FakeRefusal('org.freedesktop.systemd1.UnitExists', `Unit ${unit} was already loaded.`);
    }
    const kill = () => {
      this.#running.delete(unit);
      for (const each of units) this.#units.kill(each, SIGKILL);
    };
    const stop = () => {
      this.#running.set(unit, this.#clock.after(stopMs, kill));
      for (const each of units) this.#units.stop(each);
    };
    this.#running.set(unit, this.#clock.after(afterMs, stop));
  }

  end(unit: string): void {
    this.#running.get(unit)?.();
    this.#running.delete(unit);
  }

  /** The host loses power. */
  vanish(): void {
    for (const unit of this.names) this.end(unit);
  }
}
