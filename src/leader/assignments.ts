/** The answer of `/assignments`. Pure. */
import { compare } from '../shared/names.ts';
import type { ActiveState, Health, Observed, ObservedUnit } from '../shared/state.ts';
import type { PendingHandOver } from './hand-over.ts';
import type { HostState, HostView, Placement } from './placement.ts';
import { describeWhy } from './why.ts';

export interface AssignedUnit {
  readonly unit: string;
  readonly service: string;
  readonly state: ActiveState;
  readonly why: string;
  /** Why it is not active, where the host has said so. */
  readonly detail?: string;
  /** What its check says, and what is done about it. */
  readonly health?: Health;
}

export interface Assignments {
  readonly leader: string;
  readonly epoch: number;
  readonly generation: number;
  readonly spec: string;
  readonly settled: boolean;
  readonly brake: boolean;
  readonly hosts: Readonly<Record<string, { readonly state: HostState; readonly units: readonly AssignedUnit[] }>>;
  readonly unplaced: readonly {
    readonly unit: string;
    readonly service: string;
    readonly wanted: number;
    readonly placed: number;
    readonly why: readonly { readonly reason: string; readonly hosts: number }[];
  }[];
  /** Failed instances, wherever they are. */
  readonly failed: readonly {
    readonly unit: string;
    readonly host: string;
    readonly kind: string;
    readonly message: string;
  }[];
  /** Znodes that cannot be read. */
  readonly problems: readonly string[];
}

export interface AssignmentsInput {
  readonly leader: string;
  readonly epoch: number;
  readonly generation: number;
  readonly digest: string;
  readonly settled: boolean;
  readonly placement: Placement;
  /** Instances that wait for their old host. */
  readonly pending: readonly PendingHandOver[];
  readonly hosts: readonly HostView[];
  readonly observed: ReadonlyMap<string, Observed>;
  readonly brake: boolean;
  readonly problems: readonly string[];
  /** Unit → host → why an unhealthy instance does not move. */
  readonly stays: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** Hosts by name, their units by name. */
export function renderAssignments(input: AssignmentsInput): Assignments {
  const units = new Map<string, AssignedUnit[]>();
  const observed = new Map(
    [...input.observed].map(([host, o]) => [host, new Map(o.units.map((unit) => [unit.unit, unit]))]),
  );
  const pending = new Map(
    input.pending.map(({ unit, to, from }) => [`${unit} ${to}`, `it starts once ${from.join(', ')} has stopped it`]),
  );
  for (const placed of input.placement.units.values()) {
    for (const { host, why } of placed.instances) {
      const seen = observed.get(host)?.get(placed.unit);
      const detail = seen?.failure?.message ?? seen?.waiting ?? pending.get(`${placed.unit} ${host}`);
      const list = units.get(host) ?? [];
      list.push({
        unit: placed.unit,
        service: placed.service,
        state: seen?.active ?? 'inactive',
        why: describeWhy(why),
        ...(detail !== undefined && { detail }),
        ...healthOf(seen, input.stays.get(placed.unit)?.get(host)),
      });
      units.set(host, list);
    }
  }
  const hosts = [...input.hosts].sort((a, b) => compare(a.name, b.name));
  return {
    leader: input.leader,
    epoch: input.epoch,
    generation: input.generation,
    spec: input.digest,
    settled: input.settled,
    brake: input.brake,
    hosts: Object.fromEntries(
      hosts.map((host) => [host.name, { state: host.state, units: units.get(host.name) ?? [] }]),
    ),
    unplaced: input.placement.unplaced,
    failed: failures(input.observed),
    problems: input.problems,
  };
}

function healthOf(seen: ObservedUnit | undefined, stays: string | undefined): { health?: Health } {
  if (!seen?.health) return {};
  return { health: { ...seen.health, ...(stays !== undefined && { action: stays }) } };
}

function failures(observed: ReadonlyMap<string, Observed>): Assignments['failed'] {
  return [...observed.values()]
    .flatMap(({ host, units }) => units.flatMap(({ unit, failure }) => (failure ? [{ unit, host, ...failure }] : [])))
    .sort((a, b) => compare(a.unit, b.unit) || compare(a.host, b.host));
}
