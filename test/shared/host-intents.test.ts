import { beforeEach, describe, expect, it } from 'vitest';
import { decodeBatch, type HistoryEvent } from '../../src/shared/history.ts';
import { changeIntent, type IntentChange, type IntentOutcome } from '../../src/shared/host-intents.ts';
import { decodeHostIntent } from '../../src/shared/payloads.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = await session();
});

async function session(): Promise<FakeStore> {
  const made = ensemble.connect();
  await clock.until('a session', () => made.state.kind === 'connected');
  return made;
}

function asked(state: IntentChange['state'], why?: string, at = '2026-01-01T00:00:00.000Z'): IntentChange {
  return { host: 'w2', state, why, by: 'w1', at };
}

const change = (...rest: Parameters<typeof asked>): Promise<IntentOutcome> =>
  clock.finish('the change', changeIntent(store, asked(...rest)));

function written() {
  const node = ensemble.tree.get('/hosts/w2');
  const decoded = node && decodeHostIntent(node.data, '/hosts/w2');
  return decoded?.ok ? decoded.value : undefined;
}

function told(): HistoryEvent[] {
  const names = [...(ensemble.tree.get('/history')?.children ?? [])].sort();
  return names.flatMap((name) => {
    const node = ensemble.tree.get(`/history/${name}`);
    const decoded = node && decodeBatch(node.data, name);
    return decoded?.ok ? decoded.value.events : [];
  });
}

describe('what an operator wants of a host', () => {
  it('is written with its reason and its time, in a ZooKeeper where nothing is yet', async () => {
    const intent = { host: 'w2', state: 'draining', since: '2026-01-01T00:00:00.000Z', why: 'new disks' };
    expect(await change('draining', 'new disks')).toEqual({ changed: true, intent });
    expect(written()).toEqual(intent);
  });

  it('without a reason says where it was asked for', async () => {
    await change('cordoned');
    expect(written()).toMatchObject({ state: 'cordoned', why: 'asked for on w1' });
  });

  it('asked for again stays as it is, and since when', async () => {
    const { intent } = await change('cordoned', 'a');
    expect(await change('cordoned', undefined, '2026-02-02T00:00:00.000Z')).toEqual({ changed: false, intent });
    expect(await change('cordoned', 'a', '2026-02-02T00:00:00.000Z')).toEqual({ changed: false, intent });
    expect(told()).toHaveLength(1);
  });

  it('asked for with another reason keeps its time', async () => {
    await change('cordoned', 'a');
    expect(await change('cordoned', 'b', '2026-02-02T00:00:00.000Z')).toMatchObject({
      changed: true,
      intent: { why: 'b', since: '2026-01-01T00:00:00.000Z' },
    });
  });

  it('may change to the other, from that moment on', async () => {
    await change('cordoned', 'a');
    await change('draining', undefined, '2026-02-02T00:00:00.000Z');
    expect(written()).toMatchObject({ state: 'draining', since: '2026-02-02T00:00:00.000Z', why: 'asked for on w1' });
  });

  it('is removed when it shall take part again; nothing is removed twice', async () => {
    await change('draining');
    expect(await change('ready')).toEqual({ changed: true, intent: undefined });
    expect(ensemble.tree.get('/hosts/w2')).toBeUndefined();
    expect(await change('ready')).toEqual({ changed: false, intent: undefined });
  });

  it('that cannot be read is replaced, and removed', async () => {
    await change('draining');
    for (const state of ['cordoned', 'ready'] as const) {
      await clock.finish('spoiling it', store.set('/hosts/w2', Buffer.from('spoilt')));
      expect((await change(state)).changed).toBe(true);
      expect(written()?.state).toBe(state === 'ready' ? undefined : state);
    }
  });

  it('is told in the history, with its reason', async () => {
    await change('draining', 'new disks');
    await change('ready', undefined, '2026-02-02T00:00:00.000Z');
    expect(told()).toEqual([
      { at: '2026-01-01T00:00:00.000Z', kind: 'host-draining', host: 'w2', reason: 'draining', why: 'new disks' },
      { at: '2026-02-02T00:00:00.000Z', kind: 'host-uncordoned', host: 'w2', reason: 'ready', why: 'asked for on w1' },
    ]);
  });

  it('of two at the same moment holds one, and no answer is lost', async () => {
    const other = await session();
    const both = [changeIntent(store, asked('cordoned')), changeIntent(other, asked('draining'))];
    const outcomes = await clock.finish('both', Promise.all(both));
    expect(outcomes.map(({ changed }) => changed)).toEqual([true, true]);
    expect(told()).toHaveLength(2);
    expect(outcomes.map(({ intent }) => intent)).toContainEqual(written());
  });
});
