import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Watcher } from '../../src/cli/watcher.ts';
import { acquireLease } from '../../src/discovery/acquire-lease.ts';
import { holderPath } from '../../src/discovery/lease.ts';
import { readWatch } from '../../src/discovery/watch-check.ts';
import type { ProbeResult } from '../../src/health/probe.ts';
import { Turns } from '../../src/health/turns.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const PATH = '/discovery/web/w1:web-1';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let log: MemoryLog;
let result: ProbeResult;
let running: { readonly watcher: Watcher; readonly store: FakeStore }[];

beforeEach(() => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  log = new MemoryLog();
  result = { ok: true };
  running = [];
});
afterEach(async () => {
  for (const { watcher } of running) await clock.finish('the end', watcher.close());
});

async function connect(): Promise<FakeStore> {
  const store = ensemble.connect();
  await clock.until('a session', () => store.state.kind === 'connected');
  return store;
}

function watch(store: FakeStore, probe: () => Promise<ProbeResult> = async () => result): Watcher {
  const text = { label: 'web', 'service-id': 'web-1', tcp: 'x:1', interval: '1s', timeout: '500ms' };
  const read = readWatch(text, { host: 'w1', address: 'w1' });
  if (!read.ok) throw new Error('the check is wrong');
  const watcher = new Watcher({ store, clock, log, check: read.check, turns: new Turns(1), probe });
  running.push({ watcher, store });
  return watcher;
}

const SICK: ProbeResult = { ok: false, output: 'HTTP 503' };
const owner = () => ensemble.tree.get(PATH)?.owner;
const sessionOf = ({ state }: FakeStore) => (state.kind === 'connected' ? state.session : undefined);

