import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DiffInput, diff, missingValues, NO_MEMORY, type UnitMemory, valuesKey } from '../../src/executor/diff.ts';
import type { StartConditions, TurnState } from '../../src/executor/start-conditions.ts';
import type { UnitState } from '../../src/executor/systemd.ts';
import {
  ACTIVE_STATES,
  type ActiveState,
  type Desired,
  type DesiredPrestart,
  type DesiredUnit,
  type LoadState,
} from '../../src/shared/model.ts';
import { compare } from '../../src/shared/names.ts';

const UNIT = 'a.service';
const NOW = 1_000;

function wanted(unit: string, prestart?: DesiredPrestart): DesiredUnit {
  return { unit, service: 'a', isolation: 'keep', why: { kind: 'kept' }, ...(prestart && { prestart }) };
}

function desired(...units: readonly DesiredUnit[]): Desired {
  return { host: 'w1', epoch: 1, generation: 1, spec: 'sha256:', units };
}

function state(active: ActiveState, load: LoadState = 'loaded', unit = UNIT): UnitState {
  return { unit, load, active, sub: active };
}

function memory(change: Partial<UnitMemory>): UnitMemory {
  return { ...NO_MEMORY, ...change };
}

const prestart = (...hosts: string[]): DesiredPrestart => ({ script: '{instance:c}', values: { c: hosts } });

const start = { atOnce: 1, until: 'active', timeoutMs: 60_000 } as const;
const after = [
  { service: 'disk', where: 'same-host' },
  { service: 'kafka', where: 'anywhere' },
] as const;

interface Situation {
  readonly desired?: Desired | undefined;
  readonly declared?: readonly string[];
  readonly state?: UnitState;
  readonly memory?: UnitMemory;
  readonly busy?: boolean;
  readonly isolated?: boolean;
  readonly cleared?: boolean;
  readonly hindrance?: string;
  readonly restart?: boolean;
  /** Of its stop. */
  readonly notBefore?: number;
  readonly starts?: Partial<StartConditions>;
}

const NO_ORDER: StartConditions = { turns: new Map(), runningHere: new Set(), stale: false };

function input(situation: Situation): DiffInput {
  return {
    now: NOW,
    desired: 'desired' in situation ? situation.desired : desired(wanted(UNIT)),
    declared: new Set(situation.declared ?? [UNIT]),
    states: new Map(situation.state && [[UNIT, situation.state]]),
    memory: new Map(situation.memory && [[UNIT, situation.memory]]),
    busy: new Set(situation.busy ? [UNIT] : []),
    isolated: situation.isolated ?? false,
    cleared: new Set(situation.cleared ? [UNIT] : []),
    hindrance: situation.hindrance,
    runOnce: new Set(),
    restart: new Set(situation.restart ? [UNIT] : []),
    stopNotBefore: new Map(situation.notBefore === undefined ? [] : [[UNIT, situation.notBefore]]),
    starts: { ...NO_ORDER, ...situation.starts },
  };
}

/** `start placed`, `stop not-placed`, `adopt`, `forget`, `wait: …`, or nothing. */
function decide(situation: Situation): string {
  const { actions, waiting } = diff(input(situation));
  const [action] = actions;
  if (!action) return waiting.has(UNIT) ? `wait: ${waiting.get(UNIT)}` : 'nothing';
  return 'reason' in action ? `${action.kind} ${action.reason}` : action.kind;
}

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

