import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostState, Move, Placement } from '../../src/leader/placement.ts';
import { describeStays, noteMoves, type RelocationInput, relocations } from '../../src/leader/relocation.ts';
import type { Service } from '../../src/shared/spec.ts';
import type { Desired, DesiredUnit, HealthMove, Observed } from '../../src/shared/state.ts';
import { checkOf } from '../fixtures/health-check.ts';

const HOUR = 3_600_000;
const NOW = 1_800_000_000_000;
const CHECK = checkOf({ unhealthyAfter: 3, onUnhealthy: 'move', limitPerHour: 2 });
const A = 'a.service';
const base = { name: 'a', enabled: true, isolation: 'keep', check: CHECK } as const;
const SHARED: Service = { ...base, type: 'shared', count: 1 };

function entry(change: Partial<DesiredUnit> = {}): DesiredUnit {
  return { unit: A, service: 'a', isolation: 'keep', why: { kind: 'kept' }, ...change };
}

/** `{ w1: [entry] }` */
function written(hosts: Record<string, readonly DesiredUnit[]>): Map<string, Desired> {
  return new Map(
    Object.entries(hosts).map(([host, units]) => [host, { host, epoch: 1, generation: 1, spec: 'sha256:', units }]),
  );
}

/** Hosts on which it runs and is unhealthy. */
function unhealthy(...hosts: readonly string[]): Map<string, Observed> {
  const unit = { unit: A, load: 'loaded', active: 'active', sub: 'running', health: { state: 'unhealthy' } } as const;
  return new Map(hosts.map((host) => [host, { host, epoch: 1, generation: 1, units: [unit] }]));
}

function wishes(change: Partial<Omit<RelocationInput, 'spec' | 'hosts'>> & { service?: Service; state?: HostState }) {
  const { service = SHARED, state = 'ready', ...rest } = change;
  const spec = { services: [service], brake: { above: 0.5, atLeast: 3, holdMs: 60_000 } };
  const hosts = ['w1', 'w2', 'w3'].map((name) => ({ name, state, excluded: new Map() }));
  const given = { written: written({ w1: [entry()] }), observed: unhealthy('w1'), braking: false, now: NOW };
  const { leave, avoid, spent, pauseEnds } = relocations({ ...given, spec, hosts, ...rest });
  return { leave: leave.get(A) ?? [], avoid: avoid.get(A) ?? [], spent: [...(spent.get(A) ?? [])], pauseEnds };
}

const ago = (ms: number, from: string): HealthMove => ({ from, at: NOW - ms });

