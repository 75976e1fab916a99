/**
 * Stops units of ours as the daemon is being stopped: each when those that found it had time to leave, unless it must not
 * run here any more. How a single one is stopped is `UnitJobs`' business.
 */
import { type Clock, delay } from '../shared/clock.ts';
import type { Departures } from './departures.ts';
import type { HeldUnits } from './held-units.ts';
import type { Lease } from './lease.ts';
import type { Systemd } from './systemd.ts';
import type { Teller } from './teller.ts';
import type { UnitJobs } from './unit-jobs.ts';
import type { UnitTable } from './unit-table.ts';

export interface LeavingOptions {
  readonly clock: Clock;
  readonly systemd: Pick<Systemd, 'connected'>;
  readonly table: Pick<UnitTable, 'states' | 'ours' | 'forgotten'>;
  readonly held: HeldUnits;
  readonly lease: Pick<Lease, 'atStake' | 'release'>;
  readonly jobs: Pick<UnitJobs, 'isBusy' | 'stopAll'>;
  readonly departures: Pick<Departures, 'leftWhenLeaving'>;
  readonly teller: Pick<Teller, 'register'>;
  /** Asks systemd for the states that are not known yet. */
  readonly survey: () => Promise<void>;
}

/** Longest wait for what systemd says of the units, where it is not known yet. */
const LEARN_STATES_MS = 2_000;
const LEARN_PAUSE_MS = 20;
/** Between two looks at what is still registered. */
const PART_PAUSE_MS = 50;

export class Leaving {
  constructor(private readonly options: LeavingOptions) {}

  /**
   * Stops all units of ours that run, or only those that may run once. To be called when nothing is started any more.
   * Resolves when they are down or the signal is aborted; answers those of the latter kind that are not down.
   */
  async stop(which: 'all' | 'once-only', signal: AbortSignal): Promise<readonly string[]> {
    const { clock, table, held, lease, jobs, teller } = this.options;
    await this.learnStates(signal);
    const { once } = held;
    const ours = [...table.ours().keys()].filter((unit) => which === 'all' || once.has(unit));
    // a start that was asked for a moment ago may not show in the state yet
    const running = ours.filter((unit) => held.mayBeUp(unit) || jobs.isBusy(unit));
    // the report that this host leaves tells the rest
    if (which === 'once-only') teller.register(new Set(running));
    const begun = clock.now();
    await jobs.stopAll(running, signal, (unit) => this.untilParted(unit, begun, signal));
    const left = ours.filter((unit) => once.has(unit) && held.mayBeUp(unit));
    // what could not be stopped stays ours: the next process stops it, or knows what it was started with
    for (const unit of ours) if (!held.mayBeUp(unit)) table.forgotten(unit);
    if (left.length === 0) lease.release();
    return left;
  }

  /** Until those that found the unit had time to leave, or it must be stopped now. */
  private async untilParted(unit: string, begun: number, signal: AbortSignal): Promise<void> {
    const { clock, held, lease, departures } = this.options;
    while (held.mayBeUp(unit) && !signal.aborted && !lease.atStake.has(unit)) {
      const left = departures.leftWhenLeaving(unit, begun);
      if (left === 0) return;
      await delay(clock, Math.min(left, PART_PAUSE_MS), signal).catch(() => undefined);
    }
  }

  /** A daemon that is stopped right after its start may not know yet what runs. */
  private async learnStates(signal: AbortSignal): Promise<void> {
    const { clock, systemd, table, survey } = this.options;
    const isKnown = (unit: string) => table.states.has(unit);
    const end = clock.now() + LEARN_STATES_MS;
    while (![...table.ours().keys()].every(isKnown) && !signal.aborted && clock.now() < end) {
      if (systemd.connected) await survey();
      else await delay(clock, LEARN_PAUSE_MS, signal).catch(() => undefined);
    }
  }
}
