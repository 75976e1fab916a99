/** What every `Store` must do, whatever stands behind it. */
import { afterEach, describe, expect, it } from 'vitest';
import { isolationTiming } from '../../../src/shared/isolation-timing.ts';
import {
  MAX_PAYLOAD_BYTES,
  type Operation,
  type SessionState,
  type Store,
  StoreError,
  type StoreErrorCode,
  type Znode,
} from '../../../src/shared/store.ts';
import type { Direction } from '../../harness/tcp-proxy.ts';
import { until, untilEqual } from '../../harness/until.ts';

/** A client under test and the cable it hangs on. */
export interface Client {
  readonly store: Store;
  /** Cuts the connection at once and keeps it cut. */
  cut(): void;
  /** From now on nothing gets through in these directions, and nobody is told. */
  silence(...directions: readonly Direction[]): void;
  /** The cable is whole again: what was silenced arrives late. */
  heal(): void;
  dispose(): Promise<void>;
}

const DEADLINE = { deadlineMs: 8000, everyMs: 5 };

/** Long enough that a busy machine ends none. */
export const SESSION_MS = 2_000;
/** Where what is left of one after a silence is to be long enough, too. */
export const LONG_SESSION_MS = 6_000;

const SILENCES: readonly (readonly Direction[])[] = [['requests'], ['answers'], ['requests', 'answers']];

