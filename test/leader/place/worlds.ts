/** Inputs of placements for tests: readable ones from short texts, and random ones. */
import fc from 'fast-check';
import type { HostState, HostView, Placement, PlacementInput } from '../../../src/leader/placement.ts';
import { unitsOf } from '../../../src/shared/names.ts';
import type { MultiService, Service, Spec } from '../../../src/shared/spec.ts';
import type { ExclusionReason } from '../../../src/shared/state.ts';

const STATES: readonly HostState[] = ['ready', 'joining', 'cordoned', 'draining', 'held'];
const REASONS: readonly ExclusionReason[] = ['failed', 'not-installed', 'masked', 'invalid-unit'];

export function specOf(services: readonly Service[]): Spec {
  return { services, brake: { above: 0.5, atLeast: 3, holdMs: 60_000 } };
}

export function global(name: string, enabled = true): Service {
  return { type: 'global', name, enabled, isolation: 'keep' };
}

export function shared(name: string, count: number, enabled = true): Service {
  return { type: 'shared', name, count, enabled, isolation: 'keep' };
}

export function multi(
  name: string,
  instances: Record<string, number>,
  more: Partial<Pick<MultiService, 'force' | 'exclusive' | 'enabled'>> = {},
): Service {
  return { type: 'multi', name, instances, force: {}, exclusive: false, enabled: true, isolation: 'keep', ...more };
}

/** `w1 w2:draining`, and units that cannot run: `{ w2: { 'a.service': 'failed' } }`. */
export function hostsOf(text: string, excluded: Record<string, Record<string, ExclusionReason>> = {}): HostView[] {
  return text
    .split(' ')
    .filter(Boolean)
    .map((word): HostView => {
      const [name = '', state = 'ready'] = word.split(':');
      const known = STATES.find((each) => each === state);
      if (known === undefined) throw new Error(`no such state: ${word}`);
      return { name, state: known, excluded: new Map(Object.entries(excluded[name] ?? {})) };
    });
}

/** `{ 'a.service': 'w1 w2' }` */
export function onHosts(units: Record<string, string>): ReadonlyMap<string, readonly string[]> {
  return new Map(Object.entries(units).map(([unit, hosts]) => [unit, hosts.split(' ').filter(Boolean)]));
}

export function asPrevious(placement: Placement): ReadonlyMap<string, readonly string[]> {
  return new Map([...placement.units].map(([unit, { instances }]) => [unit, instances.map(({ host }) => host)]));
}

export function hostsOfUnit(placement: Placement, unit: string): string[] {
  return placement.units.get(unit)?.instances.map(({ host }) => host) ?? [];
}

/** Number of instances on each host that has any. */
export function loads(placement: Placement): Map<string, number> {
  const result = new Map<string, number>();
  for (const { instances } of placement.units.values()) {
    for (const { host } of instances) result.set(host, (result.get(host) ?? 0) + 1);
  }
  return result;
}

const HOSTS = ['w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7'];
/** Hosts that only the past knows. */
const LOST = ['lost1', 'lost2'];
const KEYS = ['a', 'b', 'c', '1'];

export interface WorldOptions {
  readonly services?: fc.Arbitrary<readonly Service[]>;
  readonly maxHosts?: number;
  /** Only ready hosts. */
  readonly allReady?: boolean;
  /** Nothing placed before and nothing running. */
  readonly fromNothing?: boolean;
  /** Every unit has a past, and hosts exclude many units: instances contend for hosts. */
  readonly contended?: boolean;
}

export function multiService(name: string, exclusive: fc.Arbitrary<boolean>, maxKeys = 4): fc.Arbitrary<Service> {
  return fc
    .record({
      keys: fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1, maxLength: maxKeys }),
      counts: fc.array(fc.constantFrom(1, 1, 1, 2, 3, 0), { minLength: 4, maxLength: 4 }),
      forced: fc.array(fc.option(fc.constantFrom(...HOSTS.slice(0, 4), 'nowhere'), { freq: 3 }), {
        minLength: 4,
        maxLength: 4,
      }),
      exclusive,
      enabled: fc.constantFrom(true, true, true, false),
    })
    .map(({ keys, counts, forced, exclusive, enabled }) => {
      const instances: Record<string, number> = {};
      const force: Record<string, string> = {};
      keys.forEach((key, index) => {
        const to = forced[index] ?? undefined;
        instances[key] = to === undefined ? (counts[index] ?? 1) : 1;
        if (to !== undefined) force[key] = to;
      });
      return multi(name, instances, { force, exclusive, enabled });
    });
}

export const anyServices: fc.Arbitrary<readonly Service[]> = fc
  .tuple(
    fc.array(fc.boolean(), { maxLength: 2 }),
    fc.array(fc.record({ count: fc.nat(8), enabled: fc.constantFrom(true, true, true, false) }), { maxLength: 3 }),
    multiService('m0', fc.boolean()),
    multiService('m1', fc.constant(true)),
  )
  .map(([globals, shareds, ...multis]) => [
    ...globals.map((enabled, index) => global(`g${index}`, enabled)),
    ...shareds.map(({ count, enabled }, index) => shared(`s${index}`, count, enabled)),
    ...multis,
  ]);

/** Any input that validation lets through, with a past that need not make sense. */
export function worlds(options: WorldOptions = {}): fc.Arbitrary<PlacementInput> {
  const {
    services = anyServices,
    maxHosts = HOSTS.length,
    allReady = false,
    fromNothing = false,
    contended = false,
  } = options;
  return services.chain((chosen) => {
    const units = chosen.flatMap(unitsOf);
    const past = (names: readonly string[], extra: readonly string[]) =>
      fromNothing
        ? fc.constant(new Map<string, readonly string[]>())
        : contended
          ? fc
              .tuple(...units.map(() => fc.subarray([...names])))
              .map(
                (hosts) => new Map(units.map((unit, index): [string, readonly string[]] => [unit, hosts[index] ?? []])),
              )
          : fc
              .array(
                fc.tuple(
                  fc.constantFrom(...units, ...extra),
                  fc.uniqueArray(fc.constantFrom(...names), { maxLength: 5 }),
                ),
              )
              .map((entries) => new Map<string, readonly string[]>(entries));
    return fc.record({
      spec: fc.constant(specOf(chosen)),
      hosts: fc
        .uniqueArray(fc.constantFrom(...HOSTS.slice(0, maxHosts)), { minLength: 0, maxLength: maxHosts })
        .chain((names) => fc.tuple(...names.map((name) => hostNamed(name, units, allReady, contended)))),
      previous: past([...HOSTS.slice(0, maxHosts), ...LOST], ['gone.service']),
      running: past(HOSTS.slice(0, maxHosts), []),
    });
  });
}

function hostNamed(
  name: string,
  units: readonly string[],
  allReady: boolean,
  contended: boolean,
): fc.Arbitrary<HostView> {
  return fc.record({
    name: fc.constant(name),
    state: allReady
      ? fc.constant('ready' as const)
      : fc.constantFrom(...STATES, 'ready' as const, 'ready' as const, 'ready' as const),
    excluded: fc
      .array(fc.tuple(fc.constantFrom(...units), fc.constantFrom(...REASONS)), {
        maxLength: contended ? 2 * units.length : 3,
      })
      .map((entries) => new Map(entries)),
  });
}
