/**
 * The dumb half: watches this host's own desired state and systemd, and closes the difference. It decides nothing:
 * `diff()` does, from what this file keeps together; `UnitJobs` carries it out, `Publisher` tells the leader.
 */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import type { ActiveState, Desired, DesiredUnit, Observed, Version } from '../shared/model.ts';
import { unitsOf } from '../shared/names.ts';
import { decodeDesired, decodeSpecRecord } from '../shared/payloads.ts';
import type { Store, Watch, Znode } from '../shared/store.ts';
import { desiredPath, SPEC } from '../shared/znodes.ts';
import { accept } from './accept.ts';
import { type Diff, diff, valuesKey } from './diff.ts';
import type { MemoryFile } from './memory-file.ts';
import { Prestart } from './prestart.ts';
import { Publisher } from './publisher.ts';
import { report } from './report.ts';
import type { Systemd, SystemdEvents } from './systemd.ts';
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
  readonly loopTickMs: number;
  readonly failedLoopTickMs: number;
  /** Called each time systemd can be talked to (again). */
  readonly onSystemdConnected: () => void;
}

export class Executor {
  private readonly table: UnitTable;
  private readonly jobs: UnitJobs;
  private readonly publisher: Publisher;
  private readonly systemd: Systemd;
  private readonly loop: Loop;
  private readonly prestart: Prestart;
  private readonly watches: Watch[] = [];

  private desired: Desired | undefined;
  private applied: Version = { epoch: 0, generation: 0 };
  private refused: string | undefined;
  private declared: { readonly digest: string; readonly units: ReadonlySet<string> } | undefined;
  private last: Diff | undefined;
  private latestReport: Observed | undefined;
  private listDue = true;
  private listedAt = 0;
  private ended = false;
  /** What this host shall run, and what it may touch, has not been read yet. */
  private readonly unread = new Set(['desired', 'spec']);
  /** systemd has told the state of every unit of interest once: there is something to report. */
  private surveyed = false;
  private saving: Promise<void> = Promise.resolve();
  private saveDue = false;
  private savedApplied: Version = this.applied;

  constructor(private readonly options: ExecutorOptions) {
    const { clock, log, host, store } = options;
    this.table = new UnitTable(clock, () => this.save());
    this.publisher = new Publisher(store, host, clock, log);
    this.loop = new Loop({
      name: 'executor',
      clock,
      log,
      gatherMs: 0,
      tickMs: () => this.nextTick(),
      pass: () => this.pass(),
    });
    this.systemd = options.connectSystemd({
      onConnected: () => {
        this.relist();
        options.onSystemdConnected();
      },
      onDisconnected: (why) => log.warn(`the connection to systemd is gone: ${why}; units run on, it is made again`),
      onUnit: (unit, active, sub) => this.onUnit(unit, active, sub),
      onReloaded: () => this.relist(),
    });
    this.prestart = new Prestart(this.systemd, options.prestartFolder, host);
    this.jobs = new UnitJobs({
      systemd: this.systemd,
      table: this.table,
      prestart: this.prestart,
      clock,
      log,
      stillDesired: (unit) => this.stillDesired(unit),
      onChange: () => this.loop.trigger(),
      onDrift: (unit) => options.metrics.drift(unit),
      saved: () => this.saving,
    });
  }

  /** Recalls what was ours before, then begins to watch. */
  async start(): Promise<void> {
    const remembered = await this.options.memory.load();
    this.applied = remembered.applied;
    this.savedApplied = remembered.applied;
    this.table.recall(remembered.units);
    await this.prestart.clean();
    const { store, host } = this.options;
    this.watches.push(store.watch(desiredPath(host), (node) => this.onDesired(node)));
    this.watches.push(store.watch(SPEC, (node) => this.onSpec(node)));
    this.loop.trigger();
  }

  /** The host's name is ours in the present session: reports may be written. */
  joined(): void {
    this.publisher.enable();
  }

