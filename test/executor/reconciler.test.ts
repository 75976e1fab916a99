/** Passes of an executor, each made by the test, on a pretended systemd; the test plays the leader, too. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Departures } from '../../src/executor/departures.ts';
import { HealthWatch } from '../../src/executor/health-watch.ts';
import { Lease } from '../../src/executor/lease.ts';
import type { Remembered } from '../../src/executor/memory-file.ts';
import { MemoryKeeper } from '../../src/executor/memory-keeper.ts';
import { OrderedStarts } from '../../src/executor/ordered-starts.ts';
import { Orders } from '../../src/executor/orders.ts';
import { Prestart } from '../../src/executor/prestart.ts';
import { Publisher } from '../../src/executor/publisher.ts';
import { Reconciler } from '../../src/executor/reconciler.ts';
import { StandingOrder } from '../../src/executor/standing-order.ts';
import { StopFailures } from '../../src/executor/stop-failures.ts';
import type { Systemd } from '../../src/executor/systemd.ts';
import { Teller } from '../../src/executor/teller.ts';
import type { TurnWish } from '../../src/executor/turns.ts';
import { UnitJobs } from '../../src/executor/unit-jobs.ts';
import { UnitTable } from '../../src/executor/unit-table.ts';
import { digestOf } from '../../src/shared/digest.ts';
import type { DesiredUnit, ObservedUnit } from '../../src/shared/model.ts';
import { encodeDesired, encodeSpecRecord } from '../../src/shared/payloads.ts';
import { PARENTS } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeHost, SESSION_MS, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import { checkOf } from '../fixtures/health-check.ts';
import { placed } from '../fixtures/snapshot.ts';

const TICK_MS = 5_000;
const FAILED_TICK_MS = 2_000;
const SPEC = specOf(
  ...['a', 'b', 'c'].map((name) => ({ name, type: 'global', enabled: true, isolation: 'keep' }) as const),
);

let clock: FakeClock;
let ensemble: FakeEnsemble;
let host: FakeHost;
let store: FakeStore;
let folder: string;
/** What systemd was asked to list, each time; and what it says instead of an answer, if so. */
let listed: string[][];
let listRefusal: string | undefined;
/** Called when systemd was asked for a list, before it answers. */
let onList: () => void;
/** Of the order that is there. */
let generation: number;
/** Generations that were written to disk, in their order. */
let saved: number[];
/** What was on disk when systemd was asked for something the last time. */
let savedWhenAsked: Remembered | undefined;
let reconciled: number[];
let found: Set<string>;
let unhealthy: boolean;
let wishes: ReadonlyMap<string, TurnWish>;

let table: UnitTable;
let orders: Orders;
let jobs: UnitJobs;
let teller: Teller;
let reconciler: Reconciler;
let close: () => Promise<unknown>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-reconciler-'));
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  host = new FakeHost('w1', clock, ensemble, folder, {
    onAsked: () => {
      savedWhenAsked = host.memory.remembered;
    },
  });
  listed = [];
  listRefusal = undefined;
  onList = () => {};
  generation = 0;
  saved = [];
  savedWhenAsked = undefined;
  reconciled = [];
  found = new Set();
  unhealthy = false;
  wishes = new Map();
  close = async () => undefined;
  store = ensemble.connect({ sessionTimeoutMs: SESSION_MS });
  await clock.until('the session', () => store.state.kind === 'connected');
  await done(Promise.all(PARENTS.map((parent) => store.ensure(parent))));
  const record = { spec: SPEC, digest: digestOf(SPEC), proposedBy: 'w1', at: clock.date().toISOString(), earlier: [] };
  await done(store.create('/spec', encodeSpecRecord(record), 'persistent'));
  for (const unit of ['a.service', 'b.service', 'c.service']) host.systemd.define(unit);
});

afterEach(async () => {
  await done(close());
  await rm(folder, { recursive: true });
});

