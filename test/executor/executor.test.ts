/** One executor on a pretended systemd; the test plays the leader. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Executor } from '../../src/executor/executor.ts';
import type { Systemd, SystemdEvents, TransientCommand } from '../../src/executor/systemd.ts';
import { digestOf } from '../../src/shared/digest.ts';
import type { Desired, DesiredPrestart, DesiredUnit, Observed, ObservedUnit, Spec } from '../../src/shared/model.ts';
import { decodeObserved, encodeDesired, encodeSpecRecord } from '../../src/shared/payloads.ts';
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

let clock: FakeClock;
let ensemble: FakeEnsemble;
let host: FakeHost;
let store: FakeStore;
let folder: string;
let executor: Executor;
const running: Executor[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-executor-'));
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  host = new FakeHost('w1', clock, ensemble, join(folder, 'prestart'));
  store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  await clock.until('the session', () => store.state.kind === 'connected');
  await done(Promise.all(PARENTS.map((parent) => store.ensure(parent))));
  for (const unit of ['a.service', 'b.service', 'c.service', 'foreign.service']) host.systemd.define(unit);
});

afterEach(async () => {
  await done(Promise.all(running.splice(0).map((each) => each.close())));
  await rm(folder, { recursive: true });
});

function done<T>(promise: Promise<T>): Promise<T> {
  return clock.finish('an answer', promise);
}

/** Starts the executor of a new process on a session of its own. */
async function boot(
  options: {
    readonly connect?: (events: SystemdEvents) => Systemd;
    readonly session?: FakeStore;
    readonly joined?: boolean;
  } = {},
): Promise<Executor> {
  const session = options.session ?? store;
  executor = new Executor({
    host: 'w1',
    store: session,
    connectSystemd: options.connect ?? ((events) => host.watched(host.systemd.connect(events))),
    memory: host.memory,
    prestartFolder: host.prestartFolder,
    clock,
    log: host.log,
    metrics: { reconciled: () => {}, drift: (unit) => void host.drift.push(unit), units: () => {} },
    events: { record: () => {} },
    loopTickMs: 5_000,
    failedLoopTickMs: 2_000,
    sessionTimeoutMs: 4_000,
    onSystemdConnected: () => {},
    ...NO_ORDER,
    address: () => '198.18.0.1',
    onReport: () => {},
  });
  running.push(executor);
  await done(executor.start());
  if (options.joined !== false) executor.joined(true);
  return executor;
}

function unit(name: string, prestart?: DesiredPrestart): DesiredUnit {
  return {
    unit: `${name}.service`,
    service: name,
    isolation: 'keep',
    why: { kind: 'kept' },
    ...(prestart && { prestart }),
  };
}

let generation = 0;

async function put(path: string, data: Buffer): Promise<void> {
  if (ensemble.tree.get(path)) await done(store.set(path, data));
  else await done(store.create(path, data, 'persistent'));
}

async function writeSpec(spec: Spec = SPEC): Promise<void> {
  const record = { spec, digest: digestOf(spec), proposedBy: 'w1', at: clock.date().toISOString(), earlier: [] };
  await put('/spec', encodeSpecRecord(record));
}

/** As the leader would: a new generation of desired/w1. */
async function desire(units: readonly DesiredUnit[], change: Partial<Desired> = {}): Promise<void> {
  generation += 1;
  const desired: Desired = { host: 'w1', epoch: 1, generation, spec: digestOf(SPEC), units, ...change };
  await put('/desired/w1', encodeDesired(desired));
}

/** A daemon begins, then the leader says what is to run. */
async function bootToRun(...order: Parameters<typeof desire>): Promise<void> {
  await writeSpec();
  await boot();
  await desire(...order);
}

/** The report as others read it. */
function observed(): Observed | undefined {
  const node = ensemble.tree.get('/observed/w1');
  const decoded = node && decodeObserved(node.data, '/observed/w1');
  return decoded?.ok ? decoded.value : undefined;
}

function seen(name: string): ObservedUnit | undefined {
  return observed()?.units.find((each) => each.unit === `${name}.service`);
}

const active = (name: string) => host.systemd.state(`${name}.service`).active;
const asked = (what: string) => host.asked.filter((each) => each === what).length;

