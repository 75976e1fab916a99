/** Checks of the list of what could not be placed: nothing is missing in it, and its reasons add up to the hosts there are. */
import type { ExclusionReason } from '../../shared/model.ts';
import { compare } from '../../shared/names.ts';
import type { Placement, Unplaced } from '../placement.ts';
import { type DeclaredUnit, type Facts, isExclusive, type Violation } from './facts.ts';

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
  const counts = new Map(entry.why.map(({ reason, hosts }) => [reason, hosts]));
  const sum = entry.why.reduce((total, { hosts }) => total + hosts, 0);
  if (sum !== facts.hosts.size) say(`has reasons for ${sum} hosts; there are ${facts.hosts.size}`);
  entry.why.forEach(({ reason, hosts }, index) => {
    const before = entry.why[index - 1]?.reason;
    if (hosts <= 0 || (before !== undefined && compare(before, reason) >= 0))
      say(`has the reason ${reason} out of order or for no host`);
  });
  for (const [reason, hosts] of knownReasons(unit, facts)) {
    if ((counts.get(reason) ?? 0) !== hosts)
      say(`is excluded as ${reason} on ${hosts} hosts, not on ${counts.get(reason) ?? 0}`);
  }
  if (counts.has('exclusive') && !isExclusive(unit)) say('is not exclusive, but gives that as a reason');
}

/** The reasons that can be told without going through all hosts. */
function knownReasons(unit: DeclaredUnit, facts: Facts): Map<ExclusionReason, number> {
  const known = new Map<ExclusionReason, number>([['already-has-one', unit.placed.size]]);
  if (unit.force !== undefined) {
    const there = facts.hosts.has(unit.force);
    return known.set(
      there ? 'forced-elsewhere' : 'forced-host-absent',
      there ? facts.hosts.size - 1 : facts.hosts.size,
    );
  }
  const own = new Map<ExclusionReason, number>();
  for (const [host, reason] of unit.excluded) if (!unit.placed.has(host)) own.set(reason, (own.get(reason) ?? 0) + 1);
  for (const reason of ['failed', 'not-installed', 'masked', 'invalid-unit'] as const)
    known.set(reason, own.get(reason) ?? 0);
  return known;
}
