/** What simulations may ask of the pretended ensemble beyond the contract of a store. */
import { beforeEach, expect, it } from 'vitest';
import type { SessionState } from '../../src/shared/store.ts';
import { FakeClock } from './clock.ts';
import { FakeEnsemble, type FakeStore } from './store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;

beforeEach(() => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
});

async function connected(): Promise<FakeStore> {
  const store = ensemble.connect({ sessionTimeoutMs: 3000 });
  await clock.advance(100);
  expect(store.state.kind).toBe('connected');
  return store;
}

/** Answers what became of a request after some time. */
async function outcome(request: Promise<unknown>, ms: number): Promise<unknown> {
  let settled: unknown = 'pending';
  request.then(
    (value) => {
      settled = { value };
    },
    (error: { code?: unknown }) => {
      settled = error.code;
    },
  );
  await clock.advance(ms);
  return settled;
}

function sessionOf(store: FakeStore): string {
  return store.state.kind === 'connected' ? store.state.session : '';
}

it('does what was asked though the answer is lost', async () => {
  const store = await connected();
  store.loseNextAnswer();
  expect(await outcome(store.create('/a', Buffer.from('1'), 'persistent'), 10)).toBe('connection-loss');
  expect(ensemble.tree.get('/a')?.data.toString()).toBe('1');
  await clock.advance(100);
  expect(store.state.kind).toBe('connected');
});

it('suspends a silent client after 5/12 of its session, and expires it at its end, counted from the last word', async () => {
  const store = await connected();
  const other = await connected();
  await outcome(store.create('/e', Buffer.alloc(0), 'ephemeral'), 10);
  const states: SessionState['kind'][] = [];
  store.onState(({ kind }) => states.push(kind));
  const confirmedAt = await nextConfirmation(store);
  store.cut('silent');
  const until = (ms: number) => clock.advance(confirmedAt + ms - clock.now());
  await until(1249);
  expect(states).toEqual([]);
  await until(1250);
  expect(states).toEqual(['suspended']);
  // it was heard by the server a latency after it was sent
  await until(3000);
  expect(ensemble.tree.get('/e')).toBeDefined();
  await until(3001);
  expect(ensemble.tree.get('/e')).toBeUndefined();
  store.heal();
  await clock.advance(100);
  expect(states).toEqual(['suspended', 'lost', 'connected']);
  expect(await outcome(other.get('/e'), 10)).toEqual({ value: undefined });
});

it('delivers late what a short silence held back', async () => {
  const store = await connected();
  store.cut('silent');
  const request = store.create('/a', Buffer.alloc(0), 'persistent');
  expect(await outcome(request, 1000)).toBe('pending');
  expect(ensemble.tree.get('/a')).toBeUndefined();
  store.heal();
  expect(await outcome(request, 10)).toEqual({ value: '/a' });
  await clock.advance(10_000);
  expect(store.state.kind).toBe('connected');
});

it('expires a session on demand, and tells its client and everybody’s watches', async () => {
  const store = await connected();
  const other = await connected();
  const seen: unknown[] = [];
  other.watch('/e', (node) => seen.push(node?.owner));
  const session = sessionOf(store);
  await outcome(store.create('/e', Buffer.alloc(0), 'ephemeral'), 10);
  ensemble.expire(session);
  await clock.advance(100);
  expect(seen).toEqual([undefined, session, undefined]);
  expect(store.state.kind).toBe('connected');
  expect(sessionOf(store)).not.toBe(session);
});

it('keeps every session while it has no quorum, however long', async () => {
  const store = await connected();
  const session = sessionOf(store);
  await outcome(store.create('/e', Buffer.alloc(0), 'ephemeral'), 10);
  ensemble.stop();
  await clock.advance(60_000);
  expect(store.state.kind).toBe('suspended');
  ensemble.start();
  await clock.advance(100);
  expect(sessionOf(store)).toBe(session);
  expect(ensemble.tree.get('/e')).toBeDefined();
});

it('lets the session of a killed client run out without a word to it', async () => {
  const store = await connected();
  const states: unknown[] = [];
  store.onState((state) => states.push(state));
  await outcome(store.create('/e', Buffer.alloc(0), 'ephemeral'), 10);
  const confirmedAt = await nextConfirmation(store);
  store.kill();
  await clock.advance(confirmedAt + 3000 - clock.now());
  expect(ensemble.tree.get('/e')).toBeDefined();
  await clock.advance(1);
  expect(ensemble.tree.get('/e')).toBeUndefined();
  expect(states).toEqual([]);
});

/** Sending time of the next ping that is answered. */
async function nextConfirmation(store: FakeStore): Promise<number> {
  let confirmedAt: number | undefined;
  const end = store.onConfirmed((at) => {
    confirmedAt = at;
  });
  await clock.until('an answer to a ping', () => confirmedAt !== undefined);
  end();
  return confirmedAt ?? Number.NaN;
}

it('rounds expiry up to its tick', async () => {
  ensemble = new FakeEnsemble({ clock, tickMs: 1000 });
  const store = ensemble.connect({ sessionTimeoutMs: 3000 });
  await clock.advance(100);
  await outcome(store.create('/e', Buffer.alloc(0), 'ephemeral'), 10);
  store.kill();
  await clock.advance(3880);
  expect(ensemble.tree.get('/e')).toBeDefined();
  await clock.advance(20);
  expect(ensemble.tree.get('/e')).toBeUndefined();
});

it('keeps the order of requests though each takes a time of its own', async () => {
  const latencies = [9, 1, 5, 2, 7, 1];
  let i = 0;
  ensemble = new FakeEnsemble({ clock, latencyMs: () => latencies[i++ % latencies.length] ?? 1 });
  const store = ensemble.connect();
  await clock.advance(100);
  await outcome(store.create('/a', Buffer.alloc(0), 'persistent'), 50);
  const writes = Promise.all(['1', '2', '3', '4'].map((text) => store.set('/a', Buffer.from(text))));
  expect(await outcome(writes, 100)).toEqual({ value: [1, 2, 3, 4] });
  expect(ensemble.tree.get('/a')?.data.toString()).toBe('4');
});
