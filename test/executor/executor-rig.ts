/** One executor on a pretended systemd; the test plays the leader. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Executor } from '../../src/executor/executor.ts';
import type { ExecutorOptions } from '../../src/executor/executor-options.ts';
import type { Systemd, SystemdEvents } from '../../src/executor/systemd.ts';
import type { UnitEvent } from '../../src/executor/unit-events.ts';
import { digestOf } from '../../src/shared/digest.ts';
import { decodeObserved, encodeDesired, encodeSpecRecord } from '../../src/shared/payloads.ts';
import type { Spec } from '../../src/shared/spec.ts';
import type {
  ActiveState,
  Desired,
  DesiredPrestart,
  DesiredUnit,
  Observed,
  ObservedUnit,
} from '../../src/shared/state.ts';
import { PARENTS } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import { NO_ORDER } from '../fakes/turns.ts';

const SPEC = specOf(
  { name: 'a', type: 'global', enabled: true, isolation: 'keep' },
  { name: 'b', type: 'global', enabled: true, isolation: 'keep' },
  { name: 'c', type: 'shared', count: 1, enabled: true, isolation: 'keep' },
);

export function unit(name: string, prestart?: DesiredPrestart): DesiredUnit {
  return {
    unit: `${name}.service`,
    service: name,
    isolation: 'keep',
    why: { kind: 'kept' },
    ...(prestart && { prestart }),
  };
}

export class ExecutorRig {
  readonly clock = new FakeClock();
  readonly ensemble = new FakeEnsemble({ clock: this.clock });
  readonly host: FakeHost;
  readonly store: FakeStore;
  /** Of the order that was written last. */
  generation = 0;
  private readonly booted: Executor[] = [];

  private constructor(private readonly folder: string) {
    this.host = new FakeHost('w1', this.clock, this.ensemble, join(folder, 'prestart'));
    this.store = this.ensemble.connect({ sessionTimeoutMs: 4_000 });
  }

  static async begin(): Promise<ExecutorRig> {
    const rig = new ExecutorRig(await mkdtemp(join(tmpdir(), 'servicewatcher-executor-')));
    const { clock, host, store } = rig;
    await clock.until('the session', () => store.state.kind === 'connected');
    await rig.done(Promise.all(PARENTS.map((parent) => store.ensure(parent))));
    for (const name of ['a.service', 'b.service', 'c.service', 'foreign.service']) host.systemd.define(name);
    return rig;
  }

  async end(): Promise<void> {
    await this.done(Promise.all(this.booted.map((each) => each.close())));
    await rm(this.folder, { recursive: true });
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.clock.finish('an answer', promise);
  }

  /** The one that was booted last. */
  get executor(): Executor {
    const executor = this.booted.at(-1);
    if (!executor) throw new Error('no executor was booted');
    return executor;
  }

  /** Starts the executor of a new process on a session of its own. */
  async boot(
    options: {
      readonly connect?: (events: SystemdEvents) => Systemd;
      readonly session?: FakeStore;
      readonly joined?: boolean;
      readonly probe?: ExecutorOptions['probe'];
      readonly onEvent?: (event: UnitEvent) => void;
    } = {},
  ): Promise<Executor> {
    const { clock, host } = this;
    const executor = new Executor({
      host: 'w1',
      store: options.session ?? this.store,
      connectSystemd: options.connect ?? ((events) => host.watched(host.systemd.connect(events))),
      memory: host.memory,
      prestartFolder: host.prestartFolder,
      clock,
      log: host.log,
      metrics: { reconciled: () => {}, drift: (name) => void host.drift.push(name), units: () => {} },
      events: { record: (event) => options.onEvent?.(event) },
      loopTickMs: 5_000,
      failedLoopTickMs: 2_000,
      sessionTimeoutMs: 4_000,
      onSystemdConnected: () => {},
      ...NO_ORDER,
      address: () => '198.18.0.1',
      onReport: () => {},
      probe: options.probe,
    });
    this.booted.push(executor);
    await this.done(executor.start());
    if (options.joined !== false) executor.joined(true);
    return executor;
  }

  async put(path: string, data: Buffer): Promise<void> {
    if (this.ensemble.tree.get(path)) await this.done(this.store.set(path, data));
    else await this.done(this.store.create(path, data, 'persistent'));
  }

  async writeSpec(spec: Spec = SPEC): Promise<void> {
    const at = this.clock.date().toISOString();
    await this.put('/spec', encodeSpecRecord({ spec, digest: digestOf(spec), proposedBy: 'w1', at, earlier: [] }));
  }

  /** As the leader would: a new generation of desired/w1. */
  async desire(units: readonly DesiredUnit[], change: Partial<Desired> = {}): Promise<void> {
    this.generation += 1;
    const { generation } = this;
    const desired: Desired = { host: 'w1', epoch: 1, generation, spec: digestOf(SPEC), units, ...change };
    await this.put('/desired/w1', encodeDesired(desired));
  }

  /** A daemon begins, then the leader says what is to run. */
  async bootToRun(...order: Parameters<ExecutorRig['desire']>): Promise<void> {
    await this.writeSpec();
    await this.boot();
    await this.desire(...order);
  }

  /** The report as others read it. */
  observed(): Observed | undefined {
    const node = this.ensemble.tree.get('/observed/w1');
    const decoded = node && decodeObserved(node.data, '/observed/w1');
    return decoded?.ok ? decoded.value : undefined;
  }

  /** What the report says of the unit. */
  seen(name: string): ObservedUnit | undefined {
    return this.observed()?.units.find((each) => each.unit === `${name}.service`);
  }

  /** What systemd has of the unit. */
  active(name: string): ActiveState {
    return this.host.systemd.state(`${name}.service`).active;
  }

  /** How often systemd was asked for it. */
  asked(what: string): number {
    return this.host.asked.filter((each) => each === what).length;
  }

  /** Collects every report, from now on, that `which` picks. */
  watchReports(which: (report: Observed) => boolean): () => Observed[] {
    const picked: Observed[] = [];
    this.store.watch('/observed/w1', () => {
      const report = this.observed();
      if (report && which(report)) picked.push(report);
    });
    return () => picked;
  }

  /** Collects every report, from now on, that says that a unit failed. */
  watchFailures(): () => Observed[] {
    return this.watchReports(({ units }) => units.some(({ failure }) => failure !== undefined));
  }
}
