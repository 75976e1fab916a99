/**
 * Checks a placement against the input it was computed from, before anything is written. It shares no code with
 * `place()`: each rule is written again, as a check of the result. Linear in instances, hosts and exclusions.
 */
import type { AskedMove } from '../shared/cluster.ts';
import type { Placement, PlacementInput } from './placement.ts';
import { type Facts, readFacts, type Violation } from './verify/facts.ts';
import { checkInstances } from './verify/instances.ts';
import { checkMoves } from './verify/moves.ts';
import { checkTemplates } from './verify/templates.ts';
import { checkUnplaced } from './verify/unplaced.ts';

export type { Violation } from './verify/facts.ts';

/**
 * Every rule of `Placement` that the placement breaks; empty: it may be written. `asked`: moves that it may make for an even
 * load, and no others. Not checked: that new instances are on
 * the least-loaded hosts, and that an exclusive template has the best of all assignments (only that no single
 * instance could be placed, or stay, without moving another one).
 */
export function verify(input: PlacementInput, placement: Placement, asked: readonly AskedMove[] = []): Violation[] {
  const facts: Facts = readFacts(input, placement, asked);
  return [
    ...checkInstances(facts, placement),
    ...checkTemplates(facts),
    ...checkMoves(facts, placement),
    ...checkUnplaced(facts, placement),
  ];
}