describe('whatever the input', () => {
  const names = ['a.service', 'b.service', 'c@1.service', 'd.service', 'foreign.service'];
  const unit = fc.constantFrom(...names);
  const aState = fc.record({
    load: fc.constantFrom<LoadState[]>('loaded', 'not-found', 'masked', 'bad-setting', 'error', 'stub'),
    active: fc.constantFrom<ActiveState[]>(
      'active',
      'reloading',
      'inactive',
      'failed',
      'activating',
      'deactivating',
      'maintenance',
    ),
    sub: fc.constant('x'),
  });
  const aMemory = fc.record(
    {
      ours: fc.boolean(),
      ran: fc.boolean(),
      stoppedByHand: fc.boolean(),
      notBefore: fc.integer({ min: 0, max: 2 * NOW }),
      startedWith: fc.constantFrom('{"c":[]}', '{"c":["w1"]}'),
      failure: fc.constant({ kind: 'prestart', message: '' } as const),
    },
    { requiredKeys: ['ours', 'ran', 'stoppedByHand', 'notBefore'] },
  );
  const aWanted = fc
    .tuple(
      unit,
      fc.option(fc.constantFrom(prestart(), prestart('w1'), prestart('w2')), { nil: undefined }),
      fc.constantFrom<Partial<DesiredUnit>[]>({}, {}, { isolation: 'stop' }, { withdrawn: true }),
      fc.constantFrom<Partial<DesiredUnit>[]>({}, {}, { start }, { after }, { after, waitsFor: ['kafka'], start }),
    )
    .map(([name, script, change, order]) => ({ ...wanted(name, script), ...change, ...order }));
  const aTurn = fc.constantFrom<TurnState>({ kind: 'has' }, { kind: 'waits', why: 'others start' });
  const conditions: fc.Arbitrary<StartConditions> = fc.record({
    turns: fc.dictionary(unit, aTurn).map((turns) => new Map(Object.entries(turns))),
    runningHere: fc.constantFrom(new Set<string>(), new Set(['disk'])),
    stale: fc.boolean(),
  });
  const anInput: fc.Arbitrary<DiffInput> = fc.record({
    now: fc.constant(NOW),
    desired: fc.option(
      fc
        .uniqueArray(aWanted, { selector: (each) => each.unit })
        .map((units) => desired(...units.sort((a, b) => compare(a.unit, b.unit)))),
      { nil: undefined },
    ),
    declared: fc.uniqueArray(fc.constantFrom(...names.slice(0, 4))).map((units) => new Set(units)),
    states: fc
      .dictionary(unit, aState)
      .map((states) => new Map(Object.entries(states).map(([name, each]) => [name, { ...each, unit: name }]))),
    memory: fc.dictionary(unit, aMemory).map((memories) => new Map(Object.entries(memories))),
    busy: fc.uniqueArray(unit).map((units) => new Set(units)),
    isolated: fc.boolean(),
    cleared: fc.uniqueArray(unit).map((units) => new Set(units)),
    hindrance: fc.option(fc.constant('too short'), { nil: undefined }),
    runOnce: fc.uniqueArray(unit).map((units) => new Set(units)),
    restart: fc.uniqueArray(unit).map((units) => new Set(units)),
    stopNotBefore: fc
      .dictionary(unit, fc.constantFrom(NOW - 1, NOW, NOW + 1, NOW + 500))
      .map((times) => new Map(Object.entries(times))),
    starts: conditions,
  });

  it('acts only on units that are desired, declared or ours', () => {
    fc.assert(
      fc.property(anInput, (each) => {
        const allowed = new Set([...(each.desired?.units.map((one) => one.unit) ?? []), ...each.declared]);
        for (const [name, { ours }] of each.memory) if (ours) allowed.add(name);
        for (const action of diff(each).actions) expect(allowed).toContain(action.unit);
      }),
    );
  });

  it('acts on each unit at most once, never on a busy one, in the order of their names', () => {
    fc.assert(
      fc.property(anInput, (each) => {
        const units = diff(each).actions.map((action) => action.unit);
        expect(units).toEqual([...new Set(units)].sort(compare));
        for (const name of units) expect(each.busy).not.toContain(name);
      }),
    );
  });

  it('starts only what is desired, loaded and down, and stops only what is up', () => {
    fc.assert(
      fc.property(anInput, (each) => {
        for (const action of diff(each).actions) {
          const seen = each.states.get(action.unit);
          if (action.kind === 'start') {
            const one = each.desired?.units.find(({ unit }) => unit === action.unit);
            expect(one).toBeDefined();
            expect(one?.withdrawn).toBeUndefined();
            if (one?.isolation === 'stop') {
              expect(each.cleared).toContain(action.unit);
              expect(each.isolated).toBe(false);
            }
            expect(seen).toMatchObject({ active: 'inactive', load: 'loaded' });
          }
          if (action.kind === 'stop') expect(['active', 'reloading', 'activating']).toContain(seen?.active);
        }
      }),
    );
  });

  it('stops a desired unit only because its values changed, its check asks for it, or the host is cut off', () => {
    fc.assert(
      fc.property(anInput, (each) => {
        const desiredHere = new Map(each.desired?.units.filter((one) => !one.withdrawn).map((one) => [one.unit, one]));
        for (const action of diff(each).actions) {
          const one = desiredHere.get(action.unit);
          if (action.kind !== 'stop' || !one) continue;
          if (action.reason === 'unhealthy') {
            expect(each.restart).toContain(action.unit);
            expect(each.states.get(action.unit)?.active).toBe('active');
            // nothing known may hold back the start that is to follow
            expect(missingValues(one)).toEqual([]);
            if (one.isolation === 'stop') expect([...each.cleared]).toContain(action.unit);
          } else if (action.reason !== 'values-changed')
            expect([action.reason, each.isolated, one.isolation]).toEqual(['isolated', true, 'stop']);
        }
      }),
    );
  });

  it('stops no unit before its time unless the host is cut off, and does all else as if there were no such time', () => {
    fc.assert(
      fc.property(anInput, (each) => {
        const { actions, parting, ...rest } = diff(each);
        const free = diff({ ...each, stopNotBefore: new Map() });
        const isEarly = ({ unit }: { unit: string }) => (each.stopNotBefore.get(unit) ?? NOW) > NOW;
        const held = free.actions.filter(
          (action) => action.kind === 'stop' && action.reason !== 'isolated' && isEarly(action),
        );
        expect(actions).toEqual(free.actions.filter((action) => !held.includes(action)));
        expect([...parting]).toEqual(held.map(({ unit }) => unit));
        expect([rest.waiting, rest.turnsWanted]).toEqual([free.waiting, free.turnsWanted]);
        for (const { unit } of held) expect(rest.wakeAt).toBeLessThanOrEqual(each.stopNotBefore.get(unit) ?? 0);
      }),
    );
  });

  it('does but for starts the same whatever is to be started first, and starts no more because of it', () => {
    fc.assert(
      fc.property(anInput, (each) => {
        // an unhealthy unit is not stopped while its start would wait
        const input = { ...each, restart: new Set<string>() };
        const free = input.desired && {
          ...input.desired,
          units: input.desired.units.map(({ start: _, after: __, waitsFor: ___, ...rest }) => rest),
        };
        const key = (of: DiffInput) => diff(of).actions.map(({ kind, unit }) => `${kind} ${unit}`);
        const ordered = key(input);
        const unordered = key({ ...input, desired: free });
        expect(ordered.filter((line) => !unordered.includes(line))).toEqual([]);
        for (const line of unordered) if (!line.startsWith('start ')) expect(ordered).toContain(line);
      }),
    );
  });

  it('starts a unit that has a turn to wait for in its turn only, and asks for one when nothing else is in the way', () => {
    fc.assert(
      fc.property(anInput, (each) => {
        const { actions, turnsWanted, waiting } = diff(each);
        const ordered = new Set(each.desired?.units.flatMap((one) => (one.start ? [one.unit] : [])));
        const starts = actions.flatMap(({ kind, unit }) => (kind === 'start' && ordered.has(unit) ? [unit] : []));
        for (const unit of starts) expect(each.starts.turns.get(unit)).toEqual({ kind: 'has' });
        for (const unit of turnsWanted) expect([waiting.has(unit), starts.includes(unit)]).toContain(true);
        expect(starts.filter((unit) => !turnsWanted.has(unit))).toEqual([]);
      }),
    );
  });
});

