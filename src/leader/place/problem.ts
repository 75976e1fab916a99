/**
 * The input of a placement with hosts as numbers. Hosts are numbered and units listed in the order of their names, so
 * that nothing after this depends on the order of the input, and ties by name are ties by number.
 */
import { compare, instanceUnit, unitsOf } from '../../shared/names.ts';
import type { MultiService, Service } from '../../shared/spec.ts';
import type { ExclusionReason, MoveCause } from '../../shared/state.ts';
import type { HostState, PlacementInput } from '../placement.ts';
import { at } from './at.ts';

/** How many instances a unit shall have, and where. */
export type Demand =
  | { readonly kind: 'none' }
  | { readonly kind: 'every-host' }
  | { readonly kind: 'anywhere'; readonly count: number }
  /** `host` is undefined when the named host is not there. */
  | { readonly kind: 'forced'; readonly count: number; readonly host: number | undefined };

/** A previous instance that cannot stay, whatever is decided about the others. */
export interface Departure {
  readonly host: string;
  readonly because: MoveCause;
}

/** One declared unit. Lists of hosts are ascending and free of duplicates. */
export interface UnitProblem {
  readonly unit: string;
  readonly service: string;
  readonly demand: Demand;
  /** At most one instance of all units of this service per host. */
  readonly exclusive: boolean;
  /** Hosts of previous instances that may stay. */
  readonly stays: readonly number[];
  /** Hosts that were seen running it; found out only where there are more `stays` than wanted. */
  readonly proven: ReadonlySet<number>;
  /** Hosts that may take the unit, run it already, and are not among `stays`. */
  readonly running: readonly number[];
  /** Sorted by host. */
  readonly departures: readonly Departure[];
  readonly excluded: ReadonlyMap<number, ExclusionReason>;
}

export interface Problem {
  readonly hosts: readonly string[];
  /** State of each host, by its number. */
  readonly states: readonly HostState[];
  readonly units: readonly UnitProblem[];
  /** Units of `previous` that are no longer declared, sorted, with their hosts, sorted. */
  readonly undeclared: readonly { readonly unit: string; readonly hosts: readonly string[] }[];
}

const NOTHING_EXCLUDED: ReadonlyMap<number, ExclusionReason> = new Map();
const NO_HOSTS: readonly string[] = [];
const NONE_PROVEN: ReadonlySet<number> = new Set();
const NO_DEPARTURES: readonly Departure[] = [];

/** Numbers the hosts and sorts out, for each unit, which previous and running instances count. */
export function readProblem(input: PlacementInput): Problem {
  const views = [...input.hosts].sort((a, b) => compare(a.name, b.name));
  const hosts = views.map((host) => host.name);
  const states = views.map((host) => host.state);
  const numbers = new Map(hosts.map((name, number) => [name, number]));
  const exclusions = new Map<string, Map<number, ExclusionReason>>();
  views.forEach((host, number) => {
    for (const [unit, reason] of host.excluded) {
      const ofUnit = exclusions.get(unit);
      if (ofUnit === undefined) exclusions.set(unit, new Map([[number, reason]]));
      else ofUnit.set(number, reason);
    }
  });

  const units = input.spec.services
    .flatMap((service) => demandsOf(service, numbers))
    .map(({ unit, service, demand }): UnitProblem => {
      const excluded = exclusions.get(unit) ?? NOTHING_EXCLUDED;
      const previous = input.previous.get(unit) ?? NO_HOSTS;
      const { stays, departures } = sortPrevious(previous, demand, excluded, numbers, states);
      const seen = input.running.get(unit) ?? NO_HOSTS;
      const running = mayAdopt(seen, stays, demand, excluded, numbers, states);
      const proven = stays.length > wantedAtMost(demand) ? numbered(seen, numbers) : NONE_PROVEN;
      const exclusive = service.type === 'multi' && service.exclusive;
      return { unit, service: service.name, demand, exclusive, stays, proven, running, departures, excluded };
    })
    .sort((a, b) => compare(a.unit, b.unit));

  const declared = new Set(units.map((unit) => unit.unit));
  const undeclared = [...input.previous]
    .filter(([unit]) => !declared.has(unit))
    .map(([unit, left]) => ({ unit, hosts: [...new Set(left)].sort(compare) }))
    .sort((a, b) => compare(a.unit, b.unit));
  return { hosts, states, units, undeclared };
}

/** True when a host in this state may take new instances of a unit with this demand; `runs`: the unit runs there already. */
export function takesNew(state: HostState, demand: Demand, runs: boolean): boolean {
  switch (state) {
    case 'ready':
      return true;
    case 'joining':
      return runs || demand.kind === 'every-host' || demand.kind === 'forced';
    case 'cordoned':
      return runs;
    case 'draining':
    case 'leaving':
    case 'held':
      return false;
  }
}

