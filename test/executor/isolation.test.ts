import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Isolation } from '../../src/executor/isolation.ts';
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import type { SessionState } from '../../src/shared/store.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const SESSION_MS = 4_000;
const { stopAfterMs } = isolationTiming(SESSION_MS);

let clock: FakeClock;
let process: FakeProcess;
let ensemble: FakeEnsemble;
let store: FakeStore;
let isolation: Isolation;
/** What the rest of the daemon was told, and when. */
let told: string[];

const at = (ms: number) => Math.round(ms);

beforeEach(async () => {
  clock = new FakeClock({ files: false });
  process = new FakeProcess(clock);
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect({ sessionTimeoutMs: SESSION_MS });
  told = [];
  await clock.until('the session', () => store.state.kind === 'connected');
  // the times of the tests count from here
  isolation = new Isolation(store, process, SESSION_MS, {
    onChange: () => void told.push(words()),
    onExtended: () => void told.push('extended'),
  });
});

function words(): string {
  const { isolated, sure, unconfirmed } = isolation;
  const word = isolated ? 'isolated' : sure ? 'sure' : 'unsure';
  return unconfirmed ? `${word}, unconfirmed` : word;
}

function session(): Extract<SessionState, { kind: 'connected' }> {
  if (store.state.kind !== 'connected') throw new Error(`the store is ${store.state.kind}`);
  return store.state;
}

/** The host joins, and its session is proved to live; answers the time. */
function join(): number {
  isolation.join(true);
  isolation.prove(clock.now());
  return clock.now();
}

describe('a host', () => {
  it('is neither cut off nor sure of anything when its daemon begins', () => {
    expect(words()).toBe('unsure');
    expect(isolation.until - clock.now()).toBeCloseTo(stopAfterMs);
    expect(told).toEqual([]);
  });

  it('is cut off when its daemon did not join in time', async () => {
    await clock.advance(stopAfterMs - 1);
    expect(words()).toBe('unsure');
    await clock.advance(1);
    expect(words()).toBe('isolated');
    expect(told).toEqual(['isolated']);
  });

  it('is sure as soon as it has joined, and its session has proved to live', () => {
    isolation.join(true);
    expect(words()).toBe('unsure');
    isolation.prove(clock.now());
    expect(words()).toBe('sure');
    expect(told).toEqual(['sure']);
  });

  it('is sure until its time is over, and longer with each proof', async () => {
    const began = join();
    await clock.advance(1_000);
    isolation.prove(began + 900);
    expect(isolation.until).toBeCloseTo(began + 900 + stopAfterMs);
    await clock.advance(900 + stopAfterMs - 1_001);
    expect(words()).toBe('sure');
    await clock.advance(1);
    expect(words()).toBe('isolated');
    expect(told).toEqual(['sure', 'extended', 'isolated']);
  });

  it('does not go back behind an earlier proof', () => {
    join();
    const { until } = isolation;
    isolation.prove(clock.now() - 500);
    expect(isolation.until).toBe(until);
    expect(told).toEqual(['sure']);
  });

  it('is sure again when a proof comes after its time was over, its session having lived on', async () => {
    join();
    await clock.advance(stopAfterMs + 500);
    expect(words()).toBe('isolated');
    isolation.prove(clock.now() - 100);
    expect(words()).toBe('sure');
    expect(told).toEqual(['sure', 'isolated', 'extended', 'sure']);
  });

  it('takes proofs for nothing before it has joined, and for what they are then', async () => {
    const began = clock.now();
    await clock.advance(1_000);
    isolation.prove(began + 900);
    expect(isolation.until).toBeCloseTo(began + stopAfterMs);
    isolation.join(true);
    expect(isolation.until).toBeCloseTo(began + 900 + stopAfterMs);
    expect(words()).toBe('sure');
    expect(told).toEqual(['extended', 'sure']);
  });

  it('is cut off when its time is over before it has joined, whatever was proved meanwhile', async () => {
    await clock.advance(1_000);
    isolation.prove(clock.now());
    await clock.advance(stopAfterMs - 1_000);
    expect(words()).toBe('isolated');
    expect(told).toEqual(['isolated']);
  });

  it('asks the clock, and not its timers, which come late in a process that was frozen', async () => {
    join();
    process.pause();
    await clock.advance(stopAfterMs);
    expect(told).toEqual(['sure']);
    expect(words()).toBe('isolated');
    process.resume();
    await clock.advance(1);
    expect(told).toEqual(['sure', 'isolated']);
  });

  it('tells nothing twice', async () => {
    join();
    isolation.join(true);
    isolation.confirmed();
    await clock.advance(3 * stopAfterMs);
    expect(told).toEqual(['sure', 'isolated']);
  });

  it('counts with the session timeout that was granted', async () => {
    const long = ensemble.connect({ sessionTimeoutMs: 3 * SESSION_MS });
    const other = new Isolation(long, process, SESSION_MS, { onChange: () => {}, onExtended: () => {} });
    expect(other.sessionTimeoutMs).toBe(SESSION_MS);
    const began = clock.now();
    await clock.until('the session', () => long.state.kind === 'connected');
    expect(other.sessionTimeoutMs).toBe(3 * SESSION_MS);
    expect(other.until - began).toBeCloseTo(3 * stopAfterMs);
  });

  it('hears and tells nothing any more when the daemon ends', async () => {
    join();
    isolation.close();
    ensemble.expire(session().session);
    await clock.advance(2 * stopAfterMs);
    expect(told).toEqual(['sure']);
  });
});

