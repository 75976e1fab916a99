/** Checks of the list of what could not be placed: nothing is missing in it, and its reasons add up to the hosts there are. */
import { compare } from '../../shared/names.ts';
import type { ExclusionReason } from '../../shared/state.ts';
import type { Placement, Unplaced } from '../placement.ts';
import type { DeclaredUnit, Facts, Violation } from './facts.ts';

export function checkUnplaced(facts: Facts, placement: Placement): Violation[] {
  const violations: Violation[] = [];
  const say = (unit: string, what: string) => {
    violations.push({ unit, host: undefined, message: `${unit} ${what}` });
  };
  const listed = new Set<string>();
  placement.unplaced.forEach((entry, index) => {
    const before = placement.unplaced[index - 1]?.unit;
    if (before !== undefined && compare(before, entry.unit) >= 0)
      say(entry.unit, `comes after ${before} in an unsorted list of the unplaced`);
    listed.add(entry.unit);
    const unit = facts.units.get(entry.unit);
    if (unit === undefined) say(entry.unit, 'is listed as unplaced but not declared');
    else checkEntry(unit, entry, facts, (what) => say(entry.unit, what));
  });
  for (const unit of facts.units.values()) {
    if (unit.count === undefined || unit.placed.size >= unit.count || listed.has(unit.unit)) continue;
    say(unit.unit, `lacks ${unit.count - unit.placed.size} instances, and is not listed as unplaced`);
  }
  return violations;
}

function checkEntry(unit: DeclaredUnit, entry: Unplaced, facts: Facts, say: (what: string) => void): void {
  const wanted = unit.count ?? unit.placed.size;
  if (
    entry.service !== unit.service.name ||
    entry.wanted !== wanted ||
    entry.placed !== unit.placed.size ||
    entry.placed >= wanted
  ) {
    say(
      `is listed as unplaced with ${entry.placed} of ${entry.wanted} of ${entry.service}; it has ${unit.placed.size} of ${wanted}`,
    );
  }
  entry.why.forEach(({ reason, hosts }, index) => {
    const before = entry.why[index - 1]?.reason;
    if (before !== undefined && compare(before, reason) >= 0)
      say(`has the reason ${reason} after ${before} in an unsorted list`);
    if (hosts <= 0) say(`has the reason ${reason} for ${hosts} hosts`);
  });
  const claimed = new Map(entry.why.map(({ reason, hosts }) => [reason, hosts]));
  const real = countReasons(unit, facts);
  for (const reason of new Set([...claimed.keys(), ...real.keys()])) {
    const [said, is] = [claimed.get(reason) ?? 0, real.get(reason) ?? 0];
    if (said !== is) say(`is excluded as ${reason} on ${is} hosts, not on ${said}`);
  }
}

/** The first rule that keeps the unit off each host, counted without going through all hosts; reasons of no host may be in it. */
function countReasons(unit: DeclaredUnit, { hosts, states }: Facts): Map<ExclusionReason, number> {
  const counts = new Map<ExclusionReason, number>([['already-has-one', unit.placed.size]]);
  const add = (reason: ExclusionReason, change: number) => counts.set(reason, (counts.get(reason) ?? 0) + change);
  if (unit.force !== undefined) {
    const host = hosts.get(unit.force);
    if (host === undefined) return counts.set('forced-host-absent', hosts.size);
    counts.set('forced-elsewhere', hosts.size - 1);
    if (!unit.placed.has(unit.force)) {
      const opens = host.state === 'ready' || host.state === 'joining';
      add(unit.excluded.get(unit.force) ?? (opens ? 'exclusive' : host.state), 1);
    }
    return counts;
  }
  const reasonOf = (state: keyof typeof states) => (state === 'ready' ? 'exclusive' : state);
  for (const state of ['ready', 'joining', 'cordoned', 'draining', 'leaving', 'held'] as const)
    add(reasonOf(state), states[state]);
  for (const name of unit.placed) {
    const host = hosts.get(name);
    if (host !== undefined) add(reasonOf(host.state), -1);
  }
  for (const [name, reason] of unit.excluded) {
    const host = hosts.get(name);
    if (host === undefined || unit.placed.has(name)) continue;
    add(reasonOf(host.state), -1);
    add(reason, 1);
  }
  return counts;
}
