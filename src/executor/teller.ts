/** Tells what systemd on this host does: the report to the leader, the events for the history, the metric of unit states. */
import type { ActiveState, DesiredUnit, Observed } from '../shared/state.ts';
import type { Departures } from './departures.ts';
import type { ExecutorMetrics, ExecutorOptions } from './executor-options.ts';
import type { HealthWatch } from './health-watch.ts';
import type { Orders } from './orders.ts';
import type { Publisher } from './publisher.ts';
import { report } from './report.ts';
import type { StopFailures } from './stop-failures.ts';
import { failureEvents, healthEvents, type UnitEvents } from './unit-events.ts';
import type { UnitJobs } from './unit-jobs.ts';
import type { UnitTable } from './unit-table.ts';

export interface TellerOptions {
  readonly host: string;
  readonly table: UnitTable;
  readonly orders: Orders;
  readonly jobs: UnitJobs;
  readonly stopFailures: StopFailures;
  readonly publisher: Publisher;
  readonly health: HealthWatch;
  readonly departures: Departures;
  readonly metrics: ExecutorMetrics;
  readonly events: UnitEvents;
  /** As in `ExecutorOptions`. */
  readonly onReport: ExecutorOptions['onReport'];
}

/** What only the executor knows at the moment. */
export interface Situation {
  /** Desired units that are not started yet, and why. */
  readonly waiting: ReadonlyMap<string, string>;
  /** Units that are about to be stopped. */
  readonly parting: ReadonlySet<string>;
  /** The daemon is stopping, and its units with it. */
  readonly leaving: boolean;
  /** Why the leader must write the order anew. */
  readonly doubt: string | undefined;
  /** systemd has told everything once: before that there is nothing to report. */
  readonly complete: boolean;
}

const PARTING = 'it is not registered any more, and stopped when others had time to notice (deregistration_delay)';

export class Teller {
  private latestReport: Observed | undefined;

  constructor(private readonly options: TellerOptions) {}

  /** The latest report, as others see it in `observed/<host>`. */
  get latest(): Observed | undefined {
    return this.latestReport;
  }

  tell({ waiting, parting, leaving, doubt, complete }: Situation): void {
    const { host, table, orders, jobs, stopFailures, publisher, events } = this.options;
    const units = orders.desired?.units ?? [];
    const desired = new Set(units.map((unit) => unit.unit));
    this.count(desired);
    if (!complete) return;
    const before = this.latestReport;
    const now = report({
      host,
      applied: orders.applied,
      refused: orders.refused ?? doubt,
      desired,
      declared: orders.declared,
      states: table.states,
      memory: table.memory,
      waiting: new Map([...waiting, ...[...parting].map((unit) => [unit, PARTING] as const)]),
      stopping: new Set([...jobs.stopping, ...stopFailures.undecided]),
      ending: this.ending(units, leaving),
      leaving,
      health: this.options.health.reported,
    });
    this.latestReport = now;
    this.register(new Set([...parting, ...jobs.stopping]));
    publisher.publish(now);
    for (const event of failureEvents(before, now, desired)) events.record(event);
    for (const event of healthEvents(before, now)) events.record(event);
  }

  /** Tells what shall be registered by the latest report; these units are about to be stopped, or are being stopped. */
  register(stopping: ReadonlySet<string>): void {
    const { orders, departures, onReport } = this.options;
    if (!this.latestReport || !orders.desired) return;
    onReport(this.latestReport, departures.registrable(orders.desired.units, stopping));
  }

  private count(desired: ReadonlySet<string>): void {
    const byState = new Map<ActiveState, number>();
    for (const unit of desired) {
      const active = this.options.table.states.get(unit)?.active ?? 'inactive';
      byState.set(active, (byState.get(active) ?? 0) + 1);
    }
    this.options.metrics.units(byState);
  }

  /** Units with something under way that are not to run here any more. */
  private ending(desired: readonly DesiredUnit[], leaving: boolean): ReadonlySet<string> {
    const { jobs } = this.options;
    const wanted = new Set(desired.flatMap(({ unit, withdrawn }) => (withdrawn || leaving ? [] : [unit])));
    return new Set([...jobs.busy, ...jobs.stopping].filter((unit) => !wanted.has(unit)));
  }
}
