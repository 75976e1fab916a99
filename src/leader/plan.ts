/**
 * What another spec, or the loss of some hosts, would change: the very same placement that the leader would compute, held
 * against what is desired and runs now. Pure.
 */
import { compare } from '../shared/names.ts';
import type { Snapshot } from '../shared/snapshot.ts';
import type { Spec } from '../shared/spec.ts';
import type { DesiredUnit } from '../shared/state.ts';
import { type DecisionInput, placeAll } from './decision.ts';
import { hostViews, leavingMembers, placedOn } from './inputs.ts';
import type { Placement, Unplaced } from './placement.ts';
import { changedAttachments, renderUnits, sameValues } from './render.ts';
import { describeCause, describeWhy } from './why.ts';

/** What is read of the cluster for a plan. */
export type PlanSources = Pick<Snapshot, 'members' | 'observed' | 'intents' | 'desired' | 'notes'>;

export type PlannedChange =
  | { readonly kind: 'start'; readonly unit: string; readonly host: string; readonly why: string }
  | { readonly kind: 'stop'; readonly unit: string; readonly host: string; readonly why: string }
  | { readonly kind: 'move'; readonly unit: string; readonly from: string; readonly to: string; readonly why: string }
  /** It stays where it is, but the hosts named in its prestart script change. */
  | { readonly kind: 'restart'; readonly unit: string; readonly host: string; readonly why: string }
  /** It runs on, but is checked, registered, or started the next time in another way. */
  | { readonly kind: 'update'; readonly unit: string; readonly host: string; readonly why: string };

export interface Plan {
  /** Sorted by unit, then host. */
  readonly changes: readonly PlannedChange[];
  readonly unplaced: readonly Unplaced[];
  /** Instances that run on live hosts now, as they are desired to. */
  readonly running: number;
  /** How many of those would not run on their host any more, disabled services left out. */
  readonly stopped: number;
}

/**
 * What the leader decides from, as far as ZooKeeper tells, if the hosts `without` were gone. `now`: ms since 1970; undefined:
 * that checks fail is left out of account.
 */
export function decisionInput(
  spec: Spec,
  sources: PlanSources,
  without: readonly string[],
  now: number | undefined,
): DecisionInput {
  const gone = new Set(without);
  const members = [...sources.members.keys()].filter((host) => !gone.has(host));
  const live = new Set(members);
  const observed = new Map([...sources.observed].filter(([host]) => live.has(host)));
  const leaving = leavingMembers(sources.members);
  const joining = new Set(sources.notes?.joining);
  const held = new Set(sources.notes?.held.filter((host) => !sources.members.has(host) && !gone.has(host)));
  const hosts = hostViews({ members, observed, intents: sources.intents, leaving, joining, held });
  const braking = now === undefined || (sources.notes?.brake ?? false);
  return { spec, hosts, written: sources.desired, observed, braking, now: now ?? 0 };
}

/** What would change if `spec` were the cluster's, and the hosts `without` gone. `now` as for `decisionInput`. */
export function planChange(spec: Spec, sources: PlanSources, without: readonly string[], now?: number): Plan {
  const given = decisionInput(spec, sources, without, now);
  const { placement } = placeAll(given);
  const previous = placedOn(sources.desired);
  const members = [...sources.members.keys()].filter((host) => !without.includes(host));
  const rendered = renderUnits(placement, spec, members);
  const changes = [...departures(placement), ...arrivals(placement, previous), ...changesInPlace(rendered, sources)];
  const hostOf = (change: PlannedChange) => (change.kind === 'move' ? change.from : change.host);
  changes.sort((a, b) => compare(a.unit, b.unit) || compare(hostOf(a), hostOf(b)) || compare(a.kind, b.kind));
  return { changes, unplaced: placement.unplaced, ...countStopped(rendered, spec, sources, placement) };
}

