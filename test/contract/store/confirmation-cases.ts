/** What every `Store` promises of the times that it confirms: what was sent then has been answered. */
import { expect, it } from 'vitest';
import { isolationTiming } from '../../../src/shared/isolation-timing.ts';
import type { Operation, SessionState, Store } from '../../../src/shared/store.ts';
import type { Direction } from '../../harness/tcp-proxy.ts';
import { until, untilEqual } from '../../harness/until.ts';
import { bytes, DEADLINE, LONG_SESSION_MS, type Rig, refused, untilConnected, untilKind } from './rig.ts';

const SILENCES: readonly (readonly Direction[])[] = [['requests'], ['answers'], ['requests', 'answers']];

export function confirmationCases({ join, connected, place }: Rig): void {
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