describe('a host whose membership was interrupted', () => {
  it('is cut off at once when its session is lost', async () => {
    join();
    await clock.advance(500);
    ensemble.expire(session().session);
    await clock.until('the loss', () => told.length > 1);
    expect(at(isolation.until - clock.now())).toBeGreaterThan(0);
    expect(told).toEqual(['sure', 'isolated']);
  });

  it('is not cut off by a connection that is lost, before its time is over', async () => {
    join();
    store.cut('reset');
    await clock.advance(stopAfterMs - 1);
    expect(words()).toBe('sure');
  });

  it('stays cut off though it has joined anew, until the leader has written an order', async () => {
    join();
    isolation.lapse();
    expect(words()).toBe('isolated');
    isolation.prove(clock.now());
    isolation.join(false);
    expect(words()).toBe('isolated, unconfirmed');
    isolation.confirmed();
    expect(words()).toBe('sure');
    expect(told).toEqual(['sure', 'isolated', 'isolated, unconfirmed', 'sure']);
  });

  it('stays cut off when it has joined anew without a gap, but its session was lost between', () => {
    join();
    isolation.lapse();
    isolation.join(true);
    expect(words()).toBe('isolated, unconfirmed');
  });

  it('is cut off when it joins with a gap, though this process saw none', () => {
    isolation.join(false);
    expect(words()).toBe('isolated, unconfirmed');
  });

  it('is not confirmed by an order that it reads before it has joined', () => {
    join();
    isolation.lapse();
    isolation.confirmed();
    isolation.join(true);
    expect(words()).toBe('isolated, unconfirmed');
  });

  it('takes no proof of the lost session for one of the new', async () => {
    join();
    const { until } = isolation;
    await clock.advance(1_000);
    isolation.lapse();
    isolation.prove(clock.now());
    ensemble.expire(session().session);
    await clock.until('the loss', () => store.state.kind === 'lost');
    await clock.until('the next session', () => store.state.kind === 'connected');
    isolation.join(false);
    expect(isolation.until).toBe(until);
    isolation.confirmed();
    expect(words()).toBe('unsure');
    isolation.prove(clock.now());
    expect(words()).toBe('sure');
  });
});

describe('whatever happens', () => {
  type Step =
    | { readonly kind: 'wait'; readonly ms: number }
    | { readonly kind: 'prove'; readonly agoMs: number }
    | { readonly kind: 'join'; readonly continuous: boolean }
    | { readonly kind: 'lapse' | 'confirmed' };
  const aStep: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 0, max: 3_000 }) }),
    fc.record({ kind: fc.constant('prove'), agoMs: fc.integer({ min: 0, max: 1_500 }) }),
    fc.record({ kind: fc.constant('join'), continuous: fc.boolean() }),
    fc.record({ kind: fc.constantFrom('lapse', 'confirmed') }),
  );

  it('it is sure only as a member, since whose last gap an order was confirmed, and for the lease only', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 40 }), async (steps) => {
        const own = new FakeClock({ files: false });
        const client = new FakeEnsemble({ clock: own }).connect({ sessionTimeoutMs: SESSION_MS });
        let heard = '';
        const word = (it: Isolation) => `${it.isolated} ${it.sure} ${it.unconfirmed}`;
        const each: Isolation = new Isolation(client, own, SESSION_MS, {
          onChange: () => {
            heard = word(each);
          },
          onExtended: () => {},
        });
        heard = word(each);
        let [joined, gap, newest, proven] = [false, false, Number.NEGATIVE_INFINITY, false];
        for (const step of steps) {
          if (step.kind === 'wait') await own.advance(step.ms);
          if (step.kind === 'prove') {
            each.prove(own.now() - step.agoMs);
            proven = true;
            if (joined) newest = Math.max(newest, own.now() - step.agoMs);
          }
          if (step.kind === 'join') {
            each.join(step.continuous);
            [joined, gap] = [true, gap || !step.continuous];
          }
          if (step.kind === 'lapse') {
            each.lapse();
            [joined, gap] = [false, true];
          }
          if (step.kind === 'confirmed') {
            each.confirmed();
            gap &&= !joined;
          }
          if (each.sure && (!joined || gap || !proven)) throw new Error('it is sure of what it cannot know');
          if (joined && !gap && own.now() < newest + stopAfterMs && !each.sure) throw new Error('it is not sure');
          if (each.until > own.now() + stopAfterMs) throw new Error('it takes the future for proven');
          if (heard !== word(each)) throw new Error(`${heard} was told, and it is ${word(each)}`);
        }
        each.close();
      }),
      { numRuns: 100 },
    );
  });
});
