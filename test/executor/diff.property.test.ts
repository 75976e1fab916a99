import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DiffInput, diff, missingValues } from '../../src/executor/diff.ts';
import type { StartConditions, TurnState } from '../../src/executor/start-conditions.ts';
import { compare } from '../../src/shared/names.ts';
import { ACTIVE_STATES, type DesiredUnit, type LoadState } from '../../src/shared/state.ts';
import { after, desired, NOW, prestart, start, wanted } from './diff-situation.ts';

describe('whatever the input', () => {
  const names = ['a.service', 'b.service', 'c@1.service', 'd.service', 'foreign.service'];
  const unit = fc.constantFrom(...names);
  const aState = fc.record({
    load: fc.constantFrom<LoadState[]>('loaded', 'not-found', 'masked', 'bad-setting', 'error', 'stub'),
    active: fc.constantFrom(...ACTIVE_STATES),
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
