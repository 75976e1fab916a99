/** The hooks of one host, w9, over a pretended ZooKeeper; the test changes what the rest of the cluster would. */
import type { HookFile, HookState } from '../../src/discovery/hook-memory.ts';
import type { HookOutcome, HookRun } from '../../src/discovery/hook-runner.ts';
import { EMPTY_VIEW } from '../../src/discovery/hook-view.ts';
import { Hooks } from '../../src/discovery/hooks.ts';
import { encodeRegistration, registrationPath } from '../../src/discovery/registration.ts';
import { encodeBatches, type HistoryEvent, RING_PREFIX, type Ring } from '../../src/shared/history.ts';
import { encodeDesired, encodeMember, encodeSpecRecord } from '../../src/shared/payloads.ts';
import type { Hook, Service } from '../../src/shared/spec.ts';
import {
  DESIRED,
  DISCOVERY,
  desiredPath,
  discoveryPath,
  HISTORY,
  MEMBERS,
  memberPath,
  SPEC,
} from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { specOf } from '../fakes/daemon.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const WEB: Service = {
  name: 'web',
  type: 'shared',
  count: 1,
  enabled: true,
  isolation: 'keep',
  discovery: { label: 'http', role: 'backend', onlyHealthy: true },
};

export const hook = (more: Partial<Hook>): Hook => ({
  events: ['member-join'],
  on: {},
  filter: {},
  run: ['/told'],
  timeoutMs: 1_000,
  ...more,
});

export const memberOf = (host: string, more: { readonly role?: string; readonly leaving?: boolean } = {}) =>
  encodeMember({
    host,
    machineId: host,
    address: `10.0.0.${host.slice(1)}`,
    url: 'http://x',
    labels: more.role === undefined ? {} : { role: more.role },
    software: '1',
    file: 'x',
    election: '/election/n_1',
    ...(more.leaving && { leaving: true }),
  });

/** A daemon on w9. */
interface Daemon {
  readonly hooks: Hooks;
  readonly process: FakeProcess;
  readonly store: FakeStore;
}

export class HookWorld {
  readonly clock = new FakeClock();
  /** How long each message takes one way. */
  latencyMs = 1;
  readonly ensemble = new FakeEnsemble({ clock: this.clock, latencyMs: () => this.latencyMs });
  /** Writes what the rest of the cluster would. */
  readonly others = this.ensemble.connect({ sessionTimeoutMs: 60_000 });
  readonly log = new MemoryLog();
  /** What is on the disk of w9. */
  state: HookState = { seen: EMPTY_VIEW, queues: new Map() };
  /** `PROGRAM: EVENT LINE; LINE`, a line for each run. */
  told: string[] = [];
  /** Those whose end is awaited when a test is over. */
  running: Daemon[] = [];
  /** How a run ends; default: done after 10 ms. */
  outcomeOf: (run: HookRun) => Promise<HookOutcome> = () =>
    new Promise((resolve) => void this.clock.after(10, () => resolve({ kind: 'done' })));
  private batches = 0;

  static async create(): Promise<HookWorld> {
    const world = new HookWorld();
    await world.clock.until('a session', () => world.others.state.kind === 'connected');
    for (const path of [MEMBERS, DESIRED, HISTORY, DISCOVERY]) await world.done(world.others.ensure(path));
    return world;
  }

  async end(): Promise<void> {
    await this.clock.finish('the end', Promise.all(this.running.map(({ hooks }) => hooks.close())));
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.clock.finish('ZooKeeper', promise);
  }

  /** The daemon on w9 becomes a member, and begins with its hooks. */
  async boot(labels: Readonly<Record<string, string>> = {}): Promise<Daemon> {
    const process = new FakeProcess(this.clock);
    const store = this.ensemble.connect({ process });
    const file: HookFile = {
      load: async () => this.state,
      // a disk takes its time, and what a killed daemon had not written is lost
      save: (saved) =>
        new Promise((resolve) => {
          process.after(5, () => {
            this.state = saved;
            resolve();
          });
        }),
    };
    const run = (run: HookRun) => {
      const lines = run.input.trimEnd().split('\n');
      this.told.push(
        `${run.argv.join(' ')}: ${run.environment.SERVICEWATCHER_EVENT} ${lines.join('; ').replaceAll('\t', ' ')}`,
      );
      return this.outcomeOf(run);
    };
    const metrics = { ran: () => {}, leftOut: () => {} };
    const { log } = this;
    const hooks = new Hooks({ host: 'w9', labels: () => labels, store, clock: process, log, file, run, metrics });
    const daemon = { hooks, process, store };
    this.running.push(daemon);
    await this.clock.until('a session', () => store.state.kind === 'connected');
    await this.clock.finish('the start', hooks.start());
    await this.clock.advance(1_000);
    return daemon;
  }

  kill(daemon: Daemon): void {
    this.running = this.running.filter((each) => each !== daemon);
    daemon.process.kill();
    daemon.store.kill();
  }

  async put(path: string, data: Buffer): Promise<void> {
    const there = await this.done(this.others.get(path));
    if (there) await this.done(this.others.set(path, data));
    else await this.done(this.others.create(path, data, 'persistent'));
  }

  /** The spec has these hooks from now on. */
  async propose(hooks: readonly Hook[]): Promise<void> {
    const spec = { ...specOf(WEB), hooks };
    const record = { spec, digest: 'sha256:x', proposedBy: 'w1', at: '2026-01-01', earlier: [] };
    await this.put(SPEC, encodeSpecRecord(record));
  }

  async join(host: string, role?: string): Promise<void> {
    await this.put(memberPath(host), memberOf(host, { ...(role !== undefined && { role }) }));
  }

  async vanish(host: string): Promise<void> {
    await this.done(this.others.remove(memberPath(host)));
  }

  async place(host: string, ...services: readonly string[]): Promise<void> {
    const units = services.map(
      (service) => ({ unit: `${service}.service`, service, isolation: 'keep', why: { kind: 'kept' } }) as const,
    );
    await this.put(desiredPath(host), encodeDesired({ host, epoch: 1, generation: 1, spec: 'x', units }));
  }

  async register(label: string, host: string, more: { readonly role?: string } = {}): Promise<void> {
    await this.done(this.others.ensure(discoveryPath(label)));
    const where = { label, id: host, host, address: 'a', port: 80 };
    const registration = { ...where, healthy: true, source: 'watch' as const, ...more };
    await this.put(registrationPath(label, host), encodeRegistration(registration));
  }

  async happen(kind: string, host: string, more: Partial<HistoryEvent> = {}, ring: Ring = 'host'): Promise<void> {
    const at = this.clock.date().toISOString();
    const event = { at, kind, host, unit: 'web.service', reason: 'x', why: 'so', ...more };
    for (const data of encodeBatches(host, `b${this.batches++}`, [event]))
      await this.done(this.others.create(RING_PREFIX[ring], data, 'persistent-sequential'));
  }

  /** The leader tells what it has decided. */
  async decide(kind: string, host: string): Promise<void> {
    await this.happen(kind, host, {}, 'leader');
  }
}
