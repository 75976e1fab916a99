import { describe, expect, it } from 'vitest';
import { HeldUnits } from '../../src/executor/held-units.ts';
import type { UnitState } from '../../src/executor/systemd.ts';
import type { ActiveState } from '../../src/shared/state.ts';

const A = 'a.service';
const B = 'b.service';

interface World {
  readonly states?: Readonly<Record<string, ActiveState>>;
  readonly runOnce?: readonly string[];
  readonly onceBefore?: readonly string[];
  readonly ours?: readonly string[];
  readonly stopping?: readonly string[];
}

function held({ states = {}, runOnce = [], onceBefore = [], ours = [], stopping = [] }: World): HeldUnits {
  const known = Object.entries(states).map(([unit, active]): [string, UnitState] => [
    unit,
    { unit, load: 'loaded', active, sub: '' },
  ]);
  return new HeldUnits({
    orders: { runOnce: new Set(runOnce), onceBefore: new Set(onceBefore) },
    table: { states: new Map(known), isOurs: (unit) => ours.includes(unit) },
    isStopping: (unit) => stopping.includes(unit),
  });
}

describe('a unit', () => {
  it.each<[ActiveState, boolean]>([
    ['active', true],
    ['reloading', true],
    ['activating', true],
    ['deactivating', true],
    ['maintenance', true],
    ['inactive', false],
    ['failed', false],
  ])('that is %s may be up: %s', (active, expected) => {
    expect(held({ states: { [A]: active } }).mayBeUp(A)).toBe(expected);
  });

  it('of which systemd has said nothing yet may be up', () => {
    expect(held({ states: { [B]: 'inactive' } }).mayBeUp(A)).toBe(true);
  });

  it('may be up until our stop of it has ended, whatever systemd says meanwhile', () => {
    expect(held({ states: { [A]: 'inactive' }, stopping: [A] }).mayBeUp(A)).toBe(true);
  });
});

describe('of what may run once only there may be running here', () => {
  it('what is placed here, whether or not it runs', () => {
    expect([...held({ states: { [A]: 'inactive' }, runOnce: [A] }).once]).toEqual([A]);
  });

  it('what was placed here and is ours, until it is down', () => {
    const before = { onceBefore: [A, B], ours: [A, B] };
    expect([...held({ ...before, states: { [A]: 'deactivating', [B]: 'inactive' } }).once]).toEqual([A]);
    expect([...held({ ...before, states: { [A]: 'inactive', [B]: 'failed' } }).once]).toEqual([]);
  });

  it('nothing that is not ours, though it runs: somebody else started it', () => {
    expect([...held({ onceBefore: [A], states: { [A]: 'active' } }).once]).toEqual([]);
  });
});
