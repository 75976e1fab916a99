import { beforeEach, expect, it } from 'vitest';
import type { Logger } from '../../../src/shared/log.ts';
import { StoreError } from '../../../src/shared/store.ts';
import { Watches } from '../../../src/shared/zookeeper/watches.ts';
import { FakeClock } from '../../fakes/clock.ts';

/** Reads that are answered when the test says so. */
class Reads {
  readonly pending: { resolve(value: number): void; reject(error: Error): void }[] = [];
  readonly read = () => new Promise<number>((resolve, reject) => this.pending.push({ resolve, reject }));
}

let clock: FakeClock;
let logged: string[];
let watches: Watches;
let connected: boolean;

beforeEach(() => {
  clock = new FakeClock();
  logged = [];
  connected = true;
  const note = (message: string) => void logged.push(message);
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  watches = new Watches({ clock, log, random: () => 1, connected: () => connected });
});

function open(path: string, reads: Reads): number[] {
  const seen: number[] = [];
  watches.open('data', path, reads.read, Object.is, (value) => seen.push(value));
  return seen;
}

const changed = (path: string) => watches.event({ type: 'data-changed', path });

it('reads once at a time, and once more for all that happened meanwhile', async () => {
  const reads = new Reads();
  const seen = open('/a', reads);
  for (let i = 0; i < 5; i += 1) changed('/a');
  expect(reads.pending).toHaveLength(1);
  reads.pending[0]?.resolve(1);
  await clock.advance(0);
  expect(reads.pending).toHaveLength(2);
  reads.pending[1]?.resolve(2);
  await clock.advance(60_000);
  expect(reads.pending).toHaveLength(2);
  expect(seen).toEqual([1, 2]);
});

it('tries a failing read again with pauses that grow, whatever happens to the znode, and delays no other watch', async () => {
  const failing = new Reads();
  const seen = open('/a', failing);
  const healthy = new Reads();
  const others = open('/b', healthy);
  const times: number[] = [];
  for (let i = 0; i < 9; i += 1) {
    failing.pending[i]?.reject(new StoreError('no-auth', '/a', 'forbidden'));
    await clock.advance(0);
    changed('/a');
    const failedAt = clock.now();
    await clock.until('the next read', () => failing.pending.length === i + 2);
    times.push(clock.now() - failedAt);
  }
  expect(times).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  expect(logged).toEqual(['a watched znode cannot be read; trying again']);
  healthy.pending[0]?.resolve(1);
  failing.pending.at(-1)?.resolve(7);
  await clock.advance(0);
  expect([seen, others]).toEqual([[7], [1]]);
});

it('limits the reads in flight, and goes on as they are answered', async () => {
  const reads = new Reads();
  for (let i = 0; i < 300; i += 1) open(`/${i}`, reads);
  expect(reads.pending).toHaveLength(128);
  reads.pending[0]?.resolve(1);
  await clock.advance(0);
  expect(reads.pending).toHaveLength(129);
});

it('reads everything again at once on a new connection, failures included', async () => {
  const reads = new Reads();
  const seen = open('/a', reads);
  reads.pending[0]?.reject(new StoreError('no-auth', '/a', 'forbidden'));
  await clock.advance(0);
  watches.connected();
  expect(reads.pending).toHaveLength(2);
  reads.pending[1]?.resolve(1);
  await clock.advance(60_000);
  expect(seen).toEqual([1]);
  expect(reads.pending).toHaveLength(2);
});

it('delivers nothing while there is no connection, and the latest value afterwards', async () => {
  const reads = new Reads();
  const seen = open('/a', reads);
  connected = false;
  reads.pending[0]?.resolve(1);
  await clock.advance(0);
  expect(seen).toEqual([]);
  connected = true;
  watches.connected();
  reads.pending[1]?.resolve(2);
  await clock.advance(0);
  expect(seen).toEqual([2]);
});

it('reports a listener that throws, and calls it again with the next value', async () => {
  const reads = new Reads();
  let calls = 0;
  watches.open('data', '/a', reads.read, Object.is, () => {
    calls += 1;
    throw new Error('a bug');
  });
  reads.pending[0]?.resolve(1);
  await clock.advance(0);
  expect(logged).toEqual(['a listener to a znode failed; this is a bug']);
  changed('/a');
  reads.pending[1]?.resolve(2);
  await clock.advance(0);
  expect(calls).toBe(2);
});

it('does not call a listener whose watch was closed while its value was read', async () => {
  const reads = new Reads();
  const seen: number[] = [];
  const watch = watches.open('data', '/a', reads.read, Object.is, (value) => seen.push(value));
  watch.close();
  reads.pending[0]?.resolve(1);
  changed('/a');
  watches.connected();
  await clock.advance(60_000);
  expect(seen).toEqual([]);
  expect(reads.pending).toHaveLength(1);
});

it('reads a long list now and then only, however fast it changes, and delivers its last state', async () => {
  const reads = new Reads();
  const seen: number[] = [];
  watches.open('children', '/a', reads.read, Object.is, (value) => seen.push(value), { restOf: () => 200 });
  const change = () => watches.event({ type: 'children-changed', path: '/a' });
  const answer = async (value: number) => {
    reads.pending.at(-1)?.resolve(value);
    await clock.advance(0);
  };
  await answer(1);
  // the first change after a rest is read at once
  await clock.advance(200);
  change();
  expect(reads.pending).toHaveLength(2);
  await answer(2);
  for (let i = 0; i < 50; i += 1) {
    change();
    await clock.advance(2);
  }
  expect(reads.pending).toHaveLength(2);
  await clock.advance(100);
  expect(reads.pending).toHaveLength(3);
  await answer(3);
  await clock.advance(60_000);
  expect(reads.pending).toHaveLength(3);
  expect(seen).toEqual([1, 2, 3]);
  // a new connection does not wait for the rest
  change();
  await answer(4);
  watches.connected();
  expect(reads.pending).toHaveLength(5);
});

it('reads no more of what it is told was removed, where it is to end with that', async () => {
  const reads = new Reads();
  const seen: number[] = [];
  watches.open('data', '/a', reads.read, Object.is, (value) => seen.push(value), { gone: () => 0 });
  reads.pending[0]?.resolve(1);
  await clock.advance(0);
  changed('/a');
  // told of while it is read: what is read then is older, or of another znode
  watches.event({ type: 'removed', path: '/a' });
  reads.pending[1]?.resolve(2);
  await clock.advance(0);
  changed('/a');
  watches.connected();
  await clock.advance(60_000);
  expect(reads.pending).toHaveLength(2);
  expect(seen).toEqual([1, 0]);
});