function done<T>(promise: Promise<T>): Promise<T> {
  return clock.finish('an answer', promise);
}

/** The parts of an executor, as it wires them, without its loop: nothing makes a pass but the test. */
async function boot(): Promise<void> {
  const { log } = host;
  const onChange = () => {};
  const events = { record: () => {} };
  const turns = {
    want: (given: ReadonlyMap<string, TurnWish>) => {
      wishes = given;
    },
    state: () => ({ kind: 'has' }) as const,
  };
  const metrics = { reconciled: (seconds: number) => void reconciled.push(seconds), drift: () => {}, units: () => {} };
  const memory = {
    load: () => host.memory.load(),
    save: (remembered: Remembered) => {
      saved.push(remembered.applied.generation);
      return host.memory.save(remembered);
    },
  };
  table = new UnitTable(
    clock,
    () => keeper.save(),
    () => {},
  );
  const connected = host.watched(
    host.systemd.connect({
      onConnected: () => {},
      onDisconnected: () => {},
      onUnit: (unit, active, sub) => void table.signalled(unit, active, sub, jobs.isBusy(unit)),
      onReloaded: () => {},
    }),
  );
  const systemd: Systemd = {
    ...connected,
    get connected() {
      return connected.connected;
    },
    list: async (units) => {
      listed.push([...units]);
      onList();
      if (listRefusal !== undefined) throw new Error(listRefusal);
      return connected.list(units);
    },
  };
  const options = { clock, log, host: 'w1', systemd, sessionTimeoutMs: SESSION_MS, onChange };
  orders = new Orders('w1', log, { onChange, onAccepted: () => lease.confirmed() });
  const lease = new Lease({ ...options, store, runOnce: () => orders.runOnce });
  const publisher = new Publisher(store, 'w1', clock, log);
  const departures = new Departures({ clock, mayBeFound: (unit) => found.has(unit), limitMs: SESSION_MS });
  const keeper = new MemoryKeeper(
    memory,
    () => ({
      applied: orders.applied,
      runOnce: orders.runOnce,
      units: table.ours(),
      farewells: departures.remembered,
    }),
    log,
  );
  const health = new HealthWatch({
    ...options,
    host: 'w1',
    address: () => '198.18.0.1',
    probe: async () => (unhealthy ? { ok: false, output: 'HTTP 503' } : { ok: true }),
  });
  const orderedStarts = new OrderedStarts({ ...options, turns, isRegistered: () => true });
  const standing = new StandingOrder(orders, lease);
  jobs = new UnitJobs({
    ...options,
    table,
    prestart: new Prestart(systemd, folder, 'w1'),
    events,
    stillDesired: (unit, scriptHasRun) => !reconciler.ended && standing.asksFor(unit, scriptHasRun),
    inTurn: (unit) => orderedStarts.mayAsk(unit),
    onDrift: () => {},
    saved: () => {
      keeper.saveApplied(orders.applied);
      return keeper.saved;
    },
  });
  const stopFailures = new StopFailures({ log, resetIfStopped: (unit) => jobs.resetIfStopped(unit), onChange });
  const parts = { table, orders, jobs, stopFailures, health, departures, metrics, events };
  teller = new Teller({ ...parts, host: 'w1', publisher, onReport: () => {} });
  reconciler = new Reconciler({
    ...options,
    ...parts,
    standing,
    lease,
    orderedStarts,
    keeper,
    teller,
    loopTickMs: TICK_MS,
    failedLoopTickMs: FAILED_TICK_MS,
  });
  const remembered = await keeper.load();
  table.recall(remembered.units);
  orders.open(store, remembered.applied, remembered.runOnce);
  lease.join(true);
  publisher.enable();
  close = () => {
    orders.close();
    health.close();
    return Promise.all([jobs.close(), lease.close(), publisher.close(), systemd.close()]);
  };
  await clock.until('the orders', () => orders.read && systemd.connected);
}