/** `client` makes a new client, with sessions of so many ms, on a tree that all clients of the run share. */
export function describeStore(name: string, client: (sessionMs: number) => Promise<Client>): void {
  describe(name, () => {
    const open: Client[] = [];
    let count = 0;

    async function join(sessionMs = SESSION_MS): Promise<Client> {
      const joined = await client(sessionMs);
      open.push(joined);
      return joined;
    }

    async function connected(sessionMs = SESSION_MS): Promise<Store> {
      const { store } = await join(sessionMs);
      await untilConnected(store);
      return store;
    }

    /** A persistent znode that only this test uses. */
    async function place(store: Store): Promise<string> {
      count += 1;
      const path = `/${name.replaceAll(' ', '-')}-${process.pid}-${count}`;
      await store.ensure(path);
      return path;
    }

    afterEach(async () => {
      await Promise.all(open.splice(0).map((each) => each.dispose()));
    });

    describe('operations', () => {
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
        expect([first, second, third]).toEqual([
          `${path}/n_0000000000`,
          `${path}/n_0000000001`,
          `${path}/n_0000000002`,
        ]);
      });

      it('does requests in the order in which they were asked for', async () => {
        const store = await connected();
        const path = await place(store);
        const versions = await Promise.all(Array.from({ length: 600 }, (_, i) => store.set(path, bytes(String(i)))));
        expect(versions).toEqual(Array.from({ length: 600 }, (_, i) => i + 1));
        expect((await store.get(path))?.data.toString()).toBe('599');
      });
    });

    describe('transactions', () => {
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
        [
          'an existing znode',
          (path) => ({ op: 'create', path, data: bytes(''), mode: 'persistent' }),
          'node-exists',
          '',
        ],
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
    });

    describe('watches', () => {
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
    });

    describe('sessions', () => {
      it('are named as the owner of their ephemerals', async () => {
        const store = await connected();
        const path = `${await place(store)}/e`;
        await store.create(path, bytes(''), 'ephemeral');
        const { state } = store;
        expect(state.kind === 'connected' && state.session).toBe((await store.get(path))?.owner);
        expect(state).toMatchObject({ timeoutMs: SESSION_MS });
      });

      it('take their ephemerals with them when they are closed', async () => {
        const [store, other] = await Promise.all([connected(), connected()]);
        const path = `${await place(other)}/e`;
        await store.create(path, bytes(''), 'ephemeral');
        const states: string[] = [];
        store.onState(({ kind }) => states.push(kind));
        await store.close();
        expect(await other.get(path)).toBeUndefined();
        expect(states).toEqual(['closed']);
        await store.close();
      });

      it('live on through a short disconnect, with their ephemerals', async () => {
        const { store, cut, heal } = await join();
        const other = await connected();
        const before = await untilConnected(store);
        const path = `${await place(other)}/e`;
        await store.create(path, bytes(''), 'ephemeral');
        cut();
        await untilKind(store, 'suspended');
        heal();
        expect((await untilConnected(store)).session).toBe(before.session);
        expect((await other.get(path))?.owner).toBe(before.session);
      });

      it('are lost after a long disconnect; the next has another name, and watches go on', async () => {
        const { store, cut, heal } = await join();
        const other = await connected();
        const { session } = await untilConnected(store);
        const path = `${await place(other)}/e`;
        await store.create(path, bytes(''), 'ephemeral');
        const states: SessionState['kind'][] = [];
        store.onState(({ kind }) => states.push(kind));
        const seen: (Znode | undefined)[] = [];
        store.watch(path, (node) => seen.push(node));
        await untilEqual(() => seen.length, 1, { ...DEADLINE, what: 'the first value' });
        cut();
        await until(async () => (await other.get(path)) === undefined, {
          ...DEADLINE,
          what: 'the ephemeral to be gone',
        });
        heal();
        const next = await untilConnected(store);
        expect(next.session).not.toBe(session);
        expect(states).toEqual(['suspended', 'lost', 'connected']);
        await untilEqual(() => seen.length, 2, { ...DEADLINE, what: 'the removal' });
        expect(seen[1]).toBeUndefined();
        await store.create(path, bytes(''), 'ephemeral');
        await until(() => seen[2]?.owner === next.session, { ...DEADLINE, what: 'a change in the new session' });
      });

      it('hold requests through a short disconnect', async () => {
        const { store, cut, heal } = await join();
        await untilConnected(store);
        const path = await place(store);
        cut();
        await untilKind(store, 'suspended');
        const request = store.set(path, bytes('late'));
        heal();
        expect(await request).toBe(1);
      });

      it('give requests up when no connection comes in time', async () => {
        const { store, cut } = await join();
        await untilConnected(store);
        const path = await place(store);
        cut();
        await untilKind(store, 'suspended');
        await refused(store.set(path, bytes('late')), 'deadline', path);
      });

      it('fail what was waiting when they are lost', async () => {
        const { store, cut, heal } = await join();
        const other = await connected();
        await untilConnected(store);
        const path = `${await place(other)}/e`;
        await store.create(path, bytes(''), 'ephemeral');
        cut();
        await until(async () => (await other.get(path)) === undefined, {
          ...DEADLINE,
          what: 'the ephemeral to be gone',
        });
        const request = refused(store.create(path, bytes(''), 'ephemeral'), 'session-lost', path);
        heal();
        await request;
        expect(await other.get(path)).toBeUndefined();
      });

      it('answer nothing more after close', async () => {
        const store = await connected();
        const path = await place(store);
        const seen: unknown[] = [];
        store.watch(path, (node) => seen.push(node));
        await untilEqual(() => seen.length, 1, { ...DEADLINE, what: 'the first value' });
        await store.close();
        await refused(store.get(path), 'closed', path);
        expect(store.state).toEqual({ kind: 'closed' });
        expect(seen).toHaveLength(1);
      });

      it('tell no listener that has left', async () => {
        const { store, cut } = await join();
        await untilConnected(store);
        const gone: unknown[] = [];
        const leave = store.onState((state) => gone.push(state));
        const states: string[] = [];
        store.onState(({ kind }) => states.push(kind));
        leave();
        cut();
        await untilEqual(() => states, ['suspended'], { ...DEADLINE, what: 'suspension' });
        expect(gone).toEqual([]);
      });
    });

    describe('confirmations', () => {
      it('tell the sending time of each write, of a refused one too, and nothing of a read', async () => {
        const { store } = await join(LONG_SESSION_MS);
        const told = toldBy(store);
        await untilConnected(store);
        const path = await place(store);
        const wrong: Operation[] = [{ op: 'check', path, version: 7 }];
        const reads = [
          await answered(() => store.get(path)),
          await answered(() => store.get(`${path}/none`)),
          await answered(() => store.children(path)),
        ];
        const writes = [
          await answered(() => store.set(path, bytes('1'))),
          await answered(() => store.create(`${path}/a`, bytes(''), 'ephemeral')),
          await answered(() => store.transaction([{ op: 'exists', path }])),
          await answered(() => store.remove(`${path}/a`)),
          await answered(() => refused(store.set(path, bytes('x'), 7), 'bad-version', path)),
          await answered(() => refused(store.transaction(wrong), 'bad-version', path)),
        ];
        expect(reads.map((read) => told.filter(isWithin(read)))).toEqual(reads.map(() => []));
        expect(writes.map((write) => told.filter(isWithin(write)).length)).toEqual(writes.map(() => 1));
        expect(told).toEqual([...new Set(told)].sort((a, b) => a - b));
      });

      it('begin with each connection, with a time before it', async () => {
        const { store, cut, heal } = await join();
        const order: string[] = [];
        const told = toldBy(store);
        store.onState(({ kind }) => order.push(kind));
        const leave = store.onConfirmed((at) => order.push(at < performance.now() ? 'earlier' : 'later'));
        await untilConnected(store);
        expect(order.slice(0, 2)).toEqual(['connected', 'earlier']);
        cut();
        await untilKind(store, 'suspended');
        const [healedAt, before] = [performance.now(), told.length];
        order.length = 0;
        heal();
        await untilConnected(store);
        expect(order.slice(0, 2)).toEqual(['connected', 'earlier']);
        expect(told[before]).toBeGreaterThan(healedAt);
        leave();
      });

      it('end with what was sent before a silence in any direction: it is suspended 5/12 of the session later, and goes on afterwards', async () => {
        const other = await connected(LONG_SESSION_MS);
        const through = async (...directions: readonly Direction[]) => {
          const { store, silence, heal } = await join(LONG_SESSION_MS);
          const told = toldBy(store);
          const { session } = await untilConnected(store);
          const path = await place(store);
          silence(...directions);
          const silentAt = performance.now();
          const unheard = refused(store.set(path, bytes('1')), 'connection-loss', path);
          if (!directions.includes('requests'))
            await until(async () => (await other.get(path))?.version === 1, {
              ...DEADLINE,
              what: 'what is not answered',
            });
          const connectedAt = await lastConnected(store);
          await unheard;
          const last = told.at(-1) ?? Number.NaN;
          expect(last, `of a silence of ${directions}`).toBeLessThan(silentAt);
          expect(connectedAt - last).toBeLessThan(isolationTiming(LONG_SESSION_MS).suspectMs);
          expect(store.state).toMatchObject({ kind: 'suspended', session, confirmedAt: last });
          if (directions.includes('requests')) expect((await other.get(path))?.version).toBe(0);
          const healedAt = performance.now();
          heal();
          expect((await untilConnected(store)).session).toBe(session);
          await until(() => store.set(path, bytes('2')), { ...DEADLINE, what: `a write after ${directions}` });
          expect(told.at(-1)).toBeGreaterThan(healedAt);
          expect((await other.get(path))?.data.toString()).toBe('2');
        };
        await Promise.all(SILENCES.map((directions) => through(...directions)));
      });

      it('are no newer when a short silence delays them, in whatever direction: nothing is lost by it', async () => {
        const other = await connected(LONG_SESSION_MS);
        const through = async (...directions: readonly Direction[]) => {
          const { store, silence, heal } = await join(LONG_SESSION_MS);
          const told = toldBy(store);
          await untilConnected(store);
          const path = await place(store);
          const states: SessionState['kind'][] = [];
          store.onState(({ kind }) => states.push(kind));
          silence(...directions);
          const write = sent(() => store.set(path, bytes('1')));
          const arrived = directions.includes('requests') ? 0 : 1;
          await untilEqual(async () => (await other.get(path))?.version, arrived, { ...DEADLINE, what: 'the version' });
          const isBeating = () => performance.now() > write.to + 1.2 * isolationTiming(LONG_SESSION_MS).pingMs;
          await until(isBeating, { ...DEADLINE, what: 'the time of a heartbeat' });
          const healedAt = performance.now();
          expect(told.filter((time) => time >= write.from)).toEqual([]);
          heal();
          expect(await write.answer).toBe(1);
          const beat = { from: write.to, to: healedAt };
          const what = `a heartbeat of a silence of ${directions} to be confirmed`;
          await until(() => told.some(isWithin(beat)), { ...DEADLINE, what });
          expect(told.filter(isWithin(write))).toHaveLength(1);
          expect(states).toEqual([]);
        };
        await Promise.all(SILENCES.map((directions) => through(...directions)));
      });
    });
  });
}

