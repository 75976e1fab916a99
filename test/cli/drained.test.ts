import { beforeEach, expect, it } from 'vitest';
import { type DrainEnd, untilDrained } from '../../src/cli/drained.ts';
import { encodeDesired, encodeObserved } from '../../src/shared/payloads.ts';
import type { ActiveState } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const DEADLINE_MS = 60_000;

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let left: string[];
let end: DrainEnd | undefined;
let abort: AbortController;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect();
  await clock.until('a session', () => store.state.kind === 'connected');
  left = [];
  end = undefined;
  abort = new AbortController();
  for (const parent of ['/members', '/desired', '/observed']) await clock.finish(parent, store.ensure(parent));
});

async function write(path: string, data: Buffer): Promise<void> {
  const exists = ensemble.tree.get(path) !== undefined;
  await clock.finish<unknown>(path, exists ? store.set(path, data) : store.create(path, data, 'persistent'));
}

const member = (): Promise<void> => write('/members/w1', Buffer.from('{}'));

function desired(generation: number, ...units: string[]): Promise<void> {
  const list = units.map((unit) => ({ unit, service: 'a', isolation: 'keep', why: { kind: 'kept' } }) as const);
  return write('/desired/w1', encodeDesired({ host: 'w1', epoch: 1, generation, spec: '', units: list }));
}

function observed(generation: number, units: Readonly<Record<string, ActiveState>>): Promise<void> {
  const list = Object.entries(units).map(([unit, active]) => ({ unit, load: 'loaded', active, sub: '' }) as const);
  return write('/observed/w1', encodeObserved({ host: 'w1', epoch: 1, generation, units: list }));
}

function wait(): void {
  const waiting = untilDrained(store, clock, 'w1', DEADLINE_MS, abort.signal, (units) => left.push(units.join(' ')));
  void waiting.then((how) => {
    end = how;
  });
}

it('a host is drained when it is told to run nothing, and says that nothing runs', async () => {
  await member();
  await desired(1, 'a.service', 'b.service');
  await observed(1, { 'a.service': 'active', 'b.service': 'failed' });
  wait();
  await clock.advance(100);
  await desired(2);
  await clock.advance(100);
  await observed(2, { 'a.service': 'deactivating', 'b.service': 'failed' });
  await clock.advance(100);
  expect(end).toBeUndefined();
  await observed(2, { 'b.service': 'failed' });
  await clock.advance(100);
  expect(end).toEqual({ kind: 'drained' });
  expect(left).toEqual(['a.service b.service', 'a.service']);
});

it('a report that is older than the order proves nothing', async () => {
  await member();
  await desired(2);
  await observed(1, {});
  wait();
  await clock.advance(100);
  expect(end).toBeUndefined();
  await observed(2, {});
  await clock.advance(100);
  expect(end).toEqual({ kind: 'drained' });
});

it('of a host that is not a member nothing is known', async () => {
  wait();
  await clock.advance(100);
  expect(end).toEqual({ kind: 'no-member' });
});

it('after the deadline it says what is left', async () => {
  await member();
  await desired(1, 'a.service');
  await observed(1, { 'a.service': 'active' });
  wait();
  await clock.advance(DEADLINE_MS);
  expect(end).toEqual({ kind: 'late', left: ['a.service'] });
});

it('without ZooKeeper at the deadline it says that', async () => {
  await member();
  await desired(1, 'a.service');
  wait();
  ensemble.stop();
  await clock.advance(DEADLINE_MS + 1);
  expect(end).toEqual({ kind: 'unreachable' });
});

it('ends when it is interrupted', async () => {
  await member();
  wait();
  abort.abort();
  await clock.advance(1);
  expect(end).toEqual({ kind: 'interrupted' });
});
