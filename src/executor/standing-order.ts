/**
 * How far the order that this host has still stands: whether a start that is under way is what it asks for, and whether the
 * leader must write it anew before all of it is obeyed, as the world may have changed since.
 */
import type { DesiredUnit } from '../shared/state.ts';
import { valuesKey } from './diff.ts';
import type { Lease } from './lease.ts';
import type { Orders } from './orders.ts';

export class StandingOrder {
  constructor(
    private readonly orders: Pick<Orders, 'desired' | 'runOnce' | 'fresh'>,
    private readonly lease: Pick<Lease, 'isolated' | 'cleared' | 'unconfirmed'>,
  ) {}

  /** True while the unit may be started in just this form; once its script has run (`scriptHasRun`) the script does not count. */
  asksFor(unit: DesiredUnit, scriptHasRun: boolean): boolean {
    // what systemd was asked for already is given up only when it must be: not because the lease is about to be extended
    const mayRun = scriptHasRun ? !this.lease.isolated : this.lease.cleared.has(unit.unit);
    if (unit.isolation === 'stop' && !mayRun) return false;
    const now = this.orders.desired?.units.find((candidate) => candidate.unit === unit.unit);
    if (now === undefined || now.withdrawn || valuesKey(now) !== valuesKey(unit)) return false;
    // a script that hangs and was mended must not keep the mended one from running
    return scriptHasRun || now.prestart?.script === unit.prestart?.script;
  }

  /** Why the leader must write it anew, if so; `waiting`: desired units that are not started yet. */
  doubt(waiting: ReadonlyMap<string, string>): string | undefined {
    return this.mayRunElsewhere() ?? this.mayBeOld(waiting);
  }

  /** Before units that may run once only are started by it. */
  private mayRunElsewhere(): string | undefined {
    if (this.orders.runOnce.size === 0 || !this.lease.unconfirmed) return undefined;
    return 'its session was lost since it was written, and others may have been given units with `isolation: stop`';
  }

  /** Before units that come after others are started by it. */
  private mayBeOld(waiting: ReadonlyMap<string, string>): string | undefined {
    const isMeant = ({ unit, after }: DesiredUnit) =>
      waiting.has(unit) && after?.some(({ where }) => where === 'anywhere');
    if (this.orders.fresh || !this.orders.desired?.units.some(isMeant)) return undefined;
    return 'it may have been written long ago, and units wait for services of other hosts (after)';
  }
}