describe('an executor', () => {
  it('starts what is desired and reports it with the version it obeys', async () => {
    await bootToRun([unit('a')]);
    await clock.until('the report', () => seen('a')?.active === 'active');
    expect(observed()).toMatchObject({ host: 'w1', epoch: 1, generation });
    expect(host.asked).toEqual(['start a.service']);
  });

  it('does nothing as long as nothing is desired', async () => {
    host.systemd.systemctl('start', 'a.service');
    await writeSpec();
    await boot();
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    expect(active('a')).toBe('active');
  });

  it('goes on telling of a failure while no spec can be read, though the unit is not placed here any more because of it', async () => {
    await put('/spec', Buffer.from('nonsense'));
    host.systemd.define('a.service', { start: 'fails', exitStatus: 1 });
    await boot();
    await desire([unit('a'), unit('b')]);
    const failures = () => executor.observed?.units.flatMap((each) => (each.failure ? [each.unit] : [])).join();
    await clock.until('the failure', () => failures() === 'a.service');
    await desire([unit('b')]);
    await clock.until('the order', () => executor.observed?.generation === generation);
    await clock.advance(10_000);
    expect(failures()).toBe('a.service');
    host.systemd.systemctl('reset-failed', 'a.service');
    await clock.until('the end of the failure', () => failures() === '');
  });

  it('stops what is not desired any more', async () => {
    await bootToRun([unit('a'), unit('b')]);
    await clock.until('both to run', () => active('a') === 'active' && active('b') === 'active');
    await desire([unit('b')]);
    await clock.until('the stop', () => active('a') === 'inactive');
    await clock.advance(10_000);
    expect(host.asked.sort()).toEqual(['start a.service', 'start b.service', 'stop a.service']);
    expect(host.drift).toEqual([]);
  });

  it('adopts what runs already', async () => {
    host.systemd.systemctl('start', 'a.service');
    await bootToRun([unit('a')]);
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    expect(host.memory.remembered.units.has('a.service')).toBe(true);
  });

  it('touches nothing when it starts anew with what it remembers', async () => {
    await writeSpec();
    const first = await boot();
    await desire([unit('a', { script: 'echo {instance:c}', values: { c: ['w2'] } })]);
    await clock.until('it to run', () => active('a') === 'active');
    await done(first.close());
    host.asked.length = 0;
    await boot();
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    expect(active('a')).toBe('active');
  });

  it('stops what it had started before its own restart and is not desired any more', async () => {
    await writeSpec();
    const first = await boot();
    await desire([unit('a')]);
    await clock.until('it to run', () => active('a') === 'active');
    await done(first.close());
    await desire([]);
    await boot();
    await clock.until('it to be stopped', () => active('a') === 'inactive');
    expect(host.drift).toEqual([]);
  });

  it('stops its own units even when no service of the spec declares them any more', async () => {
    await bootToRun([unit('c')]);
    await clock.until('it to run', () => active('c') === 'active');
    const smaller = specOf({ name: 'a', type: 'global', enabled: true, isolation: 'keep' });
    await writeSpec(smaller);
    await desire([unit('a')], { spec: digestOf(smaller) });
    await clock.until('it to be stopped', () => active('c') === 'inactive' && active('a') === 'active');
  });

  it('never touches a unit that is not in the spec', async () => {
    host.systemd.systemctl('start', 'foreign.service');
    await bootToRun([unit('a')]);
    await clock.advance(20_000);
    host.systemd.kill('foreign.service', 9);
    await clock.advance(20_000);
    expect(host.asked).toEqual(['start a.service']);
    expect(active('foreign')).toBe('failed');
    expect(seen('foreign')).toBeUndefined();
  });

  it('leaves units of another spec than the desired state was computed from alone', async () => {
    host.systemd.systemctl('start', 'b.service');
    await bootToRun([unit('a')], { spec: 'sha256:another' });
    await clock.advance(20_000);
    expect(host.asked).toEqual(['start a.service']);
    expect(active('b')).toBe('active');
  });

  it('reports a unit that fails, and leaves it alone until its failure is reset', async () => {
    host.systemd.define('a.service', { start: 'fails', exitStatus: 3, startMs: 10 });
    await bootToRun([unit('a')]);
    await clock.until('the report', () => seen('a')?.failure?.kind === 'failed');
    await clock.advance(60_000);
    expect(asked('start a.service')).toBe(1);
    host.systemd.define('a.service');
    host.systemd.systemctl('reset-failed', 'a.service');
    await clock.until('it to run', () => seen('a')?.active === 'active');
    expect(seen('a')?.failure).toBeUndefined();
  });

  it.each([
    ['there is no unit file', 'not-found', 'not-found'],
    ['the unit is masked', 'masked', 'masked'],
    ['systemd cannot load the unit', 'bad-setting', 'invalid-unit'],
  ] as const)('reports that %s, and does not try to start it', async (_what, load, kind) => {
    if (load === 'not-found') host.systemd.undefine('a.service');
    else host.systemd.define('a.service', {}, load);
    await bootToRun([unit('a')]);
    await clock.until('the report', () => seen('a')?.failure?.kind === kind);
    expect(host.asked).toEqual([]);
    host.systemd.define('a.service');
    host.systemd.daemonReload();
    await clock.until('it to run', () => seen('a')?.active === 'active');
  });

  it('resets a unit that ended with 143 because we stopped it, and never reports it as failed', async () => {
    host.systemd.define('a.service', { stop: 'exit-143', stopMs: 20 });
    await bootToRun([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    const failures = watchFailures();
    await desire([]);
    await clock.until('the reset', () => asked('reset a.service') === 1);
    await clock.advance(10_000);
    expect(active('a')).toBe('inactive');
    expect(failures()).toEqual([]);
  });

  /** The same events, but that a unit is inactive is told 5 ms late. */
  const lateToTellInactive = (events: SystemdEvents): SystemdEvents => ({
    ...events,
    onUnit: (name, state, sub) => {
      if (state === 'inactive') clock.after(5, () => events.onUnit(name, state, sub));
      else events.onUnit(name, state, sub);
    },
  });

  it('does not report that failure either when systemd tells of the reset late', async () => {
    host.systemd.define('a.service', { stop: 'exit-143', stopMs: 20 });
    await writeSpec();
    await boot({
      connect: (events) => host.watched(host.systemd.connect(lateToTellInactive(events))),
    });
    await desire([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    const failures = watchFailures();
    await desire([]);
    await clock.until('the stop', () => asked('stop a.service') === 1);
    await clock.advance(10_000);
    expect(active('a')).toBe('inactive');
    expect(failures()).toEqual([]);
  });

  it('resets a unit that had to be killed because it did not stop in time: it may run here again', async () => {
    host.systemd.define('a.service', { stop: 'ignores-sigterm', stopTimeoutMs: 1_000 });
    await bootToRun([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    const failures = watchFailures();
    await desire([]);
    await clock.until('the reset', () => asked('reset a.service') === 1);
    await clock.advance(1_000);
    expect(failures()).toEqual([]);
    await desire([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
  });

  it('does not report a unit as failed that somebody stopped, which killed it, and reset at once: it runs here again', async () => {
    host.systemd.define('a.service', { stop: 'ignores-sigterm', stopTimeoutMs: 1_000 });
    await writeSpec();
    await boot({
      connect: (events) => {
        const connected = host.watched(host.systemd.connect(lateToTellInactive(events)));
        return {
          ...connected,
          connected: true,
          exitInfo: async () => {
            host.systemd.systemctl('reset-failed', 'a.service');
            // an inactive unit that nobody refers to is forgotten
            return { result: 'success', code: 'none', status: 0 };
          },
        };
      },
    });
    await desire([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    const failures = watchFailures();
    host.systemd.systemctl('stop', 'a.service');
    await clock.until('it to run again', () => asked('start a.service') === 2, 10_000);
    await clock.advance(1_000);
    expect(failures()).toEqual([]);
  });

  it.each([
    ['is', 0],
    ['was', 2_000],
  ])(
    'does not report what may run once as failed that %s being stopped by a guard when it starts',
    async (_, afterMs) => {
      host.systemd.define('a.service', { stop: 'ignores-sigterm', stopTimeoutMs: 1_000 });
      await writeSpec();
      const first = await boot();
      await desire([{ ...unit('a'), isolation: 'stop' }]);
      await clock.until('it to run', () => active('a') === 'active');
      await done(first.close());
      const failures = watchFailures();
      host.systemd.systemctl('stop', 'a.service');
      await clock.advance(afterMs);
      await boot();
      await clock.until('it to run again', () => asked('start a.service') === 2, 10_000);
      expect(failures()).toEqual([]);
    },
  );

  it('reports a unit that ended in another way when it was stopped as failed', async () => {
    host.systemd.define('a.service', { stop: 'exit-143' });
    await writeSpec();
    await boot({
      connect: (events) => ({
        ...host.watched(host.systemd.connect(events)),
        connected: true,
        exitInfo: async () => ({ result: 'exit-code', code: 'exited', status: 1 }),
      }),
    });
    await desire([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    await desire([]);
    await clock.until('the report', () => seen('a')?.failure?.kind === 'failed');
    expect(asked('reset a.service')).toBe(0);
  });

  it('lets a unit that hangs delay no other one', async () => {
    host.systemd.define('a.service', { start: 'hangs' });
    await bootToRun([unit('a')]);
    await clock.until('it to hang', () => seen('a')?.active === 'activating');
    await desire([unit('a'), unit('b')]);
    await clock.until('the other to run', () => seen('b')?.active === 'active', 1_000);
    expect(seen('a')?.active).toBe('activating');
  });

  it('starts a unit that ends by itself again, after pauses that grow threefold', async () => {
    host.systemd.define('a.service', { exitsAfterMs: 50 });
    await writeSpec();
    await boot();
    const starts: number[] = [];
    await desire([unit('a')]);
    for (let count = 1; count <= 4; count++) {
      await clock.until(`start ${count}`, () => asked('start a.service') === count);
      starts.push(clock.now());
    }
    const gaps = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
    expect(gaps[1]).toBeGreaterThanOrEqual(3 * 100);
    expect(gaps[2]).toBeGreaterThanOrEqual(9 * 100);
    expect(gaps[2]).toBeLessThan(9 * 100 + 100);
  });

  it('stops what must not run twice before its session can expire, and nothing else, when it is cut off', async () => {
    await bootToRun([unit('a'), { ...unit('b'), isolation: 'stop' }]);
    await clock.until('both to run', () => seen('a')?.active === 'active' && seen('b')?.active === 'active');
    store.cut('silent');
    const cutAt = clock.now();
    await clock.until('the stop', () => host.systemd.state('b.service').active === 'inactive');
    expect(clock.now() - cutAt).toBeLessThan(4_000);
    await clock.advance(10_000);
    expect(host.systemd.state('a.service').active).toBe('active');
    expect([asked('start b.service'), asked('stop a.service')]).toEqual([1, 0]);
  });

  it('leaves it running through a cut that is shorter, and starts it again after one that was longer', async () => {
    await bootToRun([{ ...unit('b'), isolation: 'stop' }]);
    await clock.until('it to run', () => seen('b')?.active === 'active');
    store.cut('reset');
    await clock.advance(1_000);
    store.heal();
    await clock.advance(5_000);
    expect(asked('stop b.service')).toBe(0);
    store.cut('reset');
    await clock.until('the stop', () => host.systemd.state('b.service').active === 'inactive');
    store.heal();
    await clock.until('the start', () => host.systemd.state('b.service').active === 'active');
  });

  it('stops it, too, when its process starts anew while the host is cut off, and nothing else', async () => {
    await writeSpec();
    const first = await boot();
    await desire([unit('a'), { ...unit('b'), isolation: 'stop' }]);
    await clock.until('both to run', () => seen('a')?.active === 'active' && seen('b')?.active === 'active');
    await done(first.close());
    ensemble.stop();
    await boot({ session: ensemble.connect({ sessionTimeoutMs: 4_000 }), joined: false });
    const startedAt = clock.now();
    await clock.until('the stop', () => active('b') === 'inactive');
    expect(clock.now() - startedAt).toBeLessThan(4_000);
    await clock.advance(20_000);
    expect(active('a')).toBe('active');
    expect(asked('start b.service')).toBe(1);
  });

  it('starts what must not run twice after its session was lost only once the leader has written the order anew', async () => {
    await bootToRun([{ ...unit('b'), isolation: 'stop' }]);
    await clock.until('it to run', () => seen('b')?.active === 'active');
    if (store.state.kind !== 'connected') throw new Error('no session');
    const { session } = store.state;
    store.cut('reset');
    await clock.until('the stop', () => host.systemd.state('b.service').active === 'inactive');
    ensemble.expire(session);
    store.heal();
    await clock.until('a new session', () => store.state.kind === 'connected');
    executor.joined(false);
    await clock.until('the report', () => observed()?.refused !== undefined);
    await clock.advance(20_000);
    expect(asked('start b.service')).toBe(1);
    await desire([{ ...unit('b'), isolation: 'stop' }]);
    await clock.until('it to run', () => seen('b')?.active === 'active');
    expect(observed()?.refused).toBeUndefined();
  });

  it('starts what must not run twice in no session too short for that, says so, and leaves alone what runs', async () => {
    host.systemd.systemctl('start', 'a.service');
    await writeSpec();
    store = ensemble.connect({ sessionTimeoutMs: 2_999 });
    await clock.until('the short session', () => store.state.kind === 'connected');
    await boot();
    await desire([{ ...unit('a'), isolation: 'stop' }, { ...unit('b'), isolation: 'stop' }, unit('c')]);
    await clock.until('the others to run', () => seen('a')?.active === 'active' && seen('c')?.active === 'active');
    await clock.advance(20_000);
    expect(seen('b')).toMatchObject({ active: 'inactive', waiting: expect.stringContaining('2.999 s, too short') });
    expect(host.asked.filter((each) => !each.startsWith('guard '))).toEqual(['start c.service']);
  });

  it('puts right what is started by hand, and counts it', async () => {
    await bootToRun([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    host.systemd.systemctl('start', 'b.service');
    await clock.until('it to be stopped', () => asked('stop b.service') === 1 && active('b') === 'inactive');
    expect(host.drift).toEqual(['b.service']);
  });

  it('puts right what is stopped by hand at once, and counts it', async () => {
    host.systemd.define('a.service', { stopMs: 10 });
    await bootToRun([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    host.systemd.systemctl('stop', 'a.service');
    await clock.until('it to run again', () => asked('start a.service') === 2 && active('a') === 'active', 100);
    expect(host.drift).toEqual(['a.service']);
  });

  it('stops its units on request, and starts none of them again', async () => {
    await bootToRun([unit('a'), unit('b')]);
    await clock.until('both to run', () => active('a') === 'active' && active('b') === 'active');
    host.systemd.systemctl('start', 'foreign.service');
    await done(executor.stopUnits('all', new AbortController().signal));
    await clock.advance(20_000);
    expect([active('a'), active('b'), active('foreign')]).toEqual(['inactive', 'inactive', 'active']);
    expect(host.memory.remembered.units.size).toBe(0);
  });

  const once = (name: string): DesiredUnit => ({ ...unit(name), isolation: 'stop' });

  it('reports, while it stops its units, each of them as down as soon as it is, and that it is leaving', async () => {
    host.systemd.define('b.service', { stopMs: 3_000 });
    await bootToRun([unit('a'), once('b'), unit('c')]);
    await clock.until('all to run', () => ['a', 'b', 'c'].every((name) => seen(name)?.active === 'active'));
    host.systemd.define('c.service', { stopMs: 6_000 });
    const stopped = executor.stopUnits('all', new AbortController().signal);
    const shown = () => ['a', 'b', 'c'].map((name) => seen(name)?.active ?? 'none');
    await clock.until('the word', () => observed()?.leaving === true);
    expect(shown()).not.toContain('inactive');
    await clock.until('a to be down', () => seen('a')?.active === 'inactive');
    expect([active('a'), active('b')]).toEqual(['inactive', 'deactivating']);
    expect(shown()).toEqual(['inactive', 'deactivating', 'deactivating']);
    await clock.until('b to be down', () => seen('b')?.active === 'inactive');
    expect(active('c')).toBe('deactivating');
    expect(await done(stopped)).toEqual([]);
    await clock.until('c to be down', () => seen('c')?.active === 'inactive');
    expect(observed()).toMatchObject({ epoch: 1, generation, leaving: true });
  });

  it('never reports a unit as down while it leaves and a start of it is under way', async () => {
    await bootToRun([unit('a')]);
    await clock.until('the start to be asked for', () => asked('start a.service') === 1);
    const stopped = executor.stopUnits('all', new AbortController().signal);
    let early = false;
    while (observed()?.units.some((each) => each.unit === 'a.service' && each.active === 'inactive') !== true) {
      early ||= observed()?.leaving === true && seen('a') === undefined && active('a') !== 'inactive';
      await clock.advance(1);
      if (clock.now() > 60_000) throw new Error('it is never said to be down');
    }
    expect([active('a'), early]).toEqual(['inactive', false]);
    await done(stopped);
  });

  it('stops only what may run once when the rest is to be kept, and does not call that leaving', async () => {
    await bootToRun([unit('a'), once('b')]);
    await clock.until('both to run', () => seen('a')?.active === 'active' && seen('b')?.active === 'active');
    expect(host.systemd.guards.names).toHaveLength(1);
    expect(await done(executor.stopUnits('once-only', new AbortController().signal))).toEqual([]);
    expect([active('a'), active('b')]).toEqual(['active', 'inactive']);
    await clock.until('the end of the guard', () => host.systemd.guards.names.length === 0);
    await clock.advance(20_000);
    expect([active('a'), active('b')]).toEqual(['active', 'inactive']);
    expect([...host.memory.remembered.units.keys()]).toEqual(['a.service']);
    expect(observed()?.leaving).toBeUndefined();
    expect([asked('stop a.service'), asked('start b.service')]).toEqual([0, 1]);
  });

  it.each(['all', 'once-only'] as const)(
    'says what may run once and did not stop in time (%s): a guard stops it',
    async (which) => {
      for (const name of ['a.service', 'b.service']) host.systemd.define(name, { stopMs: 60_000 });
      await bootToRun([unit('a'), once('b')]);
      await clock.until('both to run', () => seen('a')?.active === 'active' && seen('b')?.active === 'active');
      const abort = new AbortController();
      clock.after(500, () => abort.abort());
      expect(await done(executor.stopUnits(which, abort.signal))).toEqual(['b.service']);
      expect(host.systemd.guards.names).toHaveLength(1);
      // the process ends, so that nothing is confirmed any more
      store.cut('silent');
      await clock.advance(4_000);
      expect(active('b')).not.toBe('deactivating');
      expect(active('a')).toBe(which === 'all' ? 'deactivating' : 'active');
    },
  );

  it('stops a unit whose start hangs at once when it is told to stop its units', async () => {
    host.systemd.define('a.service', { start: 'hangs' });
    await bootToRun([unit('a')]);
    await clock.until('it to hang', () => active('a') === 'activating');
    await clock.finish('the stop', executor.stopUnits('all', new AbortController().signal), 1_000);
    expect(active('a')).toBe('inactive');
  });

  it.each([
    ['its main process', 'hangs'],
    ['what runs before its main process', 'hangs-before'],
  ] as const)(
    'does not report a unit as failed that it stopped while %s hung: it may run here again',
    async (_, start) => {
      host.systemd.define('a.service', { start });
      await bootToRun([unit('a')]);
      await clock.until('it to hang', () => active('a') === 'activating');
      const failures = watchFailures();
      await clock.finish('the stop', executor.stopUnits('all', new AbortController().signal), 1_000);
      expect(active('a')).toBe('inactive');
      expect(failures()).toEqual([]);
    },
  );

  it('stops a unit, too, whose start was asked for a moment before', async () => {
    await bootToRun([unit('a')]);
    await clock.until('the start to be asked for', () => asked('start a.service') === 1);
    expect(active('a')).toBe('inactive');
    await done(executor.stopUnits('all', new AbortController().signal));
    await clock.advance(20_000);
    expect(active('a')).toBe('inactive');
    expect(asked('start a.service')).toBe(1);
  });

  it('starts nothing any more when it was told to stop its units while a prestart script ran', async () => {
    host.systemd.onCommand = () => ({ afterMs: 1_000, exitStatus: 0 });
    await bootToRun([unit('a', { script: 'x', values: {} })]);
    await clock.until('the script', () => asked('run servicewatcher-prestart-a.service') === 1);
    await done(executor.stopUnits('all', new AbortController().signal));
    await clock.advance(20_000);
    expect(asked('start a.service')).toBe(0);
  });

  it('idles while it stops its units, though the pause of one that ended is over meanwhile', async () => {
    host.systemd.define('a.service', { exitsAfterMs: 50 });
    host.systemd.define('b.service', { stopMs: 30_000 });
    await bootToRun([unit('a'), unit('b')]);
    await clock.until('a pause', () => seen('a')?.waiting !== undefined && active('b') === 'active');
    await done(executor.stopUnits('all', new AbortController().signal));
    expect([active('a'), active('b')]).toEqual(['inactive', 'inactive']);
  });

  it('gives up stopping its units when the signal says so', async () => {
    host.systemd.define('a.service', { stop: 'ignores-sigterm' });
    await bootToRun([unit('a')]);
    await clock.until('it to run', () => active('a') === 'active');
    const abort = new AbortController();
    clock.after(3_000, () => abort.abort());
    await clock.finish('the end of the wait', executor.stopUnits('all', abort.signal), 3_100);
    expect(active('a')).toBe('deactivating');
  });

  it('clears the failures of its units on request, and of no other ones', async () => {
    await bootToRun([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    host.systemd.systemctl('start', 'foreign.service');
    await clock.advance(100);
    for (const name of ['a.service', 'foreign.service']) host.systemd.kill(name, 9);
    await clock.until('the failure', () => seen('a')?.failure?.kind === 'failed');
    await done(executor.clearFailures());
    await clock.until('it to run', () => seen('a')?.active === 'active');
    expect(active('foreign')).toBe('failed');
  });
});

describe('an executor whose jobs systemd does not carry out', () => {
  const changed = (change: (systemd: Systemd) => Partial<Systemd>) => (events: SystemdEvents) => {
    const systemd = host.watched(host.systemd.connect(events));
    const changes = change(systemd);
    return {
      get connected() {
        return systemd.connected;
      },
      list: (units) => systemd.list(units),
      start: (name, deadlineMs, signal) => systemd.start(name, deadlineMs, signal),
      stop: (name, deadlineMs, signal) => systemd.stop(name, deadlineMs, signal),
      reload: (name, deadlineMs, signal) => systemd.reload(name, deadlineMs, signal),
      resetFailed: (name) => systemd.resetFailed(name),
      exitInfo: (name) => systemd.exitInfo(name),
      stopTimeoutMs: (name) => systemd.stopTimeoutMs(name),
      run: (command, signal) => systemd.run(command, signal),
      startGuard: (guard) => systemd.startGuard(guard),
      endGuard: (name) => systemd.endGuard(name),
      guards: () => systemd.guards(),
      close: () => systemd.close(),
      ...changes,
    } satisfies Systemd;
  };

  it('asks seldom for a stop that is refused, and obeys when the unit is wanted again', async () => {
    await writeSpec();
    await boot({
      connect: changed(() => ({
        stop: async (name) => {
          host.asked.push(`stop ${name}`);
          return { kind: 'refused', error: 'x.OnlyByDependency', message: 'it may be stopped by dependency only' };
        },
      })),
    });
    await desire([unit('a')]);
    await clock.until('it to run', () => active('a') === 'active');
    await desire([]);
    await clock.advance(60_000);
    expect(asked('stop a.service')).toBeGreaterThan(1);
    expect(asked('stop a.service')).toBeLessThanOrEqual(3);
    await desire([unit('a')]);
    await clock.advance(60_000);
    expect(host.log.at('error').length).toBeLessThanOrEqual(3);
  });

  it('pauses longer and longer before a start that others cancel again and again', async () => {
    await writeSpec();
    await boot({
      connect: changed(() => ({
        start: async (name) => {
          host.asked.push(`start ${name}`);
          return { kind: 'canceled' };
        },
      })),
    });
    await desire([unit('a')]);
    await clock.advance(10_000);
    expect(asked('start a.service')).toBeGreaterThan(2);
    expect(asked('start a.service')).toBeLessThanOrEqual(6);
  });
});

describe('what an executor does not obey', () => {
  beforeEach(async () => {
    await bootToRun([unit('a')], { epoch: 5 });
    await clock.until('it to run', () => seen('a')?.active === 'active');
    host.asked.length = 0;
  });

  it('refuses a desired state that cannot be read, says so, and touches nothing', async () => {
    await put('/desired/w1', Buffer.from('{"version":1,"host":7}'));
    await clock.until('the report', () => observed()?.refused !== undefined);
    expect(observed()?.refused).toContain('/desired/w1 is not valid');
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    expect(active('a')).toBe('active');
    await desire([unit('a'), unit('b')], { epoch: 5 });
    await clock.until('it to obey again', () => seen('b')?.active === 'active');
    expect(observed()?.refused).toBeUndefined();
  });

  it('refuses the desired state of an older epoch', async () => {
    await desire([], { epoch: 4 });
    await clock.until('the report', () => observed()?.refused !== undefined);
    expect(observed()).toMatchObject({ epoch: 5 });
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
  });

  it('refuses an older epoch after its own restart, too', async () => {
    await done(executor.close());
    await desire([], { epoch: 4 });
    await boot();
    await clock.until('the report', () => observed()?.refused !== undefined);
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    expect(active('a')).toBe('active');
  });

  it('refuses the desired state of another host', async () => {
    await desire([], { epoch: 6, host: 'w2' });
    await clock.until('the report', () => observed()?.refused?.includes('w2') ?? false);
    expect(active('a')).toBe('active');
  });

  it('stops nothing when its desired state is removed', async () => {
    await done(store.remove('/desired/w1'));
    await clock.until('the report', () => observed()?.refused?.includes('removed') ?? false);
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    host.systemd.kill('a.service', 9);
    host.systemd.systemctl('reset-failed', 'a.service');
    await clock.until('the last order to stand', () => seen('a')?.active === 'active');
  });

  it('asks for its order when it finds none after a restart, though one was obeyed before', async () => {
    await done(executor.close());
    running.length = 0;
    await done(store.remove('/desired/w1'));
    await boot();
    await clock.until('the report', () => observed()?.refused?.includes('removed') ?? false);
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    await desire([unit('a'), unit('b')], { epoch: 5 });
    await clock.until('it to obey again', () => seen('b')?.active === 'active' && !observed()?.refused);
  });

  it('keeps to the last readable spec when the spec cannot be read', async () => {
    await put('/spec', Buffer.from('nonsense'));
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    host.systemd.systemctl('start', 'b.service');
    await clock.until('drift to be put right', () => asked('stop b.service') === 1);
  });
});

describe('prestart', () => {
  const script = (...hosts: string[]): DesiredPrestart => ({
    script: 'echo {instance:c} > /etc/x',
    values: { c: hosts },
  });
  let commands: TransientCommand[];

  beforeEach(async () => {
    commands = [];
    host.systemd.onCommand = (command) => {
      commands.push(command);
      return { afterMs: 5, exitStatus: 0 };
    };
    await writeSpec();
    await boot();
  });

  it('runs before the start, and leaves no file behind', async () => {
    await desire([unit('a', script('w1', 'w2'))]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    expect(host.asked).toEqual(['run servicewatcher-prestart-a.service', 'start a.service']);
    expect(commands[0]?.environment).toEqual({ SERVICEWATCHER_UNIT: 'a.service', SERVICEWATCHER_HOST: 'w1' });
    expect(await readdir(host.prestartFolder)).toEqual([]);
  });

  it('waits, and says so, while the unit it refers to is placed nowhere', async () => {
    await desire([unit('a', script())]);
    await clock.until('the report', () => seen('a')?.waiting !== undefined);
    expect(seen('a')?.waiting).toContain('needs c');
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    await desire([unit('a', script('w2'))]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
  });

  it('that fails is a failed start of its unit, until failures are cleared', async () => {
    host.systemd.onCommand = () => ({ afterMs: 5, exitStatus: 1 });
    await desire([unit('a', script('w2')), unit('b')]);
    await clock.until('the report', () => seen('a')?.failure?.kind === 'prestart');
    await clock.advance(30_000);
    expect(asked('run servicewatcher-prestart-a.service')).toBe(1);
    expect(asked('start a.service')).toBe(0);
    expect(seen('b')?.active).toBe('active');
    host.systemd.onCommand = () => ({ afterMs: 5, exitStatus: 0 });
    await done(executor.clearFailures());
    await clock.until('it to run', () => seen('a')?.active === 'active');
  });

  it('restarts the unit when its values change, after running again', async () => {
    await desire([unit('a', script('w2'))]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    host.asked.length = 0;
    await desire([unit('a', script('w3'))]);
    await clock.until('it to run again', () => asked('start a.service') === 1 && seen('a')?.active === 'active');
    await clock.advance(20_000);
    expect(host.asked).toEqual(['stop a.service', 'run servicewatcher-prestart-a.service', 'start a.service']);
    expect(host.drift).toEqual([]);
  });

  it('takes no running unit down because the one it refers to is placed nowhere for the moment', async () => {
    await desire([unit('a', script('w2'))]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    host.asked.length = 0;
    await desire([unit('a', script())]);
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
    await desire([unit('a', script('w2'))]);
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
  });

  it('that hangs is given up for the mended one, and is no failure of the unit', async () => {
    host.systemd.onCommand = () => ({ afterMs: 60_000, exitStatus: 1 });
    await desire([unit('a', script('w2'))]);
    await clock.until('the script', () => active('servicewatcher-prestart-a') === 'activating');
    host.systemd.onCommand = () => ({ afterMs: 5, exitStatus: 0 });
    await desire([unit('a', { ...script('w2'), script: 'true {instance:c}' })]);
    await clock.until('it to run', () => seen('a')?.active === 'active', 10_000);
    host.asked.length = 0;
    await desire([unit('a', { ...script('w2'), script: 'false {instance:c}' })]);
    await clock.advance(20_000);
    expect(host.asked).toEqual([]);
  });

  it('does not start a unit that ceased to be desired while it ran', async () => {
    host.systemd.onCommand = () => ({ afterMs: 1_000, exitStatus: 0 });
    await desire([unit('a', script('w2'))]);
    await clock.until('the script', () => asked('run servicewatcher-prestart-a.service') === 1);
    await desire([]);
    await clock.advance(20_000);
    expect(asked('start a.service')).toBe(0);
  });
});

describe('the connection to systemd', () => {
  it('is survived: nothing is touched, and what happened meanwhile is seen afterwards', async () => {
    await bootToRun([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    host.asked.length = 0;
    host.systemd.disconnect();
    await clock.advance(20_000);
    expect(executor.systemdConnected).toBe(false);
    expect(host.asked).toEqual([]);
    host.systemd.kill('a.service', 9);
    host.systemd.reconnect();
    await clock.until('the report', () => seen('a')?.failure?.kind === 'failed');
  });

  it('is waited for, not spun on, while a unit is to be started', async () => {
    await bootToRun([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    host.systemd.disconnect();
    await desire([unit('a'), unit('b')]);
    await clock.advance(20_000);
    expect(asked('start b.service')).toBe(0);
    host.systemd.reconnect();
    await clock.until('it to run', () => seen('b')?.active === 'active');
  });

  it('that fails in the middle of a start is tried again, after a pause', async () => {
    let refusals = 0;
    await writeSpec();
    await boot({
      connect: (events) => {
        const systemd = host.watched(host.systemd.connect(events));
        return {
          ...systemd,
          get connected() {
            return systemd.connected;
          },
          start: async (name, deadlineMs, signal) => {
            if (clock.now() > 5_000) return systemd.start(name, deadlineMs, signal);
            refusals += 1;
            throw new Error('LimitsExceeded');
          },
        };
      },
    });
    await desire([unit('a')]);
    await clock.until('it to run', () => seen('a')?.active === 'active');
    expect(refusals).toBeGreaterThan(1);
    expect(refusals).toBeLessThan(50);
  });

  it.each(['done', 'assert'] as const)(
    'that ends a start as %s without the unit being up is asked again after pauses that grow',
    async (kind) => {
      let starts = 0;
      await writeSpec();
      await boot({
        connect: (events) => {
          const systemd = host.watched(host.systemd.connect(events));
          return {
            ...systemd,
            get connected() {
              return systemd.connected;
            },
            start: async () => {
              starts += 1;
              await systemd.list(['a.service']);
              return { kind };
            },
          };
        },
      });
      await desire([unit('a')]);
      await clock.advance(10_000);
      expect(starts).toBeGreaterThan(3);
      expect(starts).toBeLessThan(12);
    },
  );

  it('nothing is reported before systemd has answered', async () => {
    host.systemd.disconnect();
    host.systemd.systemctl('start', 'a.service');
    await writeSpec();
    await boot();
    await clock.advance(10_000);
    expect(observed()).toBeUndefined();
    const empty = watchReports((report) => report.units.length === 0);
    host.systemd.reconnect();
    await clock.until('the report', () => seen('a')?.active === 'active');
    expect(empty()).toEqual([]);
  });
});

describe('the report', () => {
  it('is written only once the host has joined', async () => {
    await writeSpec();
    await boot({ joined: false });
    await clock.advance(10_000);
    expect(observed()).toBeUndefined();
    executor.joined(false);
    await clock.until('the report', () => observed() !== undefined);
  });

  it('is written anew in a new session, but not before the host has joined in it', async () => {
    await bootToRun([unit('a')]);
    await clock.until('the report', () => seen('a')?.active === 'active');
    if (store.state.kind !== 'connected') throw new Error('no session');
    const { session } = store.state;
    ensemble.expire(session);
    await clock.until('a new session', () => store.state.kind === 'connected' && store.state.session !== session);
    await clock.advance(20_000);
    expect(observed()).toBeUndefined();
    executor.joined(false);
    await clock.until('the report', () => seen('a')?.active === 'active');
  });

  it('tells what changed while the connection was in doubt as soon as it is back', async () => {
    await bootToRun([unit('a')]);
    await clock.until('the report', () => seen('a')?.active === 'active');
    store.cut('reset');
    host.systemd.kill('a.service', 9);
    await clock.advance(500);
    store.heal();
    await clock.until('the report', () => seen('a')?.failure !== undefined, 200);
  });

  it('comes back when someone removes it', async () => {
    await writeSpec();
    await boot();
    await clock.until('the report', () => observed() !== undefined);
    await clock.advance(1_000);
    await done(store.remove('/observed/w1'));
    await clock.until('the report', () => observed() !== undefined);
  });

  it('replaces the one that an earlier session of the host left', async () => {
    const earlier = ensemble.connect();
    await clock.until('its session', () => earlier.state.kind === 'connected');
    await done(earlier.create('/observed/w1', Buffer.from('{}'), 'ephemeral'));
    await writeSpec();
    await boot();
    await clock.until('the report', () => observed() !== undefined);
    earlier.kill();
    await clock.advance(10_000);
    expect(observed()).toBeDefined();
  });
});

/** Collects every report, from now on, that `which` picks. */
function watchReports(which: (report: Observed) => boolean): () => Observed[] {
  const picked: Observed[] = [];
  store.watch('/observed/w1', () => {
    const report = observed();
    if (report && which(report)) picked.push(report);
  });
  return () => picked;
}

/** Collects every report, from now on, that says that a unit failed. */
function watchFailures(): () => Observed[] {
  return watchReports(({ units }) => units.some(({ failure }) => failure !== undefined));
}