describe('an unhealthy instance', () => {
  it('shall leave its host', () => {
    expect(wishes({}).leave).toEqual(['w1']);
  });

  it.each([
    ['is of a service that only reports', { service: { ...SHARED, check: { ...CHECK, onUnhealthy: 'report' } } }],
    ['is of a service that restarts', { service: { ...SHARED, check: { ...CHECK, onUnhealthy: 'restart' } } }],
    ['is of a service without a check', { service: { name: 'a', enabled: true, isolation: 'keep', type: 'global' } }],
    ['is on every host', { service: { ...base, type: 'global' } }],
    ['is of a disabled service', { service: { ...SHARED, enabled: false } }],
    ['is not placed there any more', { written: written({ w2: [entry()] }) }],
    ['is on its way out already', { written: written({ w1: [entry({ withdrawn: true })] }) }],
    ['is healthy', { observed: unhealthy() }],
    ['is on a host that is held', { state: 'held' }],
    ['is one of many that may be lost', { braking: true }],
  ] satisfies [string, Parameters<typeof wishes>[0]][])('shall stay when it %s', (_what, change) => {
    expect(wishes(change).leave).toEqual([]);
  });

  it('shall stay when it is forced to its host, whatever the other instances do', () => {
    const service: Service = {
      ...base,
      type: 'multi',
      instances: { x: 1, y: 1 },
      force: { x: 'w1' },
      exclusive: false,
    };
    const units = ['a@x.service', 'a@y.service'];
    const seen = { load: 'loaded', active: 'active', sub: '', health: { state: 'unhealthy' } } as const;
    const { leave } = relocations({
      spec: { services: [service], brake: { above: 0.5, atLeast: 3, holdMs: 0 } },
      hosts: [{ name: 'w1', state: 'ready', excluded: new Map() }],
      written: written({ w1: units.map((unit) => entry({ unit })) }),
      observed: new Map([
        ['w1', { host: 'w1', epoch: 1, generation: 1, units: units.map((unit) => ({ ...seen, unit })) }],
      ]),
      braking: false,
      now: NOW,
    });
    expect([...leave.keys()]).toEqual(['a@y.service']);
  });

  it('shall stay once its unit has made its moves of the hour, and says so', () => {
    const moves = [ago(HOUR - 1, 'w2'), ago(1, 'w3')];
    expect(wishes({ written: written({ w1: [entry({ moves })] }) })).toEqual({
      leave: [],
      avoid: ['w2', 'w3'],
      spent: [['w1', '2 of the 2 moves that it may make in an hour are made (limit_per_hour): it stays where it is']],
      pauseEnds: undefined,
    });
  });

  it('shall leave again when the first of these is an hour ago', () => {
    const moves = [ago(HOUR, 'w2'), ago(10_000, 'w3')];
    expect(wishes({ written: written({ w1: [entry({ moves })] }) })).toEqual({
      leave: ['w1'],
      avoid: ['w3'],
      spent: [],
      pauseEnds: undefined,
    });
  });

  it('never moves with a limit of 0', () => {
    const service: Service = { ...SHARED, check: { ...CHECK, limitPerHour: 0 } };
    expect(wishes({ service }).leave).toEqual([]);
    expect(wishes({ service }).spent[0]?.[1]).toContain('limit_per_hour is 0');
  });

  it('counts the moves that any instance of its unit made, with one of them or another', () => {
    const hosts = {
      w1: [entry()],
      w2: [entry({ moves: [ago(20_000, 'w3')] })],
      w3: [entry({ withdrawn: true, moves: [ago(30_000, 'w3')] })],
    };
    const many = wishes({ written: written(hosts), observed: unhealthy('w1', 'w2') });
    expect(many.leave).toEqual([]);
    expect(many.spent).toHaveLength(2);
    const few = wishes({
      written: written({ w1: [entry()], w2: [entry({ moves: [ago(20_000, 'w3')] })] }),
      observed: unhealthy('w1', 'w2'),
    });
    expect([few.leave, few.spent.map(([host]) => host)]).toEqual([['w1'], ['w2']]);
  });

  it.each([
    ['the first', [9_999], 10_000, 1],
    ['the second', [15_000, 19_999], 20_000, 5_000],
    ['the second, counting those of the last hour only', [9_999, HOUR], 10_000, 1],
    ['the third, though the others are long past', [39_999, 3_000_000, 3_100_000], 40_000, 1],
    ['the tenth', [599_999, ...Array.from({ length: 9 }, (_, index) => 700_000 + index)], 600_000, 1],
  ])('shall stay for a pause that doubles, after %s move', (_which, ages, pauseMs, leftMs) => {
    const service: Service = { ...SHARED, check: { ...CHECK, limitPerHour: 99 } };
    const hosts = written({ w1: [entry({ moves: ages.map((ms, index) => ago(ms, `old${index}`)) })] });
    const given = { service, written: hosts };
    const counted = ages.filter((ms) => ms < HOUR).length;
    const why = `moved ${counted} time${counted === 1 ? '' : 's'} within the last hour, and moves again after a pause of ${pauseMs / 1000} s`;
    expect(wishes(given)).toMatchObject({ leave: [], spent: [['w1', why]], pauseEnds: NOW + leftMs });
    expect(wishes({ ...given, now: NOW + leftMs - 1 }).leave).toEqual([]);
    expect(wishes({ ...given, now: NOW + leftMs })).toMatchObject({ leave: ['w1'], spent: [], pauseEnds: undefined });
  });

  it('has no pause that matters once its moves of the hour are made, or while it is healthy', () => {
    const moves = [ago(2, 'w2'), ago(1, 'w3')];
    expect(wishes({ written: written({ w1: [entry({ moves })] }) }).pauseEnds).toBeUndefined();
    const healthy = { written: written({ w1: [entry({ moves: [ago(1, 'w2')] })] }), observed: unhealthy() };
    expect(wishes(healthy)).toMatchObject({ spent: [], pauseEnds: undefined });
  });

  it('pauses no longer than twice as long for a clock that was put back', () => {
    const at = (ahead: number) => wishes({ written: written({ w1: [entry({ moves: [ago(-ahead, 'w2')] })] }) });
    expect(at(9_999)).toMatchObject({ leave: [], pauseEnds: NOW + 19_999 });
    expect(at(10_000)).toMatchObject({ leave: ['w1'], pauseEnds: undefined });
    // what is done by the clock of now counts, whatever lies ahead
    const moves = [ago(-HOUR / 2, 'w2'), ago(5_000, 'w3')];
    const service: Service = { ...SHARED, check: { ...CHECK, limitPerHour: 3 } };
    expect(wishes({ service, written: written({ w1: [entry({ moves })] }) }).pauseEnds).toBe(NOW + 15_000);
  });

  it('is not held for ever by a clock that was ahead', () => {
    const moves = [ago(-HOUR / 2, 'w2'), ago(-HOUR / 2, 'w3')];
    expect(wishes({ written: written({ w1: [entry({ moves })] }) }).leave).toEqual([]);
    expect(wishes({ written: written({ w1: [entry({ moves })] }), now: NOW - HOUR }).leave).toEqual(['w1']);
  });
});

