import { beforeEach, describe, expect, it } from 'vitest';
import { Collection } from '../../src/shared/collection.ts';
import type { Decoded } from '../../src/shared/payloads.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let store: FakeStore;
let log: MemoryLog;
let changes: number;
let numbers: Collection<number>;

beforeEach(async () => {
  clock = new FakeClock();
  store = new FakeEnsemble({ clock }).connect();
  log = new MemoryLog();
  changes = 0;
  await clock.until('the session', () => store.state.kind === 'connected');
});

function decode(data: Buffer, path: string): Decoded<number> {
  const value = Number(data.toString() || 'nothing');
  return Number.isNaN(value) ? { ok: false, problem: `${path} holds no number` } : { ok: true, value };
}

function collect(): void {
  numbers = new Collection(store, '/numbers', decode, log, () => {
    changes += 1;
  });
}

async function put(name: string, text: string): Promise<void> {
  const path = `/numbers/${name}`;
  const exists = await clock.finish('a look', store.get(path));
  if (exists) await clock.finish('a write', store.set(path, Buffer.from(text)));
  else await clock.finish('a write', store.create(path, Buffer.from(text), 'persistent'));
  await clock.advance(100);
}

const values = () => Object.fromEntries(numbers.values);

describe('a collection', () => {
  it('is ready once every child that exists has been read', async () => {
    await clock.finish('the parent', store.ensure('/numbers'));
    await put('a', '1');
    await put('b', '2');
    collect();
    expect(numbers.ready).toBe(false);
    await clock.until('it to be ready', () => numbers.ready);
    expect(values()).toEqual({ a: 1, b: 2 });
    expect(numbers.present).toEqual(['a', 'b']);
  });

  it('is empty and ready where the parent does not exist, and sees it come', async () => {
    collect();
    await clock.until('it to be ready', () => numbers.ready);
    expect(values()).toEqual({});
    await clock.finish('the parent', store.ensure('/numbers'));
    await put('a', '1');
    expect(values()).toEqual({ a: 1 });
  });

  it('follows what is added, changed and removed, and tells each time', async () => {
    await clock.finish('the parent', store.ensure('/numbers'));
    collect();
    await clock.advance(100);
    for (const [text, expected] of [
      ['1', 1],
      ['2', 2],
    ] as const) {
      const before = changes;
      await put('a', text);
      expect(values()).toEqual({ a: expected });
      expect(changes).toBeGreaterThan(before);
    }
    const before = changes;
    await clock.finish('the removal', store.remove('/numbers/a'));
    await clock.advance(100);
    expect(values()).toEqual({});
    expect(numbers.present).toEqual([]);
    expect(changes).toBeGreaterThan(before);
  });

  it('keeps the last readable value of a child that cannot be read, and lists it as a problem', async () => {
    await clock.finish('the parent', store.ensure('/numbers'));
    await put('a', '1');
    collect();
    await clock.until('it to be ready', () => numbers.ready);
    await put('a', 'nonsense');
    expect(values()).toEqual({ a: 1 });
    expect([...numbers.problems]).toEqual([['/numbers/a', '/numbers/a holds no number']]);
    expect(log.at('error')).toEqual(['/numbers/a holds no number; it is not acted upon']);
    await put('a', '3');
    expect(values()).toEqual({ a: 3 });
    expect(numbers.problems.size).toBe(0);
  });

  it('is ready with a child that could never be read: it is present, without a value', async () => {
    await clock.finish('the parent', store.ensure('/numbers'));
    await put('a', 'nonsense');
    collect();
    await clock.until('it to be ready', () => numbers.ready);
    expect(numbers.present).toEqual(['a']);
    expect(numbers.values.size).toBe(0);
  });

  it('forgets the problem of a child that is removed', async () => {
    await clock.finish('the parent', store.ensure('/numbers'));
    await put('a', 'nonsense');
    collect();
    await clock.until('it to be ready', () => numbers.ready);
    await clock.finish('the removal', store.remove('/numbers/a'));
    await clock.advance(100);
    expect(numbers.problems.size).toBe(0);
  });

  it('tells nothing any more once it is closed', async () => {
    await clock.finish('the parent', store.ensure('/numbers'));
    await put('a', '1');
    collect();
    await clock.until('it to be ready', () => numbers.ready);
    numbers.close();
    const before = changes;
    await put('a', '2');
    await put('b', '2');
    expect(changes).toBe(before);
  });
});
