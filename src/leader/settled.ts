/** Whether the cluster does what was decided. Pure. */

import type { Desired, Observed } from '../shared/model.ts';
import { compareVersions } from '../shared/version.ts';

/** True when every host obeys its newest desired state and each of its units is active. */
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
    const states = new Map(seen.units.map((unit) => [unit.unit, unit.active]));
    const running = wanted.units.every((unit) => states.get(unit.unit) === 'active');
    const names = new Set(wanted.units.map((unit) => unit.unit));
    const surplus = seen.units.some(
      (unit) => !names.has(unit.unit) && (unit.active === 'active' || unit.active === 'deactivating'),
    );
    return running && !surplus;
  });
}
