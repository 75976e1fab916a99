/** `Systemd` over D-Bus. */
import { isDown } from '../../shared/active-state.ts';
import { type Clock, delay } from '../../shared/clock.ts';
import { messageOf, stackOf } from '../../shared/error-text.ts';
import type { Logger } from '../../shared/log.ts';
import { isUnitName } from '../../shared/names.ts';
import {
  type ExitInfo,
  GUARD_PREFIX,
  type Guard,
  type JobOutcome,
  type Systemd,
  type SystemdEvents,
  type TransientCommand,
  type UnitState,
} from '../systemd.ts';
import { type BusSignal, variantValue } from './bus.ts';
import { parseBusAddress, systemBusAddress } from './bus-address.ts';
import { BusCallError, BusClosedError } from './bus-error.ts';
import { decodeJobRemoved, decodeListed, decodePath, exitCode, milliseconds, number, text } from './decode.ts';
import { type Told, UnitEnds } from './ends.ts';
import { guardUnit } from './guard.ts';
import { Jobs } from './jobs.ts';
import { Link } from './link.ts';
import { MANAGER, MANAGER_PATH, PROPERTIES, SYSTEMD } from './session.ts';
import { TRANSIENT_SIGNATURE, transientDeadlineMs, transientUnit } from './transient.ts';
import { UnitChanges } from './unit-changes.ts';
import { unitPath } from './unit-path.ts';

/** Units asked for in one call: keeps an answer near 50 KB, so that no call stalls systemd or us for long. */
const LIST_CHUNK = 200;
/** How long systemd may take to start a guard. */
const GUARD_START_MS = 2_000;
/** How long it may take to end one: SIGTERM ends its shell at once. */
const GUARD_END_MS = 2_000;
const GUARD_LOOK_MS = 5;
const NOT_LOADED = `${SYSTEMD}.NoSuchUnit`;
/** How long what is left of an earlier transient unit may take to stop: its own 5 s, and then some. */
const CLEAR_DEADLINE_MS = 15_000;

export interface ConnectOptions {
  /** D-Bus address(es); default: the system bus, as DBUS_SYSTEM_BUS_ADDRESS or the well-known socket. */
  readonly address?: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** What a handler throws is logged. No handler is called after `close()`. */
  readonly events: SystemdEvents;
}

/**
 * Starts connecting to systemd, and connects again whenever the connection ends, for as long as `close()` is not called;
 * the bus need not be there yet. `events.onConnected` follows each time, after systemd's signals were subscribed.
 * A job that was awaited when the connection ended resolves to `disconnected`; every call made while there is none
 * rejects. Names that are not unit names of type service throw: the caller must have checked them.
 */
export function connectSystemd(options: ConnectOptions): Systemd {
  return new SystemdOverDBus(options);
}

