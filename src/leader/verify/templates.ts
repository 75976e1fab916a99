/** Checks of exclusive templates: one instance per host, and nothing unplaced or moved that a free host could have had. */
import type { HostView } from '../placement.ts';
import { type DeclaredUnit, type Facts, isExclusive, mayCome, mayStay, type Violation } from './facts.ts';

export function checkTemplates(facts: Facts): Violation[] {
  const templates = new Map<string, DeclaredUnit[]>();
  for (const unit of facts.units.values()) {
    if (!isExclusive(unit)) continue;
    const others = templates.get(unit.service.name);
    if (others === undefined) templates.set(unit.service.name, [unit]);
    else others.push(unit);
  }
  return [...templates.values()].flatMap((units) => checkTemplate(units, facts));
}

/** Forced keys come before counts of 1, and these before all others. */
function rank(unit: DeclaredUnit): 1 | 2 | 3 {
  if (unit.force !== undefined) return 3;
  return unit.count === 1 ? 2 : 1;
}

function checkTemplate(units: readonly DeclaredUnit[], facts: Facts): Violation[] {
  const violations: Violation[] = [];
  const occupants = new Map<string, DeclaredUnit>();
  for (const unit of units) {
    for (const host of unit.placed) {
      const other = occupants.get(host);
      if (other === undefined) occupants.set(host, unit);
      else
        violations.push({
          unit: unit.unit,
          host,
          message: `${unit.unit} on ${host}: ${other.unit} of the same exclusive template has the host`,
        });
    }
  }

  // Rank of each host's occupant, 0 when free: a host is won by a higher rank.
  const rankOn = (host: string) => {
    const occupant = occupants.get(host);
    return occupant === undefined ? 0 : rank(occupant);
  };
  const readyBelow = { 1: 0, 2: 0, 3: 0 };
  for (const host of facts.hosts.values()) {
    if (host.state !== 'ready') continue;
    for (const higher of [1, 2, 3] as const) if (rankOn(host.name) < higher) readyBelow[higher] += 1;
  }
  const winnable = (unit: DeclaredUnit, higher: 1 | 2 | 3) => {
    const open = (host: HostView | undefined) =>
      host !== undefined && !unit.placed.has(host.name) && rankOn(host.name) < higher;
    if (unit.force !== undefined) {
      const host = facts.hosts.get(unit.force);
      return open(host) && (mayStay(unit, host) || mayCome(unit, host));
    }
    let count = readyBelow[higher];
    for (const name of unit.excluded.keys()) {
      if (facts.hosts.get(name)?.state === 'ready' && rankOn(name) < higher) count -= 1;
    }
    for (const name of unit.placed) {
      const host = facts.hosts.get(name);
      if (host?.state === 'ready' && !unit.excluded.has(name) && rankOn(name) < higher) count -= 1;
    }
    for (const name of new Set([...unit.previous, ...unit.running])) {
      const host = facts.hosts.get(name);
      if (host?.state !== 'ready' && open(host) && (mayStay(unit, host) || mayCome(unit, host))) count += 1;
    }
    return count > 0;
  };

  const couldAvoid = new Map<string, boolean>();
  for (const unit of units) {
    if (unit.placed.size < (unit.count ?? 0) && winnable(unit, rank(unit))) {
      violations.push({
        unit: unit.unit,
        host: undefined,
        message: `${unit.unit} lacks instances, but a host is free for it or has a unit of lower rank`,
      });
    }
    for (const host of unit.previous) {
      const by = occupants.get(host);
      if (by === undefined || by === unit || by.previous.has(host) || !mayStay(unit, facts.hosts.get(host))) continue;
      if (unit.placed.size === unit.count && [...unit.placed].every((name) => unit.previous.has(name))) continue;
      const avoidable = couldAvoid.get(by.unit) ?? winnable(by, 1);
      couldAvoid.set(by.unit, avoidable);
      if (avoidable) {
        violations.push({
          unit: unit.unit,
          host,
          message: `${unit.unit} on ${host}: displaced by ${by.unit}, which could have a free host`,
        });
      }
    }
  }
  return violations;
}
