/** Checks of the units and their instances: well-formed, allowed where they are, and as many as there can be. */
import { compare } from '../../shared/names.ts';
import type { Why } from '../../shared/state.ts';
import type { HostView, PlacedInstance, Placement, UnitPlacement } from '../placement.ts';
import { type DeclaredUnit, type Facts, forbids, isExclusive, mayCome, mayStay, type Violation } from './facts.ts';

export function checkInstances(facts: Facts, placement: Placement): Violation[] {
  const violations: Violation[] = [];
  const placedUnits = [...placement.units.keys()];
  placedUnits.forEach((unit, index) => {
    const before = placedUnits[index - 1];
    if (before !== undefined && compare(before, unit) >= 0)
      say(violations, unit, undefined, `comes after ${before} in an unsorted list`);
    if (!facts.units.has(unit)) say(violations, unit, undefined, 'is placed but not declared');
  });
  for (const unit of facts.units.values()) {
    const entry = placement.units.get(unit.unit);
    if (entry === undefined) say(violations, unit.unit, undefined, 'is declared but missing in the placement');
    else checkUnit(unit, entry, facts, violations);
  }
  return violations;
}

function say(violations: Violation[], unit: string, host: string | undefined, what: string): void {
  violations.push({ unit, host, message: host === undefined ? `${unit} ${what}` : `${unit} on ${host}: ${what}` });
}

function checkUnit(unit: DeclaredUnit, entry: UnitPlacement, facts: Facts, violations: Violation[]): void {
  if (entry.unit !== unit.unit) say(violations, unit.unit, undefined, `is filed as ${entry.unit}`);
  if (entry.service !== unit.service.name) {
    say(violations, unit.unit, undefined, `is filed under service ${entry.service}, not ${unit.service.name}`);
  }
  entry.instances.forEach((instance, index) => {
    const before = entry.instances[index - 1]?.host;
    if (before === instance.host) say(violations, unit.unit, instance.host, 'is there twice');
    else if (before !== undefined && compare(before, instance.host) > 0) {
      say(violations, unit.unit, instance.host, `comes after ${before} in an unsorted list`);
    }
    checkInstance(unit, instance, facts.hosts.get(instance.host), violations);
  });

  const most = countEligible(unit, facts);
  const wanted = unit.count ?? most;
  const placed = entry.instances.length;
  if (entry.wanted !== wanted)
    say(violations, unit.unit, undefined, `claims that ${entry.wanted} are wanted; it is ${wanted}`);
  if (placed > wanted) say(violations, unit.unit, undefined, `has ${placed} instances; ${wanted} are wanted`);
  if (!isExclusive(unit) && placed < Math.min(wanted, most)) {
    say(
      violations,
      unit.unit,
      undefined,
      `has ${placed} instances; ${wanted} are wanted and ${most} hosts could have one`,
    );
  }
}

function checkInstance(
  unit: DeclaredUnit,
  { host, why }: PlacedInstance,
  view: HostView | undefined,
  violations: Violation[],
): void {
  const forbidden = forbids(unit, view);
  if (forbidden !== undefined) say(violations, unit.unit, host, `the host ${forbidden}`);
  else if (!mayStay(unit, view) && !mayCome(unit, view)) {
    say(violations, unit.unit, host, `the host is ${view?.state} and takes no new instance`);
  }
  if (!isTrue(why, unit, host)) say(violations, unit.unit, host, `"${why.kind}" is not why it is there`);
}

function isTrue(why: Why, unit: DeclaredUnit, host: string): boolean {
  const isNew = !unit.previous.has(host);
  const adopted = isNew && unit.running.has(host);
  switch (why.kind) {
    case 'kept':
      return !isNew;
    case 'adopted':
      return adopted;
    case 'every-host':
      return isNew && !adopted && unit.service.type === 'global';
    case 'forced':
      return isNew && !adopted && unit.force === host;
    case 'least-loaded':
      return isNew && !adopted && unit.force === undefined && unit.service.type !== 'global';
    case 'moved':
      return (
        isNew && !adopted && unit.service.type !== 'global' && unit.previous.has(why.from) && !unit.placed.has(why.from)
      );
  }
}

/** On how many hosts the unit may be, without looking at each of them. */
function countEligible(unit: DeclaredUnit, { hosts, states }: Facts): number {
  const open = (host: HostView | undefined) => mayStay(unit, host) || mayCome(unit, host);
  if (!unit.service.enabled) return 0;
  if (unit.force !== undefined) return open(hosts.get(unit.force)) ? 1 : 0;
  const isGlobal = unit.service.type === 'global';
  const taking = (host: HostView | undefined) => host?.state === 'ready' || (isGlobal && host?.state === 'joining');
  let count = states.ready + (isGlobal ? states.joining : 0);
  for (const name of unit.excluded.keys()) if (taking(hosts.get(name))) count -= 1;
  for (const name of new Set([...unit.previous, ...unit.running])) {
    const host = hosts.get(name);
    if (!taking(host) && open(host)) count += 1;
  }
  return count;
}
