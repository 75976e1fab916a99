/** The leader's part of the history, on a pretended ensemble; the test plays the roll and the placements. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Roll } from '../../src/leader/attendance.ts';
import { DesiredWriter } from '../../src/leader/desired-writer.ts';
import { Historian } from '../../src/leader/historian.ts';
import { decodeBatch, type HistoryEvent } from '../../src/shared/history.ts';
import { decodePace } from '../../src/shared/history-pace.ts';
import type { Brake } from '../../src/shared/spec.ts';
import type { Desired } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const BRAKE: Brake = { above: 0.5, atLeast: 3, holdMs: 60_000 };

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let log: MemoryLog;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  log = new MemoryLog();
  await clock.until('the session', () => store.state.kind === 'connected');
  await done(Promise.all([store.ensure('/epoch'), store.ensure('/history')]));
});

const done = <T>(promise: Promise<T>): Promise<T> => clock.finish('an answer', promise);

/** A term as one that wins makes it: any earlier one is deposed. */
async function lead(host = 'w1'): Promise<{ historian: Historian; writer: DesiredWriter }> {
  const version = await done(store.set('/epoch', Buffer.from(host)));
  const fence = { op: 'check', path: '/epoch', version } as const;
  const historian = new Historian({ epoch: version, fence }, { host, store, clock, log });
  return { historian, writer: await done(DesiredWriter.open(store, fence, log)) };
}

function roll(hosts: readonly string[], held: readonly string[] = []): Roll {
  return { hosts, held: new Set(held), views: [], gone: [], joining: false };
}

function desired(host: string, ...units: string[]): Desired {
  const list = units.map((name) => ({
    unit: `${name}.service`,
    service: name,
    isolation: 'keep' as const,
    why: { kind: 'least-loaded' as const },
  }));
  return { host, epoch: 1, generation: 1, spec: 'sha256:', units: list };
}

function told(): HistoryEvent[] {
  const names = [...(ensemble.tree.get('/history')?.children ?? [])].sort();
  return names.flatMap((name) => {
    const decoded = decodeBatch(ensemble.tree.get(`/history/${name}`)?.data ?? Buffer.alloc(0), name);
    return decoded.ok ? decoded.value.events : [];
  });
}
const kinds = () => told().map(({ kind }) => kind);
const nobodyLeft = () => false;

describe('the historian', () => {
  it('tells who leads, in which epoch, and in the journal, too', async () => {
    await lead('w2');
    await clock.advance(100);
    expect(told()).toEqual([
      {
        at: expect.stringMatching(/^2026-01-01T/),
        kind: 'leader-changed',
        host: 'w2',
        reason: 'elected',
        why: 'elected with epoch 1',
        epoch: 1,
        generation: 0,
      },
    ]);
    expect(log.at('info')).toEqual(['w2 is the leader: elected with epoch 1']);
  });

  it('tells what is placed if and only if it is written', async () => {
    const { historian, writer } = await lead();
    historian.attend(roll(['w1', 'w2']), BRAKE, false);
    const states = [desired('w1', 'a'), desired('w2', 'a')];
    await done(writer.write(states, [], historian.tell(writer, 7, [], nobodyLeft)));
    expect(kinds()).toEqual(['leader-changed', 'member-joined', 'member-joined', 'placed', 'placed']);
    expect(told().at(-1)).toMatchObject({ unit: 'a.service', service: 'a', host: 'w2', epoch: 1, generation: 7 });
    expect(log.at('info')).toContain('a.service is placed on w2: least loaded');

    await done(store.set('/epoch', Buffer.from('another leader')));
    const refused = writer.write([desired('w1')], ['w2'], historian.tell(writer, 8, [], nobodyLeft));
    await expect(done(refused)).rejects.toMatchObject({ code: 'bad-version' });
    await clock.advance(10_000);
    expect(told()).toHaveLength(5);
    expect(log.at('info').filter((line) => line.includes('nowhere'))).toEqual([]);
  });

  it('tells a host that left from one that was lost, and from one that it never saw', async () => {
    const first = await lead();
    const states = ['w1', 'w2', 'w3'].map((host) => desired(host));
    await done(first.writer.write(states, [], first.historian.tell(first.writer, 1, [], nobodyLeft)));
    await done(first.historian.close());
    const { historian, writer } = await lead('w2');
    historian.attend(roll(['w1', 'w2']), BRAKE, false);
    const along = historian.tell(writer, 1, [], (host) => host === 'w1');
    await done(writer.write([], ['w1', 'w2', 'w3'], along));
    expect(
      told()
        .slice(-3)
        .map(({ kind, host, reason }) => [kind, host, reason]),
    ).toEqual([
      ['member-left', 'w1', 'left'],
      ['member-lost', 'w2', 'lost'],
      ['member-gone', 'w3', 'gone'],
    ]);
  });

  it('tells when the brake is engaged and why it is released', async () => {
    const { historian } = await lead();
    historian.attend(roll(['w1', 'w2']), BRAKE, false);
    historian.attend(roll(['w1'], ['w2']), BRAKE, true);
    historian.attend(roll(['w1'], ['w2']), BRAKE, true);
    historian.attend(roll(['w1', 'w2']), BRAKE, false);
    historian.attend(roll(['w1'], ['w2']), BRAKE, true);
    historian.attend(roll(['w1']), BRAKE, false);
    await clock.advance(100);
    const brakes = told().filter(({ kind }) => kind.startsWith('brake'));
    expect(brakes.map(({ kind, reason }) => `${kind} ${reason}`)).toEqual([
      'brake-engaged many-lost',
      'brake-released all-back',
      'brake-engaged many-lost',
      'brake-released over',
    ]);
    expect(brakes[0]?.why).toBe(
      'many hosts were lost at once (w2): nothing is moved for 60 s, in case the fault is elsewhere',
    );
  });

  it('tells what it could not write at first once it can', async () => {
    const { historian } = await lead();
    await clock.advance(100);
    const { transaction } = store;
    let failures = 2;
    store.transaction = (operations) => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error('not now')) : transaction.call(store, operations);
    };
    historian.attend(roll(['w1'], ['w2']), BRAKE, true);
    await clock.advance(5_000);
    expect(kinds()).toEqual(['leader-changed', 'brake-engaged']);
  });

  it('does not block while it puts thousands of events into the journal', async () => {
    const { historian, writer } = await lead();
    const units = Array.from({ length: 500 }, (_, n) => `u${n}`);
    const lines = () => log.at('info').filter((line) => line.includes('is placed on')).length;
    await done(writer.write([desired('w1', ...units)], [], historian.tell(writer, 1, [], nobodyLeft)));
    expect(lines()).toBeLessThanOrEqual(100);
    await clock.advance(1_000);
    expect(lines()).toBe(500);
  });

  it('puts the rest into the journal when its term ends', async () => {
    const { historian, writer } = await lead();
    const units = Array.from({ length: 500 }, (_, n) => `u${n}`);
    await done(writer.write([desired('w1', ...units)], [], historian.tell(writer, 1, [], nobodyLeft)));
    await done(historian.close());
    expect(log.at('info').filter((line) => line.includes('is placed on'))).toHaveLength(500);
  });
});

