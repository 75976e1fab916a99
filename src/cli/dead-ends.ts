/** Instances that wait for other services (`after`) which will not be up by themselves, and why. Pure. */
import { whyNowhere } from '../shared/runs-nowhere.ts';
import type { Snapshot } from '../shared/snapshot.ts';
import type { DesiredUnit } from '../shared/state.ts';

/** One sentence for each service that an instance of `host`, which has not been started yet, waits for in vain. */
export function deadEnds({ after = [] }: DesiredUnit, host: string, { spec, desired }: Snapshot): string[] {
  return after.flatMap(({ service: name, where }) => {
    const service = spec?.spec.services.find((each) => each.name === name);
    const nowhere = service && whyNowhere(service);
    if (nowhere !== undefined) return [`${name} runs nowhere, as ${nowhere}: this is not started until that changes`];
    const isHere = desired.get(host)?.units.some((each) => each.service === name && !each.withdrawn);
    if (where === 'anywhere' || isHere) return [];
    return [`${name} is not placed on ${host}: this is not started there until it is`];
  });
}
