import { describe, expect, it } from 'vitest';
import { NO_MEMORY, type UnitMemory } from '../../src/executor/diff.ts';
import { failureOf, type ReportInput, report } from '../../src/executor/report.ts';
import type { UnitState } from '../../src/executor/systemd.ts';
import type { ActiveState, Failure, LoadState } from '../../src/shared/state.ts';

function state(unit: string, active: ActiveState, load: LoadState = 'loaded'): UnitState {
  return { unit, load, active, sub: 'x' };
}

function input(states: readonly UnitState[], change: Partial<ReportInput> = {}): ReportInput {
  return {
    host: 'w1',
    applied: { epoch: 2, generation: 5 },
    refused: undefined,
    desired: new Set(),
    declared: new Set(states.map(({ unit }) => unit)),
    states: new Map(states.map((each) => [each.unit, each])),
    memory: new Map(),
    waiting: new Map(),
    stopping: new Set(),
    ending: new Set(),
    leaving: false,
    health: new Map(),
    ...change,
  };
}

const units = (each: ReportInput) => report(each).units.map(({ unit }) => unit);

describe('a report', () => {
  it('says who reports, what is obeyed, and why something newer was refused', () => {
    expect(report(input([]))).toEqual({ host: 'w1', epoch: 2, generation: 5, units: [] });
    expect(report(input([], { refused: 'it is older' })).refused).toBe('it is older');
  });

  it('holds what is desired, active, failed or not loadable, sorted, and leaves idle units out', () => {
    const states = [
      state('z.service', 'active'),
      state('idle.service', 'inactive'),
      state('wanted.service', 'inactive'),
      state('failed.service', 'failed'),
      state('gone.service', 'inactive', 'not-found'),
      state('stopping.service', 'deactivating'),
    ];
    expect(units(input(states, { desired: new Set(['wanted.service']) }))).toEqual([
      'failed.service',
      'gone.service',
      'stopping.service',
      'wanted.service',
      'z.service',
    ]);
  });

  it('tells the health of what runs, and of nothing else', () => {
    const health = new Map([['a.service', { state: 'unhealthy', output: 'HTTP 503' } as const]]);
    const shown = (active: ActiveState) => report(input([state('a.service', active)], { health })).units[0]?.health;
    expect(shown('active')).toEqual({ state: 'unhealthy', output: 'HTTP 503' });
    expect(shown('reloading')).toEqual({ state: 'unhealthy', output: 'HTTP 503' });
    expect(shown('deactivating')).toBeUndefined();
    expect(shown('failed')).toBeUndefined();
  });

  it('stays small enough to be written, whatever hundreds of probes say', () => {
    const many = Array.from({ length: 800 }, (_, index) => state(`u${index}.service`, 'active'));
    const output = '€'.repeat(341);
    const health = new Map(many.map(({ unit }) => [unit, { state: 'unhealthy', output } as const]));
    const told = report(input(many, { health })).units;
    expect(told.every((unit) => unit.health?.state === 'unhealthy')).toBe(true);
    expect(told.filter((unit) => unit.health?.output !== undefined)).toHaveLength(128);
    expect(Buffer.byteLength(JSON.stringify(told))).toBeLessThan(300 * 1_024);
  });

  it('leaves units out that are neither desired, nor declared, nor ours', () => {
    const states = [state('a.service', 'active'), state('foreign.service', 'active')];
    expect(units(input(states, { declared: new Set(['a.service']) }))).toEqual(['a.service']);
    const ours: UnitMemory = { ...NO_MEMORY, ours: true };
    expect(units(input(states, { declared: new Set(), memory: new Map([['foreign.service', ours]]) }))).toEqual([
      'foreign.service',
    ]);
  });

  it('says why a desired unit waits', () => {
    const waiting = new Map([['a.service', 'its prestart needs c']]);
    const each = input([state('a.service', 'inactive')], { desired: new Set(['a.service']), waiting });
    expect(report(each).units[0]?.waiting).toBe('its prestart needs c');
  });

  it('does not call a unit failed that we are stopping', () => {
    const stopping = new Set(['a.service']);
    expect(report(input([state('a.service', 'failed')], { stopping })).units[0]?.failure).toBeUndefined();
    expect(report(input([state('a.service', 'failed')])).units[0]?.failure?.kind).toBe('failed');
  });
});

describe('the report of a unit that is not to run here any more', () => {
  const ending = new Set(['a.service']);
  const shown = (active: ActiveState, change: Partial<ReportInput> = {}) =>
    report(input([state('a.service', active)], { ending, ...change })).units.map((unit) => unit.active);

  it.each(['inactive', 'failed'] as const)(
    'does not call it down (%s) while something is under way for it',
    (active) => {
      expect(shown(active)).toEqual(['deactivating']);
    },
  );

  it.each(['active', 'activating', 'reloading', 'deactivating', 'maintenance'] as const)(
    'shows it as it is when it is %s',
    (active) => {
      expect(shown(active)).toEqual([active]);
    },
  );

  it('leaves it out once nothing is under way any more', () => {
    expect(shown('inactive', { ending: new Set() })).toEqual([]);
    expect(shown('inactive', { ending: new Set(['b.service']) })).toEqual([]);
  });

  it('does not name one that nobody asked about, whatever is under way', () => {
    expect(shown('inactive', { declared: new Set() })).toEqual([]);
  });

  it('says that the daemon is leaving, and only then', () => {
    expect(report(input([], { leaving: true }))).toEqual({
      host: 'w1',
      epoch: 2,
      generation: 5,
      leaving: true,
      units: [],
    });
    expect('leaving' in report(input([]))).toBe(false);
  });
});

describe('the failure of a unit', () => {
  const remembered: Failure = { kind: 'prestart', message: 'the script failed' };
  const withFailure: UnitMemory = { ...NO_MEMORY, failure: remembered };

  const table: Record<LoadState, string | undefined> = {
    loaded: undefined,
    stub: undefined,
    'not-found': 'not-found',
    masked: 'masked',
    'bad-setting': 'invalid-unit',
    error: 'invalid-unit',
  };
  it.each(Object.entries(table))('that is down and %s: %s', (load, kind) => {
    const loads: readonly LoadState[] = ['loaded', 'stub', 'not-found', 'masked', 'bad-setting', 'error'];
    const found = loads.find((each) => each === load);
    expect(failureOf(state('a.service', 'inactive', found), undefined)?.kind).toBe(kind);
  });

  it('is the remembered one only while it is down', () => {
    expect(failureOf(state('a.service', 'inactive'), withFailure)).toEqual(remembered);
    for (const active of ['active', 'activating', 'deactivating', 'reloading', 'maintenance'] as const)
      expect(failureOf(state('a.service', active), withFailure)).toBeUndefined();
  });

  it('is none for a unit that runs, whatever has become of its file', () => {
    expect(failureOf(state('a.service', 'active', 'not-found'), undefined)).toBeUndefined();
  });

  it('says what to do', () => {
    expect(failureOf(state('a.service', 'failed'), undefined)?.message).toContain('systemctl reset-failed a.service');
    expect(failureOf(state('a.service', 'inactive', 'masked'), undefined)?.message).toContain('unmask a.service');
  });
});
