import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { grantMoves } from '../../src/leader/asked-moves.ts';
import { place } from '../../src/leader/place.ts';
import type { PlacementInput } from '../../src/leader/placement.ts';
import { type Rebalance, rebalance } from '../../src/leader/rebalance.ts';
import { verify } from '../../src/leader/verify.ts';
import type { AskedMove } from '../../src/shared/cluster.ts';
import type { Service } from '../../src/shared/spec.ts';
import { asPrevious, global, hostsOf, multi, multiService, onHosts, shared, specOf, worlds } from './place/worlds.ts';

/** A cluster at rest: what is placed runs. */
function atRest(services: readonly Service[], hosts: string, previous: Record<string, string>): PlacementInput {
  return { spec: specOf(services), hosts: hostsOf(hosts), previous: onHosts(previous), running: onHosts(previous) };
}

/** The cluster at rest whose hosts were fewer when most was placed; what a host excludes came with it. */
function grown(world: fc.Arbitrary<PlacementInput>): fc.Arbitrary<PlacementInput> {
  return fc.tuple(world, fc.integer({ min: 1, max: 3 })).map(([input, first]) => {
    const before = place({ ...input, hosts: input.hosts.slice(0, first).map((host) => ({ ...host, state: 'ready' })) });
    return settled({ ...input, previous: asPrevious(before), running: asPrevious(before) });
  });
}

/** The cluster when nothing else is to be done. */
function settled(input: PlacementInput): PlacementInput {
  const previous = asPrevious(place(input));
  return { ...input, previous, running: previous };
}

const onEach = (hosts: Record<string, string>) =>
  Object.fromEntries(Object.entries(hosts).map(([name, on]) => [`${name}.service`, on]));
const ask = (input: PlacementInput, only?: string): Rebalance => rebalance(input, place(input), only);
const texts = ({ moves }: Rebalance) =>
  moves.map(({ unit, from, to }) => `${unit.replace('.service', '')} ${from} → ${to}`);

/** The cluster after one move, as the leader makes it. Fails where it refuses, or breaks a rule. */
function after(input: PlacementInput, move: AskedMove): PlacementInput {
  const asked = { moves: [move], by: 'w1', braking: false };
  const { placement, granted, refused } = grantMoves(input, place(input), asked);
  expect(refused).toEqual([]);
  expect(granted).toEqual([move]);
  expect(verify(input, placement, granted)).toEqual([]);
  const previous = asPrevious(placement);
  return { ...input, previous, running: previous };
}

function loadsOf({ hosts, previous }: PlacementInput): number[] {
  return hosts
    .filter(({ state }) => state === 'ready')
    .map(({ name }) => [...previous.values()].filter((on) => on.includes(name)).length);
}

/** Smaller is more even. */
const unevenness = (input: PlacementInput) => loadsOf(input).reduce((sum, load) => sum + load * load, 0);

