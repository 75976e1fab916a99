/** What every `Store` promises of watches. */
import { expect, it } from 'vitest';
import { untilEqual } from '../../harness/until.ts';
import { bytes, DEADLINE, type Rig, untilKind } from './rig.ts';

export function watchCases({ join, connected, place }: Rig): void {
  it('deliver the present znode, its creation, changes and removal', async () => {
    const [store, other] = await Promise.all([connected(), connected()]);
    const path = `${await place(store)}/w`;
    const seen: (string | undefined)[] = [];
    const watch = store.watch(path, (node) => seen.push(node?.data.toString()));
    await untilEqual(() => seen, [undefined], { ...DEADLINE, what: 'the first value' });
    await other.create(path, bytes('1'), 'persistent');
    await untilEqual(() => seen.at(-1), '1', { ...DEADLINE, what: 'the creation' });
    await other.set(path, bytes('2'));
    await untilEqual(() => seen.at(-1), '2', { ...DEADLINE, what: 'the change' });
    await other.remove(path);
    await untilEqual(() => seen, [undefined, '1', '2', undefined], { ...DEADLINE, what: 'the removal' });
    watch.close();
  });

  it('deliver the names of the children, also of a parent that comes and goes', async () => {
    const [store, other] = await Promise.all([connected(), connected()]);
    const path = `${await place(store)}/p`;
    const seen: (readonly string[] | undefined)[] = [];
    store.watchChildren(path, (names) => seen.push(names));
    await untilEqual(() => seen, [undefined], { ...DEADLINE, what: 'no parent' });
    await other.create(path, bytes(''), 'persistent');
    await untilEqual(() => seen.at(-1), [], { ...DEADLINE, what: 'the parent' });
    await other.create(`${path}/b`, bytes(''), 'persistent');
    await other.create(`${path}/a`, bytes(''), 'persistent');
    await untilEqual(() => seen.at(-1), ['a', 'b'], { ...DEADLINE, what: 'both children' });
    await other.remove(`${path}/b`);
    await other.remove(`${path}/a`);
    await other.remove(path);
    await untilEqual(() => seen.at(-1), undefined, { ...DEADLINE, what: 'the end of the parent' });
  });

  it('tell of a child that goes and comes again in one step, though the names are the same', async () => {
    const [store, other] = await Promise.all([connected(), connected()]);
    const path = await place(store);
    await other.create(`${path}/a`, bytes('1'), 'persistent');
    const seen: (readonly string[] | undefined)[] = [];
    store.watchChildren(path, (names) => seen.push(names));
    await untilEqual(() => seen, [['a']], { ...DEADLINE, what: 'the child' });
    await other.transaction([
      { op: 'remove', path: `${path}/a` },
      { op: 'create', path: `${path}/a`, data: bytes('2'), mode: 'persistent' },
    ]);
    await untilEqual(() => seen, [['a'], ['a']], { ...DEADLINE, what: 'the other child' });
    // a change of a child is none of the names
    await other.set(`${path}/a`, bytes('3'));
    await other.create(`${path}/b`, bytes(''), 'persistent');
    await untilEqual(() => seen, [['a'], ['a'], ['a', 'b']], { ...DEADLINE, what: 'the second child' });
  });

  it('that last until the znode is gone end with its end, and with its absence', async () => {
    const [store, other] = await Promise.all([connected(), connected()]);
    const path = `${await place(store)}/w`;
    const never: unknown[] = [];
    store.watch(path, (node) => never.push(node), 'gone');
    await untilEqual(() => never, [undefined], { ...DEADLINE, what: 'its absence' });
    await other.create(path, bytes('1'), 'persistent');
    const [seen, always]: unknown[][] = [[], []];
    store.watch(path, (node) => seen?.push(node?.data.toString()), 'gone');
    store.watch(path, (node) => always?.push(node?.data.toString()));
    await untilEqual(() => [seen, always], [['1'], ['1']], { ...DEADLINE, what: 'the first values' });
    await other.set(path, bytes('2'));
    await untilEqual(() => seen, ['1', '2'], { ...DEADLINE, what: 'a change' });
    await other.remove(path);
    await untilEqual(() => seen, ['1', '2', undefined], { ...DEADLINE, what: 'the end' });
    await other.create(path, bytes('3'), 'persistent');
    await untilEqual(() => always?.at(-1), '3', { ...DEADLINE, what: 'its return' });
    await other.set(path, bytes('4'));
    await untilEqual(() => always?.at(-1), '4', { ...DEADLINE, what: 'a change after its return' });
    expect(seen).toEqual(['1', '2', undefined]);
    expect(never).toEqual([undefined]);
  });

  it('end with the latest value and never go back, however fast changes come', async () => {
    const [store, other] = await Promise.all([connected(), connected()]);
    const path = await place(store);
    const seen: number[] = [];
    store.watch(path, (node) => seen.push(node?.version ?? -1));
    await Promise.all(Array.from({ length: 300 }, (_, i) => other.set(path, bytes(String(i)))));
    await untilEqual(() => seen.at(-1), 300, { ...DEADLINE, what: 'the last version' });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it('are silent after close, and each by itself', async () => {
    const store = await connected();
    const path = await place(store);
    const closed: unknown[] = [];
    const open: unknown[] = [];
    const watch = store.watch(path, (node) => closed.push(node));
    store.watch(path, (node) => open.push(node?.version));
    await untilEqual(() => [closed.length, open.length], [1, 1], { ...DEADLINE, what: 'the first values' });
    watch.close();
    watch.close();
    await store.set(path, bytes('1'));
    await untilEqual(() => open, [0, 1], { ...DEADLINE, what: 'the change' });
    expect(closed).toHaveLength(1);
  });

  it('go on for the others when one listener throws', async () => {
    const store = await connected();
    const path = await place(store);
    const seen: unknown[] = [];
    store.watch(path, () => {
      throw new Error('a bug');
    });
    store.watch(path, (node) => seen.push(node?.version));
    await untilEqual(() => seen, [0], { ...DEADLINE, what: 'the first value' });
    await store.set(path, bytes('1'));
    await untilEqual(() => seen, [0, 1], { ...DEADLINE, what: 'the change' });
  });

  it('tell after a disconnect what changed meanwhile, and nothing that did not', async () => {
    const { store, cut, heal } = await join();
    const other = await connected();
    const path = await place(other);
    await other.create(`${path}/same`, bytes(''), 'persistent');
    const changing: unknown[] = [];
    const same: unknown[] = [];
    store.watch(path, (node) => changing.push(node?.version));
    store.watch(`${path}/same`, (node) => same.push(node?.version));
    await untilEqual(() => [changing, same], [[0], [0]], { ...DEADLINE, what: 'the first values' });
    cut();
    await untilKind(store, 'suspended');
    await other.set(path, bytes('1'));
    heal();
    await untilEqual(() => changing, [0, 1], { ...DEADLINE, what: 'the change' });
    await other.set(`${path}/same`, bytes('1'));
    await untilEqual(() => same, [0, 1], { ...DEADLINE, what: 'a later change, once' });
  });
}
