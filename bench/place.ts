/**
 * Measures `place()` on 1,000 hosts and 100,000 instances: from nothing, with one host lost, and with nothing changed.
 * Prints the median and the slowest of several runs, in milliseconds, for each mix of services.
 */
import { performance } from 'node:perf_hooks';
import { place } from '../src/leader/place.ts';
import type { HostView, Placement, PlacementInput } from '../src/leader/placement.ts';
import { verify } from '../src/leader/verify.ts';
import type { Service, Spec } from '../src/shared/spec.ts';

const HOSTS = 1_000;
const RUNS = 7;

function hostsNamed(count: number): HostView[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `host${String(i).padStart(4, '0')}`,
    state: 'ready',
    excluded: new Map(),
  }));
}

function shared(index: number, count: number): Service {
  return { type: 'shared', name: `shared${index}`, count, enabled: true, isolation: 'keep' };
}

function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

function template(index: number, keys: number, count: number): Service {
  const instances = Object.fromEntries(many(keys, (key): [string, number] => [`k${key}`, count]));
  return {
    type: 'multi',
    name: `multi${index}`,
    instances,
    force: {},
    exclusive: true,
    enabled: true,
    isolation: 'keep',
  };
}

const MIXES: Readonly<Record<string, readonly Service[]>> = {
  '1,000 shared services, count 100': many(1_000, (i) => shared(i, 100)),
  '10,000 shared services, count 10': many(10_000, (i) => shared(i, 10)),
  '20 global, 400 shared of 100, 40 exclusive templates of 10 keys with count 100': [
    ...many(20, (i): Service => ({ type: 'global', name: `global${i}`, enabled: true, isolation: 'keep' })),
    ...many(400, (i) => shared(i, 100)),
    ...many(40, (i) => template(i, 10, 100)),
  ],
  '20 exclusive templates of 1,000 keys with count 1, every host full; 800 shared of 100': [
    ...many(20, (i) => template(i, 1_000, 1)),
    ...many(800, (i) => shared(i, 100)),
  ],
};

function median(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const last = sorted.at(-1) ?? Number.NaN;
  return `median ${middle.toFixed(0)} ms, slowest ${last.toFixed(0)} ms`;
}

function measure(label: string, run: () => unknown): void {
  const times = many(RUNS, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  console.log(`  ${label}: ${median(times)}`);
}

function asPrevious(placement: Placement): PlacementInput['previous'] {
  return new Map([...placement.units].map(([unit, { instances }]) => [unit, instances.map(({ host }) => host)]));
}

for (const [name, services] of Object.entries(MIXES)) {
  const spec: Spec = { services, brake: { above: 0.5, atLeast: 3, holdMs: 60_000 } };
  const hosts = hostsNamed(HOSTS);
  const first: PlacementInput = { spec, hosts, previous: new Map(), running: new Map() };
  const placement = place(first);
  const previous = asPrevious(placement);
  const instances = [...previous.values()].reduce((sum, on) => sum + on.length, 0);
  const lost: PlacementInput = { spec, hosts: hosts.slice(1), previous, running: previous };
  console.log(
    `${name}: ${HOSTS} hosts, ${instances} instances, ${place(lost).moves.length} instances on the lost host`,
  );
  measure('from nothing', () => place(first));
  measure('one host lost', () => place(lost));
  measure('nothing changed', () => place({ spec, hosts, previous, running: previous }));
  measure('verify one host lost', () => verify(lost, place(lost)));
}
