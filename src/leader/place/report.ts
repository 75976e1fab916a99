/** Words for a decided placement: why each instance is where it is, what moved, and what stays unplaced for which reasons. */
import { compare } from '../../shared/names.ts';
import type { ExclusionReason, MoveCause, Why } from '../../shared/state.ts';
import type { HostState, Move, PlacedInstance, Placement, UnitPlacement, Unplaced } from '../placement.ts';
import { at } from './at.ts';
import { type Departure, type Problem, type UnitProblem, without } from './problem.ts';

const KEPT: Why = { kind: 'kept' };
const ADOPTED: Why = { kind: 'adopted' };
const FORCED: Why = { kind: 'forced' };
const EVERY_HOST: Why = { kind: 'every-host' };
const LEAST_LOADED: Why = { kind: 'least-loaded' };
const SURPLUS: MoveCause = { kind: 'surplus' };

/** Unit of an exclusive service that has a host, if any. */
export type OccupantOf = (service: string, host: number) => string | undefined;

/** `hosts`: unit → its hosts, ascending; a unit that is not in it has none. */
export function report(
  problem: Problem,
  hosts: ReadonlyMap<string, readonly number[]>,
  occupantOf: OccupantOf,
): Placement {
  const units = new Map<string, UnitPlacement>();
  const unplaced: Unplaced[] = [];
  const moves: Move[] = [];
  const inState = countStates(problem.states);
  for (const unit of problem.units) {
    const chosen = hosts.get(unit.unit) ?? [];
    const arrivals = without(chosen, unit.stays);
    const departures = allDepartures(unit, chosen, problem, occupantOf);
    // A global unit is wherever it can be: an instance that comes does not replace one that goes.
    const replacing = unit.demand.kind === 'every-host' ? [] : arrivals;
    departures.forEach(({ host: from, because }, index) => {
      const to = replacing[index];
      moves.push({ unit: unit.unit, from, to: to === undefined ? undefined : at(problem.hosts, to), because });
    });
    const wanted = wantedOf(unit, chosen.length);
    units.set(unit.unit, {
      unit: unit.unit,
      service: unit.service,
      wanted,
      instances: describeInstances(unit, chosen, arrivals, replacing.length === 0 ? [] : departures, problem.hosts),
    });
    if (chosen.length < wanted) unplaced.push(describeUnplaced(unit, wanted, chosen, problem.states, inState));
  }
  for (const { unit, hosts: left } of problem.undeclared) {
    for (const from of left) moves.push({ unit, from, to: undefined, because: SURPLUS });
  }
  moves.sort((a, b) => compare(a.unit, b.unit) || compare(a.from, b.from));
  return { units, unplaced, moves };
}

function wantedOf(unit: UnitProblem, placed: number): number {
  switch (unit.demand.kind) {
    case 'none':
      return 0;
    case 'every-host':
      return placed;
    case 'anywhere':
    case 'forced':
      return unit.demand.count;
  }
}

/** `replaced[i]` is what `arrivals[i]` replaces. */
function describeInstances(
  unit: UnitProblem,
  chosen: readonly number[],
  arrivals: readonly number[],
  replaced: readonly Departure[],
  names: readonly string[],
): PlacedInstance[] {
  if (arrivals.length === 0) return chosen.map((host) => ({ host: at(names, host), why: KEPT }));
  const running = new Set(unit.running);
  const whys = new Map(
    arrivals.map((host, index): [number, Why] => [host, running.has(host) ? ADOPTED : whyNew(unit, replaced[index])]),
  );
  return chosen.map((host) => ({ host: at(names, host), why: whys.get(host) ?? KEPT }));
}

function whyNew(unit: UnitProblem, replaced: Departure | undefined): Why {
  if (replaced !== undefined) return { kind: 'moved', from: replaced.host, because: replaced.because };
  switch (unit.demand.kind) {
    case 'every-host':
      return EVERY_HOST;
    case 'forced':
      return FORCED;
    case 'anywhere':
    case 'none':
      return LEAST_LOADED;
  }
}

/** Every previous instance that is not in the placement, sorted by host. */
function allDepartures(
  unit: UnitProblem,
  chosen: readonly number[],
  problem: Problem,
  occupantOf: OccupantOf,
): readonly Departure[] {
  const dropped = without(unit.stays, chosen);
  if (dropped.length === 0) return unit.departures;
  const enough = chosen.length >= wantedOf(unit, chosen.length) && without(chosen, unit.stays).length === 0;
  const decided = dropped.map((host): Departure => {
    const by = enough || !unit.exclusive ? undefined : occupantOf(unit.service, host);
    return { host: at(problem.hosts, host), because: by === undefined ? SURPLUS : { kind: 'displaced', by } };
  });
  return [...unit.departures, ...decided].sort((a, b) => compare(a.host, b.host));
}

function countStates(states: readonly HostState[]): Readonly<Record<HostState, number>> {
  const counts: Record<HostState, number> = { ready: 0, joining: 0, cordoned: 0, draining: 0, leaving: 0, held: 0 };
  for (const state of states) counts[state] += 1;
  return counts;
}

/**
 * Counts each host once, by the first of: it has one; `force`; the unit's own exclusion there; the state of the host;
 * the exclusive template. Only hosts that have one or exclude the unit are looked at one by one.
 */
function describeUnplaced(
  unit: UnitProblem,
  wanted: number,
  chosen: readonly number[],
  states: readonly HostState[],
  inState: Readonly<Record<HostState, number>>,
): Unplaced {
  const counts = new Map<ExclusionReason, number>();
  const add = (reason: ExclusionReason, hosts: number) => {
    if (hosts > 0) counts.set(reason, (counts.get(reason) ?? 0) + hosts);
  };
  const { demand } = unit;
  add('already-has-one', chosen.length);
  if (demand.kind === 'forced' && demand.host === undefined) {
    add('forced-host-absent', states.length);
  } else if (demand.kind === 'forced' && demand.host !== undefined) {
    add('forced-elsewhere', states.length - 1);
    if (chosen.length === 0) add(unit.excluded.get(demand.host) ?? reasonOfState(at(states, demand.host), true), 1);
  } else {
    const rest = { ...inState };
    for (const host of chosen) rest[at(states, host)] -= 1;
    // A host that excludes the unit never has it.
    for (const [host, reason] of unit.excluded) {
      rest[at(states, host)] -= 1;
      add(reason, 1);
    }
    for (const state of ['ready', 'joining', 'cordoned', 'draining', 'leaving', 'held'] as const)
      add(reasonOfState(state, false), rest[state]);
  }
  const why = [...counts].map(([reason, hosts]) => ({ reason, hosts })).sort((a, b) => compare(a.reason, b.reason));
  return { unit: unit.unit, service: unit.service, wanted, placed: chosen.length, why };
}

/** Why a host in this state, that has no instance of the unit and does not exclude it, got none: a ready host's template is taken. */
function reasonOfState(state: HostState, forced: boolean): ExclusionReason {
  if (state === 'ready' || (forced && state === 'joining')) return 'exclusive';
  return state;
}