describe('a host that was left', () => {
  it('is avoided for an hour, unless it has the unit again', () => {
    const on = (host: string, change: Partial<DesiredUnit> = {}) =>
      wishes({
        written: written({ w1: [entry({ moves: [ago(5, 'w2')] })], [host]: [entry(change)] }),
        observed: unhealthy(),
      });
    expect(on('w3').avoid).toEqual(['w2']);
    expect(on('w2').avoid).toEqual([]);
    expect(on('w2', { withdrawn: true }).avoid).toEqual(['w2']);
  });

  it('is not avoided when its service does not move any more', () => {
    const service: Service = { ...SHARED, check: { ...CHECK, onUnhealthy: 'report' } };
    expect(wishes({ service, written: written({ w1: [entry({ moves: [ago(5, 'w2')] })] }) }).avoid).toEqual([]);
  });
});

describe('what becomes of a wish', () => {
  it('is told when the instance stays where it is', () => {
    const placed = (host: string): Placement => ({
      units: new Map([[A, { unit: A, service: 'a', wanted: 1, instances: [{ host, why: { kind: 'kept' } }] }]]),
      unplaced: [],
      moves: [],
    });
    const relocation = { leave: new Map([[A, ['w1']]]), avoid: new Map(), spent: new Map(), pauseEnds: undefined };
    expect(describeStays(relocation, placed('w2')).size).toBe(0);
    expect(describeStays(relocation, placed('w1')).get(A)?.get('w1')).toContain('no other host can take it');
  });
});

