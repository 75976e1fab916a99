/** Checks of what left: every instance that is gone has a move with its true cause, and nothing that may stay is gone without one. */
import { compare } from '../../shared/names.ts';
import type { MoveCause } from '../../shared/state.ts';
import type { Move, Placement, UnitPlacement } from '../placement.ts';
import { type DeclaredUnit, type Facts, isExclusive, type Violation } from './facts.ts';

const UNHEALTHY = 'excluded: unhealthy';
const NO_MOVES: ReadonlyMap<string, Move> = new Map();

export function checkMoves(facts: Facts, placement: Placement): Violation[] {
  const violations: Violation[] = [];
  const byUnit = new Map<string, Map<string, Move>>();
  placement.moves.forEach((move, index) => {
    const before = placement.moves[index - 1];
    if (before !== undefined && (compare(before.unit, move.unit) || compare(before.from, move.from)) >= 0) {
      violations.push(
        about(move, `its move comes after that of ${before.unit} from ${before.from} in an unsorted list`),
      );
    }
    const unit = facts.units.get(move.unit);
    const previous = unit?.previous ?? new Set(facts.previous.get(move.unit));
    if (!previous.has(move.from)) violations.push(about(move, 'is said to leave, but was not there'));
    if (unit?.placed.has(move.from)) violations.push(about(move, 'is said to leave, but is still there'));
    const moves = byUnit.get(move.unit) ?? new Map<string, Move>();
    byUnit.set(move.unit, moves.set(move.from, move));
  });

  for (const [name, hosts] of facts.previous) {
    const unit = facts.units.get(name);
    const moves = byUnit.get(name) ?? NO_MOVES;
    for (const from of unit?.previous ?? hosts) {
      if (!unit?.placed.has(from) && !moves.has(from)) {
        violations.push({
          unit: name,
          host: from,
          message: `${name} on ${from}: was there, is gone, and no move tells why`,
        });
      }
    }
    const entry = placement.units.get(name);
    if (unit === undefined || entry === undefined) checkUndeclared(moves, violations);
    else checkUnit(unit, entry, moves, facts, violations);
  }
  return violations;
}

function about(move: Move, what: string): Violation {
  return { unit: move.unit, host: move.from, message: `${move.unit} on ${move.from}: ${what}` };
}

function checkUndeclared(moves: ReadonlyMap<string, Move>, violations: Violation[]): void {
  for (const move of moves.values()) {
    if (move.because.kind !== 'surplus' || move.to !== undefined)
      violations.push(about(move, 'is no longer declared, so it is surplus and goes nowhere'));
  }
}

function checkUnit(
  unit: DeclaredUnit,
  entry: UnitPlacement,
  moves: ReadonlyMap<string, Move>,
  facts: Facts,
  violations: Violation[],
): void {
  const complete =
    [...unit.placed].every((host) => unit.previous.has(host)) && unit.placed.size === (unit.count ?? unit.placed.size);
  const targets = new Set<string>();
  for (const move of moves.values()) {
    if (!isTrueCause(move, unit, complete, facts))
      violations.push(about(move, `"${describe(move.because)}" is not why it left`));
    if (describe(move.because) === UNHEALTHY && unit.placed.size < (unit.count ?? Number.POSITIVE_INFINITY))
      violations.push(about(move, 'runs there, though badly, and is stopped without another host taking it'));
    if (move.to === undefined) continue;
    if (!unit.placed.has(move.to) || unit.previous.has(move.to))
      violations.push(about(move, `is said to move to ${move.to}, where nothing new is`));
    if (targets.has(move.to)) violations.push(about(move, `is said to move to ${move.to}, as another instance is`));
    targets.add(move.to);
  }
  const arrivals = [...unit.placed].filter((host) => !unit.previous.has(host)).length;
  const paired = unit.service.type === 'global' ? 0 : Math.min(arrivals, moves.size);
  if (targets.size !== paired) {
    violations.push({
      unit: unit.unit,
      host: undefined,
      message: `${unit.unit}: ${targets.size} moves name a new host; ${paired} should`,
    });
  }
  for (const { host, why } of entry.instances) {
    if (why.kind !== 'moved') {
      if (targets.has(host) && why.kind !== 'adopted') {
        violations.push({
          unit: unit.unit,
          host,
          message: `${unit.unit} on ${host}: moved there, but its reason does not say so`,
        });
      }
      continue;
    }
    const move = moves.get(why.from);
    if (move?.to !== host || describe(move.because) !== describe(why.because)) {
      violations.push({
        unit: unit.unit,
        host,
        message: `${unit.unit} on ${host}: no move from ${why.from} bears out its reason`,
      });
    }
  }
}

function describe(cause: MoveCause): string {
  switch (cause.kind) {
    case 'host-lost':
    case 'surplus':
      return cause.kind;
    case 'excluded':
      return `excluded: ${cause.reason}`;
    case 'displaced':
      return `displaced by ${cause.by}`;
    case 'rebalanced':
      return `rebalanced by ${cause.by}`;
  }
}

/** Also says that an instance that might stay did not leave without need: it was surplus, or had to give way. */
function isTrueCause({ from, to, because }: Move, unit: DeclaredUnit, complete: boolean, facts: Facts): boolean {
  const host = facts.hosts.get(from);
  if (!unit.service.enabled) return because.kind === 'surplus';
  if (host === undefined) return because.kind === 'host-lost';
  if (host.state === 'draining' || host.state === 'leaving')
    return because.kind === 'excluded' && because.reason === host.state;
  const reason = unit.excluded.get(from);
  if (reason !== undefined) return because.kind === 'excluded' && because.reason === reason;
  if (unit.force !== undefined && unit.force !== from)
    return because.kind === 'excluded' && because.reason === 'forced-elsewhere';
  if (because.kind === 'rebalanced') {
    const isAsked = facts.asked.some((asked) => asked.unit === unit.unit && asked.from === from && asked.to === to);
    return isAsked && unit.placed.size === unit.count;
  }
  if (complete) return because.kind === 'surplus';
  if (because.kind !== 'displaced' || !isExclusive(unit)) return false;
  const by = facts.units.get(because.by);
  return by !== undefined && by !== unit && by.service === unit.service && by.placed.has(from);
}
