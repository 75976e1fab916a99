/**
 * The dumb half: watches this host's own desired state and systemd, and closes the difference. Here its parts are wired
 * together, and told what happens to them: `Reconciler` makes the passes, `diff()` decides, `UnitJobs` carries it out,
 * `Publisher` tells the leader.
 */
import { Loop } from '../shared/loop.ts';
import type { ActiveState, Observed } from '../shared/state.ts';
import { Departures } from './departures.ts';
import type { ExecutorOptions } from './executor-options.ts';
import { HealthWatch } from './health-watch.ts';
import { HeldUnits } from './held-units.ts';
import { Lease } from './lease.ts';
import { Leaving } from './leaving.ts';
import type { Remembered } from './memory-file.ts';
import { MemoryKeeper } from './memory-keeper.ts';
import { OrderedStarts } from './ordered-starts.ts';
import { Orders } from './orders.ts';
import { Prestart } from './prestart.ts';
import { Publisher } from './publisher.ts';
import { Reconciler } from './reconciler.ts';
import { StandingOrder } from './standing-order.ts';
import { StopFailures } from './stop-failures.ts';
import type { Systemd } from './systemd.ts';
import { Teller } from './teller.ts';
import { UnitJobs } from './unit-jobs.ts';
import { UnitTable } from './unit-table.ts';

export class Executor {
  private readonly table: UnitTable;
  private readonly jobs: UnitJobs;
  private readonly publisher: Publisher;
  private readonly systemd: Systemd;
  private readonly loop: Loop;
  private readonly prestart: Prestart;
  private readonly orders: Orders;
  private readonly held: HeldUnits;
  private readonly lease: Lease;
  private readonly stopFailures: StopFailures;
  private readonly teller: Teller;
  private readonly health: HealthWatch;
  private readonly departures: Departures;
  private readonly orderedStarts: OrderedStarts;
  private readonly keeper: MemoryKeeper;
  private readonly reconciler: Reconciler;
  private readonly leaving: Leaving;

  constructor(private readonly options: ExecutorOptions) {
    const { clock, log, host, store } = options;
    this.table = new UnitTable(
      clock,
      () => this.keeper.save(),
      (unit, stopped) => this.onUnitEnded(unit, stopped),
    );
    this.keeper = new MemoryKeeper(options.memory, () => this.remembered(), log);
    this.publisher = new Publisher(store, host, clock, log);
    this.loop = new Loop({
      name: 'executor',
      clock,
      log,
      gatherMs: 0,
      tickMs: () => this.reconciler.nextTick(),
      pass: () => this.reconciler.pass(),
    });
    this.orders = new Orders(host, log, {
      onChange: () => this.loop.trigger(),
      onAccepted: () => {
        // what is read between connecting and joining may have been written before the leader noticed the loss
        if (this.publisher.enabled) this.lease.confirmed();
      },
    });
    this.held = new HeldUnits({
      orders: this.orders,
      table: this.table,
      isStopping: (unit) => this.jobs.stopping.has(unit),
    });
    this.systemd = options.connectSystemd({
      onConnected: () => {
        this.lease.reconnected();
        this.relist();
        options.onSystemdConnected();
      },
      onDisconnected: (why) => log.warn(`the connection to systemd is gone: ${why}; units run on, it is made again`),
      onUnit: (unit, active, sub) => this.onUnit(unit, active, sub),
      onReloaded: () => this.relist(),
    });
    this.lease = new Lease({
      store,
      host,
      systemd: this.systemd,
      clock,
      log,
      sessionTimeoutMs: options.sessionTimeoutMs,
      runOnce: () => this.held.once,
      onChange: () => this.loop.trigger(),
    });
    this.stopFailures = new StopFailures({
      log,
      resetIfStopped: (unit) => this.jobs.resetIfStopped(unit),
      onChange: () => this.loop.trigger(),
    });
    this.health = new HealthWatch({ ...options, onChange: () => this.loop.trigger() });
    this.orderedStarts = new OrderedStarts({ ...options, onChange: () => this.loop.trigger() });
    const { mayBeFound, sessionTimeoutMs } = options;
    this.departures = new Departures({ clock, mayBeFound, limitMs: sessionTimeoutMs });
    this.prestart = new Prestart(this.systemd, options.prestartFolder, host);
    const standing = new StandingOrder(this.orders, this.lease);
    this.jobs = new UnitJobs({
      systemd: this.systemd,
      table: this.table,
      prestart: this.prestart,
      clock,
      log,
      events: options.events,
      stillDesired: (unit, scriptHasRun) => !this.reconciler.ended && standing.asksFor(unit, scriptHasRun),
      inTurn: (unit) => this.orderedStarts.mayAsk(unit),
      onChange: () => this.loop.trigger(),
      onDrift: (unit) => options.metrics.drift(unit),
      saved: () => {
        // a start must not be older on disk than the order that asked for it
        this.keeper.saveApplied(this.orders.applied);
        return this.keeper.saved;
      },
    });
    this.teller = new Teller({
      host,
      table: this.table,
      orders: this.orders,
      jobs: this.jobs,
      stopFailures: this.stopFailures,
      publisher: this.publisher,
      health: this.health,
      departures: this.departures,
      metrics: options.metrics,
      events: options.events,
      onReport: options.onReport,
    });
    const parts = {
      clock,
      systemd: this.systemd,
      table: this.table,
      lease: this.lease,
      jobs: this.jobs,
      departures: this.departures,
      teller: this.teller,
    };
    this.reconciler = new Reconciler({
      ...options,
      ...parts,
      orders: this.orders,
      standing,
      stopFailures: this.stopFailures,
      health: this.health,
      orderedStarts: this.orderedStarts,
      keeper: this.keeper,
    });
    this.leaving = new Leaving({ ...parts, held: this.held, survey: () => this.reconciler.survey() });
  }