describe('the moves that are noted', () => {
  const move = (from: string, to: string | undefined): Move => ({
    unit: A,
    from,
    to,
    because: { kind: 'excluded', reason: 'unhealthy' },
  });
  const note = (told: Record<string, readonly DesiredUnit[]>, moves: readonly Move[], before: Map<string, Desired>) => {
    const noted = noteMoves(new Map(Object.entries(told)), moves, before, NOW);
    return Object.fromEntries([...noted].map(([host, units]) => [host, units.map((unit) => unit.moves)]));
  };

  it('go with the instance that replaces it', () => {
    const noted = note({ w1: [], w2: [entry()] }, [move('w1', 'w2')], written({ w1: [entry()] }));
    expect(noted).toEqual({ w1: [], w2: [[{ from: 'w1', at: NOW }]] });
  });

  it('stay with one that has to be stopped first, and are counted once only', () => {
    const withdrawn = { w1: [entry({ withdrawn: true })], w2: [] };
    const first = note(withdrawn, [move('w1', 'w2')], written({ w1: [entry()] }));
    expect(first).toEqual({ w1: [[{ from: 'w1', at: NOW }]], w2: [] });
    const kept = [{ from: 'w1', at: NOW - 50 }];
    const before = written({ w1: [entry({ withdrawn: true, moves: kept })] });
    expect(note(withdrawn, [move('w1', 'w2')], before)).toEqual({ w1: [kept], w2: [] });
    expect(note({ w1: [], w2: [entry()] }, [], before)).toEqual({ w1: [], w2: [kept] });
  });

  it('are not made by what leaves for another reason, or for nowhere', () => {
    const others: Move[] = [
      { ...move('w1', 'w2'), because: { kind: 'excluded', reason: 'failed' } },
      move('w1', undefined),
    ];
    expect(note({ w2: [entry()] }, others, written({ w1: [entry()] }))).toEqual({ w2: [undefined] });
  });

  it('outlive the host that had them', () => {
    const kept = [ago(60_000, 'w1')];
    const noted = note({ w3: [entry()] }, [], written({ w2: [entry({ moves: kept })] }));
    expect(noted).toEqual({ w3: [kept] });
  });

  it('are no reason to write anything anew, however old they are', () => {
    const kept = [ago(2 * HOUR, 'w1')];
    const before = written({ w2: [entry()], w3: [entry({ moves: kept })] });
    expect(note({ w2: [entry()], w3: [entry()] }, [], before)).toEqual({ w2: [undefined], w3: [kept] });
  });

  it('lose those that count no more when there is a new one', () => {
    const before = written({ w2: [entry({ moves: [ago(2 * HOUR, 'w4'), ago(5, 'w1')] })] });
    const noted = note({ w3: [entry()] }, [move('w2', 'w3')], before);
    expect(noted).toEqual({ w3: [[ago(5, 'w1'), { from: 'w2', at: NOW }]] });
  });

  it('never exceed the limit in any hour, nor come without a pause, whoever leads and whenever it is looked', () => {
    const wait = fc.oneof(fc.integer({ min: 0, max: 45_000 }), fc.integer({ min: 0, max: 900_000 }));
    fc.assert(
      fc.property(fc.array(wait, { maxLength: 50 }), fc.integer({ min: 1, max: 5 }), (waits, limitPerHour) => {
        const service: Service = { ...SHARED, check: { ...CHECK, limitPerHour } };
        let now = NOW;
        let before = written({ w1: [entry()] });
        const times: number[] = [];
        for (const wait of waits) {
          now += wait;
          const [on = ''] = before.keys();
          const { leave } = wishes({ service, written: before, observed: unhealthy(on), now });
          if (leave.length === 0) continue;
          times.push(now);
          const to = on === 'w1' ? 'w2' : 'w1';
          const told = noteMoves(new Map([[to, [entry()]]]), [move(on, to)], before, now);
          before = written({ [to]: told.get(to) ?? [] });
        }
        times.forEach((at, index) => {
          expect(times.filter((other) => other >= at && other < at + HOUR).length).toBeLessThanOrEqual(limitPerHour);
          const earlier = times.slice(0, index).filter((other) => at - other < HOUR);
          const last = earlier.at(-1);
          if (last !== undefined) expect(at - last).toBeGreaterThanOrEqual(10_000 * 2 ** (earlier.length - 1));
        });
      }),
    );
  });
});
