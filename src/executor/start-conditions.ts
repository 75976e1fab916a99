/** What a unit waits for before it is started: services that are to be up before it, and its turn. Pure. */
import type { DesiredUnit, ObservedUnit } from '../shared/state.ts';

/** Whether a unit may be started now. `why`: one sentence for people. */
export type TurnState = { readonly kind: 'has' } | { readonly kind: 'waits'; readonly why: string };

export interface StartConditions {
  /** Units with `start` → whether it is their turn; a missing one waits. */
  readonly turns: ReadonlyMap<string, TurnState>;
  /** Services of which a unit of this host runs, and is healthy if it has a check. */
  readonly runningHere: ReadonlySet<string>;
  /** What the desired state says of other hosts may have been written long ago. */
  readonly stale: boolean;
}

/** Why it may not be started yet, as another service is not up; undefined: it may. */
export function serviceAhead(desired: DesiredUnit, { runningHere, stale }: StartConditions): string | undefined {
  const { after = [], waitsFor = [] } = desired;
  const here = after.find(({ where, service }) => where === 'same-host' && !runningHere.has(service));
  if (here) return `it starts after ${here.service}, which is not up on this host yet`;
  const [absent] = waitsFor;
  if (absent !== undefined) return `it starts after ${absent}, which is not up on any host yet`;
  const unsure = stale ? after.find(({ where }) => where === 'anywhere') : undefined;
  return unsure && `it starts after ${unsure.service}, and the leader has yet to say whether that is up`;
}

/** Why it may not be started yet, as it is the turn of others; undefined: it may. */
export function turnAhead({ unit, start }: DesiredUnit, { turns }: StartConditions): string | undefined {
  if (!start) return undefined;
  const turn = turns.get(unit) ?? { kind: 'waits', why: 'it waits for its turn to start' };
  return turn.kind === 'has' ? undefined : turn.why;
}

/** Services of which a unit that is placed here runs, and is healthy if it has a check, in the order of the units. */
export function servicesUp(desired: readonly DesiredUnit[], seen: readonly ObservedUnit[]): ReadonlySet<string> {
  const units = new Map(seen.map((unit) => [unit.unit, unit]));
  return new Set(desired.flatMap((entry) => (isUp(entry, units.get(entry.unit)) ? [entry.service] : [])));
}

/** It runs, and its check, if it has one, says that it is healthy. */
export function isUp({ check, withdrawn }: DesiredUnit, seen: ObservedUnit | undefined): boolean {
  if (withdrawn || (seen?.active !== 'active' && seen?.active !== 'reloading')) return false;
  return !check || seen.health?.state === 'healthy';
}
