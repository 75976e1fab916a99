/**
 * The dumb half: watches this host's own desired state and systemd, and closes the difference. It decides nothing:
 * `diff()` does, from what this file keeps together; `UnitJobs` carries it out, `Publisher` tells the leader.
 */
import type { MonitorOptions } from '../health/monitor.ts';
import { isDown } from '../shared/active-state.ts';
import { type Clock, delay } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import type { ActiveState, DesiredUnit, Observed, RegistrableUnit, Version } from '../shared/model.ts';
import type { Store } from '../shared/store.ts';
import { Departures } from './departures.ts';
import { type Action, type Diff, diff, valuesKey } from './diff.ts';
import { HealthWatch } from './health-watch.ts';
import { Lease } from './lease.ts';
import type { MemoryFile, Remembered } from './memory-file.ts';
import { MemoryKeeper } from './memory-keeper.ts';
import { Orders } from './orders.ts';
import { Prestart } from './prestart.ts';
import { Publisher } from './publisher.ts';
import { servicesUp } from './start-conditions.ts';
import { StopFailures } from './stop-failures.ts';
import { Survey } from './survey.ts';
import type { Systemd, SystemdEvents } from './systemd.ts';
import { Teller } from './teller.ts';
import { TurnKeeper, type Turns } from './turns.ts';
import type { UnitEvents } from './unit-events.ts';
import { UnitJobs } from './unit-jobs.ts';
import { UnitTable } from './unit-table.ts';

export interface ExecutorMetrics {
  reconciled(seconds: number): void;
  drift(unit: string): void;
  units(byState: ReadonlyMap<ActiveState, number>): void;
}

export interface ExecutorOptions {
  readonly host: string;
  readonly store: Store;
  readonly connectSystemd: (events: SystemdEvents) => Systemd;
  readonly memory: MemoryFile;
  readonly prestartFolder: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ExecutorMetrics;
  readonly events: UnitEvents;
  readonly loopTickMs: number;
  readonly failedLoopTickMs: number;
  /** The session timeout that is asked for. */
  readonly sessionTimeoutMs: number;
  /** Called each time systemd can be talked to (again). */
  readonly onSystemdConnected: () => void;
  /** Where others reach this host, for checks that name it. */
  readonly address: () => string;
  /** How a check is made; default: really. */
  readonly probe?: MonitorOptions['probe'];
  /** Tells by `look` when the turn of a unit has come, or is lost. */
  readonly turns: Turns;
  /** A unit of this host is registered for others to find; when that changes, `look` is called. */
  readonly isRegistered: (unit: string) => boolean;
  /** Something of the unit may be registered; `look` is called when it is not any more. */
  readonly mayBeFound: (unit: string) => boolean;
  /** Called with each report, and the units that it is about, right before it is published; not while no order is known. */
  readonly onReport: (report: Observed, units: readonly RegistrableUnit[]) => void;
}

const NONE: ReadonlySet<string> = new Set();
/** Longest wait of a daemon that is being stopped for what systemd says of its units, where it does not know yet. */
const LEARN_STATES_MS = 2_000;
const LEARN_PAUSE_MS = 20;
/** Between two looks of a daemon that is being stopped at what is still registered. */
const PART_PAUSE_MS = 50;

export class Executor {
  private readonly table: UnitTable;
  private readonly jobs: UnitJobs;
  private readonly publisher: Publisher;
  private readonly systemd: Systemd;
  private readonly loop: Loop;
  private readonly surveyor: Survey;
  private readonly prestart: Prestart;
  private readonly orders: Orders;
  private readonly lease: Lease;
  private readonly stopFailures: StopFailures;
  private readonly teller: Teller;
  private readonly health: HealthWatch;

  private readonly turns: TurnKeeper;
  private readonly departures: Departures;
  /** What `after` with `same-host` needs. */
  private runningHere = NONE;