describe('a unit that others find', () => {
  const others = memory({ ours: true, ran: true });
  const changed = memory({ ours: true, ran: true, startedWith: '{"c":["w9"]}' });
  const stops: readonly (readonly [string, Situation])[] = [
    ['is not placed here any more', { desired: desired(), memory: others }],
    ['is withdrawn', { desired: desired({ ...wanted(UNIT), withdrawn: true }), memory: others }],
    ['has other values', { desired: desired(wanted(UNIT, prestart('w2'))), memory: changed }],
    ['is unhealthy', { restart: true, memory: others }],
    ['was started by hand', { desired: desired(), memory: NO_MEMORY }],
  ];
  const running = state('active');
  const full = (situation: Situation) => diff(input({ ...situation, state: running }));

  it.each(stops)('and %s is stopped when its time has come, and not before', (_what, situation) => {
    const { actions, parting, wakeAt, waiting } = full({ ...situation, notBefore: NOW + 1 });
    expect([actions, [...parting], wakeAt, waiting.size]).toEqual([[], [UNIT], NOW + 1, 0]);
    const due = full({ ...situation, notBefore: NOW });
    expect([due.actions.map(({ kind }) => kind), due.parting.size]).toEqual([['stop'], 0]);
  });

  it('is stopped at once on a host that is cut off, where it may run once only', () => {
    const once = desired({ ...wanted(UNIT), isolation: 'stop' });
    expect(decide({ desired: once, state: running, memory: others, isolated: true, notBefore: NOW + 1 })).toBe(
      'stop isolated',
    );
  });

  it('and is to run on is left alone', () => {
    const { actions, parting } = full({ memory: others, notBefore: NOW + 1 });
    expect([actions, parting.size]).toEqual([[], 0]);
  });
});

