/**
 * One host of a pretended cluster: a daemon wired as `src/daemon.ts` wires it, over a fake store and a fake systemd, and
 * what it asked systemd for. Its process can end in an orderly way, be killed, and be started again.
 */
import { Executor } from '../../src/executor/executor.ts';
import type { MemoryFile, Remembered } from '../../src/executor/memory-file.ts';
import type { Systemd } from '../../src/executor/systemd.ts';
import type { UnitEvent } from '../../src/executor/unit-events.ts';
import { Election, type Leadership } from '../../src/leader/election.ts';
import { Leader } from '../../src/leader/leader.ts';
import type { Move } from '../../src/leader/placement.ts';
import { digestOf } from '../../src/shared/digest.ts';
import { Membership } from '../../src/shared/membership.ts';
import type { Service, Spec } from '../../src/shared/model.ts';
import { type ProposalOutcome, proposeSpec } from '../../src/shared/spec-store.ts';
import type { FakeClock } from './clock.ts';
import { type LogEntry, MemoryLog } from './log.ts';
import { FakeProcess } from './process.ts';
import type { FakeEnsemble, FakeStore } from './store.ts';
import { FakeSystemd, type FakeSystemdOptions } from './systemd.ts';

export const TIMINGS = { loopTickMs: 5_000, failedLoopTickMs: 2_000, reactionMs: 50, boundaryMs: 1_000 } as const;
export const SESSION_MS = 4_000;

/** A spec with the default brake. */
export function specOf(...services: readonly Service[]): Spec {
  return { services, brake: { above: 0.5, atLeast: 3, holdMs: 60_000 } };
}

/** What survives a daemon's process on its host. */
export class FakeMemory implements MemoryFile {
  remembered: Remembered = { applied: { epoch: 0, generation: 0 }, runOnce: new Set(), units: new Map() };

  async load(): Promise<Remembered> {
    return this.remembered;
  }

  async save(remembered: Remembered): Promise<void> {
    this.remembered = remembered;
  }
}

export interface FakeHostOptions {
  readonly systemd?: FakeSystemdOptions;
  /** Default `TIMINGS`. */
  readonly timings?: Readonly<Record<keyof typeof TIMINGS, number>>;
  /** Default `SESSION_MS`. */
  readonly sessionTimeoutMs?: number;
  /** Called with each line of `asked`, before systemd is. */
  readonly onAsked?: (line: string) => void;
  readonly onLogged?: (entry: LogEntry) => void;
}

export class FakeHost {
  readonly systemd: FakeSystemd;
  readonly memory = new FakeMemory();
  readonly log: MemoryLog;
  /** `start UNIT`, `stop UNIT`, `run UNIT`, `reset UNIT`, `guard UNIT…`, as asked for by the daemons of this host, in order. */
  readonly asked: string[] = [];
  readonly drift: string[] = [];
  /** What was told of units by the daemons of this host, in order. */
  readonly unitEvents: UnitEvent[] = [];
  machineId: string;

  constructor(
    readonly name: string,
    readonly clock: FakeClock,
    readonly ensemble: FakeEnsemble,
    readonly prestartFolder = '/nonexistent',
    readonly options: FakeHostOptions = {},
  ) {
    this.systemd = new FakeSystemd(clock, options.systemd);
    this.log = new MemoryLog(options.onLogged);
    this.machineId = `machine-of-${name}`;
  }

  /** A new process of the daemon, with `spec` in its configuration file. */
  async boot(spec: Spec): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(this, spec);
    await daemon.executor.start();
    return daemon;
  }

  /** A recording connection to the host's systemd. */
  watched(systemd: Systemd): Systemd {
    const ask = (line: string) => {
      this.asked.push(line);
      this.options.onAsked?.(line);
    };
    return {
      get connected() {
        return systemd.connected;
      },
      list: (units) => systemd.list(units),
      start: (unit, deadlineMs, signal) => {
        ask(`start ${unit}`);
        return systemd.start(unit, deadlineMs, signal);
      },
      stop: (unit, deadlineMs, signal) => {
        ask(`stop ${unit}`);
        return systemd.stop(unit, deadlineMs, signal);
      },
      resetFailed: (unit) => {
        ask(`reset ${unit}`);
        return systemd.resetFailed(unit);
      },
      exitInfo: (unit) => systemd.exitInfo(unit),
      stopTimeoutMs: (unit) => systemd.stopTimeoutMs(unit),
      run: (command, signal) => {
        ask(`run ${command.unit}`);
        return systemd.run(command, signal);
      },
      startGuard: (guard) => {
        ask(`guard ${guard.units.join(' ')}`);
        return systemd.startGuard(guard);
      },
      endGuard: (unit) => systemd.endGuard(unit),
      guards: () => systemd.guards(),
      close: () => systemd.close(),
    };
  }
}

