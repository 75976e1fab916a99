/** Which instances are kept where more are written than wanted: a count went down, or somebody put an old order back. Pure. */
import type { HostState } from '../placement.ts';
import { at } from './at.ts';
import type { UnitProblem } from './problem.ts';

/**
 * `stays` in the order in which they are kept when they are more than wanted: those that run it; those that do not yet;
 * those on hosts that joined a moment ago or have not reported, of whom only what is written is known, which somebody may
 * have put back; those that lost hosts are held for. Of equal ones the least loaded, then by name.
 */
export function keptFirst(unit: UnitProblem, states: readonly HostState[], load: readonly number[]): number[] {
  const rank = (host: number) => (unit.proven.has(host) ? 0 : rankOf(at(states, host)));
  return [...unit.stays].sort((a, b) => rank(a) - rank(b) || at(load, a) - at(load, b) || a - b);
}

function rankOf(state: HostState): number {
  switch (state) {
    case 'ready':
    case 'cordoned':
    case 'draining':
    case 'leaving':
      return 1;
    case 'joining':
      return 2;
    case 'held':
      return 3;
  }
}
