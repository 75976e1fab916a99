import { expect, it } from 'vitest';
import { ClusterView } from '../../src/leader/cluster-view.ts';
import { encodeWish } from '../../src/shared/rebalance.ts';
import type { Store, Znode } from '../../src/shared/store.ts';
import { MemoryLog } from '../fakes/log.ts';

/** A store whose watches tell something when the test says so. */
function silent() {
  const listeners = new Map<string, (node: Znode | undefined) => void>();
  const names = new Map<string, (names: readonly string[] | undefined) => void>();
  const watches: Pick<Store, 'watch' | 'watchChildren'> = {
    watch: (path, listener) => {
      listeners.set(path, listener);
      return { close: () => void listeners.delete(path) };
    },
    watchChildren: (path, listener) => {
      names.set(path, listener);
      return { close: () => void names.delete(path) };
    },
  };
  return { watches, listeners, names };
}

const node = (data: Buffer): Znode => ({ path: '/rebalance', data, version: 1, czxid: 1n, mzxid: 1n, ctime: 0 });

it('nothing is decided before it is known what is asked for: a move under way would be taken back', () => {
  const { watches, listeners, names } = silent();
  const log = new MemoryLog();
  const view = new ClusterView(watches, log, () => {});
  for (const tell of names.values()) tell([]);
  listeners.get('/spec')?.(undefined);
  expect(view.ready).toBe(false);
  listeners.get('/rebalance')?.(undefined);
  expect(view.ready).toBe(true);
  const wish = { id: 'x', by: 'w1', at: '', moves: [{ unit: 'a.service', from: 'w1', to: 'w2' }] };
  listeners.get('/rebalance')?.(node(encodeWish(wish)));
  expect(view.rebalance).toEqual(wish);
  listeners.get('/rebalance')?.(node(Buffer.from('{')));
  expect(view.rebalance).toBeUndefined();
  expect(log.entries.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^\/rebalance does not hold JSON .*; nothing is moved for it$/),
  ]);
  view.close();
  expect([listeners.size, names.size]).toEqual([0, 0]);
});
