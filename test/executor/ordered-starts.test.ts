import { beforeEach, describe, expect, it } from 'vitest';
import { OrderedStarts } from '../../src/executor/ordered-starts.ts';
import type { TurnWish } from '../../src/executor/turns.ts';
import type { DesiredUnit, Observed, ObservedUnit } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';
import { placed, seen } from '../fixtures/snapshot.ts';

const UNIT = placed('a.service', { start: { atOnce: 1, until: 'active', timeoutMs: 10_000 } });
const NONE: ReadonlySet<string> = new Set();

let changes: number;
let wishes: ReadonlyMap<string, TurnWish>;
let starts: OrderedStarts;
beforeEach(() => {
  changes = 0;
  wishes = new Map();
  starts = new OrderedStarts({
    clock: new FakeClock(),
    turns: {
      want: (given) => {
        wishes = given;
      },
      state: () => ({ kind: 'has' }),
    },
    isRegistered: () => true,
    onChange: () => {
      changes += 1;
    },
  });
});

function follow(units: readonly ObservedUnit[], canStart = true, desired: readonly DesiredUnit[] = [UNIT]): void {
  const report: Observed = { host: 'w1', epoch: 1, generation: 1, units };
  const turnsWanted = new Set(units.length === 0 ? [UNIT.unit] : []);
  starts.follow({ turnsWanted, actions: [] }, { desired, report, busy: NONE, canStart });
}

const runningHere = () => [...starts.conditions([UNIT], false).runningHere];

describe('what is started in order', () => {
  it('knows the services that are up here, and asks for a look when that changes, not else', () => {
    expect(runningHere()).toEqual([]);
    follow([seen(UNIT.unit)]);
    expect([runningHere(), changes]).toEqual([['a'], 1]);
    follow([seen(UNIT.unit)]);
    expect([runningHere(), changes]).toEqual([['a'], 1]);
    follow([seen(UNIT.unit, { active: 'failed' })]);
    expect([runningHere(), changes]).toEqual([[], 2]);
  });

  it('waits for a turn where it can be started, and keeps nobody waiting where systemd cannot be asked', () => {
    follow([]);
    expect([...wishes.keys()]).toEqual([UNIT.unit]);
    follow([], false);
    expect([...wishes.keys()]).toEqual([]);
  });

  it('gives its place up when nothing is started any more', () => {
    follow([]);
    starts.end();
    expect([...wishes.keys()]).toEqual([]);
  });

  it('is told the turns, and how old the order is', () => {
    expect(starts.conditions([UNIT, placed('b.service')], true)).toEqual({
      turns: new Map([[UNIT.unit, { kind: 'has' }]]),
      runningHere: new Set(),
      stale: true,
    });
  });
});