describe('a unit that is to start after others', () => {
  const down = { state: state('inactive'), memory: memory({ ours: true }) };
  const ordered = (change: Partial<DesiredUnit>) => desired({ ...wanted(UNIT), ...change });
  const here = new Set(['disk']);

  it.each([
    ['no other is up', {}, { waitsFor: ['kafka'] }, 'wait: it starts after disk, which is not up on this host yet'],
    [
      'one is not up anywhere',
      { runningHere: here },
      { waitsFor: ['kafka'] },
      'wait: it starts after kafka, which is not up on any host yet',
    ],
    ['all are up', { runningHere: here }, {}, 'start placed'],
    [
      'the order is old',
      { runningHere: here, stale: true },
      {},
      'wait: it starts after kafka, and the leader has yet to say whether that is up',
    ],
  ] as const)('where %s', (_what, starts, change, expected) => {
    expect(decide({ ...down, starts, desired: ordered({ after, ...change }) })).toBe(expected);
  });

  it('runs on when they are down', () => {
    const running = { state: state('active'), memory: memory({ ours: true, ran: true }) };
    expect(decide({ ...running, desired: ordered({ after, waitsFor: ['kafka'] }), starts: { stale: true } })).toBe(
      'nothing',
    );
  });

  it('is not started anew for its check while it would have to wait', () => {
    const running = { state: state('active'), memory: memory({ ours: true, ran: true }), restart: true };
    expect(decide({ ...running, desired: ordered({ after }) })).toBe('nothing');
    expect(decide({ ...running, desired: ordered({ after }), starts: { runningHere: here } })).toBe('stop unhealthy');
  });
});

describe('a unit that needs a turn to start', () => {
  const down = { state: state('inactive'), memory: memory({ ours: true }) };
  const ordered = (change: Partial<DesiredUnit> = {}) => desired({ ...wanted(UNIT), start, ...change });
  const turns = (turn: TurnState) => ({ turns: new Map([[UNIT, turn]]) });
  const wants = (situation: Situation) => [...diff(input(situation)).turnsWanted];

  it('waits for it, and says for whom', () => {
    const situation = { ...down, desired: ordered(), starts: turns({ kind: 'waits', why: 'w2 starts' }) };
    expect(decide(situation)).toBe('wait: w2 starts');
    expect(wants(situation)).toEqual([UNIT]);
  });

  it('is started in it', () => {
    expect(decide({ ...down, desired: ordered(), starts: turns({ kind: 'has' }) })).toBe('start placed');
  });

  it('asks for none as long as it waits for something else, or runs', () => {
    expect(wants({ ...down, memory: memory({ ours: true, notBefore: NOW + 1 }), desired: ordered() })).toEqual([]);
    expect(wants({ ...down, desired: ordered({ after }) })).toEqual([]);
    expect(wants({ ...down, desired: ordered({ prestart: prestart() }) })).toEqual([]);
    expect(wants({ ...down, desired: ordered({ isolation: 'stop' }) })).toEqual([]);
    expect(wants({ ...down, state: state('active'), desired: ordered() })).toEqual([]);
    expect(decide({ state: state('active'), desired: ordered() })).toBe('adopt');
  });
});