  /** The session is gone: nothing is reported until the host has joined anew. */
  left(): void {
    this.publisher.disable();
  }

  get systemdConnected(): boolean {
    return this.systemd.connected;
  }

  /** The latest report, as others see it in `observed/<host>`. */
  get observed(): Observed | undefined {
    return this.latestReport;
  }

  /** Clears every failure of the spec's units on this host, as a reload does: they take part again. */
  async clearFailures(): Promise<void> {
    this.table.clearFailures();
    const failed = [...this.table.states.values()].filter((state) => state.active === 'failed');
    const mine = failed.filter((state) => this.table.isOurs(state.unit) || this.declared?.units.has(state.unit));
    await Promise.allSettled(mine.map((state) => this.systemd.resetFailed(state.unit)));
    this.relist();
  }

  /** Stops every unit of ours that runs; resolves when they are down or the signal is aborted. */
  async stopUnits(signal: AbortSignal): Promise<void> {
    this.ended = true;
    const ours = [...this.table.states.values()].filter((state) => this.table.isOurs(state.unit));
    const idle = (active: ActiveState) => active === 'inactive' || active === 'failed';
    // a start that was asked for a moment ago may not show in the state yet
    const running = ours.filter((state) => !idle(state.active) || this.jobs.isBusy(state.unit));
    await this.jobs.stopAll(
      running.map((state) => state.unit),
      signal,
    );
    for (const state of ours) this.table.forgotten(state.unit);
  }

  /** Ends all activity; units are left as they are. */
  async close(): Promise<void> {
    this.ended = true;
    for (const watch of this.watches) watch.close();
    await this.loop.stop();
    await this.jobs.close();
    await this.publisher.close();
    await this.saving;
    await this.systemd.close();
  }

  private onDesired(node: Znode | undefined): void {
    const { log, host } = this.options;
    if (this.unread.delete('desired')) this.loop.trigger();
    if (!node) {
      // a znode that is gone says nothing about what shall run: the last order stands until the leader writes another
      if (this.desired) this.refuse(`${desiredPath(host)} was removed`);
      return;
    }
    const decoded = decodeDesired(node.data, node.path);
    if (!decoded.ok) {
      this.refuse(decoded.problem);
      return;
    }
    const acceptance = accept(decoded.value, host, this.applied, this.desired);
    if (acceptance.kind === 'refuse') {
      this.refuse(acceptance.why);
      return;
    }
    const cured = this.refused !== undefined;
    this.refused = undefined;
    if (acceptance.kind === 'unchanged') {
      if (cured) this.loop.trigger();
      return;
    }
    this.desired = decoded.value;
    this.applied = { epoch: decoded.value.epoch, generation: decoded.value.generation };
    log.debug(`desired state (epoch ${this.applied.epoch}, generation ${this.applied.generation}) accepted`);
    this.loop.trigger();
  }

  private refuse(why: string): void {
    this.options.log.error(`${why}; nothing is changed because of it`, { host: this.options.host });
    this.refused = why;
    this.loop.trigger();
  }

  private onSpec(node: Znode | undefined): void {
    if (this.unread.delete('spec')) this.loop.trigger();
    if (!node) return;
    const decoded = decodeSpecRecord(node.data, node.path);
    if (!decoded.ok) {
      this.options.log.error(`${decoded.problem}; the last readable spec stays in force here`);
      return;
    }
    this.declared = { digest: decoded.value.digest, units: new Set(decoded.value.spec.services.flatMap(unitsOf)) };
    this.loop.trigger();
  }

  private onUnit(unit: string, active: ActiveState, sub: string): void {
    if (this.table.signalled(unit, active, sub, this.jobs.isBusy(unit))) this.loop.trigger();
  }

  private relist(): void {
    this.listDue = true;
    this.loop.trigger();
  }