/** As the leader would: one more generation of the order. */
async function desire(...units: readonly DesiredUnit[]): Promise<void> {
  const path = '/desired/w1';
  generation += 1;
  const data = encodeDesired({ host: 'w1', epoch: 1, generation, spec: digestOf(SPEC), units });
  if (ensemble.tree.get(path)) await done(store.set(path, data));
  else await done(store.create(path, data, 'persistent'));
  // those who watch it have read it by then
  await clock.advance(10);
}

const pass = () => done(reconciler.pass());
/** So many passes, and what they have set off has come to its end. */
async function settle(passes = 3): Promise<void> {
  for (let each = 0; each < passes; each++) {
    await pass();
    await clock.advance(10);
  }
}
const [A, B, C] = [placed('a.service'), placed('b.service'), placed('c.service')];
const state = (unit: DesiredUnit) => host.systemd.state(unit.unit).active;
const seen = ({ unit }: DesiredUnit): ObservedUnit | undefined =>
  teller.latest?.units.find((each) => each.unit === unit);

describe('a pass', () => {
  it('carries out what follows from the order and from what systemd says, each for itself, and waits for none of it', async () => {
    host.systemd.define('a.service', { start: 'hangs' });
    host.systemd.define('b.service', {}, 'masked');
    host.systemd.systemctl('start', 'c.service');
    await desire(A, B);
    await boot();
    const begun = clock.now();
    await pass();
    // the answer of systemd alone
    expect(clock.now() - begun).toBeLessThan(10);
    await clock.advance(10);
    expect([...host.asked].sort()).toEqual(['start a.service', 'stop c.service']);
    expect([state(A), state(C)]).toEqual(['activating', 'inactive']);
    expect([seen(A)?.waiting, seen(B)?.failure?.kind]).toEqual([undefined, 'masked']);
  });

  it('asks for nothing twice while what it has set off is under way', async () => {
    host.systemd.onCommand = () => ({ afterMs: 1_000, exitStatus: 0 });
    host.systemd.define('b.service', { startMs: 1_000 });
    await desire(placed('a.service', { prestart: { script: 'true', values: {} } }), B);
    await boot();
    await settle(20);
    expect([...host.asked].sort()).toEqual(['run servicewatcher-prestart-a.service', 'start b.service']);
    expect(reconciled).toHaveLength(1);
  });

  it('gives up a start under way that is not wanted any more, though it would hang for hours', async () => {
    host.systemd.define('a.service', { start: 'hangs' });
    await desire(A);
    await boot();
    await settle();
    await desire();
    await settle();
    expect(host.asked).toEqual(['start a.service', 'stop a.service']);
    expect(state(A)).toBe('inactive');
  });

  it('starts nothing that comes after others by an order of long ago, and asks the leader for a new one', async () => {
    const second = placed('a.service', { after: [{ service: 'b', where: 'anywhere' }] });
    await desire(second);
    await boot();
    await settle();
    expect(host.asked).toEqual([]);
    expect(teller.latest?.refused).toContain('may have been written long ago');
    await desire(second);
    await settle();
    expect(host.asked).toEqual(['start a.service']);
    expect(teller.latest?.refused).toBeUndefined();
  });

  it('does nothing, and is not counted, when all is as it should be', async () => {
    await desire(A);
    await boot();
    await settle(5);
    const before = [host.asked.length, reconciled.length];
    await settle(20);
    expect([host.asked.length, reconciled.length]).toEqual(before);
  });

  it('that has set something off is counted with the time that it took, in seconds', async () => {
    await desire(A);
    await boot();
    await pass();
    expect(reconciled).toHaveLength(1);
    // a list of the pretended systemd is there and back again
    expect(reconciled[0]).toBeCloseTo(0.002, 3);
  });

  it('asks for a thousand units at once, and starts all of them', async () => {
    const units = Array.from({ length: 1_000 }, (_, index) => placed(`many-${index}.service`));
    for (const { unit } of units) host.systemd.define(unit);
    await desire(...units);
    await boot();
    await settle();
    expect(listed).toHaveLength(1);
    expect(units.every((unit) => state(unit) === 'active')).toBe(true);
  });

  it('does nothing, and tells nothing, while no order is known', async () => {
    host.systemd.systemctl('start', 'a.service');
    await boot();
    await settle();
    expect([host.asked, state(A), seen(A)?.active]).toEqual([[], 'active', 'active']);
  });
});

