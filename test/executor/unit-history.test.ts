/** One host's part of the history, on a pretended ZooKeeper that can be lost. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_WAITING, UnitHistory } from '../../src/executor/unit-history.ts';
import type { HistoryEvent } from '../../src/shared/history.ts';
import { decodeBatch } from '../../src/shared/history.ts';
import { encodePace } from '../../src/shared/history-pace.ts';
import { HistoryReader } from '../../src/shared/history-reader.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let reader: FakeStore;
let log: MemoryLog;
let member: boolean;
let history: UnitHistory;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  reader = ensemble.connect({ sessionTimeoutMs: 4_000 });
  log = new MemoryLog();
  member = true;
  await clock.until('the sessions', () => [store, reader].every(({ state }) => state.kind === 'connected'));
  await done(reader.ensure('/history'));
  const mayWrite = () => member && store.state.kind === 'connected';
  history = new UnitHistory({ host: 'w1', store, clock, log, mayWrite });
});

const done = <T>(promise: Promise<T>): Promise<T> => clock.finish('an answer', promise);
const tell = (unit: string) =>
  history.record({ kind: 'started', unit: `${unit}.service`, reason: 'placed', why: 'it is placed here' });

/** What each znode of the history tells: the units. */
function batches(): (string | undefined)[][] {
  const names = [...(ensemble.tree.get('/history')?.children ?? [])].sort();
  return names.map((name) => {
    const decoded = decodeBatch(ensemble.tree.get(`/history/${name}`)?.data ?? Buffer.alloc(0), name);
    if (!decoded.ok) throw new Error(decoded.problem);
    return decoded.value.events.map(({ unit, kind }) => unit?.replace('.service', '') ?? kind);
  });
}

async function read(): Promise<readonly HistoryEvent[]> {
  return (await done(new HistoryReader(reader).read((await done(reader.children('/history'))) ?? []))).events;
}

describe('what happens to units', () => {
  it('is in the journal at once, with its fields, and in ZooKeeper a tenth of a second later', async () => {
    const at = clock.date().toISOString();
    tell('a');
    expect(log.entries).toEqual([
      {
        level: 'info',
        message: 'a.service was started: it is placed here',
        fields: expect.objectContaining({ event: 'started', unit: 'a.service', host: 'w1', reason: 'placed' }),
      },
    ]);
    await clock.advance(300);
    expect(await read()).toEqual([
      {
        at,
        kind: 'started',
        unit: 'a.service',
        host: 'w1',
        reason: 'placed',
        why: 'it is placed here',
      },
    ]);
  });

  it('together is written together', async () => {
    for (const unit of ['a', 'b', 'c']) tell(unit);
    await clock.advance(300);
    expect(batches()).toEqual([['a', 'b', 'c']]);
  });

  it('again and again makes one znode in a second, after a few without a pause', async () => {
    const get = store.get.bind(store);
    let reads = 0;
    store.get = (path) => {
      reads += 1;
      return get(path);
    };
    for (let n = 0; n < 200; n++) {
      tell(`u${n}`);
      await clock.advance(100);
    }
    expect(reads).toBeLessThanOrEqual(20 + 3 + 1);
    expect(batches().length).toBeGreaterThan(18);
    expect(batches().length).toBeLessThanOrEqual(20 + 3);
    await clock.advance(2_000);
    expect(batches().flat()).toEqual(Array.from({ length: 200 }, (_, n) => `u${n}`));
  });

  it('is written more seldom where there are thousands of hosts', async () => {
    await done(reader.set('/history', encodePace(5_000)));
    for (let n = 0; n < 400; n++) {
      tell(`u${n}`);
      await clock.advance(100);
    }
    expect(batches().length).toBeLessThanOrEqual(5);
    await clock.advance(20_000 * 10);
    expect(batches().flat()).toHaveLength(400);
  });

  it('is not written before the host is a member, nor under a name that is not its', async () => {
    member = false;
    tell('a');
    await clock.advance(10_000);
    expect(batches()).toEqual([]);
    member = true;
    await clock.advance(2_000);
    expect(batches()).toEqual([['a']]);
  });

  it('while ZooKeeper is lost is written when it is back', async () => {
    ensemble.stop();
    for (let n = 0; n < 120; n++) tell(`u${n}`);
    await clock.advance(60_000);
    ensemble.start();
    await clock.advance(20_000);
    expect(batches().flat()).toEqual(Array.from({ length: 120 }, (_, n) => `u${n}`));
    expect(Math.max(...batches().map((each) => each.length))).toBe(50);
  });

  it('while ZooKeeper is lost for too long loses its oldest part, and that is told', async () => {
    ensemble.stop();
    for (let n = 0; n < MAX_WAITING + 7; n++) tell(`u${n}`);
    ensemble.start();
    await clock.advance(60_000);
    const [dropped, ...others] = batches().flat();
    expect(dropped).toBe('events-dropped');
    expect(others).toHaveLength(MAX_WAITING);
    expect(others[0]).toBe('u7');
    expect((await read()).find(({ kind }) => kind === 'events-dropped')).toMatchObject({
      host: 'w1',
      why: expect.stringMatching(/^7 older events/),
    });
  });

  it('is told once by its reader though it was written twice, as the first answer was lost', async () => {
    tell('a');
    // the pace is read first, then the batch is written
    const create = store.create.bind(store);
    store.create = (path, data, mode) => {
      store.create = create;
      store.loseNextAnswer();
      return create(path, data, mode);
    };
    await clock.advance(5_000);
    expect(batches()).toEqual([['a'], ['a']]);
    expect(await read()).toHaveLength(1);
  });

  it('is written though someone removed the whole history', async () => {
    await done(reader.remove('/history'));
    tell('a');
    await clock.advance(1_000);
    expect(batches()).toEqual([['a']]);
  });

  it('right before the end is still written', async () => {
    tell('a');
    await clock.advance(200);
    tell('b');
    await done(history.close());
    expect(batches()).toEqual([['a'], ['b']]);
    tell('c');
    await clock.advance(5_000);
    expect(batches()).toHaveLength(2);
  });

  it('does not keep the daemon from ending when ZooKeeper does not answer', async () => {
    store.cut('silent');
    tell('a');
    const began = clock.now();
    await done(history.close());
    expect(clock.now() - began).toBeLessThanOrEqual(1_000);
  });
});
