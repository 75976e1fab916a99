/**
 * A systemd in memory: units with scripted behaviour, operators at the keyboard, and a bus that can break. It lives on an
 * injected clock and is deterministic: the same calls at the same times give the same history. The contract tests hold
 * it to what the real one does.
 */
import type { Systemd, SystemdEvents, TransientCommand, UnitState } from '../../src/executor/systemd.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { compare } from '../../src/shared/names.ts';
import type { ActiveState, LoadState } from '../../src/shared/state.ts';
import { FakeProcess } from './process.ts';
import { FakeConnection } from './systemd-connection.ts';
import { FakeGuards } from './systemd-guard.ts';
import { FakeRefusal } from './systemd-refusal.ts';
import { type CommandScript, STEADY, type UnitScript } from './systemd-script.ts';
import { FakeJob, FakeUnit } from './systemd-unit.ts';

export interface FakeSystemdOptions {
  /** How long each message takes, ms; default 1. */
  readonly latencyMs?: () => number;
  /** Called at each change of a unit's state, at once. */
  readonly onState?: (unit: string, active: ActiveState) => void;
}

export class FakeSystemd {
  readonly #clock: Clock;
  /** Unit files by name; templates under `name@.service`. */
  readonly #files = new Map<string, { readonly load: LoadState; readonly script: UnitScript }>();
  readonly #units = new Map<string, FakeUnit>();
  readonly #transient = new Set<string>();
  readonly #connections = new Set<FakeConnection>();
  readonly #aliases = new Map<string, string>();
  readonly #guards: FakeGuards;
  #busUp = true;
  /** What a transient command does; by default it succeeds after 5 ms. */
  onCommand: (command: TransientCommand) => CommandScript = () => ({ afterMs: 5, exitStatus: 0 });

  /** From a process to systemd, and back, ms; asked for each message. */
  readonly latencyMs: () => number;

  readonly #onState: (unit: string, active: ActiveState) => void;