describe('a rebalance', () => {
  it('gives a host that joined late its part, in as few moves as that takes', () => {
    const input = atRest([global('g'), shared('a', 2), shared('b', 2), shared('c', 2)], 'w1 w2 w3', {
      'g.service': 'w1 w2 w3',
      'a.service': 'w1 w2',
      'b.service': 'w1 w2',
      'c.service': 'w1 w2',
    });
    const plan = ask(input);
    expect(texts(plan)).toEqual(['a w1 → w3', 'b w2 → w3']);
    expect([plan.before, plan.after]).toEqual([
      { least: 1, most: 4 },
      { least: 3, most: 3 },
    ]);
  });

  it('has nothing to do where hosts differ by one', () => {
    const input = atRest([shared('a', 1), shared('b', 1), shared('c', 1)], 'w1 w2', {
      'a.service': 'w1',
      'b.service': 'w1',
      'c.service': 'w2',
    });
    const even = { least: 1, most: 2 };
    expect(ask(input)).toEqual({ moves: [], before: even, after: even, restarts: [] });
  });

  it.each([
    ['on every host', [global('g'), global('h')], { 'g.service': 'w1', 'h.service': 'w1' }],
    [
      'forced',
      [multi('m', { a: 1, b: 1 }, { force: { a: 'w1', b: 'w1' } })],
      { 'm@a.service': 'w1', 'm@b.service': 'w1' },
    ],
    ['disabled', [shared('a', 1, false), shared('b', 1, false)], { 'a.service': 'w1', 'b.service': 'w1' }],
  ])('moves nothing that is %s', (_what, services, previous) => {
    expect(ask(atRest(services, 'w1 w2', previous)).moves).toEqual([]);
  });

  it.each(['joining', 'cordoned', 'draining', 'held'])(
    'gives a host that is %s nothing, and a cordoned one keeps its own',
    (state) => {
      const input = atRest([shared('a', 1), shared('b', 1)], `w1 w2:${state}`, {
        'a.service': 'w1',
        'b.service': 'w1',
      });
      expect(ask(input).moves).toEqual([]);
      const kept = atRest([shared('a', 1), shared('b', 1)], 'w1:cordoned w2', { 'a.service': 'w1', 'b.service': 'w1' });
      expect(ask(kept).moves).toEqual([]);
    },
  );

  it('takes the long way round where a unit cannot run on the empty host, and no move of it makes the load less even', () => {
    const previous = onEach({ a: 'w1', b: 'w1', d: 'w1', c: 'w2', e: 'w2', f: 'w3' });
    const services = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => shared(name, 1));
    const failed = { 'a.service': 'failed', 'b.service': 'failed', 'd.service': 'failed' } as const;
    const input = { ...atRest(services, 'w1 w2 w3', previous), hosts: hostsOf('w1 w2 w3', { w3: failed }) };
    expect(texts(ask(input))).toEqual(['a w1 → w2', 'c w2 → w3']);
  });

  it.each([
    ['what others serve meanwhile', 'd', ['a', 'd']],
    ['what may run on while it moves', 'a', ['a', 'b']],
    ['what no other is restarted for', 'b', ['b', 'c']],
  ])('prefers to move %s', (_what, moved, names) => {
    const all: Readonly<Record<string, Service>> = {
      a: shared('a', 1),
      b: { ...shared('b', 1), isolation: 'stop' },
      c: shared('c', 1),
      d: shared('d', 2),
      reader: { ...global('reader'), prestart: 'echo {instance:c}' },
    };
    const services = [...names, 'reader'].flatMap((name) => all[name] ?? []);
    const previous = {
      ...Object.fromEntries(names.map((name) => [`${name}.service`, 'w1'])),
      'reader.service': 'w1 w2 w3',
    };
    const input = atRest(
      services,
      'w1 w2 w3',
      'd' in previous || names.includes('d') ? { ...previous, 'd.service': 'w1 w3' } : previous,
    );
    expect(texts(ask(input))).toEqual([`${moved} w1 → w2`]);
  });

  it('of one service moves no other', () => {
    const input = atRest([shared('a', 1), shared('b', 1)], 'w1 w2', { 'a.service': 'w1', 'b.service': 'w1' });
    expect(texts(ask(input, 'b'))).toEqual(['b w1 → w2']);
    expect(texts(ask(input, 'other'))).toEqual([]);
  });

  it('leaves a unit alone that lacks an instance, or is being placed anew', () => {
    const lacking = atRest([shared('a', 3), shared('b', 1)], 'w1 w2:draining', {
      'a.service': 'w1',
      'b.service': 'w1',
    });
    expect(ask(lacking).moves).toEqual([]);
    const fresh = atRest([shared('a', 1), shared('b', 1)], 'w1 w2', { 'a.service': 'w1' });
    expect(
      ask({ ...fresh, hosts: hostsOf('w1 w2', { w2: { 'a.service': 'failed', 'b.service': 'failed' } }) }).moves,
    ).toEqual([]);
  });

  it('never puts two of an exclusive template on one host', () => {
    const previous = {
      'm@a.service': 'w1',
      'm@b.service': 'w2',
      'x.service': 'w1',
      'y.service': 'w1',
      'z.service': 'w2',
    };
    const input = atRest(
      [multi('m', { a: 1, b: 1 }, { exclusive: true }), shared('x', 1), shared('y', 1), shared('z', 1)],
      'w1 w2 w3',
      previous,
    );
    for (const { unit, to } of ask(input).moves) if (unit.startsWith('m@')) expect(to).toBe('w3');
  });
});