/** All that the store will confirm, as it comes. */
function toldBy(store: Store): number[] {
  const told: number[] = [];
  store.onConfirmed((confirmedAt) => told.push(confirmedAt));
  return told;
}

/** Bounds of a time. */
interface Span {
  readonly from: number;
  readonly to: number;
}

interface Sent<T> extends Span {
  readonly answer: Promise<T>;
}

/** Sends a request: at once, so that no timer sends another within its span. */
function sent<T>(request: () => Promise<T>): Sent<T> {
  const from = performance.now();
  const answer = request();
  return { from, to: performance.now(), answer };
}

/** The span in which a request was sent, once it is answered. */
async function answered(request: () => Promise<unknown>): Promise<Span> {
  const { from, to, answer } = sent(request);
  await answer;
  return { from, to };
}

function isWithin({ from, to }: Span): (time: number) => boolean {
  return (time) => time >= from && time <= to;
}

/** Waits until the store is not connected; answers a time at which it still was. */
async function lastConnected(store: Store): Promise<number> {
  let at = Number.NEGATIVE_INFINITY;
  const isOver = () => {
    const now = performance.now();
    if (store.state.kind !== 'connected') return true;
    at = now;
    return false;
  };
  await until(isOver, { ...DEADLINE, what: 'the end of the connection' });
  return at;
}

export function bytes(text: string): Buffer {
  return Buffer.from(text);
}

/** Answers the state once it is connected. */
export async function untilConnected(store: Store): Promise<Extract<SessionState, { kind: 'connected' }>> {
  return await until(() => (store.state.kind === 'connected' ? store.state : undefined), {
    ...DEADLINE,
    what: 'a connection',
  });
}

export async function untilKind(store: Store, kind: SessionState['kind']): Promise<void> {
  await untilEqual(() => store.state.kind, kind, { ...DEADLINE, what: 'the state' });
}

/** Expects a rejection with a `StoreError` of this code about this path. */
export async function refused(request: Promise<unknown>, code: StoreErrorCode, path: string): Promise<void> {
  const outcome = await request.then(
    (value) => ({ answered: value }),
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(StoreError);
  expect(outcome).toMatchObject({ code, path });
}