  private async pass(): Promise<void> {
    if (this.ended) return;
    const begun = this.options.clock.now();
    await this.list(begun);
    if (this.ended) return;
    this.jobs.giveUpUnwanted();
    const decision = this.decide();
    // without systemd nothing can be done, and what is known of it may be outdated
    if (this.systemd.connected) for (const action of decision.actions) this.jobs.dispatch(action);
    // a start saves what was accepted together with the unit, before systemd is asked: one write, not two in a row
    const starts = decision.actions.some((action) => action.kind === 'start');
    if (this.applied !== this.savedApplied && !starts) this.save();
    this.tell(decision);
    if (decision.actions.length > 0) this.options.metrics.reconciled((this.options.clock.now() - begun) / 1000);
  }

  private decide(): Diff {
    const declared = this.desired?.spec === this.declared?.digest ? this.declared?.units : undefined;
    const decision = diff({
      now: this.options.clock.now(),
      desired: this.desired,
      declared: declared ?? new Set(),
      states: this.table.states,
      memory: this.table.memory,
      busy: this.jobs.busy,
    });
    this.last = decision;
    return decision;
  }

  private tell(decision: Diff): void {
    const desired = new Set(this.desired?.units.map((unit) => unit.unit));
    const byState = new Map<ActiveState, number>();
    for (const unit of desired) {
      const active = this.table.states.get(unit)?.active ?? 'inactive';
      byState.set(active, (byState.get(active) ?? 0) + 1);
    }
    this.options.metrics.units(byState);
    if (!this.surveyed) return;
    this.latestReport = report({
      host: this.options.host,
      applied: this.applied,
      refused: this.refused,
      desired,
      declared: this.declared?.units ?? new Set(),
      states: this.table.states,
      memory: this.table.memory,
      waiting: decision.waiting,
      stopping: this.jobs.stopping,
    });
    this.publisher.publish(this.latestReport);
  }

  /** Asks systemd for all units of interest on a tick or when told to, else only for those not known yet. */
  private async list(now: number): Promise<void> {
    if (!this.systemd.connected) return;
    const tracked = new Set([...(this.desired?.units.map((unit) => unit.unit) ?? []), ...(this.declared?.units ?? [])]);
    for (const unit of this.table.ours().keys()) tracked.add(unit);
    this.table.keepOnly(tracked);
    const full = this.listDue || now - this.listedAt >= this.tickMs();
    const units = full ? [...tracked] : [...tracked].filter((unit) => !this.table.states.has(unit));
    if (full) {
      this.listDue = false;
      this.listedAt = now;
    }
    const mark = this.table.signalMark();
    try {
      if (units.length > 0) this.table.listed(await this.systemd.list(units), mark, this.jobs.busy);
      this.surveyed ||= this.unread.size === 0;
    } catch (error) {
      this.listDue = true;
      this.options.log.warn(
        `systemd did not list the units: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  private tickMs(): number {
    const anyFailed = this.latestReport?.units.some((unit) => unit.failure) ?? false;
    return anyFailed ? Math.min(this.options.failedLoopTickMs, this.options.loopTickMs) : this.options.loopTickMs;
  }

  private nextTick(): number {
    const wakeAt = this.last?.wakeAt;
    const tick = this.tickMs();
    return wakeAt === undefined ? tick : Math.max(0, Math.min(tick, wakeAt - this.options.clock.now()));
  }

  private stillDesired(unit: DesiredUnit): boolean {
    if (this.ended) return false;
    const now = this.desired?.units.find((candidate) => candidate.unit === unit.unit);
    return now !== undefined && valuesKey(now) === valuesKey(unit);
  }

  private save(): void {
    if (this.saveDue) return;
    this.saveDue = true;
    this.saving = this.saving.then(async () => {
      this.saveDue = false;
      this.savedApplied = this.applied;
      try {
        await this.options.memory.save({ applied: this.applied, units: this.table.ours() });
      } catch (error) {
        this.options.log.error(
          `the state file could not be written: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    });
  }
}