describe('a watcher', () => {
  it('registers what is healthy for as long as it is so, and says each change once', async () => {
    watch(await connect());
    await clock.advance(5_000);
    expect(owner()).toBeDefined();
    result = SICK;
    await clock.advance(1_000);
    expect(owner()).toBeUndefined();
    await clock.advance(5_000);
    result = { ok: true };
    await clock.advance(1_000);
    expect(owner()).toBeDefined();
    expect(log.at('info')).toHaveLength(2);
    expect(log.at('warn')).toEqual(['web/w1:web-1 is unhealthy, and not registered: HTTP 503']);
  });

  it.each([0, 100, 200, 300, 400, 500, 600, 700, 800, 900])(
    'registers nothing any more one period after answers have ceased, %i ms after another second',
    async (phaseMs) => {
      let answers = true;
      const limit = () => new Promise<ProbeResult>((resolve) => clock.after(500, () => resolve(SICK)));
      watch(await connect(), () => (answers ? Promise.resolve({ ok: true }) : limit()));
      await clock.advance(5_000 + phaseMs);
      expect(owner()).toBeDefined();
      answers = false;
      // and what it takes to tell ZooKeeper
      await clock.advance(1_000 + 5);
      expect(owner()).toBeUndefined();
    },
  );

  it('registers nothing before the first probe has succeeded', async () => {
    result = SICK;
    watch(await connect());
    await clock.advance(10_000);
    expect(owner()).toBeUndefined();
  });

  it('registers again in a new session', async () => {
    const store = await connect();
    watch(store);
    await clock.advance(1_000);
    const before = owner();
    ensemble.expire(before ?? '');
    await clock.advance(2_000);
    expect(owner()).toBe(sessionOf(store));
    expect(owner()).not.toBe(before);
  });

  it('takes over from the one before it without a gap, even before its first probe', async () => {
    const first = await connect();
    watch(first);
    await clock.advance(1_000);
    first.kill();
    const second = await connect();
    const seen: (string | undefined)[] = [];
    (await connect()).watch(PATH, (node) => void seen.push(node?.owner));
    watch(second, () => new Promise(() => {}));
    await clock.advance(30_000);
    expect(owner()).toBe(sessionOf(second));
    expect(seen).not.toContain(undefined);
  });

  it('that was started last is the one that counts; the other says so, and stands by', async () => {
    const [first, second] = [await connect(), await connect()];
    watch(first);
    await clock.advance(2_000);
    watch(second);
    await clock.advance(20_000);
    expect(owner()).toBe(sessionOf(second));
    expect(log.at('error')).toEqual([expect.stringContaining('held by another (watch on w1)')]);
    await clock.finish('the end of the second', second.close());
    await clock.advance(3_000);
    expect(owner()).toBe(sessionOf(first));
  });

  it('that stands by takes nothing away from the one that counts, though it becomes unhealthy', async () => {
    const [first, second, other] = [await connect(), await connect(), await connect()];
    let firstSees: ProbeResult = { ok: true };
    watch(first, async () => firstSees);
    await clock.advance(2_000);
    watch(second);
    await clock.advance(2_000);
    const owners: (string | undefined)[] = [];
    other.watch(PATH, (node) => void owners.push(node?.owner));
    firstSees = SICK;
    await clock.advance(2_000);
    await clock.finish('a change', other.set(PATH, Buffer.from('spoilt')));
    await clock.advance(2_000);
    expect(new Set(owners)).toEqual(new Set([sessionOf(second)]));
  });

  it.each([
    ['healthy', { ok: true }],
    ['unhealthy', SICK],
  ] as const)('that stands by, %s, stands by in its next session, too', async (_, firstSees) => {
    const [first, second, other] = [await connect(), await connect(), await connect()];
    let sees: ProbeResult = { ok: true };
    watch(first, async () => sees);
    await clock.advance(2_000);
    watch(second);
    await clock.advance(2_000);
    const owners: (string | undefined)[] = [];
    other.watch(PATH, (node) => void owners.push(node?.owner));
    sees = firstSees;
    for (let ended = 0; ended < 3; ended++) {
      const before = sessionOf(first);
      ensemble.expire(before ?? '');
      await clock.until('another session', () => sessionOf(first) !== undefined && sessionOf(first) !== before);
      await clock.advance(3_000);
    }
    expect(new Set(owners)).toEqual(new Set([sessionOf(second)]));
    await clock.finish('the end of the second', second.close());
    await clock.advance(3_000);
    expect(owner()).toBe(firstSees.ok ? sessionOf(first) : undefined);
  });

  it('ends the startup lease of its id at the first success, and no other one', async () => {
    const store = await connect();
    const options = { store, clock, host: 'w1', acquireTimeoutMs: 1_000, leaseTimeoutMs: 60_000 };
    const { signal } = new AbortController();
    const acquire = (label: string, id: string) =>
      clock.finish('a lease', acquireLease({ ...options, label, id, signal }));
    await acquire('web', 'web-1');
    await acquire('api', 'web-1');
    result = SICK;
    watch(store);
    await clock.advance(3_000);
    expect(ensemble.tree.get(holderPath('web'))).toBeDefined();
    result = { ok: true };
    await clock.advance(2_000);
    expect(ensemble.tree.get(holderPath('web'))).toBeUndefined();
    expect(ensemble.tree.get(holderPath('api'))).toBeDefined();
  });

  it('ends the lease of each start that it sees, and none before it is healthy', async () => {
    const store = await connect();
    const options = { store, clock, host: 'w1', acquireTimeoutMs: 1_000, leaseTimeoutMs: 600_000 };
    const { signal } = new AbortController();
    watch(store);
    for (let start = 1; start <= 3; start++) {
      result = SICK;
      await clock.advance(2_000);
      const acquired = acquireLease({ ...options, label: 'web', id: 'web-1', signal });
      expect(await clock.finish('a lease', acquired)).toEqual({ kind: 'acquired', how: 'free' });
      await clock.advance(120_000);
      expect(ensemble.tree.get(holderPath('web'))).toBeDefined();
      result = { ok: true };
      await clock.advance(2_000);
      expect(ensemble.tree.get(holderPath('web'))).toBeUndefined();
    }
  });

  it.each([
    [500, 5_000],
    [2_500, 1_000],
    [20_000, 1_000],
  ])(
    'that could not end a lease while healthy, for %i ms, does not end it while unhealthy, %i ms later',
    async (healthyMs, sickMs) => {
      const store = await connect();
      const options = { store, clock, host: 'w1', acquireTimeoutMs: 1_000, leaseTimeoutMs: 600_000 };
      const { signal } = new AbortController();
      await clock.finish('a lease', acquireLease({ ...options, label: 'web', id: 'web-1', signal }));
      store.cut('silent');
      watch(store);
      await clock.advance(healthyMs);
      result = SICK;
      await clock.advance(sickMs);
      store.heal();
      await clock.advance(120_000);
      expect(owner()).toBeUndefined();
      expect(ensemble.tree.get(holderPath('web'))).toBeDefined();
      result = { ok: true };
      await clock.advance(2_000);
      expect(ensemble.tree.get(holderPath('web'))).toBeUndefined();
    },
  );

  it('ends the lease when ZooKeeper answers again, if it was silent at that moment', async () => {
    const store = await connect();
    const options = { store, clock, host: 'w1', acquireTimeoutMs: 1_000, leaseTimeoutMs: 600_000 };
    const { signal } = new AbortController();
    await clock.finish('a lease', acquireLease({ ...options, label: 'web', id: 'web-1', signal }));
    ensemble.stop();
    watch(store);
    await clock.advance(20_000);
    ensemble.start();
    await clock.advance(10_000);
    expect(ensemble.tree.get(holderPath('web'))).toBeUndefined();
    expect(owner()).toBe(sessionOf(store));
  });
});