class SystemdOverDBus implements Systemd {
  readonly #options: ConnectOptions;
  readonly #jobs: Jobs;
  readonly #link: Link;
  readonly #changes = new UnitChanges();
  readonly #ends = new UnitEnds((unit) => this.#stateOf(unit));
  readonly #ending = new AbortController();

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.#jobs = new Jobs(options.clock);
    this.#link = new Link({
      addresses: parseBusAddress(options.address ?? systemBusAddress(process.env)),
      clock: options.clock,
      log: options.log,
      onSignal: (signal) => this.#onSignal(signal),
      onUp: () => this.#tell('onConnected', () => options.events.onConnected()),
      onDown: (why) => {
        this.#changes.forget();
        this.#ends.forget();
        this.#jobs.disconnected();
        this.#tell('onDisconnected', () => options.events.onDisconnected(why));
      },
    });
  }

  get connected(): boolean {
    return this.#link.bus !== undefined;
  }

  async list(units: readonly string[]): Promise<UnitState[]> {
    const chunks: (readonly string[])[] = [];
    for (let at = 0; at < units.length; at += LIST_CHUNK) chunks.push(units.slice(at, at + LIST_CHUNK));
    return (await Promise.all(chunks.map((chunk) => this.#listChunk(chunk)))).flat();
  }

  async start(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome> {
    return await this.#unitJob('StartUnit', unit, deadlineMs, signal);
  }

  async stop(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome> {
    return await this.#unitJob('StopUnit', unit, deadlineMs, signal);
  }

  async reload(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome> {
    return await this.#unitJob('ReloadOrTryRestartUnit', unit, deadlineMs, signal);
  }

  async resetFailed(unit: string): Promise<void> {
    try {
      await this.#manager('ResetFailedUnit', 's', [checked(unit)]);
    } catch (error) {
      if (!isNotLoaded(error)) throw error;
    }
  }

  async exitInfo(unit: string): Promise<ExitInfo> {
    const path = unitPath(checked(unit));
    const [result, code, status] = await Promise.all(
      ['Result', 'ExecMainCode', 'ExecMainStatus'].map((property) =>
        this.#call(path, PROPERTIES, 'Get', 'ss', [`${SYSTEMD}.Service`, property]).then((body) =>
          variantValue(body[0]),
        ),
      ),
    );
    return { result: text(result, 'Result'), code: exitCode(code), status: number(status, 'ExecMainStatus') };
  }

  async stopTimeoutMs(unit: string): Promise<number> {
    const path = unitPath(checked(unit));
    const body = await this.#call(path, PROPERTIES, 'Get', 'ss', [`${SYSTEMD}.Service`, 'TimeoutStopUSec']);
    return milliseconds(variantValue(body[0]), 'TimeoutStopUSec');
  }

  async run(command: TransientCommand, signal: AbortSignal): Promise<JobOutcome> {
    checked(command.unit);
    signal.throwIfAborted();
    try {
      const outcome = await this.#runOnce(command, signal);
      if (outcome.kind !== 'refused' || outcome.error !== `${SYSTEMD}.UnitExists`) return outcome;
      await this.#clear(command.unit, signal);
      return await this.#runOnce(command, signal);
    } catch (error) {
      if (signal.aborted && this.connected) await this.#clearAborted(command.unit);
      throw error;
    }
  }

  async startGuard(guard: Guard): Promise<void> {
    for (const unit of [guard.unit, ...guard.units]) checked(unit);
    await this.#manager('StartTransientUnit', TRANSIENT_SIGNATURE, guardUnit(guard));
    const { clock } = this.#options;
    const end = clock.now() + GUARD_START_MS;
    for (;;) {
      // the answer came when the job was queued; the service runs as soon as it is `activating`
      const [state] = await this.list([guard.unit]);
      if (state?.active === 'activating') return;
      if (clock.now() >= end) throw new Error(`systemd has not started ${guard.unit} within ${GUARD_START_MS} ms`);
      await delay(clock, GUARD_LOOK_MS, this.#ending.signal);
    }
  }

  async endGuard(unit: string): Promise<void> {
    const outcome = await this.stop(unit, GUARD_END_MS, this.#ending.signal);
    if (outcome.kind === 'done' || (outcome.kind === 'refused' && outcome.error === NOT_LOADED)) return;
    throw new Error(`${unit} could not be ended: ${outcome.kind === 'refused' ? outcome.message : outcome.kind}`);
  }

  async guards(): Promise<string[]> {
    const pattern = `${GUARD_PREFIX}*.service`;
    const listed = decodeListed(await this.#manager('ListUnitsByPatterns', 'asas', [['activating'], [pattern]]));
    return listed.map(({ unit }) => unit);
  }

  async close(): Promise<void> {
    this.#ending.abort(new BusClosedError('closed'));
    this.#jobs.disconnected();
    await this.#link.close();
  }

  async #listChunk(units: readonly string[]): Promise<UnitState[]> {
    const listed = decodeListed(await this.#manager('ListUnitsByNames', 'as', [units.map(checked)]));
    if (listed.length !== units.length) {
      throw new Error(
        `systemd answered ${listed.length} states for ${units.length} units; the first asked for: ${units[0]}`,
      );
    }
    return units.map((unit, index) => {
      const state = listed[index];
      if (state === undefined) throw new Error(`systemd left out the state of ${unit}`);
      this.#changes.learnName(unit, state.unit);
      return { ...state, unit };
    });
  }

  async #unitJob(
    member: 'StartUnit' | 'StopUnit' | 'ReloadOrTryRestartUnit',
    unit: string,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<JobOutcome> {
    checked(unit);
    return await this.#job(member, 'ss', [unit, 'replace'], deadlineMs, signal);
  }

  async #runOnce(command: TransientCommand, signal: AbortSignal): Promise<JobOutcome> {
    const deadlineMs = transientDeadlineMs(command);
    return await this.#job('StartTransientUnit', TRANSIENT_SIGNATURE, transientUnit(command), deadlineMs, signal);
  }

  /** Ends what is left of a transient unit, and forgets that it failed: a command that is stopped counts as failed. */
  async #clear(unit: string, signal: AbortSignal): Promise<void> {
    await this.stop(unit, CLEAR_DEADLINE_MS, signal);
    await this.resetFailed(unit);
  }

  async #clearAborted(unit: string): Promise<void> {
    try {
      await this.#clear(unit, new AbortController().signal);
    } catch (error) {
      this.#options.log.warn(`Could not stop ${unit}, which is no longer wanted; its time limit will`, {
        error: messageOf(error),
      });
    }
  }

  async #job(
    member: string,
    signature: string,
    body: readonly unknown[],
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<JobOutcome> {
    if (!this.connected) throw new BusClosedError(this.#link.whyDown);
    const queue = async () => decodePath(await this.#manager(member, signature, body), member);
    return await this.#jobs.outcome(queue, deadlineMs, signal);
  }

  #manager(member: string, signature: string, body: readonly unknown[]): Promise<readonly unknown[]> {
    return this.#call(MANAGER_PATH, MANAGER, member, signature, body);
  }

  async #call(path: string, iface: string, member: string, signature: string, body: readonly unknown[]) {
    const bus = this.#link.bus;
    if (bus === undefined) throw new BusClosedError(this.#link.whyDown);
    return await bus.call({ destination: SYSTEMD, path, interface: iface, member, signature, body });
  }

  #onSignal(signal: BusSignal): void {
    switch (signal.member) {
      case 'PropertiesChanged':
        this.#onProperties(signal);
        return;
      case 'JobRemoved': {
        const { path, unit, outcome } = decodeJobRemoved(signal.body);
        this.#ends.after(unit, () => this.#jobs.removed(path, outcome));
        return;
      }
      case 'Reloading':
        if (signal.body[0] === false) this.#tell('onReloaded', () => this.#options.events.onReloaded());
        return;
    }
  }

  #onProperties(signal: BusSignal): void {
    const change = this.#changes.read(signal);
    if (change === undefined) return;
    const [unit] = change.names;
    const tell = ({ active, sub }: Told) => {
      for (const name of change.names) this.#tell('onUnit', () => this.#options.events.onUnit(name, active, sub));
    };
    if (isDown(change.active) && change.listed) this.#ends.hold(unit, change, tell);
    else this.#ends.overtake(unit, () => tell(change));
  }

  async #stateOf(unit: string): Promise<UnitState> {
    const [state] = await this.list([unit]);
    if (state === undefined) throw new Error(`systemd said nothing of ${unit}`);
    return state;
  }

  #tell(event: keyof SystemdEvents, handler: () => void): void {
    try {
      handler();
    } catch (error) {
      const stack = stackOf(error);
      this.#options.log.error(`The handler of ${event} failed; this is a bug`, { error: stack });
    }
  }
}

function checked(unit: string): string {
  if (isUnitName(unit)) return unit;
  throw new Error(`"${unit}" is not the name of a systemd service and must not reach systemd; this is a bug`);
}

/** A unit that is not loaded has nothing to reset and nothing to stop. */
function isNotLoaded(error: unknown): boolean {
  return error instanceof BusCallError && error.errorName === NOT_LOADED;
}
