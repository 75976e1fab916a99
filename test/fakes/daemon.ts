/**
 * One host of a pretended cluster: a daemon's agent, as `src/daemon.ts` runs it, over a fake store and a fake systemd, and
 * what it asked systemd for. Its process can end in an orderly way, be killed, and be started again.
 */
import { Agent, type AgentFile } from '../../src/agent.ts';
import type { Executor } from '../../src/executor/executor.ts';
import type { ExecutorOptions } from '../../src/executor/executor-options.ts';
import type { MemoryFile, Remembered } from '../../src/executor/memory-file.ts';
import type { Systemd } from '../../src/executor/systemd.ts';
import type { Election, Leadership } from '../../src/leader/election.ts';
import type { Leader } from '../../src/leader/leader.ts';
import type { Move } from '../../src/leader/placement.ts';
import { digestOf } from '../../src/shared/digest.ts';
import type { Membership } from '../../src/shared/membership.ts';
import type { Service, Spec } from '../../src/shared/spec.ts';
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
  remembered: Remembered = {
    applied: { epoch: 0, generation: 0 },
    runOnce: new Set(),
    units: new Map(),
    farewells: new Map(),
  };

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
  /** What the checks of a process find; default: nothing is pretended. */
  readonly probe?: (process: FakeProcess) => ExecutorOptions['probe'];
}

export class FakeHost {
  readonly systemd: FakeSystemd;
  readonly memory = new FakeMemory();
  readonly log: MemoryLog;
  /** `start UNIT`, `stop UNIT`, `run UNIT`, `reset UNIT`, `guard UNIT…`, as asked for by the daemons of this host, in order. */
  readonly asked: string[] = [];
  readonly drift: string[] = [];
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
    await daemon.start();
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
      reload: (unit, deadlineMs, signal) => {
        ask(`reload ${unit}`);
        return systemd.reload(unit, deadlineMs, signal);
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
  readonly process: FakeProcess;
  readonly store: FakeStore;
  readonly moves: Move[] = [];
  readonly epochs: number[] = [];
  readonly convergences: number[] = [];
  term: Leadership | undefined;
  nameTaken: string | undefined;
  private readonly agent: Agent;
  private file: AgentFile;

  constructor(
    private readonly host: FakeHost,
    spec: Spec,
  ) {
    const { name, clock, ensemble, systemd, options } = host;
    const { sessionTimeoutMs = SESSION_MS, timings = TIMINGS } = options;
    const process = new FakeProcess(clock);
    this.process = process;
    this.store = ensemble.connect({ sessionTimeoutMs, process });
    this.file = fileOf(spec);
    this.agent = new Agent({
      host: name,
      machineId: host.machineId,
      store: this.store,
      clock: process,
      log: host.log,
      connectSystemd: (events) => host.watched(systemd.connect(events, process)),
      memory: host.memory,
      prestartFolder: host.prestartFolder,
      probe: options.probe?.(process),
      sessionTimeoutMs,
      ...timings,
      executorMetrics: { reconciled: () => {}, drift: (unit) => void host.drift.push(unit), units: () => {} },
      leaderMetrics: {
        placed: () => {},
        moved: (moves) => void this.moves.push(...moves),
        cluster: () => {},
        converged: (seconds) => void this.convergences.push(seconds),
      },
      file: () => this.file,
      describe: () => ({ address: name, url: `http://${name}:9780`, labels: {}, software: 'test' }),
      onJoined: () => {},
      onSystemdConnected: () => {},
      onNameTaken: (why) => {
        this.nameTaken = why;
      },
      onTerm: (term) => {
        this.term = term;
        if (term) this.epochs.push(term.epoch);
      },
    });
  }

  get executor(): Executor {
    return this.agent.executor;
  }

  get election(): Election {
    return this.agent.election;
  }

  get membership(): Membership {
    return this.agent.membership;
  }

  get leader(): Leader | undefined {
    return this.agent.leader;
  }

  start(): Promise<void> {
    return this.agent.start();
  }

  /** As SIGHUP asks for it, with another file. */
  async reload(spec: Spec): Promise<void> {
    this.file = fileOf(spec);
    await this.agent.reload();
  }

  /** An orderly stop, as `systemctl stop` asks for it; what is left then is to end the process. */
  async stop(which: 'all' | 'once-only' = 'all'): Promise<void> {
    if (await this.agent.leave(which, new AbortController().signal)) await this.store.close();
  }

  /** `systemctl restart`: the units run on; what is left then is to end the process, and to start the next. */
  async makeWay(): Promise<void> {
    await this.agent.makeWay();
  }

  /** The process dies: units run on, its session runs out. */
  kill(): void {
    this.process.kill();
    this.store.kill();
    this.host.systemd.hangUp(this.process);
  }
}

function fileOf(spec: Spec): AgentFile {
  return { name: 'config.yml', spec, digest: digestOf(spec) };
}
