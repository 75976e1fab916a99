import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { place } from '../../../src/leader/place.ts';
import type { HostView, Placement, PlacementInput } from '../../../src/leader/placement.ts';
import { verify } from '../../../src/leader/verify.ts';
import { compare, unitsOf } from '../../../src/shared/names.ts';
import type { Service } from '../../../src/shared/spec.ts';
import { asPrevious, hostsOfUnit, loads, shared, worlds } from './worlds.ts';

const RUNS = { numRuns: 1_000 };

function asText(placement: Placement): string {
  return JSON.stringify({ ...placement, units: [...placement.units] });
}

function reversed(past: PlacementInput['previous']): PlacementInput['previous'] {
  return new Map([...past].reverse().map(([unit, hosts]) => [unit, [...hosts].reverse()]));
}

function next(input: PlacementInput, placement: Placement, hosts: readonly HostView[] = input.hosts): PlacementInput {
  const previous = asPrevious(placement);
  return { spec: input.spec, hosts, previous, running: previous };
}

function exclusiveUnits(services: readonly Service[]): Set<string> {
  return new Set(services.filter((service) => service.type === 'multi' && service.exclusive).flatMap(unitsOf));
}

describe('every placement', () => {
  test('is accepted by the verifier', () => {
    fc.assert(
      fc.property(worlds(), (input) => {
        expect(verify(input, place(input))).toEqual([]);
      }),
      { numRuns: 3_000 },
    );
  });

  test('is the same, byte for byte, in whatever order hosts, services and the past are listed', () => {
    fc.assert(
      fc.property(worlds(), (input) => {
        const shuffled: PlacementInput = {
          spec: { ...input.spec, services: [...input.spec.services].reverse() },
          hosts: [...input.hosts]
            .reverse()
            .map((host) => ({ ...host, excluded: new Map([...host.excluded].reverse()) })),
          previous: reversed(input.previous),
          running: reversed(input.running),
        };
        expect(asText(place(shuffled))).toBe(asText(place(input)));
      }),
      RUNS,
    );
  });

  test('stays as it is when placed again: nothing moves, everything is kept', () => {
    fc.assert(
      fc.property(worlds(), (input) => {
        const first = place(input);
        const second = place(next(input, first));
        expect(asPrevious(second)).toEqual(asPrevious(first));
        expect(second.moves).toEqual([]);
        const whys = [...second.units.values()].flatMap((unit) => unit.instances.map(({ why }) => why.kind));
        expect(whys.every((kind) => kind === 'kept')).toBe(true);
      }),
      RUNS,
    );
  });

  test('has a unit at most once on a host, and one unit of an exclusive template at most', () => {
    fc.assert(
      fc.property(worlds(), (input) => {
        const placement = place(input);
        for (const unit of placement.units.keys()) {
          expect(new Set(hostsOfUnit(placement, unit)).size).toBe(hostsOfUnit(placement, unit).length);
        }
        for (const service of input.spec.services) {
          if (service.type !== 'multi' || !service.exclusive) continue;
          const hosts = unitsOf(service).flatMap((unit) => hostsOfUnit(placement, unit));
          expect(new Set(hosts).size).toBe(hosts.length);
        }
      }),
      RUNS,
    );
  });

  test('has a forced key on the named host or nowhere', () => {
    fc.assert(
      fc.property(worlds(), (input) => {
        const placement = place(input);
        for (const service of input.spec.services) {
          if (service.type !== 'multi') continue;
          for (const [key, host] of Object.entries(service.force)) {
            const placed = hostsOfUnit(placement, `${service.name}@${key}.service`);
            expect(placed.length === 0 || placed.join() === host).toBe(true);
          }
        }
      }),
      RUNS,
    );
  });

  test('has exactly min(count, eligible) of a shared service when every host is ready', () => {
    fc.assert(
      fc.property(worlds({ allReady: true }), (input) => {
        const placement = place(input);
        for (const service of input.spec.services) {
          if (service.type !== 'shared') continue;
          const unit = `${service.name}.service`;
          const eligible = input.hosts.filter((host) => !host.excluded.has(unit)).length;
          const count = service.enabled ? service.count : 0;
          expect(hostsOfUnit(placement, unit).length).toBe(Math.min(count, eligible));
        }
      }),
      RUNS,
    );
  });
});

