/** Why each instance of a unit is where it is, and why other hosts have none: from one reading of ZooKeeper. Pure. */
import { placeAll } from '../leader/decision.ts';
import type { HostView } from '../leader/placement.ts';
import { decisionInput } from '../leader/plan.ts';
import type { Relocation } from '../leader/relocation.ts';
import { describeWhy } from '../leader/why.ts';
import { compare, instanceUnit, toUnitName, unitsOf } from '../shared/names.ts';
import type { Snapshot } from '../shared/snapshot.ts';
import type { Service } from '../shared/spec.ts';
import type { Desired, ObservedUnit } from '../shared/state.ts';
import { hostsWithGlobals } from './cluster-status.ts';
import { deadEnds } from './dead-ends.ts';

/** A host that is to run the unit, or runs it. */
export interface InstanceExplanation {
  readonly host: string;
  /** systemd's ActiveState, with `healthy`, `unhealthy` or `starting` where there is a check; `unknown` without a report. */
  readonly state: string;
  /** Why it is there; undefined for one that is not meant to be. */
  readonly why: string | undefined;
  /** What went wrong, what it waits for, what its check says; one sentence each. */
  readonly notes: readonly string[];
}

/** A host that is not to run the unit. */
export interface AbsenceExplanation {
  readonly host: string;
  /** One word for machines. */
  readonly reason: string;
  /** One sentence for people. */
  readonly why: string;
}

export interface UnitExplanation {
  readonly unit: string;
  readonly service: string;
  readonly type: Service['type'];
  readonly enabled: boolean;
  /** For a global service the number of members that are not draining. */
  readonly wanted: number;
  readonly placed: number;
  /** Sorted by host. */
  readonly instances: readonly InstanceExplanation[];
  /** Sorted by host. */
  readonly elsewhere: readonly AbsenceExplanation[];
}

/**
 * Every unit that `name` means: a service, or one of its units, with or without `.service`. Empty: it means none. `now`: ms
 * since 1970.
 */
export function explainUnits(name: string, snapshot: Snapshot, now: number): UnitExplanation[] {
  if (!snapshot.spec) return [];
  const unit = toUnitName(name);
  const { spec } = snapshot.spec;
  const given = decisionInput(spec, snapshot, [], now);
  const views = given.hosts.filter(({ state }) => state !== 'held').sort((a, b) => compare(a.name, b.name));
  const { relocation, stays } = placeAll(given);
  return spec.services.flatMap((service) =>
    unitsOf(service)
      .filter((each) => each === unit || toUnitName(service.name) === unit)
      .map((each) => explainUnit(each, service, { snapshot, views, relocation, stays })),
  );
}

/** Names that `explainUnits` knows. */
export function knownNames(snapshot: Snapshot): string[] {
  const services = snapshot.spec?.spec.services ?? [];
  const units = services.flatMap((service) => unitsOf(service).map((unit) => unit.slice(0, -'.service'.length)));
  return [...new Set([...services.map(({ name }) => name), ...units])];
}

/** What the leader knows as well. */
interface Cluster {
  readonly snapshot: Snapshot;
  readonly views: readonly HostView[];
  readonly relocation: Relocation;
  readonly stays: Relocation['spent'];
}

function explainUnit(unit: string, service: Service, cluster: Cluster): UnitExplanation {
  const { snapshot, views } = cluster;
  const wanted = wantedOf(unit, service, snapshot);
  const instances: InstanceExplanation[] = [];
  const others: HostView[] = [];
  let placed = 0;
  for (const view of views) {
    const instance = explainInstance(unit, view.name, cluster);
    if (instance?.why !== undefined) placed += 1;
    if (instance) instances.push(instance);
    if (instance?.why === undefined) others.push(view);
  }
  const lost = [...snapshot.desired].filter(([host, desired]) => !snapshot.members.has(host) && has(desired, unit));
  const about = { unit, service, cluster, wanted, placed };
  return {
    unit,
    service: service.name,
    type: service.type,
    enabled: service.enabled,
    wanted,
    placed,
    instances,
    elsewhere: [
      ...others.map((view) => ({ host: view.name, ...explainAbsence(about, view) })),
      ...lost.map(([host]) => ({ host, ...explainLoss(host, snapshot) })),
    ].sort((a, b) => compare(a.host, b.host)),
  };
}

function wantedOf(unit: string, service: Service, snapshot: Snapshot): number {
  if (!service.enabled) return 0;
  switch (service.type) {
    case 'global':
      return hostsWithGlobals(snapshot);
    case 'shared':
      return service.count;
    case 'multi': {
      const own = Object.entries(service.instances).find(([key]) => instanceUnit(service.name, key) === unit);
      return own?.[1] ?? 0;
    }
  }
}

