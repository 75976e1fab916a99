/** What every `Store` promises of its sessions, and of what is asked for while they are cut off. */
import { expect, it } from 'vitest';
import type { SessionState, Znode } from '../../../src/shared/store.ts';
import { until, untilEqual } from '../../harness/until.ts';
import { bytes, DEADLINE, type Rig, refused, SESSION_MS, untilConnected, untilKind } from './rig.ts';

export function sessionCases({ join, connected, place }: Rig): void {
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
}
