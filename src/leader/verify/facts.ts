/** What the checks of a placement ask of its input, looked up by names. */
import type { AskedMove } from '../../shared/cluster.ts';
import { unitsOf } from '../../shared/names.ts';
import type { Service } from '../../shared/spec.ts';
import type { ExclusionReason } from '../../shared/state.ts';
import type { HostView, Placement, PlacementInput } from '../placement.ts';

/** A broken rule, as a sentence about a unit and, where there is one, a host. */
export interface Violation {
  readonly unit: string;
  readonly host: string | undefined;
  readonly message: string;
}

export interface DeclaredUnit {
  readonly unit: string;
  readonly service: Service;
  /** `undefined` for a global service. */
  readonly count: number | undefined;
  /** The only host it may run on, whether it is there or not. */
  readonly force: string | undefined;
  readonly previous: ReadonlySet<string>;
  readonly running: ReadonlySet<string>;
  /** Hosts it is on in the placement that is checked. */
  readonly placed: ReadonlySet<string>;
  /** Hosts that cannot run this unit. */
  readonly excluded: ReadonlyMap<string, ExclusionReason>;
}

export interface Facts {
  readonly units: ReadonlyMap<string, DeclaredUnit>;
  readonly hosts: ReadonlyMap<string, HostView>;
  /** How many hosts are in each state. */
  readonly states: Readonly<Record<HostView['state'], number>>;
  readonly previous: PlacementInput['previous'];
  /** Moves that may be made without need. */
  readonly asked: readonly AskedMove[];
}

const NONE: ReadonlySet<string> = new Set();
const NO_EXCLUSIONS: ReadonlyMap<string, ExclusionReason> = new Map();

export function readFacts(input: PlacementInput, placement: Placement, asked: readonly AskedMove[]): Facts {
  const hosts = new Map(input.hosts.map((host) => [host.name, host]));
  const states = { ready: 0, joining: 0, cordoned: 0, draining: 0, leaving: 0, held: 0 };
  for (const host of hosts.values()) states[host.state] += 1;
  const exclusions = new Map<string, Map<string, ExclusionReason>>();
  for (const host of input.hosts) {
    for (const [unit, reason] of host.excluded) {
      const ofUnit = exclusions.get(unit) ?? new Map<string, ExclusionReason>();
      exclusions.set(unit, ofUnit.set(host.name, reason));
    }
  }
  const units = new Map<string, DeclaredUnit>();
  for (const service of input.spec.services) {
    const keys = service.type === 'multi' ? Object.keys(service.instances) : [undefined];
    unitsOf(service).forEach((unit, index) => {
      units.set(unit, {
        unit,
        service,
        count: countOf(service, keys[index]),
        force: forceOf(service, keys[index]),
        previous: toSet(input.previous.get(unit)),
        running: toSet(input.running.get(unit)),
        placed: toSet(placement.units.get(unit)?.instances.map((instance) => instance.host)),
        excluded: exclusions.get(unit) ?? NO_EXCLUSIONS,
      });
    });
  }
  return { units, hosts, states, previous: input.previous, asked };
}

function toSet(names: readonly string[] | undefined): ReadonlySet<string> {
  return names === undefined || names.length === 0 ? NONE : new Set(names);
}

function countOf(service: Service, key: string | undefined): number | undefined {
  if (service.type === 'global') return service.enabled ? undefined : 0;
  if (!service.enabled) return 0;
  return service.type === 'shared' ? service.count : service.instances[key ?? ''];
}

function forceOf(service: Service, key: string | undefined): string | undefined {
  if (service.type !== 'multi' || key === undefined || !Object.hasOwn(service.force, key)) return undefined;
  return service.force[key];
}

/** True for a unit of an enabled template that allows one instance of all its units per host. */
export function isExclusive(unit: DeclaredUnit): boolean {
  return unit.service.type === 'multi' && unit.service.exclusive && unit.service.enabled;
}

/** Why the unit may not be on the host at all, new or old; undefined: it may. A sentence's end. */
export function forbids(unit: DeclaredUnit, host: HostView | undefined): string | undefined {
  if (host === undefined) return 'is not a member';
  if (!unit.service.enabled) return 'must not run a disabled service';
  const reason = unit.excluded.get(host.name);
  if (reason !== undefined) return `excludes the unit: ${reason}`;
  if (unit.force !== undefined && unit.force !== host.name) return `is not ${unit.force}, which the unit is forced to`;
  return host.state === 'draining' || host.state === 'leaving' ? `is ${host.state}` : undefined;
}

/** True when the unit was on this host before and nothing forbids it to stay. */
export function mayStay(unit: DeclaredUnit, host: HostView | undefined): boolean {
  return host !== undefined && unit.previous.has(host.name) && forbids(unit, host) === undefined;
}

/** True when the host could take the unit as a new instance, other units aside. */
export function mayCome(unit: DeclaredUnit, host: HostView | undefined): boolean {
  if (host === undefined || forbids(unit, host) !== undefined) return false;
  if (host.state === 'ready') return true;
  if (host.state === 'cordoned') return unit.running.has(host.name);
  if (host.state !== 'joining') return false;
  return unit.service.type === 'global' || unit.force !== undefined || unit.running.has(host.name);
}
