/** What may be running here, as far as is known: with what may run once only, rather one unit too many than one too few. */
import { isDown } from '../shared/active-state.ts';
import type { Orders } from './orders.ts';
import type { UnitTable } from './unit-table.ts';

export interface HeldUnitsOptions {
  readonly orders: Pick<Orders, 'runOnce' | 'onceBefore'>;
  readonly table: Pick<UnitTable, 'states' | 'isOurs'>;
  /** A stop of ours is under way. */
  readonly isStopping: (unit: string) => boolean;
}

export class HeldUnits {
  constructor(private readonly options: HeldUnitsOptions) {}

  /** Units that may run once only and may be running here: placed here, or not any more but not down yet. */
  get once(): ReadonlySet<string> {
    const { orders, table } = this.options;
    const { runOnce, onceBefore } = orders;
    const lingering = [...onceBefore].filter((unit) => table.isOurs(unit) && this.mayBeUp(unit));
    return new Set([...runOnce, ...lingering]);
  }

  mayBeUp(unit: string): boolean {
    const active = this.options.table.states.get(unit)?.active;
    // one that systemd has not told of yet may be up
    return this.options.isStopping(unit) || active === undefined || !isDown(active);
  }
}