describe('a new instance', () => {
  test('goes to the least-loaded hosts that may take it, ties by name, whatever came and went before', () => {
    const contended = fc.boolean().chain((contended) => worlds({ contended }));
    fc.assert(
      fc.property(contended, fc.integer({ min: 1, max: 3 }), (given, count) => {
        const input = { ...given, spec: { ...given.spec, services: [...given.spec.services, shared('zz', count)] } };
        const placement = place(input);
        // It is placed last, so that the loads of all others are what it found.
        const without = new Map([...placement.units].filter(([unit]) => unit !== 'zz.service'));
        const load = loads({ ...placement, units: without });
        const byLoad = input.hosts
          .filter(({ state }) => state === 'ready')
          .map(({ name }) => ({ name, load: load.get(name) ?? 0 }))
          .sort((a, b) => a.load - b.load || compare(a.name, b.name));
        const expected = byLoad.slice(0, count).map(({ name }) => name);
        expect(hostsOfUnit(placement, 'zz.service')).toEqual(expected.sort(compare));
      }),
      RUNS,
    );
  });
});

describe('from nothing', () => {
  test('hosts that are eligible for the same things differ by at most one instance', () => {
    fc.assert(
      fc.property(worlds({ allReady: true, fromNothing: true }), (input) => {
        const load = loads(place(input));
        const forced = new Set(input.spec.services.flatMap((s) => (s.type === 'multi' ? Object.values(s.force) : [])));
        const alike = new Map<string, number[]>();
        for (const host of input.hosts) {
          if (forced.has(host.name)) continue;
          const kind = [...host.excluded.keys()].sort().join();
          alike.set(kind, [...(alike.get(kind) ?? []), load.get(host.name) ?? 0]);
        }
        for (const group of alike.values()) expect(Math.max(...group) - Math.min(...group)).toBeLessThanOrEqual(1);
      }),
      RUNS,
    );
  });
});

describe('a change', () => {
  test('that loses one host moves exactly what was on it; only in exclusive templates may another instance give way', () => {
    fc.assert(
      fc.property(worlds({ allReady: true }), fc.nat(), (input, pick) => {
        fc.pre(input.hosts.length > 0);
        const before = place(input);
        const lost = input.hosts[pick % input.hosts.length]?.name;
        const after = place(
          next(
            input,
            before,
            input.hosts.filter((host) => host.name !== lost),
          ),
        );
        const exclusive = exclusiveUnits(input.spec.services);
        const left = [...before.units.values()].filter((unit) => unit.instances.some(({ host }) => host === lost));
        expect(
          after.moves.filter((move) => move.because.kind === 'host-lost').map((move) => [move.unit, move.from]),
        ).toEqual(left.map(({ unit }) => [unit, lost]));
        for (const move of after.moves) {
          if (move.because.kind === 'host-lost') continue;
          expect(move.because.kind).toBe('displaced');
          expect(exclusive.has(move.unit)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  test('that makes a unit fail on a host moves that instance alone, and its healthy copy does not move back on recovery', () => {
    fc.assert(
      fc.property(worlds({ allReady: true }), fc.nat(), (input, pick) => {
        const before = place(input);
        const exclusive = exclusiveUnits(input.spec.services);
        const instances = [...before.units.values()]
          .filter(({ unit, service }) => !exclusive.has(unit) && !service.startsWith('g'))
          .flatMap(({ unit, instances }) => instances.map(({ host }) => ({ unit, host })));
        const failed = instances[pick % Math.max(1, instances.length)];
        fc.pre(failed !== undefined);
        const hosts = input.hosts.map(
          (host): HostView =>
            host.name === failed.host
              ? { ...host, excluded: new Map([...host.excluded, [failed.unit, 'failed']]) }
              : host,
        );
        const after = place(next(input, before, hosts));
        expect(after.moves.map(({ unit, from, because }) => ({ unit, from, because }))).toEqual([
          { unit: failed.unit, from: failed.host, because: { kind: 'excluded', reason: 'failed' } },
        ]);
        const recovered = place(next(input, after));
        expect(recovered.moves).toEqual([]);
        for (const { unit, instances } of after.units.values()) {
          expect(hostsOfUnit(recovered, unit)).toEqual(expect.arrayContaining(instances.map(({ host }) => host)));
        }
      }),
      RUNS,
    );
  });

  test('to the load alone moves nothing: a host that joins takes only what is new', () => {
    fc.assert(
      fc.property(worlds({ allReady: true }), (input) => {
        fc.pre(input.hosts.length > 1);
        const [newcomer, ...others] = input.hosts;
        const before = place({ ...input, hosts: others });
        const after = place(next(input, before, [...others, ...(newcomer === undefined ? [] : [newcomer])]));
        const exclusive = exclusiveUnits(input.spec.services);
        expect(after.moves.filter(({ unit }) => !exclusive.has(unit))).toEqual([]);
      }),
      RUNS,
    );
  });
});
