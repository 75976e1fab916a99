/**
 * Units that somebody else stopped (a person, a guard) and that had to be killed, or ended with 143: systemd calls them
 * failed, but that says nothing against starting them here again. What they ended with is looked at once; until then
 * they are not reported as failed.
 */
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import type { ActiveState } from '../shared/state.ts';
import type { UnitState } from './systemd.ts';
import { isStopSub } from './unit-table.ts';

export interface StopFailuresOptions {
  readonly log: Logger;
  /** Resets the unit if it ended as units do that are stopped. */
  readonly resetIfStopped: (unit: string) => Promise<void>;
  readonly onChange: () => void;
}

export class StopFailures {
  private readonly stopped = new Set<string>();
  private readonly looked = new Set<string>();
  private readonly underWay = new Set<string>();

  constructor(private readonly options: StopFailuresOptions) {}

  /** A change of state that is not of our doing. */
  signalled(unit: string, active: ActiveState, sub: string): void {
    if (active === 'deactivating' && isStopSub(sub)) this.stopped.add(unit);
    else if (active !== 'failed' && active !== 'deactivating') this.stopped.delete(unit);
  }

  /** Looks at those of these units that have failed; `unseen`: units that may have been stopped while nobody looked. */
  look(states: Iterable<UnitState>, unseen: ReadonlySet<string>, busy: ReadonlySet<string>): void {
    for (const { unit, active, sub } of states) {
      // a stop that began before anybody looked was told by no signal
      if (active === 'deactivating' && !busy.has(unit)) this.signalled(unit, active, sub);
      if (active !== 'failed') this.looked.delete(unit);
      else if ((this.stopped.has(unit) || unseen.has(unit)) && !busy.has(unit) && !this.looked.has(unit))
        this.examine(unit);
    }
  }

  /** Somebody else's stop was seen, and no start since. */
  wasStopped(unit: string): boolean {
    return this.stopped.has(unit);
  }

  /** Units that are not known to have failed yet. */
  get undecided(): ReadonlySet<string> {
    return this.underWay;
  }

  private examine(unit: string): void {
    const { log, resetIfStopped, onChange } = this.options;
    this.looked.add(unit);
    this.underWay.add(unit);
    resetIfStopped(unit)
      .catch((error: unknown) => log.warn(`how ${unit} ended is not known: ${messageOf(error)}`, { unit }))
      .finally(() => {
        this.underWay.delete(unit);
        this.stopped.delete(unit);
        onChange();
      });
  }
}
