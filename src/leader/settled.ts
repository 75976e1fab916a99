/** Whether the cluster does what was decided. Pure. */

import type { Desired, Observed } from '../shared/state.ts';
import { compareVersions } from '../shared/version.ts';

/** True when every host obeys its newest desired state, each of its units is active, and none is about to stop. */
export function isSettled(
  hosts: readonly string[],
  desired: ReadonlyMap<string, Desired>,
  observed: ReadonlyMap<string, Observed>,
  spec: string,
): boolean {
  return hosts.every((host) => {
    const wanted = desired.get(host);
    const seen = observed.get(host);
    if (!wanted || !seen || wanted.spec !== spec) return false;
    if (compareVersions(seen, wanted) !== 0) return false;
    // one that runs and waits for something is about to be stopped
    const steady = new Set(
      seen.units.flatMap(({ unit, active, waiting }) => (active === 'active' && !waiting ? [unit] : [])),
    );
    const running = wanted.units.every(({ unit, withdrawn }) => steady.has(unit) && !withdrawn);
    const names = new Set(wanted.units.map((unit) => unit.unit));
    const surplus = seen.units.some(
      (unit) => !names.has(unit.unit) && (unit.active === 'active' || unit.active === 'deactivating'),
    );
    return running && !surplus;
  });
}