describe('without systemd a pass', () => {
  it('sets nothing off by what was known before, but keeps and tells what it obeys', async () => {
    await desire(A);
    await boot();
    await settle();
    host.systemd.disconnect();
    await desire(A, B);
    await settle();
    expect(host.asked).toEqual(['start a.service']);
    expect([saved.at(-1), teller.latest?.generation]).toEqual([2, 2]);
    expect(seen(A)?.active).toBe('active');
  });

  it('keeps nobody else waiting for the turn of a unit that it cannot start', async () => {
    const serial = placed('a.service', { start: { atOnce: 1, until: 'active', timeoutMs: 10_000 } });
    host.systemd.disconnect();
    const connected = boot();
    await clock.advance(100);
    host.systemd.reconnect();
    await done(connected);
    await pass();
    host.systemd.disconnect();
    await desire(serial);
    await settle();
    expect([...wishes.keys()]).toEqual([]);
    host.systemd.reconnect();
    await clock.advance(100);
    await pass();
    expect([...wishes.keys()]).toEqual(['a.service']);
  });

  it('tells nothing before systemd has answered once', async () => {
    await desire(A);
    await boot();
    listRefusal = 'the bus is busy';
    await settle();
    expect([teller.latest, host.asked]).toEqual([undefined, []]);
    expect(host.log.at('warn')[0]).toBe('systemd did not list the units: the bus is busy');
    listRefusal = undefined;
    await settle();
    expect(seen(A)?.active).toBe('active');
  });
});

async function bootWithA(): Promise<void> {
  await desire(A);
  await boot();
  await settle();
}

describe('what a pass asks systemd for', () => {
  beforeEach(bootWithA);

  it('are all units of interest the first time, and then only those that are new, until the tick', async () => {
    await desire(A, placed('d.service'));
    await settle();
    expect(listed.map((units) => units.sort())).toEqual([['a.service', 'b.service', 'c.service'], ['d.service']]);
    await clock.advance(TICK_MS);
    await settle();
    expect(listed).toHaveLength(3);
    expect(listed[2]).toHaveLength(4);
  });

  it('are all units, once, when it was told to look at all of them', async () => {
    reconciler.relist();
    await settle();
    expect(listed).toHaveLength(2);
    expect(listed[1]).toHaveLength(3);
  });

  it('are all units again when systemd did not answer', async () => {
    reconciler.relist();
    listRefusal = 'a timeout';
    await pass();
    listRefusal = undefined;
    await settle();
    expect(listed.map(({ length }) => length)).toEqual([3, 3, 3]);
    expect(state(A)).toBe('active');
  });

  it('includes what is ours though neither the order nor the configuration names it any more', async () => {
    await desire(A, placed('d.service'));
    host.systemd.define('d.service');
    await settle();
    await desire(A);
    reconciler.relist();
    await pass();
    expect(listed.at(-1)).toContain('d.service');
    await settle();
    expect(host.asked.at(-1)).toBe('stop d.service');
  });
});

