/** The health of what runs here, and what follows from it on this host: an unhealthy unit may be due for a restart. */
import { HealthMonitor, type MonitorOptions } from '../health/monitor.ts';
import { decideRestart, type RestartDecision, withinHour } from '../health/restart-limit.ts';
import type { Clock } from '../shared/clock.ts';
import type { DesiredUnit, Health } from '../shared/state.ts';
import type { UnitTable } from './unit-table.ts';

export class HealthWatch {
  private readonly monitor: HealthMonitor;
  private readonly clock: Clock;
  private units: ReadonlyMap<string, DesiredUnit> = new Map();
  /** When each unit was restarted for its health within the last hour, oldest first. */
  private readonly restarts = new Map<string, readonly number[]>();

  constructor(options: MonitorOptions) {
    this.clock = options.clock;
    this.monitor = new HealthMonitor(options);
  }

  /** Checks those of the desired units that are active. */
  follow(desired: readonly DesiredUnit[], table: UnitTable): void {
    this.units = new Map(desired.map((unit) => [unit.unit, unit]));
    this.monitor.follow(
      desired.flatMap(({ unit, check }) => {
        const activeSince = table.activeSince(unit);
        return check === undefined || activeSince === undefined ? [] : [{ unit, check, activeSince }];
      }),
    );
  }

  /** As it is reported, by unit. */
  get reported(): ReadonlyMap<string, Health> {
    const now = this.clock.now();
    return new Map(
      [...this.monitor.health].map(([unit, health]) => {
        const action = describeRestarts(withinHour(this.restarts.get(unit) ?? [], now), this.decide(unit, health, now));
        return [unit, { ...health, ...(action !== undefined && { action }) }];
      }),
    );
  }

  /** Units to be restarted now. */
  get due(): ReadonlySet<string> {
    return new Set(this.decisions().flatMap(([unit, decision]) => (decision.kind === 'now' ? [unit] : [])));
  }

  /** When the next unit may be restarted, ms of the clock. */
  get wakeAt(): number | undefined {
    const times = this.decisions().flatMap(([, decision]) => waitOf(decision) ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** It is being restarted. */
  restarting(unit: string): void {
    const now = this.clock.now();
    this.restarts.set(unit, [...withinHour(this.restarts.get(unit) ?? [], now), now]);
    for (const [each, times] of this.restarts) if (withinHour(times, now).length === 0) this.restarts.delete(each);
  }

  close(): void {
    this.monitor.close();
  }

  private decisions(): (readonly [string, RestartDecision])[] {
    const now = this.clock.now();
    return [...this.monitor.health].flatMap(([unit, health]) => {
      const decision = this.decide(unit, health, now);
      return decision ? [[unit, decision] as const] : [];
    });
  }

  /** Undefined: its health asks for no restart. */
  private decide(unit: string, { state }: Health, now: number): RestartDecision | undefined {
    const check = this.units.get(unit)?.check;
    if (state !== 'unhealthy' || check?.onUnhealthy !== 'restart') return undefined;
    return decideRestart(this.restarts.get(unit) ?? [], check.limitPerHour, now);
  }
}

function waitOf(decision: RestartDecision): number | undefined {
  switch (decision.kind) {
    case 'now':
      return undefined;
    case 'later':
      return decision.at;
    case 'limit':
      return decision.until;
  }
}

function describeRestarts(recent: readonly number[], decision: RestartDecision | undefined): string | undefined {
  const times = `${recent.length} time${recent.length === 1 ? '' : 's'}`;
  if (decision?.kind === 'limit')
    return recent.length === 0
      ? 'it may not be restarted (limit_per_hour is 0): it is left as it is'
      : `restarted ${times} within the last hour, as often as it may be (limit_per_hour): it is left as it is`;
  if (recent.length === 0) return undefined;
  return decision?.kind === 'later'
    ? `restarted ${times} within the last hour, and again after a pause`
    : `restarted ${times} within the last hour`;
}