export class FakeDaemon {
  readonly store: FakeStore;
  readonly executor: Executor;
  readonly election: Election;
  readonly membership: Membership;
  readonly moves: Move[] = [];
  readonly epochs: number[] = [];
  readonly convergences: number[] = [];
  leader: Leader | undefined;
  term: Leadership | undefined;
  nameTaken: string | undefined;
  proposed: ProposalOutcome | undefined;
  readonly process: FakeProcess;
  private leaving = false;
  private digest: string;
  private readonly timings: Readonly<Record<keyof typeof TIMINGS, number>>;

  constructor(
    private readonly host: FakeHost,
    private spec: Spec,
  ) {
    this.digest = digestOf(spec);
    const { log, name } = host;
    const { sessionTimeoutMs = SESSION_MS, timings = TIMINGS } = host.options;
    this.timings = timings;
    const clock = new FakeProcess(host.clock);
    this.process = clock;
    const store = host.ensemble.connect({ sessionTimeoutMs, process: clock });
    this.store = store;
    this.executor = new Executor({
      host: name,
      store,
      connectSystemd: (events) => host.watched(host.systemd.connect(events, clock)),
      memory: host.memory,
      prestartFolder: host.prestartFolder,
      clock,
      log,
      metrics: { reconciled: () => {}, drift: (unit) => void host.drift.push(unit), units: () => {} },
      events: { record: (event) => void host.unitEvents.push(event) },
      loopTickMs: timings.loopTickMs,
      failedLoopTickMs: timings.failedLoopTickMs,
      sessionTimeoutMs,
      onSystemdConnected: () => {},
    });
    this.election = new Election({
      store,
      host: name,
      machineId: host.machineId,
      clock,
      log,
      onLeading: (term) => this.lead(term),
    });
    this.membership = new Membership({
      store,
      clock,
      log,
      describe: () => ({
        host: name,
        machineId: host.machineId,
        address: name,
        url: `http://${name}:9780`,
        labels: {},
        software: 'test',
        file: this.digest,
        ...(this.leaving && { leaving: true }),
      }),
      elect: (earlier) => this.election.join(earlier),
      onJoined: async (continuous) => {
        this.executor.joined(continuous);
        await this.propose('start');
      },
      onInterrupted: () => this.executor.left(),
      onNameTaken: (why) => {
        this.nameTaken = why;
      },
    });
    store.onState((state) => {
      if (state.kind === 'lost') this.executor.left();
    });
  }

  /** As SIGHUP asks for it, with another file. */
  async reload(spec: Spec): Promise<void> {
    await this.executor.clearFailures();
    this.spec = spec;
    this.digest = digestOf(spec);
    await this.membership.refresh();
    await this.propose('replace').catch((error: unknown) => this.host.log.error(String(error)));
  }

  private async propose(intent: 'start' | 'replace'): Promise<void> {
    const { spec, digest } = this;
    this.proposed = await proposeSpec(this.store, {
      spec,
      digest,
      proposedBy: this.host.name,
      at: this.process.date().toISOString(),
      intent,
    });
  }

  /** An orderly stop, as `systemctl stop` asks for it. */
  async stop(): Promise<void> {
    this.leaving = true;
    const [left] = await Promise.all([
      this.executor.stopUnits('all', new AbortController().signal),
      this.membership.refresh().then(() => this.election.leave()),
    ]);
    if (left.length > 0) return;
    await this.leave();
  }

  /** The process dies: units run on, its session runs out. */
  kill(): void {
    this.process.kill();
    this.store.kill();
    this.host.systemd.hangUp(this.process);
  }

  private async leave(): Promise<void> {
    await this.membership.close();
    await this.executor.close();
    await this.store.close();
  }

  private lead(term: Leadership): void {
    const { log, name } = this.host;
    const { process: clock, timings } = this;
    this.term = term;
    this.epochs.push(term.epoch);
    this.leader = new Leader(term, {
      host: name,
      store: this.store,
      clock,
      log,
      metrics: {
        placed: () => {},
        moved: (moves) => void this.moves.push(...moves),
        cluster: () => {},
        converged: (seconds) => void this.convergences.push(seconds),
      },
      loopTickMs: timings.loopTickMs,
      reactionMs: timings.reactionMs,
      boundaryMs: timings.boundaryMs,
      onEpochTooLow: (epoch) => this.election.raiseEpochAbove(epoch),
    });
    term.signal.addEventListener('abort', () => {
      this.leader = undefined;
      this.term = undefined;
    });
  }
}