describe('what is kept on disk', () => {
  it('before a start is one write, with the order and the unit', async () => {
    await desire(A);
    await boot();
    await settle();
    expect(host.asked).toEqual(['start a.service']);
    expect(saved).toEqual([1]);
    expect(savedWhenAsked).toMatchObject({
      applied: { epoch: 1, generation: 1 },
      units: new Map([['a.service', undefined]]),
    });
  });

  it('is the order that is obeyed, as soon as it is, when nothing is to be started', async () => {
    await boot();
    await desire();
    expect(saved).toEqual([]);
    await settle();
    expect(saved).toEqual([1]);
  });

  it('is the order, too, while a script runs before the start', async () => {
    host.systemd.onCommand = () => ({ afterMs: 60_000, exitStatus: 0 });
    await desire(placed('a.service', { prestart: { script: 'true', values: {} } }));
    await boot();
    await settle(1);
    expect(saved).toEqual([1]);
    expect(host.asked).toEqual(['run servicewatcher-prestart-a.service']);
  });

  it('is not written anew by passes that find nothing new', async () => {
    await desire(A);
    await boot();
    await settle(20);
    expect(saved).toEqual([1]);
  });
});

describe('units that were stopped while nobody looked', () => {
  const once = placed('a.service', { isolation: 'stop' });
  const failWith143 = async () => {
    host.systemd.define('a.service', { stop: 'exit-143' });
    host.systemd.systemctl('start', 'a.service');
    await clock.advance(10);
    host.systemd.systemctl('stop', 'a.service');
    await clock.advance(10);
    expect(state(A)).toBe('failed');
  };

  it('by a guard are no failures for a process that sees them for the first time', async () => {
    await failWith143();
    await desire(once);
    await boot();
    await settle();
    expect(host.asked).toContain('reset a.service');
    expect(seen(A)?.failure).toBeUndefined();
  });

  it('are failures where no guard can have stopped them', async () => {
    await failWith143();
    await desire(A);
    await boot();
    await settle();
    expect(host.asked).not.toContain('reset a.service');
    expect(seen(A)?.failure).toBeDefined();
  });

  it('are failures when it has seen them run, and nobody was seen to stop them', async () => {
    host.systemd.define('a.service', { stop: 'exit-143' });
    await desire(once);
    await boot();
    for (let passes = 0; state(A) !== 'active'; passes++) {
      expect(passes).toBeLessThan(100);
      await settle(1);
    }
    await settle();
    host.systemd.kill('a.service', 15);
    await settle();
    expect(host.asked).not.toContain('reset a.service');
    expect(seen(A)?.failure?.kind).toBe('failed');
  });
});

describe('the next pass is due', () => {
  it('after the tick, when nothing waits for time', async () => {
    await desire(A);
    await boot();
    expect(reconciler.nextTick()).toBe(TICK_MS);
    await settle();
    expect(reconciler.nextTick()).toBe(TICK_MS);
  });

  it('earlier while a unit of this host has failed', async () => {
    host.systemd.define('a.service', { start: 'fails', exitStatus: 1 });
    await desire(A);
    await boot();
    await settle();
    expect(seen(A)?.failure).toBeDefined();
    expect(reconciler.nextTick()).toBe(FAILED_TICK_MS);
  });

  it('when the pause of a unit that ended is over; at once, and never earlier, when that was a while ago', async () => {
    await desire(A);
    await boot();
    await settle();
    host.systemd.kill('a.service', 15);
    await clock.advance(10);
    await pass();
    expect(seen(A)?.waiting).toContain('after a pause');
    const pause = reconciler.nextTick();
    expect(pause).toBeGreaterThan(50);
    expect(pause).toBeLessThanOrEqual(100);
    await clock.advance(pause - 1);
    expect(reconciler.nextTick()).toBe(1);
    await clock.advance(1_000);
    expect(reconciler.nextTick()).toBe(0);
    await settle();
    expect(host.asked).toEqual(['start a.service', 'start a.service']);
  });

  it('when a unit that is to part has given those that found it the time to leave', async () => {
    await part();
    found.clear();
    await pass();
    expect(reconciler.nextTick()).toBe(1_000);
    expect(host.asked).toEqual(['start a.service']);
    await clock.advance(1_000);
    await settle();
    expect(host.asked).toEqual(['start a.service', 'stop a.service']);
  });

  it('when it has waited long enough for the end of a registration that does not end', async () => {
    await part();
    await pass();
    await clock.advance(SESSION_MS);
    expect(reconciler.nextTick()).toBeLessThanOrEqual(1_000);
    await pass();
    expect(host.asked).toEqual(['start a.service']);
    await clock.advance(1_000);
    await settle();
    expect(host.asked).toEqual(['start a.service', 'stop a.service']);
  });

  /** A unit that others find is not wanted here any more. */
  async function part(): Promise<void> {
    found.add('a.service');
    const discovery = { label: 'web', onlyHealthy: true, deregistrationDelayMs: 1_000 };
    await desire(placed('a.service', { discovery }));
    await boot();
    await settle();
    await desire();
    await pass();
  }

  it('when a start has had its turn for too long', async () => {
    host.systemd.define('a.service', { startMs: 60_000 });
    await desire(placed('a.service', { start: { atOnce: 1, until: 'active', timeoutMs: 3_000 } }));
    await boot();
    await pass();
    expect(reconciler.nextTick()).toBe(3_000);
  });

  it('after the tick alone once nothing is decided any more, though something waits', async () => {
    await desire(A);
    await boot();
    await settle();
    host.systemd.kill('a.service', 15);
    await clock.advance(10);
    await pass();
    reconciler.end();
    await clock.advance(1_000);
    expect(reconciler.nextTick()).toBe(TICK_MS);
  });
});

