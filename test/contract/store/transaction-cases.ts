/** What every `Store` promises of transactions. */
import { expect, it } from 'vitest';
import type { Operation, StoreErrorCode } from '../../../src/shared/store.ts';
import { bytes, type Rig, refused } from './rig.ts';

export function transactionCases({ connected, place }: Rig): void {
  it('do everything, in order, and answer each operation', async () => {
    const store = await connected();
    const path = await place(store);
    await store.set(path, bytes('1'));
    const results = await store.transaction([
      { op: 'check', path, version: 1 },
      { op: 'exists', path },
      { op: 'create', path: `${path}/n_`, data: bytes(''), mode: 'persistent-sequential' },
      { op: 'set', path, data: bytes('2'), version: 1 },
      { op: 'remove', path: `${path}/n_0000000000` },
    ]);
    expect(results).toEqual([
      { op: 'check' },
      { op: 'exists' },
      { op: 'create', path: `${path}/n_0000000000` },
      { op: 'set', version: 2 },
      { op: 'remove' },
    ]);
    expect(await store.transaction([])).toEqual([]);
  });

  it.each<[string, (path: string) => Operation, StoreErrorCode, string]>([
    ['a check of another version', (path) => ({ op: 'check', path, version: 7 }), 'bad-version', ''],
    ['a missing znode', (path) => ({ op: 'exists', path: `${path}/none` }), 'no-node', '/none'],
    ['an existing znode', (path) => ({ op: 'create', path, data: bytes(''), mode: 'persistent' }), 'node-exists', ''],
    ['a set of another version', (path) => ({ op: 'set', path, data: bytes(''), version: 7 }), 'bad-version', ''],
    ['a remove of a missing znode', (path) => ({ op: 'remove', path: `${path}/none` }), 'no-node', '/none'],
  ])('do nothing at all when they fail on %s', async (_what, failing, code, suffix) => {
    const store = await connected();
    const path = await place(store);
    const work: Operation[] = [
      { op: 'set', path, data: bytes('changed') },
      { op: 'create', path: `${path}/new`, data: bytes(''), mode: 'ephemeral' },
      failing(path),
      { op: 'create', path: `${path}/later`, data: bytes(''), mode: 'ephemeral' },
    ];
    await refused(store.transaction(work), code, path + suffix);
    expect(await store.get(path)).toMatchObject({ version: 0 });
    expect(await store.children(path)).toEqual([]);
  });

  it('number what they create upwards, whatever its name, and never give a number twice', async () => {
    const store = await connected();
    const path = await place(store);
    const create = (name: string): Operation => {
      return { op: 'create', path: `${path}/${name}-`, data: bytes(''), mode: 'persistent-sequential' };
    };
    await store.transaction([create('a'), create('b'), create('a')]);
    expect(await store.children(path)).toEqual(['a-0000000000', 'a-0000000002', 'b-0000000001']);
    await store.transaction([{ op: 'remove', path: `${path}/a-0000000002` }]);
    const [last] = await store.transaction([create('b')]);
    expect(last).toEqual({ op: 'create', path: `${path}/b-0000000003` });
    await refused(store.transaction([create('a'), { op: 'check', path, version: 7 }]), 'bad-version', path);
    expect(await store.children(path)).toEqual(['a-0000000000', 'b-0000000001', 'b-0000000003']);
  });
}