  constructor(clock: Clock, options: FakeSystemdOptions = {}) {
    this.#clock = clock;
    this.latencyMs = options.latencyMs ?? (() => 1);
    this.#onState = options.onState ?? (() => {});
    this.#guards = new FakeGuards(clock, {
      stop: (unit) => void this.unit(unit)?.stop(),
      kill: (unit, signal) => this.kill(unit, signal),
    });
  }

  /** The guards that run, whoever started them. */
  get guards(): FakeGuards {
    return this.#guards;
  }

  /** Writes a unit file (a template: `name@.service`) and makes systemd read it. Left out parts are those of STEADY. */
  define(unit: string, script: Partial<UnitScript> = {}, load: LoadState = 'loaded'): void {
    const file = { load, script: { ...STEADY, ...script } };
    this.#files.set(unit, file);
    for (const [name, loaded] of this.#units) if (this.#fileOf(name) === file) loaded.script = file.script;
  }

  /** Removes a unit file. What runs goes on running. */
  undefine(unit: string): void {
    this.#files.delete(unit);
  }

  /** Makes `alias` another name of `unit`. */
  alias(alias: string, unit: string): void {
    this.#aliases.set(alias, unit);
  }

  /** `systemctl VERB UNIT` by hand; returns without waiting for the job, as `--no-block` does. */
  systemctl(verb: 'start' | 'stop' | 'reset-failed', unit: string): void {
    switch (verb) {
      case 'start':
        this.startJob(unit);
        return;
      case 'stop':
        this.stopJob(unit);
        return;
      case 'reset-failed':
        this.resetFailed(unit);
        return;
    }
  }

  /** `systemctl kill --signal=NUMBER UNIT`, or a main process that dies of it for a reason of its own. */
  kill(unit: string, signal: number): void {
    this.#units.get(this.#realName(unit))?.kill(signal);
  }

  /** `systemctl daemon-reload` by hand: systemd forgets how often units were started. */
  daemonReload(): void {
    for (const unit of this.#units.values()) unit.forgetStarts();
    for (const connection of this.#connections) connection.tellReloaded();
  }

  /** The bus goes away; units and jobs go on. */
  disconnect(why = 'the bus closed the connection'): void {
    this.#busUp = false;
    for (const connection of this.#connections) connection.down(why);
  }

  /** The bus is back. */
  reconnect(): void {
    this.#busUp = true;
    for (const connection of this.#connections) connection.up();
  }

  /** The host loses power: units and connections are gone without a word. What `define` wrote is there at the next boot. */
  powerOff(): void {
    this.#guards.vanish();
    for (const unit of this.#units.values()) unit.vanish();
    for (const connection of this.#connections) connection.vanish();
    const running = this.running();
    this.#units.clear();
    this.#transient.clear();
    this.#connections.clear();
    for (const unit of running) this.#onState(unit, 'inactive');
  }

  /** A daemon's connection; each daemon process has one of its own and closes it when it ends. */
  connect(events: SystemdEvents, process = new FakeProcess(this.#clock)): Systemd {
    const connection = new FakeConnection(this, this.#clock, process, events);
    this.#connections.add(connection);
    if (this.#busUp) connection.up();
    return connection;
  }

  /** The connection's other end is gone. */
  forget(connection: FakeConnection): void {
    this.#connections.delete(connection);
  }

  /** The process has died: nobody is left to be told anything. */
  hangUp(process: FakeProcess): void {
    for (const connection of this.#connections) if (connection.isOf(process)) this.#connections.delete(connection);
  }

  /** What systemd says of a unit now, without any latency. */
  state(unit: string): UnitState {
    const real = this.#realName(unit);
    const loaded = this.#units.get(real);
    const load = this.#transient.has(real) ? 'loaded' : (this.#fileOf(real)?.load ?? 'not-found');
    return { unit, load, active: loaded?.active ?? 'inactive', sub: loaded?.sub ?? 'dead' };
  }

  /** Names of the units that have processes or a job, sorted. */
  running(): string[] {
    return [...this.#units].flatMap(([name, unit]) => (unit.busy ? [name] : [])).sort(compare);
  }

  /** The loaded unit; undefined as long as nobody started it. */
  unit(name: string): FakeUnit | undefined {
    return this.#units.get(this.#realName(name));
  }

  /** Queues a start job, or throws a FakeRefusal. */
  startJob(name: string): FakeJob {
    const real = this.#realName(name);
    const { load } = this.state(real);
    switch (load) {
      case 'not-found':
        throw new FakeRefusal('org.freedesktop.systemd1.NoSuchUnit', `Unit ${real} not found.`);
      case 'masked':
        throw new FakeRefusal('org.freedesktop.systemd1.UnitMasked', `Unit ${real} is masked.`);
      case 'bad-setting':
        throw new FakeRefusal('org.freedesktop.systemd1.BadUnitSetting', `Unit ${real} has a bad unit file setting.`);
      case 'error':
      case 'stub':
        throw new FakeRefusal('org.freedesktop.systemd1.LoadFailed', `Unit ${real} failed to load properly.`);
      case 'loaded':
        return this.#load(real, this.#fileOf(real)?.script ?? STEADY).start();
    }
  }

  /** Queues a stop job, or throws a FakeRefusal. */
  stopJob(name: string): FakeJob {
    const real = this.#realName(name);
    const { load, active } = this.state(real);
    if (active === 'inactive' && load !== 'loaded' && load !== 'masked') {
      throw new FakeRefusal('org.freedesktop.systemd1.NoSuchUnit', `Unit ${real} not loaded.`);
    }
    return this.#load(real, this.#fileOf(real)?.script ?? STEADY).stop();
  }

  /** Queues a restart job, as no unit here can be reloaded, for one that runs; or throws a FakeRefusal. */
  reloadJob(name: string): FakeJob {
    const real = this.#realName(name);
    if (this.state(real).load === 'not-found') {
      throw new FakeRefusal('org.freedesktop.systemd1.NoSuchUnit', `Unit ${real} not found.`);
    }
    if (this.state(real).active !== 'active') {
      const nothing = new FakeJob('start');
      nothing.end({ kind: 'done' });
      return nothing;
    }
    this.stopJob(real);
    return this.startJob(real);
  }

  /** TimeoutStopSec of the unit's file. */
  stopTimeoutMs(name: string): number {
    return (this.#fileOf(this.#realName(name))?.script ?? STEADY).stopTimeoutMs;
  }

  resetFailed(name: string): void {
    this.unit(name)?.resetFailed();
  }

  /** Starts a transient unit in the place of any earlier one of its name, which must not run any more. */
  runTransient(command: TransientCommand): FakeJob {
    const { afterMs, exitStatus } = this.onCommand(command);
    const startTimeoutMs = command.timeoutMs;
    this.#units.delete(command.unit);
    this.#transient.add(command.unit);
    return this.#load(
      command.unit,
      { ...STEADY, start: 'fails', startMs: afterMs, exitStatus, startTimeoutMs },
      'oneshot',
    ).start();
  }

  #load(name: string, script: UnitScript, type: 'notify' | 'oneshot' = 'notify'): FakeUnit {
    const known = this.#units.get(name);
    if (known) return known;
    const unit: FakeUnit = new FakeUnit(this.#clock, script, type, () => {
      this.#onState(name, unit.active);
      for (const connection of this.#connections) connection.tellUnit(this.#namesOf(name), unit.active, unit.sub);
      // A transient unit that neither runs nor failed is forgotten.
      if (unit.active === 'inactive' && this.#transient.delete(name)) this.#units.delete(name);
    });
    this.#units.set(name, unit);
    return unit;
  }

  #realName(unit: string): string {
    return this.#aliases.get(unit) ?? unit;
  }

  #namesOf(unit: string): string[] {
    return [unit, ...[...this.#aliases].flatMap(([alias, real]) => (real === unit ? [alias] : []))];
  }

  #fileOf(unit: string): { readonly load: LoadState; readonly script: UnitScript } | undefined {
    const at = unit.indexOf('@');
    return this.#files.get(unit) ?? (at < 0 ? undefined : this.#files.get(`${unit.slice(0, at)}@.service`));
  }
}
