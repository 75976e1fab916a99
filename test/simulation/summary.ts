/** What came of many runs, for people. */
import { INVARIANTS } from './invariants.ts';
import type { Run } from './simulate.ts';

const SHOWN = 20;

/** How often each kind of step took effect, in all runs; `kinds`: all there are. */
export function countKinds(runs: readonly Run[], kinds: readonly string[]): Map<string, number> {
  const total = new Map(kinds.map((name) => [name, 0]));
  for (const { counts } of runs)
    for (const [name, count] of Object.entries(counts)) total.set(name, (total.get(name) ?? 0) + count);
  return total;
}

/** What was violated, by which seed, and how to see it again; empty when nothing was. */
export function describeViolations(runs: readonly Run[], steps: number): string[] {
  const failed = runs.filter(({ violations }) => violations.length > 0);
  return failed
    .slice(0, SHOWN)
    .flatMap(({ seed, violations }) => [
      ...violations.map(
        ({ invariant, at, what }) =>
          `seed ${seed}, ${(at / 1000).toFixed(3)} s: ${invariant} (${INVARIANTS[invariant]}): ${what}`,
      ),
      `  replay: npm run simulate -- --seed ${seed} --steps ${steps} --verbose`,
    ]);
}
