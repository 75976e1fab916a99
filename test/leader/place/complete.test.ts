import fc from 'fast-check';
import { expect, test } from 'vitest';
import { place } from '../../../src/leader/place.ts';
import type { HostView, PlacementInput } from '../../../src/leader/placement.ts';
import type { Service } from '../../../src/shared/spec.ts';
import { asPrevious, multiService, worlds } from './worlds.ts';

/** Unit → hosts. */
type Assignment = ReadonlyMap<string, readonly string[]>;

interface Key {
  readonly unit: string;
  readonly count: number;
  readonly force: string | undefined;
}

function keysOf(service: Service): Key[] {
  if (service.type !== 'multi' || !service.enabled) return [];
  return Object.entries(service.instances).map(([key, count]) => ({
    unit: `${service.name}@${key}.service`,
    count,
    force: service.force[key],
  }));
}

/** The rule, said once more, for one unit on one host. */
function allowed(key: Key, host: HostView, input: PlacementInput): boolean {
  if (host.excluded.has(key.unit) || host.state === 'draining') return false;
  if (key.force !== undefined && key.force !== host.name) return false;
  if (input.previous.get(key.unit)?.includes(host.name)) return true;
  const runs = input.running.get(key.unit)?.includes(host.name) ?? false;
  if (host.state === 'joining') return key.force !== undefined || runs;
  if (host.state === 'cordoned') return runs;
  return host.state === 'ready';
}

/** What is to be small, the most important first: unplaced forced keys, unplaced counts of 1, other unplaced, then what does not stay, what is not adopted. */
function badness(keys: readonly Key[], assignment: Assignment, input: PlacementInput): number[] {
  const result = [0, 0, 0, 0, 0];
  for (const key of keys) {
    const placed = assignment.get(key.unit) ?? [];
    const rank = key.force !== undefined ? 0 : key.count === 1 ? 1 : 2;
    const kept = placed.filter((host) => input.previous.get(key.unit)?.includes(host)).length;
    const adopted = placed.filter(
      (host) => !input.previous.get(key.unit)?.includes(host) && input.running.get(key.unit)?.includes(host),
    );
    result[rank] = (result[rank] ?? 0) + key.count - placed.length;
    result[3] = (result[3] ?? 0) - kept;
    result[4] = (result[4] ?? 0) - adopted.length;
  }
  return result;
}

function lexical(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index < 0 ? 0 : (a[index] ?? 0) - (b[index] ?? 0);
}

/** The best of all assignments, found by trying every one. */
function bruteForce(keys: readonly Key[], input: PlacementInput): number[] {
  let best: number[] | undefined;
  const tryFrom = (index: number, assignment: Map<string, string[]>): void => {
    const host = input.hosts[index];
    if (host === undefined) {
      const found = badness(keys, assignment, input);
      if (best === undefined || lexical(found, best) < 0) best = found;
      return;
    }
    tryFrom(index + 1, assignment);
    for (const key of keys) {
      const placed = assignment.get(key.unit) ?? [];
      if (placed.length >= key.count || !allowed(key, host, input)) continue;
      tryFrom(index + 1, new Map(assignment).set(key.unit, [...placed, host.name]));
    }
  };
  tryFrom(0, new Map());
  return best ?? [];
}

test('an exclusive template gets the best of all assignments: forced keys, then counts of 1, then the rest, then stayers, then adoptions', () => {
  const services = multiService('m', fc.constant(true)).map((service) => [service]);
  fc.assert(
    fc.property(
      fc.boolean().chain((contended) => worlds({ services, maxHosts: 5, contended })),
      (input) => {
        const keys = input.spec.services.flatMap(keysOf);
        expect(badness(keys, asPrevious(place(input)), input)).toEqual(bruteForce(keys, input));
      },
    ),
    { numRuns: 4_000 },
  );
}, 60_000);
