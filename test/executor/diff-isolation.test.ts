/** What is done about units that may run on one host only. */
import { describe, expect, it } from 'vitest';
import { type DiffInput, diff } from '../../src/executor/diff.ts';
import type { UnitState } from '../../src/executor/systemd.ts';
import type { ActiveState, DesiredUnit } from '../../src/shared/state.ts';
import { decide, desired, input, memory, NOW, type Situation, state, UNIT, wanted } from './diff-situation.ts';

describe('on a host that is cut off', () => {
  const once = { ...wanted(UNIT), isolation: 'stop' } as const;
  const cutOff = (state: UnitState, unit: DesiredUnit = once) =>
    decide({ desired: desired(unit), state, isolated: true, memory: memory({ ours: true, ran: true }) });

  it.each(['active', 'activating', 'reloading'] as const)(
    'stops a unit that must not run twice and is %s',
    (active) => {
      expect(cutOff(state(active))).toBe('stop isolated');
    },
  );

  it.each(['inactive', 'failed', 'deactivating', 'maintenance'] as const)('does not start one that is %s', (active) => {
    expect(cutOff(state(active))).toContain('cut off from ZooKeeper');
  });

  it('leaves every other unit as it is', () => {
    expect(cutOff(state('active'), wanted(UNIT))).toBe('nothing');
  });
});

describe('a unit that may run on one host only', () => {
  const once = { ...wanted(UNIT), isolation: 'stop' } as const;
  const of = (change: Situation) => decide({ desired: desired(once), memory: memory({ ours: true }), ...change });
  const uncertain = 'wait: it is not yet certain that it runs nowhere else (isolation: stop)';

  it('is not started before it is certain that it runs nowhere else', () => {
    expect(of({ state: state('inactive') })).toBe(uncertain);
    expect(of({ state: state('inactive'), cleared: true })).toBe('start placed');
  });

  it('that a person must clear the way for says so, and whatever else runs, or may run on several, does not', () => {
    const hindrance = 'the session is too short';
    expect(of({ state: state('inactive'), hindrance })).toBe(`wait: ${hindrance}`);
    expect(of({ state: state('active'), hindrance, memory: memory({ ours: true, ran: true }) })).toBe('nothing');
    expect(of({ state: state('inactive'), hindrance, desired: desired(wanted(UNIT)) })).toBe('start placed');
  });

  it('is started without that when it may run on several', () => {
    expect(of({ state: state('inactive'), desired: desired(wanted(UNIT)) })).toBe('start placed');
  });

  it('waits for what any unit waits for, whether or not that is certain', () => {
    for (const cleared of [true, false]) {
      expect(of({ state: state('deactivating'), cleared })).toBe('wait: it is still stopping');
      const pause = memory({ ours: true, notBefore: NOW + 1 });
      expect(of({ state: state('inactive'), memory: pause, cleared })).toContain('after a pause');
    }
  });

  it.each(['active', 'activating', 'reloading'] as const)('goes on, and is adopted, when it is %s', (active) => {
    expect(of({ state: state(active) })).not.toContain('stop');
    expect(of({ state: state(active), memory: memory({}) })).toBe('adopt');
    expect(of({ state: state(active), memory: memory({ ours: true, ran: true }) })).toBe('nothing');
  });

  it('waits for no time: what makes it certain says so itself', () => {
    expect(diff(input({ desired: desired(once), state: state('inactive') })).wakeAt).toBeUndefined();
  });
});

describe('on a host that is cut off since before its daemon started', () => {
  const OTHER = 'b.service';
  const blind = (active: ActiveState, change: Partial<DiffInput> = {}) =>
    diff({
      ...input({ desired: undefined, isolated: true }),
      states: new Map([OTHER, UNIT].map((unit) => [unit, state(active, 'loaded', unit)])),
      memory: new Map([OTHER, UNIT].map((unit) => [unit, memory({ ours: true })])),
      runOnce: new Set([OTHER, UNIT]),
      ...change,
    }).actions;
  const stops = (...units: string[]) => units.map((unit) => ({ kind: 'stop', unit, reason: 'isolated' }));

  it('what may run once only is stopped, as it was known last', () => {
    for (const active of ['active', 'activating', 'reloading'] as const)
      expect(blind(active)).toEqual(stops(UNIT, OTHER));
    for (const active of ['inactive', 'failed', 'deactivating', 'maintenance'] as const)
      expect(blind(active)).toEqual([]);
  });

  it.each<[string, Partial<DiffInput>, readonly string[]]>([
    ['is not cut off', { isolated: false }, []],
    ['does not know of such a unit', { runOnce: new Set() }, []],
    ['has something under way for it', { busy: new Set([OTHER]) }, [UNIT]],
    ['did not start it', { memory: new Map([[UNIT, memory({ ours: true })]]) }, [UNIT]],
    ['does not know its state', { states: new Map([[UNIT, state('active')]]) }, [UNIT]],
  ])('nothing is stopped when it %s', (_what, change, stopped) => {
    expect(blind('active', change)).toEqual(stops(...stopped));
  });
});