function departures(placement: Placement): PlannedChange[] {
  return placement.moves.map(({ unit, from, to, because }): PlannedChange => {
    const why = describeCause(because);
    return to === undefined ? { kind: 'stop', unit, host: from, why } : { kind: 'move', unit, from, to, why };
  });
}

function arrivals(placement: Placement, previous: ReadonlyMap<string, readonly string[]>): PlannedChange[] {
  const moved = new Set(placement.moves.map(({ unit, to }) => `${unit} ${to}`));
  const changes: PlannedChange[] = [];
  for (const { unit, instances } of placement.units.values()) {
    const before = new Set(previous.get(unit));
    for (const { host, why } of instances) {
      if (before.has(host) || moved.has(`${unit} ${host}`)) continue;
      changes.push({ kind: 'start', unit, host, why: describeWhy(why) });
    }
  }
  return changes;
}

function changesInPlace(rendered: ReadonlyMap<string, readonly DesiredUnit[]>, sources: PlanSources): PlannedChange[] {
  const changes: PlannedChange[] = [];
  for (const [host, units] of rendered) {
    const before = new Map(sources.desired.get(host)?.units.map((unit) => [unit.unit, unit]));
    for (const now of units) {
      const { unit } = now;
      const old = before.get(unit);
      if (old === undefined) continue;
      if (isRestarted(old, now))
        changes.push({ kind: 'restart', unit, host, why: 'the hosts named in its prestart script change' });
      const updated = changedAttachments(old, now);
      if (updated.length > 0)
        changes.push({ kind: 'update', unit, host, why: `${updated.join(', ')}: it is not restarted` });
    }
  }
  return changes;
}

function isRestarted({ prestart: old }: DesiredUnit, { prestart }: DesiredUnit): boolean {
  if (!old || !prestart || sameValues(old.values, prestart.values)) return false;
  // the executor waits for a value and leaves the unit running meanwhile
  return Object.values(prestart.values).every((hosts) => hosts.length > 0);
}

/**
 * Of the instances that run as desired on hosts that are live, those that would not be desired there any more. A service
 * that says `enabled: false` is meant to stop, and what is unhealthy moves whatever the spec: only the others are counted.
 */
function countStopped(
  rendered: ReadonlyMap<string, readonly DesiredUnit[]>,
  spec: Spec,
  sources: PlanSources,
  { moves }: Placement,
): Pick<Plan, 'running' | 'stopped'> {
  const disabled = new Set(spec.services.flatMap((service) => (service.enabled ? [] : [service.name])));
  const unhealthy = new Set(
    moves.flatMap(({ unit, from, because }) =>
      because.kind === 'excluded' && because.reason === 'unhealthy' ? [`${unit} ${from}`] : [],
    ),
  );
  let running = 0;
  let stopped = 0;
  for (const host of sources.members.keys()) {
    const seen = sources.observed.get(host)?.units ?? [];
    const active = new Set(seen.flatMap((unit) => (unit.active === 'active' ? [unit.unit] : [])));
    const stays = new Set(rendered.get(host)?.map((unit) => unit.unit));
    for (const { unit, service } of sources.desired.get(host)?.units ?? []) {
      if (!active.has(unit)) continue;
      running += 1;
      if (!stays.has(unit) && !disabled.has(service) && !unhealthy.has(`${unit} ${host}`)) stopped += 1;
    }
  }
  return { running, stopped };
}

/** The guard of a new spec: one that would stop more than half of what runs is refused unless it is forced. */
export function stopsTooMuch(plan: Plan): boolean {
  return plan.stopped * 2 > plan.running;
}

/** Why a plan must not be carried out without being forced, if so. */
export function objection(plan: Plan, file: string): string | undefined {
  if (!stopsTooMuch(plan)) return undefined;
  return `it would stop ${plan.stopped} of the ${plan.running} instances that run; see servicewatcher plan ${file}, and force it with servicewatcher apply --force ${file}`;
}