  /** Recalls what was ours before, then begins to watch. */
  async start(): Promise<void> {
    const remembered = await this.keeper.load();
    this.table.recall(remembered.units);
    this.departures.recall(remembered.farewells);
    await this.prestart.clean();
    this.orders.open(this.options.store, remembered.applied, remembered.runOnce);
    this.loop.trigger();
  }

  /**
   * The host's name is ours in the present session: reports may be written. `continuous`: the name was this host's without
   * a gap since an earlier session.
   */
  joined(continuous: boolean): void {
    this.lease.join(continuous);
    this.publisher.enable();
    this.loop.trigger();
  }

  /** The session, or the host's name, is gone: nothing is reported until the host has joined anew. */
  left(): void {
    this.lease.lapse();
    this.publisher.disable();
  }

  /** Something that is found out elsewhere has changed: whose turn it is, what is registered. */
  look(): void {
    this.loop.trigger();
  }

  get systemdConnected(): boolean {
    return this.systemd.connected;
  }

  /** The latest report, as others see it in `observed/<host>`. */
  get observed(): Observed | undefined {
    return this.teller.latest;
  }

  /** Clears every failure of the spec's units on this host, as a reload does: they take part again. */
  async clearFailures(): Promise<void> {
    this.table.clearFailures();
    const failed = [...this.table.states.values()].filter((state) => state.active === 'failed');
    const mine = failed.filter((state) => this.table.isOurs(state.unit) || this.orders.declared.has(state.unit));
    await Promise.allSettled(mine.map((state) => this.systemd.resetFailed(state.unit)));
    this.relist();
  }

  /**
   * Stops units of ours that run: all of them, which is reported unit by unit so that others take over at once, or only
   * those that may run once. Nothing is started any more. Resolves when they are down or the signal is aborted; answers
   * those of the latter kind that are not down: others must not be given them.
   */
  stopUnits(which: 'all' | 'once-only', signal: AbortSignal): Promise<readonly string[]> {
    if (which === 'all') this.reconciler.leave();
    else this.reconciler.end();
    this.orderedStarts.end();
    this.loop.trigger();
    return this.leaving.stop(which, signal);
  }

  /** Ends all activity; units are left as they are. */
  async close(): Promise<void> {
    this.reconciler.end();
    this.health.close();
    this.orders.close();
    this.lease.end();
    await this.loop.stop();
    await this.jobs.close();
    await this.lease.close();
    await this.publisher.close();
    await this.keeper.saved;
    await this.systemd.close();
  }

  private onUnit(unit: string, active: ActiveState, sub: string): void {
    const busy = this.jobs.isBusy(unit);
    if (this.table.signalled(unit, active, sub, busy)) this.loop.trigger();
    if (busy || this.jobs.stopping.has(unit)) return;
    this.stopFailures.signalled(unit, active, sub);
    // a guard's stop is ours: nobody meant to take the unit from us
    if (active === 'deactivating' && this.lease.mayBeGuards(unit)) this.table.stopping(unit);
  }

  /** A stop by hand is told when it is put right; a stop of ours by whoever did it. */
  private onUnitEnded(unit: string, stopped: boolean): void {
    if (this.reconciler.ended) return;
    const { events } = this.options;
    const why = 'systemd stopped it in time, as this daemon did not (isolation: stop)';
    if (this.stopFailures.wasStopped(unit) && this.lease.mayBeGuards(unit))
      events.record({ kind: 'stopped', unit, reason: 'guard', why });
    else if (!stopped) events.record({ kind: 'ended', unit, reason: 'exited', why: 'in good order' });
  }

  private relist(): void {
    this.reconciler.relist();
    this.loop.trigger();
  }

  private remembered(): Remembered {
    const { applied } = this.orders;
    const farewells = this.departures.remembered;
    return { applied, runOnce: this.held.once, units: this.table.ours(), farewells };
  }
}
