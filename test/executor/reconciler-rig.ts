/** Passes of an executor, each made by the test, on a pretended systemd; the test plays the leader, too. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Remembered } from '../../src/executor/memory-file.ts';
import type { Reconciler } from '../../src/executor/reconciler.ts';
import type { Systemd, SystemdEvents } from '../../src/executor/systemd.ts';
import type { TurnWish } from '../../src/executor/turns.ts';
import type { UnitJobs } from '../../src/executor/unit-jobs.ts';
import { digestOf } from '../../src/shared/digest.ts';
import { encodeDesired, encodeSpecRecord } from '../../src/shared/payloads.ts';
import type { ActiveState, DesiredUnit, Observed, ObservedUnit } from '../../src/shared/state.ts';
import { PARENTS } from '../../src/shared/znodes.ts';
import { changedSystemd } from '../fakes/changed-systemd.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeHost, SESSION_MS, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import { NO_ORDER } from '../fakes/turns.ts';
import { placed } from '../fixtures/snapshot.ts';
import { LooplessExecutor } from './loopless-executor.ts';

export const TICK_MS = 5_000;
export const FAILED_TICK_MS = 2_000;
const SPEC = specOf(
  ...['a', 'b', 'c'].map((name) => ({ name, type: 'global', enabled: true, isolation: 'keep' }) as const),
);

/** The units of the configuration. */
export const A = placed('a.service');
export const B = placed('b.service');
export const C = placed('c.service');

export class ReconcilerRig {
  readonly clock = new FakeClock();
  readonly host: FakeHost;
  private readonly ensemble = new FakeEnsemble({ clock: this.clock });
  private readonly store: FakeStore;
  /** What systemd was asked to list, each time; and what it says instead of an answer, if so. */
  readonly listed: string[][] = [];
  listRefusal: string | undefined;
  /** Called when systemd was asked for a list, before it answers. */
  onList: () => void = () => {};
  /** Generations that were written to disk, in their order. */
  readonly saved: number[] = [];
  /** What was on disk when systemd was asked for something the last time. */
  savedWhenAsked: Remembered | undefined;
  /** How long each pass took that was counted, seconds. */
  readonly reconciled: number[] = [];
  /** Units that others find. */
  readonly found = new Set<string>();
  unhealthy = false;
  wishes: ReadonlyMap<string, TurnWish> = new Map();
  /** Of the order that is there. */
  private generation = 0;
  private executor: LooplessExecutor | undefined;

  private constructor(private readonly folder: string) {
    this.host = new FakeHost('w1', this.clock, this.ensemble, folder, {
      onAsked: () => {
        this.savedWhenAsked = this.host.memory.remembered;
      },
    });
    this.store = this.ensemble.connect({ sessionTimeoutMs: SESSION_MS });
  }

  static async begin(): Promise<ReconcilerRig> {
    const rig = new ReconcilerRig(await mkdtemp(join(tmpdir(), 'servicewatcher-reconciler-')));
    const { clock, host, store } = rig;
    await clock.until('the session', () => store.state.kind === 'connected');
    await rig.done(Promise.all(PARENTS.map((parent) => store.ensure(parent))));
    const at = clock.date().toISOString();
    const record = { spec: SPEC, digest: digestOf(SPEC), proposedBy: 'w1', at, earlier: [] };
    await rig.done(store.create('/spec', encodeSpecRecord(record), 'persistent'));
    for (const { unit } of [A, B, C]) host.systemd.define(unit);
    return rig;
  }

  async end(): Promise<void> {
    if (this.executor) await this.done(this.executor.close());
    await rm(this.folder, { recursive: true });
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.clock.finish('an answer', promise);
  }

  get reconciler(): Reconciler {
    return this.booted.reconciler;
  }

  get jobs(): UnitJobs {
    return this.booted.jobs;
  }

  /** What was told last. */
  get latest(): Observed | undefined {
    return this.booted.teller.latest;
  }

  private get booted(): LooplessExecutor {
    if (!this.executor) throw new Error('no executor was booted');
    return this.executor;
  }

  async boot(): Promise<void> {
    const { clock, host, store } = this;
    const executor = new LooplessExecutor({
      host: 'w1',
      store,
      connectSystemd: (events) => this.connectSystemd(events),
      memory: {
        load: () => host.memory.load(),
        save: (remembered) => {
          this.saved.push(remembered.applied.generation);
          return host.memory.save(remembered);
        },
      },
      prestartFolder: host.prestartFolder,
      clock,
      log: host.log,
      metrics: { reconciled: (seconds) => void this.reconciled.push(seconds), drift: () => {}, units: () => {} },
      events: { record: () => {} },
      loopTickMs: TICK_MS,
      failedLoopTickMs: FAILED_TICK_MS,
      sessionTimeoutMs: SESSION_MS,
      onSystemdConnected: () => {},
      ...NO_ORDER,
      turns: {
        want: (wishes) => {
          this.wishes = wishes;
        },
        state: () => ({ kind: 'has' }),
      },
      mayBeFound: (unit) => this.found.has(unit),
      address: () => '198.18.0.1',
      probe: async () => (this.unhealthy ? { ok: false, output: 'HTTP 503' } : { ok: true }),
      onReport: () => {},
    });
    this.executor = executor;
    await executor.start();
    await clock.until('the orders', () => executor.ready);
  }

  private connectSystemd(events: SystemdEvents): Systemd {
    const systemd = this.host.watched(this.host.systemd.connect(events));
    return changedSystemd(systemd, {
      list: async (units) => {
        this.listed.push([...units]);
        this.onList();
        if (this.listRefusal !== undefined) throw new Error(this.listRefusal);
        return systemd.list(units);
      },
    });
  }

  async bootWithA(): Promise<void> {
    await this.desire(A);
    await this.boot();
    await this.settle();
  }

  /** As the leader would: one more generation of the order. */
  async desire(...units: readonly DesiredUnit[]): Promise<void> {
    const path = '/desired/w1';
    this.generation += 1;
    const { generation } = this;
    const data = encodeDesired({ host: 'w1', epoch: 1, generation, spec: digestOf(SPEC), units });
    if (this.ensemble.tree.get(path)) await this.done(this.store.set(path, data));
    else await this.done(this.store.create(path, data, 'persistent'));
    // those who watch it have read it by then
    await this.clock.advance(10);
  }

  pass(): Promise<void> {
    return this.done(this.reconciler.pass());
  }

  /** So many passes, and what they have set off has come to its end. */
  async settle(passes = 3): Promise<void> {
    for (let each = 0; each < passes; each++) {
      await this.pass();
      await this.clock.advance(10);
    }
  }

  /** What systemd has of the unit. */
  state({ unit }: DesiredUnit): ActiveState {
    return this.host.systemd.state(unit).active;
  }

  /** What was told of the unit. */
  seen({ unit }: DesiredUnit): ObservedUnit | undefined {
    return this.latest?.units.find((each) => each.unit === unit);
  }
}
