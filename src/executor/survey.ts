/**
 * Asks systemd for the states of the units of interest: for all of them when told to and on a slow tick, as a check behind the
 * signals, and otherwise only for those that are not known yet.
 */
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import type { Systemd } from './systemd.ts';
import type { UnitTable } from './unit-table.ts';

export class Survey {
  private due = true;
  private listedAt = Number.NEGATIVE_INFINITY;
  private done = false;

  constructor(
    private readonly systemd: Systemd,
    private readonly table: UnitTable,
    private readonly log: Logger,
  ) {}

  /** The next look is at all units. */
  renew(): void {
    this.due = true;
  }

  /** Every unit of interest at that time has been seen once. */
  get complete(): boolean {
    return this.done;
  }

  /**
   * Brings the table up to date for the units of `tracked`, and drops all others from it. `everyMs`: how old the last look
   * at all of them may be; `busy`: units with a job of ours under way; `final`: it is known by now which units are of interest.
   */
  async look(
    tracked: ReadonlySet<string>,
    at: { readonly now: number; readonly everyMs: number; readonly busy: ReadonlySet<string>; readonly final: boolean },
  ): Promise<void> {
    if (!this.systemd.connected) return;
    this.table.keepOnly(tracked);
    const full = this.due || at.now - this.listedAt >= at.everyMs;
    const units = full ? [...tracked] : [...tracked].filter((unit) => !this.table.states.has(unit));
    if (full) {
      this.due = false;
      this.listedAt = at.now;
    }
    const mark = this.table.signalMark();
    try {
      if (units.length > 0) this.table.listed(await this.systemd.list(units), mark, at.busy);
      this.done ||= at.final;
    } catch (error) {
      this.due = true;
      this.log.warn(`systemd did not list the units: ${messageOf(error)}`);
    }
  }
}
