/** A unit of an exclusive template as a node of the matching, and what its instances cost where. */
import { at } from './at.ts';
import type { UnitProblem } from './problem.ts';

/** Cost of an instance on a host where the unit may stay. */
export const KEEP = 0;
/** Cost of an instance where the unit is neither kept nor running; above the number of instances of a template, so that
 * no number of adoptions outweighs one stayer. */
export const START = 2 ** 20;
/** Cost of an instance where the unit runs, but was not placed before. */
export const ADOPT = START - 1;
/** Above the cost of any path; sums of a few of these stay below 2^53 and therefore exact. */
const UNPLACED = 2 ** 40;

/** A unit of the template in the course of the matching. */
export interface Key {
  readonly problem: UnitProblem;
  readonly wanted: number;
  /** Cost of leaving one instance unplaced. */
  readonly penalty: number;
  /** False: the key may be on the hosts of `special` only. */
  readonly anywhere: boolean;
  /** Hosts that cost something else than START, or that would not be open to the key otherwise. */
  readonly special: ReadonlyMap<number, number>;
  placed: number;
  dual: number;
}

/** What an instance of the key costs on a host; undefined: the key may not be there. */
export function costOn(key: Key, host: number, ready: readonly boolean[]): number | undefined {
  const special = key.special.get(host);
  if (special !== undefined) return special;
  return key.anywhere && at(ready, host) && !key.problem.excluded.has(host) ? START : undefined;
}

/** `takesForced`: whether a host may take a unit that is forced to it. */
export function toKey(problem: UnitProblem, takesForced: (host: number) => boolean): Key {
  const { demand } = problem;
  const special = new Map<number, number>();
  if (demand.kind === 'forced' && demand.host !== undefined) {
    if (takesForced(demand.host) && !problem.excluded.has(demand.host)) special.set(demand.host, START);
  }
  for (const host of problem.running) special.set(host, ADOPT);
  for (const host of problem.stays) special.set(host, KEEP);
  const wanted = demand.kind === 'forced' || demand.kind === 'anywhere' ? demand.count : 0;
  const rank = demand.kind === 'forced' ? 3 : wanted === 1 ? 2 : 1;
  return {
    problem,
    wanted,
    penalty: rank * UNPLACED,
    anywhere: demand.kind === 'anywhere',
    special,
    placed: 0,
    dual: KEEP,
  };
}
