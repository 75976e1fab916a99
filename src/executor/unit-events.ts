/** What happens to units of this host, as it is told to the history. Pure. */
import type { Observed, ObservedUnit } from '../shared/state.ts';

/** Something that happened to one unit here. */
export interface UnitEvent {
  /**
   * `started`, `stopped`: by us, and done. `adopted`: it ran already and is ours from now on. `failed`: it cannot run here.
   * `cleared`: it may run here again. `unhealthy`: its check fails, `healthy`: no more. `ended`: it ended by itself, in good order. `drift`: a person started or stopped it.
   */
  readonly kind: 'started' | 'stopped' | 'adopted' | 'failed' | 'cleared' | 'unhealthy' | 'healthy' | 'ended' | 'drift';
  readonly unit: string;
  /** Where it is known. */
  readonly service?: string;
  /** One word for machines. */
  readonly reason: string;
  /** One sentence for people. */
  readonly why: string;
}

/** Where the executor tells what happened; never throws, never waits. */
export interface UnitEvents {
  record(event: UnitEvent): void;
}

/**
 * Failures that came and went between two reports; `before` is undefined for the first report of a daemon. What cannot be
 * loaded counts only where the unit is to run: thousands of hosts may not have its file, and nobody minds.
 */
export function failureEvents(
  before: Observed | undefined,
  now: Observed,
  desired: ReadonlySet<string>,
): readonly UnitEvent[] {
  const earlier = new Map(before?.units.map((unit) => [unit.unit, unit]));
  const events: UnitEvent[] = [];
  const later = new Set<string>();
  for (const unit of now.units) {
    const failure = tellable(unit, desired);
    if (!failure) continue;
    later.add(unit.unit);
    const known = earlier.get(unit.unit)?.failure;
    if (known?.kind === failure.kind) continue;
    const why = before ? failure.message : `found when the daemon started: ${failure.message}`;
    events.push({ kind: 'failed', unit: unit.unit, reason: failure.kind, why });
  }
  const states = new Map(now.units.map((unit) => [unit.unit, unit]));
  for (const { unit, failure } of before?.units ?? []) {
    if (!failure || isLoading(failure.kind) || later.has(unit)) continue;
    const active = states.get(unit)?.active;
    const runs = active === 'active' || active === 'activating' || active === 'reloading';
    const why = runs ? 'it was started by hand' : 'its failure was cleared (reset-failed or reload)';
    events.push({ kind: 'cleared', unit, reason: runs ? 'started' : 'reset', why });
  }
  return events;
}

/** Units that became unhealthy, or healthy again, between two reports. */
export function healthEvents(before: Observed | undefined, now: Observed): readonly UnitEvent[] {
  const earlier = new Map(before?.units.map(({ unit, health }) => [unit, health?.state]));
  return now.units.flatMap(({ unit, health }): UnitEvent[] => {
    const known = earlier.get(unit);
    if (health?.state === 'unhealthy' && known !== 'unhealthy')
      return [{ kind: 'unhealthy', unit, reason: 'check', why: health.output ?? 'its check fails' }];
    if (health?.state === 'healthy' && known === 'unhealthy')
      return [{ kind: 'healthy', unit, reason: 'check', why: 'its check succeeds again' }];
    return [];
  });
}

function tellable({ unit, failure }: ObservedUnit, desired: ReadonlySet<string>): ObservedUnit['failure'] {
  return failure && (desired.has(unit) || !isLoading(failure.kind)) ? failure : undefined;
}

/** The unit could not even be loaded: it is not there, or not allowed. */
function isLoading(kind: string): boolean {
  return kind === 'not-found' || kind === 'masked' || kind === 'invalid-unit';
}
