import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { place } from '../../../src/leader/place.ts';
import type {
  Move,
  PlacedInstance,
  Placement,
  PlacementInput,
  UnitPlacement,
  Unplaced,
} from '../../../src/leader/placement.ts';
import { verify } from '../../../src/leader/verify.ts';
import { hostsOf, multi, onHosts, shared, specOf, worlds } from './worlds.ts';

/** A placement with one thing wrong; undefined where this one has nothing to spoil. `pick` chooses the place. */
type Corruption = (input: PlacementInput, valid: Placement, pick: number) => Placement | undefined;

function choose<T>(list: readonly T[], pick: number): T | undefined {
  return list[pick % Math.max(1, list.length)];
}

function withUnit(valid: Placement, unit: UnitPlacement): Placement {
  return { ...valid, units: new Map([...valid.units, [unit.unit, unit]]) };
}

/** Changes the instances of one unit among those that `fits`. */
function ofUnit(
  fits: (unit: UnitPlacement) => boolean,
  change: (unit: UnitPlacement, pick: number, input: PlacementInput) => UnitPlacement | undefined,
): Corruption {
  return (input, valid, pick) => {
    const unit = choose([...valid.units.values()].filter(fits), pick);
    const changed = unit && change(unit, pick, input);
    return changed && withUnit(valid, changed);
  };
}

/** Changes one instance among those that `change` finds fit. */
function ofInstance(
  change: (instance: PlacedInstance, unit: UnitPlacement, input: PlacementInput) => PlacedInstance | undefined,
): Corruption {
  return (input, valid, pick) => {
    const spoilt = [...valid.units.values()].flatMap((unit) =>
      unit.instances.flatMap((old, index) => {
        const changed = change(old, unit, input);
        return changed === undefined ? [] : [{ ...unit, instances: unit.instances.with(index, changed) }];
      }),
    );
    const unit = choose(spoilt, pick);
    return unit && withUnit(valid, unit);
  };
}

function ofMoves(change: (move: Move, all: readonly Move[]) => readonly Move[]): Corruption {
  return (_, valid, pick) => {
    const move = choose(valid.moves, pick);
    return move && { ...valid, moves: change(move, valid.moves) };
  };
}

function ofUnplaced(change: (entry: Unplaced, all: readonly Unplaced[]) => readonly Unplaced[]): Corruption {
  return (_, valid, pick) => {
    const entry = choose(valid.unplaced, pick);
    return entry && { ...valid, unplaced: change(entry, valid.unplaced) };
  };
}

function replace<T>(old: T, changed: T): (all: readonly T[]) => T[] {
  return (all) => all.map((each) => (each === old ? changed : each));
}

const always = () => true;
const hasSome = (unit: UnitPlacement) => unit.instances.length > 0;

