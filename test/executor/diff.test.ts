import { describe, expect, it } from 'vitest';
import { diff, missingValues, valuesKey } from '../../src/executor/diff.ts';
import { ACTIVE_STATES, type ActiveState, type DesiredPrestart } from '../../src/shared/state.ts';
import {
  decide,
  desired,
  input,
  memory,
  NOW,
  prestart,
  type Situation,
  state,
  UNIT,
  wanted,
} from './diff-situation.ts';

describe('what is done about a unit', () => {
  type Relation = 'wanted, ours' | 'wanted, not ours' | 'unwanted, ours' | 'unwanted, declared' | 'foreign';
  const relations: Record<Relation, Situation> = {
    'wanted, ours': { memory: memory({ ours: true, ran: true }) },
    'wanted, not ours': {},
    'unwanted, ours': { desired: desired(), declared: [], memory: memory({ ours: true, ran: true }) },
    'unwanted, declared': { desired: desired() },
    foreign: { desired: desired(), declared: [] },
  };
  const table: Record<ActiveState, Record<Relation, string>> = {
    active: {
      'wanted, ours': 'nothing',
      'wanted, not ours': 'adopt',
      'unwanted, ours': 'stop not-placed',
      'unwanted, declared': 'stop started-by-hand',
      foreign: 'nothing',
    },
    reloading: {
      'wanted, ours': 'nothing',
      'wanted, not ours': 'adopt',
      'unwanted, ours': 'stop not-placed',
      'unwanted, declared': 'stop started-by-hand',
      foreign: 'nothing',
    },
    activating: {
      'wanted, ours': 'nothing',
      'wanted, not ours': 'adopt',
      'unwanted, ours': 'stop not-placed',
      'unwanted, declared': 'stop started-by-hand',
      foreign: 'nothing',
    },
    inactive: {
      'wanted, ours': 'start exited',
      'wanted, not ours': 'start placed',
      'unwanted, ours': 'forget',
      'unwanted, declared': 'nothing',
      foreign: 'nothing',
    },
    failed: {
      'wanted, ours': 'nothing',
      'wanted, not ours': 'nothing',
      'unwanted, ours': 'forget',
      'unwanted, declared': 'nothing',
      foreign: 'nothing',
    },
    deactivating: {
      'wanted, ours': 'wait: it is still stopping',
      'wanted, not ours': 'wait: it is still stopping',
      'unwanted, ours': 'nothing',
      'unwanted, declared': 'nothing',
      foreign: 'nothing',
    },
    maintenance: {
      'wanted, ours': 'nothing',
      'wanted, not ours': 'nothing',
      'unwanted, ours': 'nothing',
      'unwanted, declared': 'nothing',
      foreign: 'nothing',
    },
  };
  const cells = Object.entries(table).flatMap(([active, row]) =>
    Object.entries(row).map(([relation, expected]) => [active, relation, expected] as const),
  );

  it.each(cells)('that is %s and %s: %s', (active, relation, expected) => {
    const situation = Object.entries(relations).find(([name]) => name === relation)?.[1];
    const seen = Object.keys(table).flatMap((name) => (name === active ? [state(asState(name))] : []));
    expect(decide({ ...situation, ...(seen[0] && { state: seen[0] }) })).toBe(expected);
  });

  function asState(name: string): ActiveState {
    const states = ACTIVE_STATES;
    const found = states.find((each) => each === name);
    if (!found) throw new Error(`no state ${name}`);
    return found;
  }
});

describe('a unit that is withdrawn', () => {
  const states = ACTIVE_STATES.map((active) => [active] as const);
  const back = (isolation: 'keep' | 'stop', change: Situation) =>
    decide({ desired: desired({ ...wanted(UNIT), isolation, withdrawn: true }), cleared: true, ...change });

  it.each(states)('is treated as if it were not desired when it is %s', (active) => {
    for (const isolation of ['keep', 'stop'] as const)
      for (const known of [memory({ ours: true, ran: true }), memory({})])
        for (const isolated of [true, false]) {
          const change = { state: state(active), memory: known, isolated };
          expect(back(isolation, change)).toBe(decide({ desired: desired(), ...change }));
        }
  });

  it('is stopped, and never started', () => {
    expect(back('stop', { state: state('active'), memory: memory({ ours: true }) })).toBe('stop not-placed');
    expect(back('stop', { state: state('inactive'), memory: memory({}) })).toBe('nothing');
  });
});

describe('nothing is done', () => {
  it('as long as nothing is known to be desired', () => {
    expect(decide({ desired: undefined, state: state('active') })).toBe('nothing');
    expect(decide({ desired: undefined, state: state('active'), memory: memory({ ours: true }) })).toBe('nothing');
  });

  it('about a unit with an action under way', () => {
    expect(decide({ state: state('inactive'), busy: true })).toBe('nothing');
    expect(decide({ desired: desired(), state: state('active'), busy: true })).toBe('nothing');
  });

  it('about declared units when the spec of the desired state is not known', () => {
    expect(decide({ desired: desired(), declared: [], state: state('active') })).toBe('nothing');
  });

  it('about our own unit whose state is not known', () => {
    expect(decide({ desired: desired(), memory: memory({ ours: true }) })).toBe('nothing');
  });

  it.each(['not-found', 'masked', 'bad-setting', 'error', 'stub'] as const)('about a unit that is %s', (load) => {
    expect(decide({ state: state('inactive', load) })).toBe('nothing');
  });

  it('about a unit whose start failed in a way that systemd does not show', () => {
    const failure = { kind: 'prestart', message: 'it failed' } as const;
    expect(decide({ state: state('inactive'), memory: memory({ ours: true, failure }) })).toBe('nothing');
  });
});

