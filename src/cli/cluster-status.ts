/** The state of the cluster as people ask for it: one row per unit, from one reading of ZooKeeper. Pure. */
import { stayingUnhealthy } from '../leader/decision.ts';
import { decisionInput } from '../leader/plan.ts';
import type { HostIntent } from '../shared/cluster.ts';
import { compare, instanceUnit, unitsOf } from '../shared/names.ts';
import type { Snapshot } from '../shared/snapshot.ts';
import type { Service } from '../shared/spec.ts';
import type { ActiveState, Health } from '../shared/state.ts';
import { deadEnds } from './dead-ends.ts';
import { describeNotes } from './leader-notes.ts';

export interface UnitRow {
  readonly name: string;
  readonly type: Service['type'];
  /** Key of a multi service's instance. */
  readonly instance?: string;
  readonly unit: string;
  readonly enabled: boolean;
  /** Hosts by state, sorted; a host where the unit is neither desired nor anything but inactive appears nowhere. */
  readonly hosts: Readonly<Record<StatusColumn, readonly string[]>>;
  /** Active instances among the placed ones; those with a check only when it says so. */
  readonly healthy: number;
  /** For a global service the number of members that are not draining. */
  readonly wanted: number;
  /** What a person should know: failures, waits; one sentence each. */
  readonly notes: readonly string[];
}

export const COLUMNS = ['active', 'inactive', 'failed', 'activating', 'deactivating'] as const;
export type StatusColumn = (typeof COLUMNS)[number];

export interface ClusterStatus {
  readonly leader: string | undefined;
  readonly epoch: number | undefined;
  readonly spec: string | undefined;
  readonly hosts: readonly {
    readonly name: string;
    readonly state: string;
    readonly stale: boolean;
    /** Since when, and why, an operator has taken it out. */
    readonly intent?: Pick<HostIntent, 'since' | 'why'>;
  }[];
  readonly units: readonly UnitRow[];
  /** Why nothing is moved, or placed on some hosts, at the moment; one sentence each. */
  readonly waits: readonly string[];
  readonly problems: readonly string[];
}

/** Rows in the order of the spec. `now`: ms since 1970; undefined: why unhealthy instances do not move is left out. */
export function clusterStatus(snapshot: Snapshot, now?: number): ClusterStatus {
  const { members, intents, spec } = snapshot;
  const hosts = [...members.values()].map((member) => {
    const intent = intents.get(member.host);
    return {
      name: member.host,
      state: intent?.state ?? 'ready',
      stale: spec !== undefined && member.file !== spec.digest,
      ...(intent && { intent: { since: intent.since, why: intent.why } }),
    };
  });
  const services = spec?.spec.services ?? [];
  const stays = spec && now !== undefined ? stayingUnhealthy(decisionInput(spec.spec, snapshot, [], now)) : undefined;
  return {
    leader: snapshot.leader,
    epoch: snapshot.epoch,
    spec: spec?.digest,
    hosts: hosts.sort((a, b) => compare(a.name, b.name)),
    units: services.flatMap((service) => rowsOf(service, snapshot, stays)),
    waits: describeNotes(snapshot),
    problems: snapshot.problems,
  };
}

/** Unit → host → why an unhealthy instance does not move. */
type Stays = ReadonlyMap<string, ReadonlyMap<string, string>>;

function rowsOf(service: Service, snapshot: Snapshot, stays: Stays | undefined): UnitRow[] {
  const row = (unit: string, count: number, instance?: string): UnitRow => {
    const wanted = service.enabled ? count : 0;
    return {
      ...describeUnit(unit, wanted, snapshot, stays?.get(unit)),
      name: service.name,
      type: service.type,
      enabled: service.enabled,
      ...(instance !== undefined && { instance }),
    };
  };
  switch (service.type) {
    case 'global':
      return unitsOf(service).map((unit) => row(unit, hostsWithGlobals(snapshot)));
    case 'shared':
      return unitsOf(service).map((unit) => row(unit, service.count));
    case 'multi':
      return Object.entries(service.instances).map(([key, count]) => row(instanceUnit(service.name, key), count, key));
  }
}

/** How many hosts are to run each global service. */
export function hostsWithGlobals({ members, intents }: Snapshot): number {
  return [...members.keys()].filter((host) => intents.get(host)?.state !== 'draining').length;
}

function describeUnit(
  unit: string,
  wanted: number,
  snapshot: Snapshot,
  stays: ReadonlyMap<string, string> | undefined,
): Pick<UnitRow, 'unit' | 'hosts' | 'healthy' | 'wanted' | 'notes'> {
  const hosts: Record<StatusColumn, string[]> = {
    active: [],
    inactive: [],
    failed: [],
    activating: [],
    deactivating: [],
  };
  const notes: string[] = [];
  let healthy = 0;
  for (const host of [...snapshot.members.keys()].sort(compare)) {
    const desired = snapshot.desired.get(host)?.units.find((candidate) => candidate.unit === unit);
    const seen = snapshot.observed.get(host)?.units.find((candidate) => candidate.unit === unit);
    if (!desired && !seen) continue;
    const active = seen?.active ?? 'inactive';
    hosts[seen?.failure ? 'failed' : columnOf(active)].push(host);
    const up = active === 'active' || active === 'reloading';
    if (desired && up && (seen?.health === undefined || seen.health.state === 'healthy')) healthy += 1;
    if (seen?.failure) notes.push(`${host}: ${seen.failure.message}`);
    if (seen?.waiting !== undefined) {
      const inVain = desired === undefined ? [] : deadEnds(desired, host, snapshot);
      notes.push(...[seen.waiting, ...inVain].map((note) => `${host}: ${note}`));
    }
    if (seen?.health && seen.health.state !== 'healthy') {
      const action = stays?.get(host);
      const health = action === undefined ? seen.health : { ...seen.health, action };
      notes.push(`${host}: ${describeHealth(health)}`);
    }
  }
  return { unit, hosts, healthy, wanted, notes };
}

/** `unhealthy: HTTP 503 (restarted 1 time within the last hour)` */
function describeHealth({ state, output, action }: Health): string {
  return `${state}${output === undefined ? '' : `: ${output}`}${action === undefined ? '' : ` (${action})`}`;
}

function columnOf(active: ActiveState): StatusColumn {
  switch (active) {
    case 'active':
    case 'reloading':
      return 'active';
    case 'inactive':
    case 'maintenance':
      return 'inactive';
    case 'failed':
    case 'activating':
    case 'deactivating':
      return active;
  }
}
