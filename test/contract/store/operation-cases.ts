/** What every `Store` promises of single operations. */
import { expect, it } from 'vitest';
import { MAX_PAYLOAD_BYTES, type Operation, StoreError } from '../../../src/shared/store.ts';
import { until } from '../../harness/until.ts';
import { bytes, DEADLINE, type Rig, refused } from './rig.ts';

export function operationCases({ connected, place }: Rig): void {
  it('reads back what was created, with version 0 and no owner', async () => {
    const store = await connected();
    const path = `${await place(store)}/a`;
    expect(await store.create(path, bytes('hello'), 'persistent')).toBe(path);
    const node = await store.get(path);
    expect(node).toMatchObject({ path, version: 0 });
    expect(node?.data.toString()).toBe('hello');
    expect(node?.owner).toBeUndefined();
    expect(node?.mzxid).toBe(node?.czxid);
  });

  it('reads empty data as an empty buffer and a missing znode as undefined', async () => {
    const store = await connected();
    const path = await place(store);
    expect((await store.get(path))?.data).toHaveLength(0);
    expect(await store.get(`${path}/none`)).toBeUndefined();
    expect(await store.children(`${path}/none`)).toBeUndefined();
    expect(await store.children(path)).toEqual([]);
  });

  it('numbers versions from 1 with each set, and changes mzxid but not czxid', async () => {
    const store = await connected();
    const path = await place(store);
    const before = await store.get(path);
    expect(await store.set(path, bytes('1'))).toBe(1);
    expect(await store.set(path, bytes('2'), 1)).toBe(2);
    const after = await store.get(path);
    expect(after?.czxid).toBe(before?.czxid);
    expect(after?.mzxid).toBeGreaterThan(before?.mzxid ?? 0n);
  });

  it("tells the servers' time of a znode's creation: no set changes it, and who is made later is not older", async () => {
    const store = await connected();
    const parent = await place(store);
    await store.create(`${parent}/a`, bytes(''), 'persistent');
    const created = await store.get(`${parent}/a`);
    await until(
      async () => {
        await store.remove(`${parent}/b`).catch(() => undefined);
        await store.create(`${parent}/b`, bytes(''), 'ephemeral');
        const later = await store.get(`${parent}/b`);
        return later !== undefined && created !== undefined && later.ctime > created.ctime;
      },
      { ...DEADLINE, what: 'a znode with a later time of creation' },
    );
    await store.set(`${parent}/a`, bytes('1'));
    expect(created?.ctime).toBeGreaterThan(946_684_800_000);
    expect((await store.get(`${parent}/a`))?.ctime).toBe(created?.ctime);
  });

  it('refuses a set or remove with another version, and leaves the znode alone', async () => {
    const store = await connected();
    const path = await place(store);
    await store.set(path, bytes('1'));
    await refused(store.set(path, bytes('x'), 7), 'bad-version', path);
    await refused(store.remove(path, 7), 'bad-version', path);
    expect((await store.get(path))?.data.toString()).toBe('1');
    await store.remove(path, 1);
    expect(await store.get(path)).toBeUndefined();
  });

  it('never asks for version 0, which has been taken for "any"', async () => {
    const store = await connected();
    const path = await place(store);
    await refused(store.set(path, bytes('x'), 0), 'other', path);
    await refused(store.remove(path, 0), 'other', path);
    await refused(store.transaction([{ op: 'check', path, version: 0 }]), 'other', path);
    expect((await store.get(path))?.version).toBe(0);
  });

  it('names what stands in the way', async () => {
    const store = await connected();
    const path = await place(store);
    await store.create(`${path}/child`, bytes(''), 'ephemeral');
    await refused(store.create(`${path}/child`, bytes(''), 'persistent'), 'node-exists', `${path}/child`);
    await refused(store.create(`${path}/none/x`, bytes(''), 'persistent'), 'no-node', `${path}/none/x`);
    await refused(
      store.create(`${path}/child/x`, bytes(''), 'persistent'),
      'no-children-for-ephemerals',
      `${path}/child/x`,
    );
    await refused(store.set(`${path}/none`, bytes('')), 'no-node', `${path}/none`);
    await refused(store.remove(`${path}/none`), 'no-node', `${path}/none`);
    await refused(store.remove(path), 'not-empty', path);
  });

  it.each(['relative', '/ends/', '/a//b', '/a/../b', '/nul\u0000', ''])('refuses %j as a path', async (path) => {
    const store = await connected();
    await refused(store.get(path), 'other', path);
    await refused(store.create(path, bytes(''), 'persistent'), 'other', path);
    expect(() => store.watch(path, () => {})).toThrow(StoreError);
  });

  it('lists children sorted by code unit', async () => {
    const store = await connected();
    const path = await place(store);
    const names = ['b', 'a', 'B', 'ä', '10', '9'];
    await Promise.all(names.map((child) => store.create(`${path}/${child}`, bytes(''), 'persistent')));
    expect(await store.children(path)).toEqual(['10', '9', 'B', 'a', 'b', 'ä']);
  });

  it('makes all missing parents with ensure, however many do so at once', async () => {
    const [one, two] = await Promise.all([connected(), connected()]);
    const path = `${await place(one)}/x/y/z`;
    await Promise.all([one.ensure(path), two.ensure(path), one.ensure(path)]);
    expect(await one.children(path)).toEqual([]);
    await one.ensure('/');
  });

  it('refuses more than 900 KiB before sending, saying what to do', async () => {
    const store = await connected();
    const path = await place(store);
    await store.set(path, Buffer.alloc(MAX_PAYLOAD_BYTES));
    const large = Buffer.alloc(MAX_PAYLOAD_BYTES + 1);
    await refused(store.set(path, large), 'too-large', path);
    const half = large.subarray(large.length / 2 - 1);
    const twice: Operation[] = [
      { op: 'set', path, data: half },
      { op: 'set', path, data: half },
    ];
    await expect(store.transaction(twice)).rejects.toThrow(/write less, or in several parts/);
    expect((await store.get(path))?.version).toBe(1);
  });

  it('numbers sequential znodes upwards, with ten digits', async () => {
    const store = await connected();
    const path = await place(store);
    const first = await store.create(`${path}/n_`, bytes(''), 'persistent-sequential');
    const second = await store.create(`${path}/n_`, bytes(''), 'ephemeral-sequential');
    await store.remove(first);
    const third = await store.create(`${path}/n_`, bytes(''), 'persistent-sequential');
    expect([first, second, third]).toEqual([`${path}/n_0000000000`, `${path}/n_0000000001`, `${path}/n_0000000002`]);
  });

  it('does requests in the order in which they were asked for', async () => {
    const store = await connected();
    const path = await place(store);
    const versions = await Promise.all(Array.from({ length: 600 }, (_, i) => store.set(path, bytes(String(i)))));
    expect(versions).toEqual(Array.from({ length: 600 }, (_, i) => i + 1));
    expect((await store.get(path))?.data.toString()).toBe('599');
  });
}