describe('whatever the cluster, a rebalance', () => {
  const clusters = fc.oneof(
    grown(worlds()),
    grown(worlds({ allReady: true })),
    worlds({ contended: true }).map(settled),
  );

  /** Without exclusive templates: of these one instance may have to make room for another. */
  const plain = fc
    .tuple(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
      multiService('m', fc.constant(false)),
    )
    .map(([counts, many]) => [...counts.map((count, index) => shared(`s${index}`, count)), many]);

  test('ends, makes the load no less even with any move, and has then nothing left to do', () => {
    fc.assert(
      fc.property(clusters, (start) => {
        const { moves, before, after: then } = ask(start);
        let input = start;
        for (const move of moves) {
          const next = after(input, move);
          expect(unevenness(next)).toBeLessThanOrEqual(unevenness(input));
          input = next;
        }
        if (moves.length > 0) expect(unevenness(input)).toBeLessThan(unevenness(start));
        const [first, last] = [loadsOf(start), loadsOf(input)];
        if (first.length > 0) {
          expect(before).toEqual({ least: Math.min(...first), most: Math.max(...first) });
          expect(then).toEqual({ least: Math.min(...last), most: Math.max(...last) });
        }
        expect(ask(input).moves).toEqual([]);
        expect(place(input).moves).toEqual([]);
      }),
      { numRuns: 1_500 },
    );
  });

  test('is the same in whatever order hosts, services and the past are listed', () => {
    fc.assert(
      fc.property(clusters, (input) => {
        const shuffled: PlacementInput = {
          spec: { ...input.spec, services: [...input.spec.services].reverse() },
          hosts: [...input.hosts].reverse(),
          previous: new Map([...input.previous].reverse().map(([unit, hosts]) => [unit, [...hosts].reverse()])),
          running: new Map([...input.running].reverse()),
        };
        expect(ask(shuffled)).toEqual(ask(input));
      }),
      { numRuns: 500 },
    );
  });

  test('moves no instance twice', () => {
    fc.assert(
      fc.property(grown(worlds({ services: plain })), (input) => {
        const { moves } = ask(input);
        const arrivals = new Set(moves.map(({ unit, to }) => `${unit} ${to}`));
        expect(moves.filter(({ unit, from }) => arrivals.has(`${unit} ${from}`))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('in small clusters', () => {
  const services = fc
    .tuple(fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 5 }), fc.boolean())
    .map(([counts, withGlobal]) => [
      ...(withGlobal ? [global('g')] : []),
      ...counts.map((count, index) => shared(`s${index}`, count)),
    ]);
  const small = grown(worlds({ services, maxHosts: 4, allReady: true }));

  /** By trying everything: the most even load that single moves lead to, and the fewest moves there. */
  function best(start: PlacementInput): { unevenness: number; moves: number } {
    const key = (input: PlacementInput) =>
      JSON.stringify([...input.previous].map(([unit, on]) => [unit, [...on].sort()]));
    const known = new Set([key(start)]);
    let found = { unevenness: unevenness(start), moves: 0 };
    let ring = [start];
    for (let moves = 1; ring.length > 0 && known.size < 3_000; moves += 1) {
      const next: PlacementInput[] = [];
      for (const input of ring) {
        for (const [unit, on] of input.previous) {
          if (
            !/^s/.test(unit) ||
            (input.spec.services.find(({ name }) => unit === `${name}.service`)?.type === 'shared' &&
              on.length < countOf(input, unit))
          )
            continue;
          for (const from of on) {
            for (const { name: to, excluded } of input.hosts) {
              if (on.includes(to) || excluded.has(unit)) continue;
              const previous = new Map(input.previous).set(unit, [...on.filter((host) => host !== from), to].sort());
              const moved = { ...input, previous, running: previous };
              const text = key(moved);
              if (known.has(text)) continue;
              known.add(text);
              next.push(moved);
              if (unevenness(moved) < found.unevenness) found = { unevenness: unevenness(moved), moves };
            }
          }
        }
      }
      ring = next;
    }
    return found;
  }

  function countOf({ spec }: PlacementInput, unit: string): number {
    const service = spec.services.find(({ name }) => unit === `${name}.service`);
    return service?.type === 'shared' ? service.count : 0;
  }

  test('no other moves make the load more even, and, where each unit can run on each host, no fewer make it as even', () => {
    fc.assert(
      fc.property(small, fc.boolean(), (world, anywhere) => {
        const hosts = world.hosts.map((host) => (anywhere ? { ...host, excluded: new Map() } : host));
        const start = settled({ ...world, hosts });
        const { moves } = ask(start);
        const end = moves.reduce(after, start);
        const found = best(start);
        expect(unevenness(end)).toBe(found.unevenness);
        if (anywhere) expect(moves).toHaveLength(found.moves);
      }),
      { numRuns: 400 },
    );
  });
});
