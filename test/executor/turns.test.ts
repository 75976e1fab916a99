/** From when until when a unit keeps its turn to start. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Action } from '../../src/executor/diff.ts';
import { TurnKeeper, type TurnWish } from '../../src/executor/turns.ts';
import type { ActiveState, DesiredUnit, Health, Observed } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';
import { checkOf } from '../fixtures/health-check.ts';

const UNIT = 'es.service';
const check = checkOf();
const plain: DesiredUnit = {
  unit: UNIT,
  service: 'es',
  isolation: 'keep',
  why: { kind: 'every-host' },
  start: { atOnce: 2, until: 'active', timeoutMs: 10_000 },
};
const { start: _, ...unordered } = plain;
const untilHealthy: DesiredUnit = { ...plain, check, start: { atOnce: 2, until: 'healthy', timeoutMs: 10_000 } };
const found: DesiredUnit = { ...plain, discovery: { label: 'es', onlyHealthy: true } };

let clock: FakeClock;
let has: boolean;
let registered: boolean;
let wishes: ReadonlyMap<string, TurnWish>;
let keeper: TurnKeeper;

beforeEach(() => {
  clock = new FakeClock();
  has = true;
  registered = false;
  wishes = new Map();
  const turns = {
    want: (wanted: ReadonlyMap<string, TurnWish>) => {
      wishes = wanted;
    },
    state: () => (has ? ({ kind: 'has' } as const) : ({ kind: 'waits', why: 'others start' } as const)),
  };
  keeper = new TurnKeeper({ turns, clock, isRegistered: () => registered });
});

interface Pass {
  readonly due?: boolean;
  readonly starts?: boolean;
  readonly busy?: boolean;
  readonly active?: ActiveState;
  readonly health?: Health['state'];
}

/** Whether the unit wants a turn, or to keep it, after a pass. */
function pass(desired: DesiredUnit | undefined, { due, starts, busy, active = 'inactive', health }: Pass): boolean {
  const action: Action = { kind: 'start', unit: UNIT, desired: plain, reason: 'placed' };
  const seen = { unit: UNIT, load: 'loaded', active, sub: '', ...(health && { health: { state: health } }) } as const;
  const report: Observed = { host: 'w1', epoch: 1, generation: 1, units: [seen] };
  keeper.update(
    { wanted: new Set(due || starts ? [UNIT] : []), actions: starts ? [action] : [] },
    desired ? [desired] : [],
    report,
    new Set(busy || starts ? [UNIT] : []),
  );
  return wishes.has(UNIT);
}

describe('a unit with a turn', () => {
  it.each<[string, DesiredUnit, Pass, boolean]>([
    ['is being started', plain, { busy: true, active: 'activating' }, true],
    ['is still on its way when nothing of ours is under way any more', plain, { active: 'activating' }, true],
    ['runs', plain, { active: 'active' }, false],
    [
      'runs, and what its check says does not matter',
      { ...plain, check },
      { active: 'active', health: 'starting' },
      false,
    ],
    ['has failed', plain, { active: 'failed' }, false],
    ['has ended', plain, { active: 'inactive' }, false],
    ['is being stopped', plain, { active: 'deactivating' }, false],
    ['runs, and its check has said nothing yet', untilHealthy, { active: 'active' }, true],
    ['runs unhealthily', untilHealthy, { active: 'active', health: 'unhealthy' }, true],
    ['runs and is healthy', untilHealthy, { active: 'active', health: 'healthy' }, false],
    ['runs, and cannot be found yet', found, { active: 'active' }, true],
  ])('which %s keeps it only as long as it needs it', (_what, desired, next, keeps) => {
    pass(desired, { starts: true });
    expect(pass(desired, next)).toBe(keeps);
  });

  it('keeps it until it can be found', () => {
    pass(found, { starts: true });
    expect(pass(found, { active: 'active' })).toBe(true);
    registered = true;
    expect(pass(found, { active: 'active' })).toBe(false);
  });

  it('asks for one, with how many may have one, when nothing else is in its way, and not otherwise', () => {
    expect(pass(plain, {})).toBe(false);
    expect(pass(plain, { due: true })).toBe(true);
    expect(wishes.get(UNIT)).toEqual({ service: 'es', atOnce: 2 });
  });

  it('gives it away after its time, and is started all the same', async () => {
    pass(plain, { starts: true });
    expect(keeper.wakeAt).toBe(10_000);
    await clock.advance(9_999);
    expect(pass(plain, { busy: true })).toBe(true);
    await clock.advance(1);
    expect(pass(plain, { busy: true })).toBe(false);
    expect(keeper.wakeAt).toBeUndefined();
    has = false;
    expect(keeper.mayAsk(plain)).toBe(true);
  });

  it('gives it away in the pass that the end of its time wakes, whatever fraction of a millisecond it began at', async () => {
    for (let begun = 0; begun < 200; begun++) {
      await clock.advance(0.013 + begun / 7);
      pass(plain, { starts: true });
      await clock.advance((keeper.wakeAt ?? Number.NaN) - clock.now());
      expect(pass(plain, { busy: true })).toBe(false);
      pass(plain, { active: 'inactive' });
    }
  });

  it('is not asked to start once it has lost it before its time', () => {
    pass(plain, { starts: true });
    expect(keeper.mayAsk(plain)).toBe(true);
    has = false;
    expect(keeper.mayAsk(plain)).toBe(false);
  });

  it('has its whole time again with the next one', async () => {
    pass(plain, { starts: true });
    await clock.advance(9_000);
    expect(pass(plain, { active: 'active' })).toBe(false);
    pass(plain, { starts: true });
    await clock.advance(9_000);
    expect(pass(plain, { busy: true })).toBe(true);
  });

  it('has no longer for a start that is tried again in it', async () => {
    pass(plain, { starts: true });
    await clock.advance(6_000);
    pass(plain, { starts: true });
    await clock.advance(4_000);
    expect(pass(plain, { busy: true })).toBe(false);
  });

  it.each([
    ['not placed here any more', undefined],
    ['to go to another host', { ...plain, withdrawn: true }],
    ['of a service without order', unordered],
  ] as const)('gives it up when it is %s', (_what, desired) => {
    pass(plain, { starts: true });
    expect(pass(desired, { busy: true })).toBe(false);
  });

  it('gives it up when the daemon ends', () => {
    pass(plain, { starts: true });
    keeper.end();
    expect(wishes.size).toBe(0);
  });
});