describe('a desired unit', () => {
  it('waits while systemd has not told its state', () => {
    expect(decide({})).toBe('wait: its state is not known yet: systemd has not answered');
  });

  it('waits for the end of its pause, and says until when', () => {
    const { actions, wakeAt } = diff(input({ state: state('inactive'), memory: memory({ notBefore: NOW + 1 }) }));
    expect(actions).toEqual([]);
    expect(wakeAt).toBe(NOW + 1);
    expect(decide({ state: state('inactive'), memory: memory({ notBefore: NOW }) })).toBe('start placed');
  });

  it('waits for the earliest pause among all that wait', () => {
    const units = ['a.service', 'b.service', 'c.service'];
    const { wakeAt } = diff({
      ...input({ desired: desired(...units.map((unit) => wanted(unit))) }),
      states: new Map(units.map((unit) => [unit, state('inactive', 'loaded', unit)])),
      memory: new Map(units.map((unit, index) => [unit, memory({ notBefore: NOW + (index === 1 ? 10 : 30) })])),
    });
    expect(wakeAt).toBe(NOW + 10);
  });

  it('waits while a unit that its prestart refers to is placed nowhere', () => {
    expect(decide({ desired: desired(wanted(UNIT, prestart())), state: state('inactive') })).toBe(
      'wait: its prestart needs c, placed nowhere yet',
    );
  });

  it.each([
    ['was never seen running', {}, 'start placed'],
    ['ran and ended by itself', { ran: true }, 'start exited'],
    ['ran and was stopped by hand', { ran: true, stoppedByHand: true }, 'start stopped-by-hand'],
  ] as const)('that %s is started with that reason', (_what, change, expected) => {
    expect(decide({ state: state('inactive'), memory: memory({ ours: true, ...change }) })).toBe(expected);
  });

  it('of ours that was not seen running before, after our own restart, is adopted again', () => {
    expect(decide({ state: state('active'), memory: memory({ ours: true }) })).toBe('adopt');
    expect(decide({ state: state('activating'), memory: memory({ ours: true }) })).toBe('nothing');
  });

  const running = (startedWith: string | undefined, now: DesiredPrestart | undefined): string =>
    decide({
      desired: desired(wanted(UNIT, now)),
      state: state('active'),
      memory: memory({ ours: true, ran: true, ...(startedWith !== undefined && { startedWith }) }),
    });
  const key = (...hosts: string[]) => valuesKey(wanted(UNIT, prestart(...hosts)));

  it('is restarted when its values changed, and only then', () => {
    expect(running(key('w1'), prestart('w2'))).toBe('stop values-changed');
    expect(running(key('w1'), prestart('w1'))).toBe('nothing');
  });

  it('has values that are not known noted, as soon as none is missing, and is not restarted', () => {
    expect(running(undefined, prestart('w1'))).toBe('adopt');
    expect(running(undefined, prestart())).toBe('nothing');
  });

  it('is restarted when its check asks for it, but only while it runs and could be started', () => {
    const startedWith = key('w1');
    const asked = (active: ActiveState, values: DesiredPrestart, change: Partial<Situation> = {}) =>
      decide({
        desired: desired(wanted(UNIT, values)),
        state: state(active),
        memory: memory({ ours: true, ran: true, ...(startedWith !== undefined && { startedWith }) }),
        restart: true,
        ...change,
      });
    expect(asked('active', prestart('w1'))).toBe('stop unhealthy');
    expect(asked('active', prestart('w1'), { restart: false })).toBe('nothing');
    expect(asked('reloading', prestart('w1'))).toBe('nothing');
    expect(asked('activating', prestart('w1'))).toBe('nothing');
    expect(asked('active', prestart())).toBe('nothing');
    const once = desired({ ...wanted(UNIT, prestart('w1')), isolation: 'stop' });
    expect(asked('active', prestart('w1'), { desired: once })).toBe('nothing');
    expect(asked('active', prestart('w1'), { desired: once, cleared: true })).toBe('stop unhealthy');
  });

  it('is not restarted while a value is missing, or when it has none any more', () => {
    expect(running(key('w1'), prestart())).toBe('nothing');
    expect(running(key('w1'), undefined)).toBe('nothing');
  });
});

describe('the values of a prestart', () => {
  it('have one key, whatever else the unit has', () => {
    expect(valuesKey(wanted(UNIT))).toBeUndefined();
    expect(valuesKey(wanted(UNIT, prestart('w1', 'w2')))).toBe('{"c":["w1","w2"]}');
  });

  it('have the same key in whatever order the script refers to them', () => {
    const keyOf = (values: Record<string, string[]>) => valuesKey(wanted(UNIT, { script: '', values }));
    expect(keyOf({ c: ['w1'], b: ['w2'] })).toBe(keyOf({ b: ['w2'], c: ['w1'] }));
  });

  it('that are missing are named, sorted', () => {
    const values = { z: [], c: ['w1'], b: [] };
    expect(missingValues(wanted(UNIT, { script: '', values }))).toEqual(['b', 'z']);
    expect(missingValues(wanted(UNIT))).toEqual([]);
  });
});
