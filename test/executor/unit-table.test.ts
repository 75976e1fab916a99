import { beforeEach, describe, expect, it } from 'vitest';
import type { UnitMemory } from '../../src/executor/diff.ts';
import type { UnitState } from '../../src/executor/systemd.ts';
import { UnitTable } from '../../src/executor/unit-table.ts';
import type { ActiveState, LoadState } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';

const UNIT = 'a.service';
const IDLE: ReadonlySet<string> = new Set();

let clock: FakeClock;
let saves: number;
let ends: string[];
let table: UnitTable;

beforeEach(() => {
  clock = new FakeClock();
  saves = 0;
  table = new UnitTable(
    clock,
    () => {
      saves += 1;
    },
    (unit) => void ends.push(unit),
  );
  ends = [];
});

function listed(active: ActiveState, load: LoadState = 'loaded', mark = table.signalMark()): boolean {
  const state: UnitState = { unit: UNIT, load, active, sub: active };
  return table.listed([state], mark, IDLE);
}

const tell = (active: ActiveState, sub: string = active, busy = false) => table.signalled(UNIT, active, sub, busy);
const active = () => table.states.get(UNIT)?.active;
const memory = (): UnitMemory | undefined => table.memory.get(UNIT);

describe('the states of units', () => {
  it('are those of the list, until a signal tells another', () => {
    expect(listed('inactive')).toBe(true);
    expect(active()).toBe('inactive');
    expect(tell('active', 'running')).toBe(true);
    expect(table.states.get(UNIT)).toEqual({ unit: UNIT, load: 'loaded', active: 'active', sub: 'running' });
  });

  it('do not change by a list or a signal that says the same', () => {
    listed('active');
    expect(listed('active')).toBe(false);
    expect(tell('active')).toBe(false);
  });

  it('tell since when it is active, which a reload of it does not change, but a start does', async () => {
    listed('inactive');
    expect(table.activeSince(UNIT)).toBeUndefined();
    await clock.advance(100);
    tell('active');
    await clock.advance(100);
    tell('reloading', 'reload');
    expect(table.activeSince(UNIT)).toBe(100);
    tell('active');
    expect(table.activeSince(UNIT)).toBe(100);
    tell('deactivating');
    expect(table.activeSince(UNIT)).toBeUndefined();
    tell('inactive');
    tell('active');
    expect(table.activeSince(UNIT)).toBe(200);
  });

  it('tell since when it is active after failures were cleared, and when it did not stop though it should, too', async () => {
    await clock.advance(100);
    listed('inactive');
    tell('active');
    await clock.advance(100);
    table.clearFailures();
    expect(table.activeSince(UNIT)).toBe(100);
    table.stopping(UNIT);
    expect(table.activeSince(UNIT)).toBe(100);
  });

  it('are not set back by a list that was asked for before the latest signal', () => {
    listed('inactive');
    const mark = table.signalMark();
    tell('active');
    expect(listed('inactive', 'loaded', mark)).toBe(false);
    expect(active()).toBe('active');
    expect(listed('inactive')).toBe(true);
    expect(active()).toBe('inactive');
  });

  it('take the load state even from an overtaken list, as signals tell none', () => {
    listed('inactive');
    const mark = table.signalMark();
    tell('active');
    listed('inactive', 'masked', mark);
    expect(table.states.get(UNIT)).toMatchObject({ load: 'masked', active: 'active' });
  });

  it('of units that nobody asked for are not taken from signals', () => {
    expect(tell('active')).toBe(false);
    expect(table.states.size).toBe(0);
  });

  it('are dropped when nobody asks about the unit any more, but what is ours is remembered', () => {
    listed('active');
    table.adopted(UNIT, undefined);
    table.listed([{ unit: 'b.service', load: 'loaded', active: 'failed', sub: '' }], table.signalMark(), IDLE);
    table.failed('b.service', { kind: 'prestart', message: '' });
    table.keepOnly(new Set());
    expect(table.states.size).toBe(0);
    expect([...table.memory.keys()]).toEqual([UNIT]);
  });
});