/** Undefined when the unit is neither meant to be on the host nor up there. */
function explainInstance(
  unit: string,
  host: string,
  { snapshot, relocation, stays }: Cluster,
): InstanceExplanation | undefined {
  const order = snapshot.desired.get(host)?.units.find((each) => each.unit === unit);
  const seen = snapshot.observed.get(host)?.units.find((each) => each.unit === unit);
  const active = seen?.active ?? (snapshot.observed.has(host) ? 'inactive' : 'unknown');
  if (!order && (active === 'inactive' || active === 'failed' || active === 'unknown')) return undefined;
  const state = seen?.health ? `${active}, ${seen.health.state}` : active;
  if (!order) return { host, state, why: undefined, notes: ['it is not to run here, and is being stopped'] };
  if (order.withdrawn) {
    const notes = ['it is to stop here; another host gets it as soon as it has'];
    return { host, state, why: undefined, notes: [...notes, ...notesOf(seen)] };
  }
  const staying = stays.get(unit)?.get(host);
  const isLeaving = staying === undefined && relocation.leave.get(unit)?.includes(host);
  const leaves = isLeaving ? 'it goes to another host' : undefined;
  const inVain = seen?.waiting === undefined ? [] : deadEnds(order, host, snapshot);
  const notes = [...notesOf(seen), ...inVain, staying, leaves].filter((note) => note !== undefined);
  return { host, state, why: describeWhy(order.why), notes };
}

function notesOf(seen: ObservedUnit | undefined): string[] {
  const said = seen?.health?.output;
  return [
    seen?.failure?.message,
    seen?.waiting,
    said === undefined ? undefined : `its check said: ${said}`,
    seen?.health?.action,
  ].filter((note) => note !== undefined);
}

interface About {
  readonly unit: string;
  readonly service: Service;
  readonly cluster: Cluster;
  readonly wanted: number;
  readonly placed: number;
}

/** By the first that applies, in the order in which the leader counts them. */
function explainAbsence(about: About, view: HostView): Omit<AbsenceExplanation, 'host'> {
  const { unit, service, cluster, wanted, placed } = about;
  const { snapshot, relocation } = cluster;
  if (!service.enabled) return { reason: 'disabled', why: 'the service is disabled' };
  const forced = forcedHost(unit, service);
  if (forced !== undefined && forced !== view.name) {
    const absent = snapshot.members.has(forced) ? '' : ', which is not a member';
    return { reason: 'forced-elsewhere', why: `it is forced to ${forced}${absent}` };
  }
  const excluded = view.excluded.get(unit);
  if (excluded !== undefined) {
    const message = snapshot.observed.get(view.name)?.units.find((each) => each.unit === unit)?.failure?.message;
    return { reason: excluded, why: message ?? excluded };
  }
  if (relocation.avoid.get(unit)?.includes(view.name)) {
    return { reason: 'unhealthy', why: 'it left this host within the last hour, as its check failed here' };
  }
  const state = explainState(view, snapshot);
  if (state !== undefined) return { reason: view.state, why: state };
  const occupant = occupantOf(service, unit, snapshot.desired.get(view.name));
  if (occupant !== undefined) {
    return { reason: 'exclusive', why: `${occupant} is there, and ${service.name} is exclusive` };
  }
  if (placed >= wanted) return { reason: 'not-needed', why: `not needed: ${placed} of ${wanted} are placed` };
  return { reason: 'eligible', why: 'nothing excludes it: the leader has yet to place an instance' };
}

function explainState({ name, state }: HostView, { intents, observed }: Snapshot): string | undefined {
  switch (state) {
    case 'ready':
      return undefined;
    case 'cordoned':
    case 'draining': {
      const intent = intents.get(name);
      return intent ? `${state} since ${intent.since} (${intent.why})` : state;
    }
    case 'leaving':
      return 'its daemon is stopping';
    case 'joining':
      return observed.has(name)
        ? 'it joined a moment ago: new instances wait until no more hosts join'
        : 'it has not reported yet';
    case 'held':
      return 'the brake holds what it had';
  }
}

/** Of a host that is gone, and whose desired state is still there. */
function explainLoss(host: string, { notes }: Snapshot): Omit<AbsenceExplanation, 'host'> {
  if (!notes?.held.includes(host))
    return { reason: 'lost', why: 'lost, and what it had has yet to be placed elsewhere' };
  const why = notes.brake
    ? 'lost, as many hosts at once: the brake holds what it had, and nothing of it is moved yet'
    : 'lost, or on its way back: what it had is not moved yet';
  return { reason: 'held', why };
}

function forcedHost(unit: string, service: Service): string | undefined {
  if (service.type !== 'multi') return undefined;
  return Object.entries(service.force).find(([key]) => instanceUnit(service.name, key) === unit)?.[1];
}

function occupantOf(service: Service, unit: string, desired: Desired | undefined): string | undefined {
  if (service.type !== 'multi' || !service.exclusive) return undefined;
  return desired?.units.find((each) => each.service === service.name && each.unit !== unit)?.unit;
}

function has(desired: Desired, unit: string): boolean {
  return desired.units.some((each) => each.unit === unit);
}