describe('a unit whose check asks for a restart', () => {
  const check = checkOf({
    probe: { kind: 'http', url: 'http://{address}:80/' },
    intervalMs: 1_000,
    timeoutMs: 500,
    unhealthyAfter: 1,
    onUnhealthy: 'restart',
    limitPerHour: 2,
  });

  it('is restarted once for it, which counts, and looked at again when the pause before the next one is over', async () => {
    await desire(placed('a.service', { check }));
    await boot();
    await settle();
    unhealthy = true;
    for (let each = 0; each < 80; each++) {
      await settle(1);
      await clock.advance(90);
    }
    const once = ['start a.service', 'stop a.service', 'start a.service'];
    expect(host.asked).toEqual(once);
    expect(seen(A)?.health?.action).toContain('restarted 1 time within the last hour');
    expect(reconciler.nextTick()).toBeLessThan(TICK_MS);
    await clock.advance(reconciler.nextTick());
    await settle();
    expect(host.asked).toEqual([...once, 'stop a.service', 'start a.service']);
  });
});

describe('a pass that comes after the end', () => {
  beforeEach(bootWithA);

  it('asks for nothing, keeps nothing and tells nothing', async () => {
    reconciler.end();
    const before = [host.asked.length, listed.length, saved.length, teller.latest];
    await desire(B);
    await settle();
    expect(reconciler.ended).toBe(true);
    expect([host.asked.length, listed.length, saved.length, teller.latest]).toEqual(before);
  });

  it('decides nothing either when the end came while systemd was being asked', async () => {
    await desire(A, B);
    reconciler.relist();
    onList = () => reconciler.end();
    const before = teller.latest;
    await settle();
    expect([host.asked, teller.latest]).toEqual([['start a.service'], before]);
  });

  it('goes on telling what becomes of units that are being stopped, and keeping what is obeyed', async () => {
    reconciler.leave();
    await desire(B);
    await done(jobs.stopAll(['a.service'], new AbortController().signal, async () => {}));
    await settle();
    expect(host.asked).toEqual(['start a.service', 'stop a.service']);
    expect(teller.latest).toMatchObject({ leaving: true, generation: 2, units: [{ unit: 'b.service' }] });
    expect(saved.at(-1)).toBe(2);
  });
});

it('a host that leaves before its first pass has nothing to tell', async () => {
  await desire(A);
  await boot();
  reconciler.leave();
  await settle();
  expect([teller.latest, listed, host.asked]).toEqual([undefined, [], []]);
});