const CORRUPTIONS: Readonly<Record<string, Corruption>> = {
  'an instance left out': ofUnit(hasSome, (unit, pick) => ({
    ...unit,
    instances: unit.instances.filter((_, index) => index !== pick % unit.instances.length),
  })),
  'an instance too many': ofUnit(always, (unit, pick, input) => {
    const host = choose(
      input.hosts.filter(({ name }) => !unit.instances.some((each) => each.host === name)),
      pick,
    );
    if (host === undefined) return undefined;
    const added: PlacedInstance = { host: host.name, why: { kind: 'least-loaded' } };
    return { ...unit, instances: [...unit.instances, added].sort((a, b) => (a.host < b.host ? -1 : 1)) };
  }),
  'an instance twice on a host': ofUnit(hasSome, (unit) => ({
    ...unit,
    instances: [...unit.instances.slice(0, 1), ...unit.instances],
  })),
  'an instance on a host that is not there': ofInstance((old) => ({ ...old, host: 'zz' })),
  'a kept instance on another host': ofInstance((old, unit, input) => {
    const free = input.hosts.find(({ name }) => !unit.instances.some((each) => each.host === name));
    return old.why.kind === 'kept' && free ? { host: free.name, why: { kind: 'least-loaded' } } : undefined;
  }),
  'a new instance called kept': ofInstance((old) =>
    old.why.kind === 'kept' ? undefined : { ...old, why: { kind: 'kept' } },
  ),
  'a kept instance called new': ofInstance((old) =>
    old.why.kind === 'kept' ? { ...old, why: { kind: 'least-loaded' } } : undefined,
  ),
  'an adoption of what does not run': ofInstance((old, unit, input) =>
    input.running.get(unit.unit)?.includes(old.host) ? undefined : { ...old, why: { kind: 'adopted' } },
  ),
  'a move from nowhere as the reason': ofInstance((old) => ({
    ...old,
    why: { kind: 'moved', from: 'zz', because: { kind: 'host-lost' } },
  })),
  'instances out of order': ofUnit(
    (unit) => unit.instances.length > 1,
    (unit) => ({ ...unit, instances: [...unit.instances].reverse() }),
  ),
  'a wrong service': ofUnit(always, (unit) => ({ ...unit, service: `${unit.service}x` })),
  'a wrong wanted count': ofUnit(always, (unit, pick) => ({ ...unit, wanted: unit.wanted + (pick % 2 ? 1 : -1) })),
  'a unit left out': (_, valid, pick) => {
    const left = choose([...valid.units.keys()], pick);
    return { ...valid, units: new Map([...valid.units].filter(([unit]) => unit !== left)) };
  },
  'a unit that is not declared': (_, valid) =>
    withUnit(valid, { unit: 'zz.service', service: 'zz', wanted: 0, instances: [] }),
  'a unit filed under the name of another': (_, valid, pick) => {
    const old = choose([...valid.units.values()], pick);
    return old && { ...valid, units: new Map([...valid.units, [old.unit, { ...old, unit: `x${old.unit}` }]]) };
  },
  'units out of order': (_, valid) =>
    valid.units.size > 1 ? { ...valid, units: new Map([...valid.units].reverse()) } : undefined,
  'a move left out': ofMoves((move, all) => all.filter((each) => each !== move)),
  'a move twice': ofMoves((move, all) => all.flatMap((each) => (each === move ? [each, each] : [each]))),
  'a move that did not happen': (_, valid) => ({
    ...valid,
    moves: [...valid.moves, { unit: 'zz.service', from: 'w1', to: undefined, because: { kind: 'surplus' } }],
  }),
  'a move from where the unit never was': ofMoves((move, all) =>
    all.map((each) => (each === move ? { ...move, from: 'zz' } : each)),
  ),
  'a move to where nothing is': ofMoves((move, all) => replace(move, { ...move, to: 'zz' })(all)),
  'a move that forgets where it went': ofMoves((move, all) =>
    replace(move, { ...move, to: move.to === undefined ? 'w1' : undefined })(all),
  ),
  'a wrong cause of a move': ofMoves((move, all) =>
    replace<Move>(move, {
      ...move,
      because: move.because.kind === 'surplus' ? { kind: 'host-lost' } : { kind: 'surplus' },
    })(all),
  ),
  'a displacement by nobody': ofMoves((move, all) =>
    replace<Move>(move, { ...move, because: { kind: 'displaced', by: move.unit } })(all),
  ),
  'a wrong exclusion as the cause of a move': ofMoves((move, all) =>
    replace<Move>(move, { ...move, because: { kind: 'excluded', reason: 'held' } })(all),
  ),
  'an unplaced unit not listed': ofUnplaced((entry, all) => all.filter((each) => each !== entry)),
  'an unplaced unit listed twice': ofUnplaced((entry, all) =>
    all.flatMap((each) => (each === entry ? [each, each] : [each])),
  ),
  'a placed unit listed as unplaced': (_, valid, pick) => {
    const unit = choose(
      [...valid.units.values()].filter((each) => each.instances.length === each.wanted),
      pick,
    );
    if (unit === undefined) return undefined;
    const entry: Unplaced = {
      unit: unit.unit,
      service: unit.service,
      wanted: unit.wanted,
      placed: unit.wanted,
      why: [],
    };
    return { ...valid, unplaced: [...valid.unplaced, entry].sort((a, b) => (a.unit < b.unit ? -1 : 1)) };
  },
  'a wrong number of placed instances': ofUnplaced((entry, all) =>
    replace(entry, { ...entry, placed: entry.placed + 1 })(all),
  ),
  'a host counted twice': ofUnplaced((entry, all) =>
    replace(entry, {
      ...entry,
      why: entry.why.map((each, index) => (index === 0 ? { ...each, hosts: each.hosts + 1 } : each)),
    })(entry.why.length > 0 ? all : []),
  ),
  'a wrong reason': ofUnplaced((entry, all) =>
    replace<Unplaced>(entry, { ...entry, why: [{ reason: 'draining', hosts: 77 }] })(all),
  ),
  'a host counted under another reason': ofUnplaced((entry, all) => {
    const other = entry.why.some(({ reason }) => reason === 'held') ? 'joining' : 'held';
    const hosts = entry.why.reduce((sum, each) => sum + each.hosts, 0);
    const same = entry.why.length === 1 && entry.why[0]?.reason === other;
    return same || hosts === 0 ? [] : replace<Unplaced>(entry, { ...entry, why: [{ reason: other, hosts }] })(all);
  }),
};