/** No more instances than this, however many were placed before. */
export function wantedAtMost(demand: Demand): number {
  switch (demand.kind) {
    case 'none':
      return 0;
    case 'every-host':
      return Number.POSITIVE_INFINITY;
    case 'anywhere':
    case 'forced':
      return demand.count;
  }
}

function numbered(names: readonly string[], numbers: ReadonlyMap<string, number>): ReadonlySet<number> {
  return new Set(names.flatMap((name) => numbers.get(name) ?? []));
}

interface UnitDemand {
  readonly unit: string;
  readonly service: Service;
  readonly demand: Demand;
}

function demandsOf(service: Service, numbers: ReadonlyMap<string, number>): UnitDemand[] {
  switch (service.type) {
    case 'global':
      return unitsOf(service).map((unit) => ({ unit, service, demand: whenEnabled(service, { kind: 'every-host' }) }));
    case 'shared': {
      const demand = whenEnabled(service, { kind: 'anywhere', count: service.count });
      return unitsOf(service).map((unit) => ({ unit, service, demand }));
    }
    case 'multi':
      return Object.entries(service.instances).map(([key, count]) => ({
        unit: instanceUnit(service.name, key),
        service,
        demand: whenEnabled(service, demandOfKey(service, key, count, numbers)),
      }));
  }
}

function whenEnabled(service: Service, demand: Demand): Demand {
  return service.enabled ? demand : { kind: 'none' };
}

function demandOfKey(service: MultiService, key: string, count: number, numbers: ReadonlyMap<string, number>): Demand {
  const forced = Object.hasOwn(service.force, key) ? service.force[key] : undefined;
  return forced === undefined ? { kind: 'anywhere', count } : { kind: 'forced', count, host: numbers.get(forced) };
}

function sortPrevious(
  previous: readonly string[],
  demand: Demand,
  excluded: ReadonlyMap<number, ExclusionReason>,
  numbers: ReadonlyMap<string, number>,
  states: readonly HostState[],
): { stays: number[]; departures: readonly Departure[] } {
  const stays: number[] = [];
  let causes: Map<string, MoveCause> | undefined;
  for (const name of previous) {
    const number = numbers.get(name);
    const because = causeToLeave(number, demand, excluded, states);
    if (because !== undefined) causes = (causes ?? new Map<string, MoveCause>()).set(name, because);
    else if (number !== undefined) stays.push(number);
  }
  const departures =
    causes === undefined
      ? NO_DEPARTURES
      : [...causes].map(([host, because]) => ({ host, because })).sort((a, b) => compare(a.host, b.host));
  return { stays: ascending(stays), departures };
}

function causeToLeave(
  host: number | undefined,
  demand: Demand,
  excluded: ReadonlyMap<number, ExclusionReason>,
  states: readonly HostState[],
): MoveCause | undefined {
  if (demand.kind === 'none') return { kind: 'surplus' };
  if (host === undefined) return { kind: 'host-lost' };
  const state = at(states, host);
  if (state === 'draining' || state === 'leaving') return { kind: 'excluded', reason: state };
  const reason = excluded.get(host);
  if (reason !== undefined) return { kind: 'excluded', reason };
  if (demand.kind === 'forced' && demand.host !== host) return { kind: 'excluded', reason: 'forced-elsewhere' };
  return undefined;
}

function mayAdopt(
  running: readonly string[],
  stays: readonly number[],
  demand: Demand,
  excluded: ReadonlyMap<number, ExclusionReason>,
  numbers: ReadonlyMap<string, number>,
  states: readonly HostState[],
): number[] {
  if (demand.kind === 'none' || running.length === 0) return [];
  const hosts: number[] = [];
  for (const name of running) {
    const host = numbers.get(name);
    if (host === undefined || excluded.has(host)) continue;
    if (demand.kind === 'forced' && demand.host !== host) continue;
    if (takesNew(at(states, host), demand, true)) hosts.push(host);
  }
  return without(ascending(hosts), stays);
}

/** Elements of `list` that are not in `other`; both ascending. */
export function without(list: readonly number[], other: readonly number[]): number[] {
  let next = 0;
  return list.filter((element) => {
    while (next < other.length && at(other, next) < element) next += 1;
    return next >= other.length || at(other, next) !== element;
  });
}

function ascending(hosts: number[]): number[] {
  if (hosts.every((host, index) => index === 0 || host > at(hosts, index - 1))) return hosts;
  hosts.sort((a, b) => a - b);
  return hosts.filter((host, index) => host !== hosts[index - 1]);
}
