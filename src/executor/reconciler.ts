/**
 * One pass of the executor: systemd tells how things are, `diff()` decides, and what follows is carried out, saved and told.
 * It decides nothing itself; when the next pass is due follows from what the last one found.
 */
import type { Logger } from '../shared/log.ts';
import type { Departures } from './departures.ts';
import { type Action, type Diff, diff } from './diff.ts';
import type { ExecutorOptions } from './executor-options.ts';
import type { HealthWatch } from './health-watch.ts';
import type { Lease } from './lease.ts';
import type { MemoryKeeper } from './memory-keeper.ts';
import type { OrderedStarts } from './ordered-starts.ts';
import type { Orders } from './orders.ts';
import type { StandingOrder } from './standing-order.ts';
import type { StopFailures } from './stop-failures.ts';
import { Survey } from './survey.ts';
import type { Systemd } from './systemd.ts';
import type { Teller } from './teller.ts';
import type { UnitJobs } from './unit-jobs.ts';
import type { UnitTable } from './unit-table.ts';

export interface ReconcilerOptions
  extends Pick<ExecutorOptions, 'clock' | 'metrics' | 'loopTickMs' | 'failedLoopTickMs'> {
  readonly log: Logger;
  readonly systemd: Systemd;
  readonly table: UnitTable;
  readonly orders: Orders;
  readonly standing: StandingOrder;
  readonly lease: Lease;
  readonly jobs: UnitJobs;
  readonly stopFailures: StopFailures;
  readonly health: HealthWatch;
  readonly departures: Departures;
  readonly orderedStarts: OrderedStarts;
  readonly keeper: MemoryKeeper;
  readonly teller: Teller;
}

const NONE: ReadonlySet<string> = new Set();

export class Reconciler {
  private readonly surveyor: Survey;
  private last: Diff | undefined;
  private hasEnded = false;
  private leaving = false;
  /** This process has seen every unit of its orders once. */
  private hasLooked = false;

  constructor(private readonly options: ReconcilerOptions) {
    this.surveyor = new Survey(options.systemd, options.table, options.log);
  }

  /** Nothing is decided any more. */
  end(): void {
    this.hasEnded = true;
  }

  /** The same, but what becomes of this host's units goes on being told: all of them are being stopped. */
  leave(): void {
    this.end();
    this.leaving = true;
  }

  get ended(): boolean {
    return this.hasEnded;
  }

  /** The next pass asks systemd for all units. */
  relist(): void {
    this.surveyor.renew();
  }

  async pass(): Promise<void> {
    const { clock, systemd, metrics } = this.options;
    if (this.hasEnded) {
      if (!this.leaving || !this.last) return;
      this.saveApplied();
      this.tell(this.last);
      return;
    }
    const begun = clock.now();
    await this.survey();
    if (this.hasEnded) return;
    this.look();
    const decision = this.decide();
    this.last = decision;
    this.options.departures.asked(decision.parting);
    // without systemd nothing can be done, and what is known of it may be outdated
    if (systemd.connected) for (const action of decision.actions) this.dispatch(action);
    // a start saves what was accepted together with the unit, before systemd is asked: one write, not two in a row
    const starts = systemd.connected && decision.actions.some(isStartAtOnce);
    if (!starts) this.saveApplied();
    this.tell(decision);
    this.orderStarts(decision);
    if (decision.actions.length > 0) metrics.reconciled((clock.now() - begun) / 1000);
  }

  /** Asks systemd for the states that are not known, or not known any more. */
  survey(): Promise<void> {
    const { clock, orders, table, jobs } = this.options;
    const desired = orders.desired?.units.map((unit) => unit.unit) ?? [];
    const tracked = new Set([...desired, ...orders.declared, ...table.ours().keys()]);
    const at = { now: clock.now(), everyMs: this.tickMs(), busy: jobs.busy, final: orders.read };
    return this.surveyor.look(tracked, at);
  }

  /** When the next pass is due though nothing has happened, ms from now. */
  nextTick(): number {
    const { health, orderedStarts, clock } = this.options;
    const wakes = [this.last?.wakeAt, health.wakeAt, orderedStarts.wakeAt].filter((at) => at !== undefined);
    const wakeAt = wakes.length === 0 ? undefined : Math.min(...wakes);
    const tick = this.tickMs();
    // once it has ended no pass decides anything any more: a wait that is over would be over for ever
    return wakeAt === undefined || this.hasEnded ? tick : Math.max(0, Math.min(tick, wakeAt - clock.now()));
  }

  private tickMs(): number {
    const { teller, loopTickMs, failedLoopTickMs } = this.options;
    const anyFailed = teller.latest?.units.some((unit) => unit.failure) ?? false;
    return anyFailed ? Math.min(failedLoopTickMs, loopTickMs) : loopTickMs;
  }

  /** Brings what the decision rests on up to date with what systemd and the leader said. */
  private look(): void {
    const { orders, table, jobs, lease, stopFailures, health, departures } = this.options;
    jobs.giveUpUnwanted();
    lease.renew();
    // a guard may have stopped them while no daemon, or a frozen one, was there
    const unseen = lease.isolated || !this.hasLooked ? orders.runOnce : NONE;
    this.hasLooked = this.surveyor.complete;
    stopFailures.look(table.states.values(), unseen, jobs.busy);
    health.follow(orders.desired?.units ?? [], table);
    departures.follow(orders.desired?.units, (unit) => table.isOurs(unit));
  }

  private decide(): Diff {
    const { clock, orders, table, jobs, lease, health, departures, orderedStarts } = this.options;
    return diff({
      now: clock.now(),
      desired: orders.desired,
      declared: orders.declaredByDesired,
      states: table.states,
      memory: table.memory,
      busy: jobs.busy,
      isolated: lease.isolated,
      cleared: lease.cleared,
      hindrance: lease.hindrance,
      runOnce: orders.runOnce,
      restart: health.due,
      stopNotBefore: departures.notBefore(lease.atStake),
      starts: orderedStarts.conditions(orders.desired?.units ?? [], !orders.fresh),
    });
  }

  private dispatch(action: Action): void {
    const { health, jobs } = this.options;
    if (action.kind === 'stop' && action.reason === 'unhealthy') health.restarting(action.unit);
    jobs.dispatch(action);
  }

  /** What is told to be obeyed must be so after a restart, too. */
  private saveApplied(): void {
    this.options.keeper.saveApplied(this.options.orders.applied);
  }

  private tell({ waiting, parting }: Diff): void {
    const { standing, teller } = this.options;
    const doubt = standing.doubt(waiting);
    teller.tell({ waiting, parting, leaving: this.leaving, doubt, complete: this.surveyor.complete });
  }

  /** What follows from the newest report for what is to be started in order. */
  private orderStarts(decision: Diff): void {
    const { orders, teller, jobs, systemd, orderedStarts } = this.options;
    const desired = orders.desired?.units ?? [];
    orderedStarts.follow(decision, { desired, report: teller.latest, busy: jobs.busy, canStart: systemd.connected });
  }
}

/** A start that waits for nothing but the memory on disk. */
function isStartAtOnce(action: Action): boolean {
  return action.kind === 'start' && !action.desired.prestart;
}