describe('the verifier notices', () => {
  test.each(Object.entries(CORRUPTIONS))('%s', (_, corrupt) => {
    let spoilt = 0;
    fc.assert(
      fc.property(worlds(), fc.nat(), (input, pick) => {
        const corrupted = corrupt(input, place(input), pick);
        if (corrupted === undefined) return;
        spoilt += 1;
        expect(verify(input, corrupted)).not.toEqual([]);
      }),
      { numRuns: 300 },
    );
    expect(spoilt).toBeGreaterThan(40);
  });

  test('a healthy instance that was moved for no cause, though its move is recorded', () => {
    const input: PlacementInput = {
      spec: specOf([shared('a', 1)]),
      hosts: hostsOf('w1 w2'),
      previous: onHosts({ 'a.service': 'w1' }),
      running: new Map(),
    };
    const because = { kind: 'surplus' } as const;
    const moved: Placement = {
      units: new Map([
        [
          'a.service',
          {
            unit: 'a.service',
            service: 'a',
            wanted: 1,
            instances: [{ host: 'w2', why: { kind: 'moved', from: 'w1', because } }],
          },
        ],
      ]),
      unplaced: [],
      moves: [{ unit: 'a.service', from: 'w1', to: 'w2', because }],
    };
    expect(verify(input, moved).map(({ message }) => message)).toEqual([
      'a.service on w1: "surplus" is not why it left',
    ]);
  });

  test('an unhealthy instance that is stopped, and no host has it instead', () => {
    const input: PlacementInput = {
      spec: specOf([shared('a', 1)]),
      hosts: hostsOf('w1', { w1: { 'a.service': 'unhealthy' } }),
      previous: onHosts({ 'a.service': 'w1' }),
      running: new Map(),
    };
    expect(verify(input, place(input)).map(({ message }) => message)).toEqual([
      'a.service on w1: runs there, though badly, and is stopped without another host taking it',
    ]);
    const failed = { ...input, hosts: hostsOf('w1', { w1: { 'a.service': 'failed' } }) };
    expect(verify(failed, place(failed))).toEqual([]);
  });

  test('a new instance on a cordoned host', () => {
    const input: PlacementInput = {
      spec: specOf([shared('a', 1)]),
      hosts: hostsOf('w1:cordoned w2'),
      previous: new Map(),
      running: new Map(),
    };
    const wrong = withUnit(place(input), {
      unit: 'a.service',
      service: 'a',
      wanted: 1,
      instances: [{ host: 'w1', why: { kind: 'least-loaded' } }],
    });
    expect(verify(input, wrong).map(({ message }) => message)).toEqual([
      'a.service on w1: the host is cordoned and takes no new instance',
    ]);
  });

  test('a displacement where a free host would have done', () => {
    const input: PlacementInput = {
      spec: specOf([multi('m', { job: 1, task: 1 }, { exclusive: true })]),
      hosts: hostsOf('w1 w2'),
      previous: onHosts({ 'm@task.service': 'w1' }),
      running: new Map(),
    };
    const because = { kind: 'displaced', by: 'm@job.service' } as const;
    const unit = (key: string, instance: PlacedInstance): [string, UnitPlacement] => [
      `m@${key}.service`,
      { unit: `m@${key}.service`, service: 'm', wanted: 1, instances: [instance] },
    ];
    const displaced: Placement = {
      units: new Map([
        unit('job', { host: 'w1', why: { kind: 'least-loaded' } }),
        unit('task', { host: 'w2', why: { kind: 'moved', from: 'w1', because } }),
      ]),
      unplaced: [],
      moves: [{ unit: 'm@task.service', from: 'w1', to: 'w2', because }],
    };
    expect(verify(input, displaced).map(({ message }) => message)).toEqual([
      'm@task.service on w1: displaced by m@job.service, which could have w2 instead',
    ]);
    expect(verify({ ...input, hosts: hostsOf('w1 w2 w3') }, displaced).map(({ message }) => message)).toEqual([
      'm@task.service on w1: displaced by m@job.service, which could have a free host',
      'm@task.service on w1: displaced by m@job.service, which could have w2 instead',
    ]);
  });

  test('a count of 1 that goes without while a key with more has a host for it', () => {
    const input: PlacementInput = {
      spec: specOf([multi('m', { job: 1, task: 2 }, { exclusive: true })]),
      hosts: hostsOf('w1'),
      previous: onHosts({ 'm@task.service': 'w1' }),
      running: new Map(),
    };
    const greedy: Placement = {
      units: new Map([
        ['m@job.service', { unit: 'm@job.service', service: 'm', wanted: 1, instances: [] }],
        [
          'm@task.service',
          { unit: 'm@task.service', service: 'm', wanted: 2, instances: [{ host: 'w1', why: { kind: 'kept' } }] },
        ],
      ]),
      unplaced: [
        { unit: 'm@job.service', service: 'm', wanted: 1, placed: 0, why: [{ reason: 'exclusive', hosts: 1 }] },
        { unit: 'm@task.service', service: 'm', wanted: 2, placed: 1, why: [{ reason: 'already-has-one', hosts: 1 }] },
      ],
      moves: [],
    };
    expect(verify(input, greedy).map(({ message }) => message)).toEqual([
      'm@job.service lacks instances, but a host is free for it or has a unit of lower rank',
    ]);
  });
});