  private last: Diff | undefined;
  private ended = false;
  private leaving = false;
  /** This process has seen every unit of its orders once. */
  private hasLooked = false;
  private readonly keeper: MemoryKeeper;
  private savedApplied: Version | undefined;

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
      tickMs: () => this.nextTick(),
      pass: () => this.pass(),
    });
    this.orders = new Orders(host, log, {
      onChange: () => this.loop.trigger(),
      onAccepted: () => {
        // what is read between connecting and joining may have been written before the leader noticed the loss
        if (this.publisher.enabled) this.lease.confirmed();
      },
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
      runOnce: () => this.heldOnce(),
      onChange: () => this.loop.trigger(),
    });
    this.stopFailures = new StopFailures({
      log,
      resetIfStopped: (unit) => this.jobs.resetIfStopped(unit),
      onChange: () => this.loop.trigger(),
    });
    this.health = new HealthWatch({ ...options, onChange: () => this.loop.trigger() });
    this.turns = new TurnKeeper(options);
    const { mayBeFound, sessionTimeoutMs } = options;
    this.departures = new Departures({ clock, mayBeFound, limitMs: sessionTimeoutMs });
    this.surveyor = new Survey(this.systemd, this.table, log);
    this.prestart = new Prestart(this.systemd, options.prestartFolder, host);
    this.jobs = new UnitJobs({
      systemd: this.systemd,
      table: this.table,
      prestart: this.prestart,
      clock,
      log,
      events: options.events,
      stillDesired: (unit, scriptHasRun) => this.stillDesired(unit, scriptHasRun),
      inTurn: (unit) => this.turns.mayAsk(unit),
      onChange: () => this.loop.trigger(),
      onDrift: (unit) => options.metrics.drift(unit),
      saved: () => {
        // a start must not be older on disk than the order that asked for it
        this.saveApplied();
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
  }

  /** Recalls what was ours before, then begins to watch. */
  async start(): Promise<void> {
    const remembered = await this.options.memory.load();
    this.savedApplied = remembered.applied;
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
  async stopUnits(which: 'all' | 'once-only', signal: AbortSignal): Promise<readonly string[]> {
    this.ended = true;
    this.leaving = which === 'all';
    this.turns.end();
    this.loop.trigger();
    await this.learnStates(signal);
    const once = this.heldOnce();
    const ours = [...this.table.ours().keys()].filter((unit) => which === 'all' || once.has(unit));
    // a start that was asked for a moment ago may not show in the state yet
    const running = ours.filter((unit) => this.mayBeUp(unit) || this.jobs.isBusy(unit));
    // the report that this host leaves tells the rest
    if (which === 'once-only') this.teller.register(new Set(running));
    const begun = this.options.clock.now();
    await this.jobs.stopAll(running, signal, (unit) => this.untilParted(unit, begun, signal));
    const left = ours.filter((unit) => once.has(unit) && this.mayBeUp(unit));
    // what could not be stopped stays ours: the next process stops it, or knows what it was started with
    for (const unit of ours) if (!this.mayBeUp(unit)) this.table.forgotten(unit);
    if (left.length === 0) this.lease.release();
    return left;
  }

  /** Until those that found the unit had time to leave, or it must be stopped now. */
  private async untilParted(unit: string, begun: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.options;
    while (this.mayBeUp(unit) && !signal.aborted && !this.atStake().has(unit)) {
      const left = this.departures.leftWhenLeaving(unit, begun);
      if (left === 0) return;
      await delay(clock, Math.min(left, PART_PAUSE_MS), signal).catch(() => undefined);
    }
  }

  /** Units that must not run here while they may run elsewhere: no stop of theirs waits. */
  private atStake(): ReadonlySet<string> {
    return this.lease.isolated ? this.heldOnce() : NONE;
  }

  /** A daemon that is stopped right after its start may not know yet what runs. */
  private async learnStates(signal: AbortSignal): Promise<void> {
    const { clock } = this.options;
    const isKnown = (unit: string) => this.table.states.has(unit);
    const end = clock.now() + LEARN_STATES_MS;
    while (![...this.table.ours().keys()].every(isKnown) && !signal.aborted && clock.now() < end) {
      if (this.systemd.connected) await this.survey(clock.now());
      else await delay(clock, LEARN_PAUSE_MS, signal).catch(() => undefined);
    }
  }

  /** Units that may run once only and may be running here: placed here, or not any more but not down yet. */
  private heldOnce(): ReadonlySet<string> {
    const { runOnce, onceBefore } = this.orders;
    const lingering = [...onceBefore].filter((unit) => this.table.isOurs(unit) && this.mayBeUp(unit));
    return new Set([...runOnce, ...lingering]);
  }

  private mayBeUp(unit: string): boolean {
    const active = this.table.states.get(unit)?.active;
    // one that systemd has not told of yet may be up
    return this.jobs.stopping.has(unit) || active === undefined || !isDown(active);
  }

  /** Ends all activity; units are left as they are. */
  async close(): Promise<void> {
    this.ended = true;
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
    if (this.ended) return;
    const { events } = this.options;
    const why = 'systemd stopped it in time, as this daemon did not (isolation: stop)';
    if (this.stopFailures.wasStopped(unit) && this.lease.mayBeGuards(unit))
      events.record({ kind: 'stopped', unit, reason: 'guard', why });
    else if (!stopped) events.record({ kind: 'ended', unit, reason: 'exited', why: 'in good order' });
  }

  private relist(): void {
    this.surveyor.renew();
    this.loop.trigger();
  }

  private async pass(): Promise<void> {
    if (this.ended) {
      if (!this.leaving || !this.last) return;
      this.saveApplied();
      this.tell(this.last);
      return;
    }
    const begun = this.options.clock.now();
    await this.survey(begun);
    if (this.ended) return;
    this.jobs.giveUpUnwanted();
    this.lease.renew();
    // a guard may have stopped them while no daemon, or a frozen one, was there
    const unseen = this.lease.isolated || !this.hasLooked ? this.orders.runOnce : NONE;
    this.hasLooked = this.surveyor.complete;
    this.stopFailures.look(this.table.states.values(), unseen, this.jobs.busy);
    this.health.follow(this.orders.desired?.units ?? [], this.table);
    this.departures.follow(this.orders.desired?.units, (unit) => this.table.isOurs(unit));
    const decision = this.decide();
    this.departures.asked(decision.parting);
    // without systemd nothing can be done, and what is known of it may be outdated
    if (this.systemd.connected) for (const action of decision.actions) this.dispatch(action);
    // a start saves what was accepted together with the unit, before systemd is asked: one write, not two in a row
    const starts = this.systemd.connected && decision.actions.some(isStartAtOnce);
    if (!starts) this.saveApplied();
    this.tell(decision);
    this.orderStarts(decision);
    if (decision.actions.length > 0) this.options.metrics.reconciled((this.options.clock.now() - begun) / 1000);
  }

  /** What follows from the newest report for what is to be started in order. */
  private orderStarts(decision: Diff): void {
    const units = this.orders.desired?.units ?? [];
    const report = this.teller.latest;
    // where nothing can be started nobody is kept waiting
    const wanted = this.systemd.connected ? decision.turnsWanted : NONE;
    this.turns.update({ wanted, actions: decision.actions }, units, report, this.jobs.busy);
    const runningHere = servicesUp(units, report?.units ?? []);
    if ([...runningHere].join() !== [...this.runningHere].join()) this.loop.trigger();
    this.runningHere = runningHere;
  }

  /** What is told to be obeyed must be so after a restart, too. */
  private saveApplied(): void {
    if (this.orders.applied !== this.savedApplied) this.keeper.save();
  }

  private remembered(): Remembered {
    const { applied } = this.orders;
    this.savedApplied = applied;
    const farewells = this.departures.remembered;
    return { applied, runOnce: this.heldOnce(), units: this.table.ours(), farewells };
  }

  private decide(): Diff {
    const decision = diff({
      now: this.options.clock.now(),
      desired: this.orders.desired,
      declared: this.orders.declaredByDesired,
      states: this.table.states,
      memory: this.table.memory,
      busy: this.jobs.busy,
      isolated: this.lease.isolated,
      cleared: this.lease.cleared,
      runOnce: this.orders.runOnce,
      restart: this.health.due,
      stopNotBefore: this.departures.notBefore(this.atStake()),
      starts: {
        turns: this.turns.states(this.orders.desired?.units ?? []),
        runningHere: this.runningHere,
        stale: !this.orders.fresh,
      },
    });
    this.last = decision;
    return decision;
  }

  private dispatch(action: Action): void {
    if (action.kind === 'stop' && action.reason === 'unhealthy') this.health.restarting(action.unit);
    this.jobs.dispatch(action);
  }

  private tell({ waiting, parting }: Diff): void {
    const doubt = this.doubt() ?? this.stale(waiting);
    this.teller.tell({ waiting, parting, leaving: this.leaving, doubt, complete: this.surveyor.complete });
  }

  /** Why the leader must write the order anew before units that come after others are started by it. */
  private stale(waiting: Diff['waiting']): string | undefined {
    const isMeant = ({ unit, after }: DesiredUnit) =>
      waiting.has(unit) && after?.some(({ where }) => where === 'anywhere');
    if (this.orders.fresh || !this.orders.desired?.units.some(isMeant)) return undefined;
    return 'it may have been written long ago, and units wait for services of other hosts (after)';
  }

  /** Why the leader must write the order anew before units that may run once only are started by it. */
  private doubt(): string | undefined {
    if (this.orders.runOnce.size === 0 || !this.lease.unconfirmed) return undefined;
    return 'its session was lost since it was written, and others may have been given units with `isolation: stop`';
  }

  private survey(now: number): Promise<void> {
    const desired = this.orders.desired?.units.map((unit) => unit.unit) ?? [];
    const tracked = new Set([...desired, ...this.orders.declared, ...this.table.ours().keys()]);
    const at = { now, everyMs: this.tickMs(), busy: this.jobs.busy, final: this.orders.read };
    return this.surveyor.look(tracked, at);
  }

  private tickMs(): number {
    const anyFailed = this.teller.latest?.units.some((unit) => unit.failure) ?? false;
    return anyFailed ? Math.min(this.options.failedLoopTickMs, this.options.loopTickMs) : this.options.loopTickMs;
  }

  private nextTick(): number {
    const wakes = [this.last?.wakeAt, this.health.wakeAt, this.turns.wakeAt].filter((at) => at !== undefined);
    const wakeAt = wakes.length === 0 ? undefined : Math.min(...wakes);
    const tick = this.tickMs();
    // once it has ended no pass decides anything any more: a wait that is over would be over for ever
    return wakeAt === undefined || this.ended ? tick : Math.max(0, Math.min(tick, wakeAt - this.options.clock.now()));
  }

  private stillDesired(unit: DesiredUnit, scriptHasRun: boolean): boolean {
    // what systemd was asked for already is given up only when it must be: not because the lease is about to be extended
    const mayRun = scriptHasRun ? !this.lease.isolated : this.lease.cleared.has(unit.unit);
    if (this.ended || (unit.isolation === 'stop' && !mayRun)) return false;
    const now = this.orders.desired?.units.find((candidate) => candidate.unit === unit.unit);
    if (now === undefined || now.withdrawn || valuesKey(now) !== valuesKey(unit)) return false;
    // a script that hangs and was mended must not keep the mended one from running
    return scriptHasRun || now.prestart?.script === unit.prestart?.script;
  }
}

/** A start that waits for nothing but the memory on disk. */
function isStartAtOnce(action: Action): boolean {
  return action.kind === 'start' && !action.desired.prestart;
}