describe('the length of the history', () => {
  /** So many batches that nobody can read; they count all the same. */
  async function fill(ring: 'leader' | 'host', count: number): Promise<void> {
    const data = Buffer.from('old');
    const create = () => store.create(`/history/${ring}-`, data, 'persistent-sequential');
    await done(Promise.all(Array.from({ length: count }, create)));
  }
  const length = (ring: string) =>
    [...(ensemble.tree.get('/history')?.children ?? [])].filter((name) => name.startsWith(ring)).length;

  it('is cut to the newest 1,000 of each kind, in small transactions', async () => {
    await fill('leader', 1_130);
    await fill('host', 1_070);
    const { historian } = await lead();
    const sizes: number[] = [];
    const transaction = store.transaction.bind(store);
    store.transaction = (operations) => {
      sizes.push(operations.length);
      return transaction(operations);
    };
    historian.attend(roll(['w1', 'w2']), BRAKE, false);
    await clock.advance(29_000);
    expect(length('host')).toBe(1_070);
    await clock.advance(5_000);
    expect([length('leader'), length('host')]).toEqual([1_000, 1_000]);
    expect(kinds()).toEqual(['leader-changed']);
    expect(Math.max(...sizes)).toBe(51);
  });

  it('is never cut by a leader that was deposed', async () => {
    await fill('host', 1_100);
    const { historian } = await lead();
    await done(store.set('/epoch', Buffer.from('another leader')));
    historian.attend(roll(['w1']), BRAKE, false);
    await clock.advance(120_000);
    expect(length('host')).toBe(1_100);
  });

  it('does not matter to a leader whose term is over', async () => {
    await fill('host', 1_100);
    const { historian } = await lead();
    await done(historian.close());
    await clock.advance(120_000);
    expect(length('host')).toBe(1_100);
  });

  it('grows with the number of hosts, which are told how many they are', async () => {
    await fill('host', 1_400);
    const { historian } = await lead();
    const hosts = Array.from({ length: 600 }, (_, n) => `w${n}`);
    historian.attend(roll(hosts), BRAKE, false);
    await clock.advance(40_000);
    expect(length('host')).toBe(1_200);
    expect(decodePace(ensemble.tree.get('/history')?.data)).toBe(600);
    historian.attend(roll(['w1']), BRAKE, false);
    await clock.advance(40_000);
    expect(length('host')).toBe(1_000);
    expect(decodePace(ensemble.tree.get('/history')?.data)).toBe(1);
  });

  it('is begun anew when someone removed all of it', async () => {
    const { historian } = await lead();
    await clock.advance(100);
    for (const name of [...(ensemble.tree.get('/history')?.children ?? [])])
      await done(store.remove(`/history/${name}`));
    await done(store.remove('/history'));
    historian.attend(roll(['w1'], ['w2']), BRAKE, true);
    await clock.advance(5_000);
    expect(kinds()).toEqual(['brake-engaged']);
  });
});