describe('what is ours', () => {
  it('is what was started, adopted or recalled, until it is forgotten', () => {
    table.recall(new Map([['r.service', '{"c":["w1"]}']]));
    table.starting('s.service', undefined);
    table.adopted(UNIT, '{}');
    expect([...table.ours()]).toEqual([
      ['r.service', '{"c":["w1"]}'],
      ['s.service', undefined],
      [UNIT, '{}'],
    ]);
    table.forgotten(UNIT);
    expect(table.isOurs(UNIT)).toBe(false);
    expect(table.isOurs('r.service')).toBe(true);
  });

  it('keeps the values it was started with when it is adopted after a restart', () => {
    table.recall(new Map([[UNIT, 'old']]));
    table.adopted(UNIT, 'new');
    expect(table.ours().get(UNIT)).toBe('old');
  });

  it('is saved whenever it, or its values, change, and only then', () => {
    table.starting(UNIT, 'a');
    table.starting(UNIT, 'b');
    expect(saves).toBe(2);
    table.starting(UNIT, 'b');
    table.stopping(UNIT);
    table.failed(UNIT, { kind: 'prestart', message: '' });
    listed('active');
    expect(saves).toBe(2);
    table.forgotten(UNIT);
    expect(saves).toBe(3);
  });
});

describe('a unit of ours that ends', () => {
  beforeEach(() => {
    listed('inactive');
    table.starting(UNIT, undefined);
    tell('active', 'running');
  });

  /** It ends, and runs again after its pause; answers the pause. */
  async function endAndRun(): Promise<number> {
    tell('inactive', 'dead');
    const pause = (memory()?.notBefore ?? 0) - clock.now();
    await clock.advance(Math.max(0, pause));
    tell('active', 'running');
    return pause;
  }

  it('is paused three times as long each time, up to 30 s', async () => {
    const pauses: number[] = [];
    for (let end = 0; end < 11; end++) pauses.push(await endAndRun());
    expect(pauses).toEqual([100, 300, 900, 2_700, 8_100, 24_300, 30_000, 30_000, 30_000, 30_000, 30_000]);
  });

  it('is paused as if for the first time once it has run for 10 s', async () => {
    await endAndRun();
    await endAndRun();
    await clock.advance(9_999);
    expect(await endAndRun()).toBe(900);
    await clock.advance(10_000);
    expect(await endAndRun()).toBe(100);
    expect(await endAndRun()).toBe(300);
  });

  it('by itself is told from one that is stopped by hand, which is not paused', () => {
    tell('deactivating', 'stop-sigterm');
    tell('inactive', 'dead');
    expect(memory()).toMatchObject({ ran: true, stoppedByHand: true, notBefore: clock.now() });
  });

  it.each(['stop', 'stop-sigterm', 'stop-sigkill'])('after %s was stopped by hand', (sub) => {
    tell('deactivating', sub);
    expect(memory()?.stoppedByHand).toBe(true);
  });

  it.each(['stop-post', 'final-sigterm', 'stop-watchdog'])('after %s ended by itself', (sub) => {
    tell('deactivating', sub);
    tell('inactive', 'dead');
    expect(memory()).toMatchObject({ ran: true, stoppedByHand: false, notBefore: clock.now() + 100 });
  });

  it('because we stop it is neither drift nor paused', () => {
    table.stopping(UNIT);
    tell('deactivating', 'stop-sigterm', true);
    tell('inactive', 'dead', true);
    expect(memory()).toMatchObject({ ran: false, stoppedByHand: false, notBefore: 0 });
  });

  it('because we stop it is neither when a list is the first to tell', () => {
    table.stopping(UNIT);
    table.listed(
      [{ unit: UNIT, load: 'loaded', active: 'inactive', sub: 'dead' }],
      table.signalMark(),
      new Set([UNIT]),
    );
    expect(memory()).toMatchObject({ ran: false, stoppedByHand: false, notBefore: 0 });
  });

  it('and is running again was not stopped by hand any more', () => {
    tell('deactivating', 'stop-sigterm');
    tell('inactive', 'dead');
    tell('active', 'running');
    expect(memory()?.stoppedByHand).toBe(false);
  });

  it('has its pause and its failure cleared on request', async () => {
    await endAndRun();
    tell('inactive', 'dead');
    table.failed(UNIT, { kind: 'prestart', message: '' });
    table.clearFailures();
    expect(memory()).toMatchObject({ notBefore: 0 });
    expect(memory()?.failure).toBeUndefined();
    tell('active', 'running');
    expect(await endAndRun()).toBe(100);
  });
});

describe('a unit with a failure that only we know of', () => {
  it('is cured when it is seen active, whoever started it', () => {
    listed('inactive');
    table.failed(UNIT, { kind: 'prestart', message: '' });
    tell('activating');
    expect(memory()?.failure).toBeDefined();
    tell('active', 'running');
    expect(memory()?.failure).toBeUndefined();
    expect(table.isOurs(UNIT)).toBe(false);
  });
});
