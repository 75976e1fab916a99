/** A connection to the fake systemd: calls are answered and signals arrive a moment later, in order, until it breaks. */
import type {
  ExitInfo,
  Guard,
  JobOutcome,
  Systemd,
  SystemdEvents,
  TransientCommand,
  UnitState,
} from '../../src/executor/systemd.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { isUnitName } from '../../src/shared/names.ts';
import type { ActiveState } from '../../src/shared/state.ts';
import { afterOutside } from './clock.ts';
import type { FakeProcess } from './process.ts';
import type { FakeSystemd } from './systemd.ts';
import { FakeRefusal } from './systemd-refusal.ts';
import type { FakeJob } from './systemd-unit.ts';

export class FakeConnection implements Systemd {
  readonly #systemd: FakeSystemd;
  readonly #clock: Clock;
  readonly #process: FakeProcess;
  readonly #events: SystemdEvents;
  /** When the latest message gets there, each way: none overtakes another. */
  readonly #arrival = { there: 0, back: 0 };
  /** Number of the connection's current life; what was sent in an earlier one does not arrive. */
  #life = 0;
  #connected = false;
  #closed = false;
  readonly #breaks = new Set<() => void>();

  /** `clock` is that of the host, `process` the one that connects. */
  constructor(systemd: FakeSystemd, clock: Clock, process: FakeProcess, events: SystemdEvents) {
    this.#systemd = systemd;
    this.#clock = clock;
    this.#process = process;
    this.#events = events;
  }

  isOf(process: FakeProcess): boolean {
    return this.#process === process;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** The bus is there: connected after a moment. */
  up(): void {
    this.#life++;
    this.#answer(() => {
      this.#connected = true;
      this.#events.onConnected();
    });
  }

  down(why: string): void {
    this.#life++;
    this.#process.hear(() => {
      if (this.#closed) return;
      const wasConnected = this.#connected;
      this.#break();
      if (wasConnected) this.#events.onDisconnected(why);
    });
  }

  /** The host loses power: nothing that was said gets anywhere. */
  vanish(): void {
    this.#life++;
    this.#closed = true;
  }

  tellUnit(names: readonly string[], active: ActiveState, sub: string): void {
    this.#tell(() => {
      for (const name of names) this.#events.onUnit(name, active, sub);
    });
  }

  tellReloaded(): void {
    this.#tell(() => this.#events.onReloaded());
  }

  async list(units: readonly string[]): Promise<UnitState[]> {
    return await this.#call(() => units.map((unit) => this.#systemd.state(checked(unit))));
  }

  async start(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome> {
    checked(unit);
    return await this.#job(() => this.#systemd.startJob(unit), deadlineMs, signal);
  }

  async stop(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome> {
    checked(unit);
    return await this.#job(() => this.#systemd.stopJob(unit), deadlineMs, signal);
  }

  async reload(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome> {
    checked(unit);
    return await this.#job(() => this.#systemd.reloadJob(unit), deadlineMs, signal);
  }

  async resetFailed(unit: string): Promise<void> {
    await this.#call(() => this.#systemd.resetFailed(checked(unit)));
  }

  async exitInfo(unit: string): Promise<ExitInfo> {
    return await this.#call(
      () => this.#systemd.unit(checked(unit))?.exit ?? { result: 'success', code: 'none', status: 0 },
    );
  }

  async stopTimeoutMs(unit: string): Promise<number> {
    return await this.#call(() => this.#systemd.stopTimeoutMs(checked(unit)));
  }

  async run(command: TransientCommand, signal: AbortSignal): Promise<JobOutcome> {
    checked(command.unit);
    signal.throwIfAborted();
    const deadlineMs = command.timeoutMs + 15_000;
    try {
      const { active } = this.#systemd.state(command.unit);
      if (active !== 'inactive' && active !== 'failed') await this.stop(command.unit, deadlineMs, signal);
      return await this.#job(() => this.#systemd.runTransient(command), deadlineMs, signal);
    } catch (error) {
      if (signal.aborted && this.#connected) {
        await this.stop(command.unit, deadlineMs, new AbortController().signal);
        await this.resetFailed(command.unit);
      }
      throw error;
    }
  }

  async startGuard(guard: Guard): Promise<void> {
    for (const unit of [guard.unit, ...guard.units]) checked(unit);
    await this.#call(() => this.#systemd.guards.start(guard));
  }

  async endGuard(unit: string): Promise<void> {
    await this.#call(() => this.#systemd.guards.end(checked(unit)));
  }

  async guards(): Promise<string[]> {
    return await this.#call(() => this.#systemd.guards.names);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#break();
    this.#systemd.forget(this);
  }

  #break(): void {
    this.#connected = false;
    for (const broken of this.#breaks) broken();
    this.#breaks.clear();
  }

  /** To systemd: what was sent gets there though the process dies meanwhile, but not when the bus goes away. */
  #ask(act: () => void): void {
    const life = this.#life;
    afterOutside(this.#clock, this.#delay('there'), () => {
      if (life === this.#life) act();
    });
  }

  /** To the process, as long as it listens. */
  #answer(heard: () => void): void {
    const life = this.#life;
    this.#clock.after(this.#delay('back'), () =>
      this.#process.hear(() => {
        if (life === this.#life && !this.#closed) heard();
      }),
    );
  }

  #tell(event: () => void): void {
    if (!this.#process.dead) this.#answer(() => this.#connected && event());
  }

  #delay(way: 'there' | 'back'): number {
    const now = this.#clock.now();
    this.#arrival[way] = Math.max(this.#arrival[way], now + this.#systemd.latencyMs());
    return this.#arrival[way] - now;
  }

  /** Calls systemd after one latency and answers after another; rejects when the connection breaks meanwhile. */
  #call<T>(act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!this.#connected) return reject(new Error('not connected to the D-Bus system bus'));
      const broken = () => reject(new Error('the connection to the D-Bus system bus broke'));
      this.#breaks.add(broken);
      const settle = (then: () => void) =>
        this.#answer(() => {
          this.#breaks.delete(broken);
          then();
        });
      this.#ask(() => {
        try {
          const answer = act();
          settle(() => resolve(answer));
        } catch (error) {
          settle(() => reject(error));
        }
      });
    });
  }

  #job(queue: () => FakeJob, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (!this.#connected) return reject(new Error('not connected to the D-Bus system bus'));
      const finish = (settle: () => void) => {
        if (!this.#breaks.delete(broken)) return;
        cancelDeadline();
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const settle = (outcome: JobOutcome) => finish(() => resolve(outcome));
      const broken = () => settle({ kind: 'disconnected' });
      const onAbort = () => finish(() => reject(signal.reason));
      const cancelDeadline = this.#process.after(deadlineMs, () => settle({ kind: 'deadline' }));
      signal.addEventListener('abort', onAbort, { once: true });
      this.#breaks.add(broken);
      this.#ask(() => {
        try {
          queue().onEnd((outcome) => this.#answer(() => settle(outcome)));
        } catch (error) {
          if (!(error instanceof FakeRefusal)) throw error;
          const refused: JobOutcome = { kind: 'refused', error: error.errorName, message: error.message };
          this.#answer(() => settle(refused));
        }
      });
    });
  }
}

function checked(unit: string): string {
  if (isUnitName(unit)) return unit;
  throw new Error(`"${unit}" is not the name of a systemd service and must not reach systemd; this is a bug`);
}
