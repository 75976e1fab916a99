import { beforeEach, describe, expect, it } from 'vitest';
import { encodeBatches, type HistoryEvent } from '../../src/shared/history.ts';
import { HistoryReader } from '../../src/shared/history-reader.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let reader: HistoryReader;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect();
  reader = new HistoryReader(store);
  await clock.until('the session', () => store.state.kind === 'connected');
  await done(store.ensure('/history'));
});

const done = <T>(promise: Promise<T>): Promise<T> => clock.finish('an answer', promise);
const event = (second: number): HistoryEvent => ({
  at: `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`,
  kind: 'started',
  reason: 'placed',
  why: 'it is placed here',
});
const write = (id: string, ...seconds: number[]) => raw(encodeBatches('w1', id, seconds.map(event))[0]);
const raw = (data: Buffer | undefined) =>
  done(store.create('/history/host-', data ?? Buffer.alloc(0), 'persistent-sequential'));
const names = async () => (await done(store.children('/history'))) ?? [];
async function read(): Promise<{ seconds: number[]; problems: readonly string[] }> {
  const { events, problems } = await done(reader.read(await names()));
  return { seconds: events.map(({ at }) => new Date(at).getSeconds()), problems };
}

describe('a reader of the history', () => {
  it('reads what was told at first, then only what is new', async () => {
    await write('a', 1, 2);
    expect(await read()).toEqual({ seconds: [1, 2], problems: [] });
    await write('b', 3);
    expect(await read()).toEqual({ seconds: [3], problems: [] });
    expect(await read()).toEqual({ seconds: [], problems: [] });
  });

  it('skips what cannot be read, and says so once', async () => {
    await write('a', 1);
    const path = await raw(Buffer.from('garbage'));
    await write('b', 2);
    expect(await read()).toEqual({ seconds: [1, 2], problems: [expect.stringContaining(path)] });
    expect(await read()).toEqual({ seconds: [], problems: [] });
  });

  it('takes a batch that was written twice for one', async () => {
    await write('a', 1);
    await write('a', 1);
    expect((await read()).seconds).toEqual([1]);
    await write('a', 1);
    expect((await read()).seconds).toEqual([]);
  });

  it('does not mind what is removed meanwhile', async () => {
    const path = await write('a', 1);
    await write('b', 2);
    const before = await names();
    await done(store.remove(path));
    expect((await done(reader.read(before))).events).toHaveLength(1);
  });

  it('reads again what it could not read as ZooKeeper was lost', async () => {
    await write('a', 1);
    const before = await names();
    ensemble.stop();
    await expect(done(reader.read(before))).rejects.toMatchObject({ name: 'StoreError' });
    ensemble.start();
    await clock.until('the session', () => store.state.kind === 'connected');
    expect((await read()).seconds).toEqual([1]);
  });
});
