/**
 * Turns to start: of a service with `start:` only so many instances in the whole cluster are being started at any time.
 * Who is next is found out elsewhere (`Turns`); here is what a turn is needed for, from when until when.
 */
import type { Clock } from '../shared/clock.ts';
import type { DesiredUnit, Observed, ObservedUnit } from '../shared/state.ts';
import type { Diff } from './diff.ts';
import type { TurnState } from './start-conditions.ts';

export interface TurnWish {
  readonly service: string;
  /** How many may have a turn at the same time, 1 or more. */
  readonly atOnce: number;
}

/** The cluster's queues. It tells by itself when the state of a unit has changed. */
export interface Turns {
  /** The units that are to have a turn, or keep the one they have; all others give theirs, or their place, up. */
  want(wishes: ReadonlyMap<string, TurnWish>): void;
  state(unit: string): TurnState;
}

export interface TurnKeeperOptions {
  readonly turns: Turns;
  readonly clock: Clock;
  /** The unit is registered for others to find. */
  readonly isRegistered: (unit: string) => boolean;
}

/** A start that was begun in its turn. */
interface Begun {
  readonly since: number;
  /** It took too long: others have their turn, and it goes on all the same. */
  gaveAway: boolean;
}

export class TurnKeeper {
  private readonly begun = new Map<string, Begun>();
  /** When the next turn has lasted too long; undefined: there is none. */
  wakeAt: number | undefined;

  constructor(private readonly options: TurnKeeperOptions) {}

  /** For `diff()`: the state of each unit that needs a turn to be started. */
  states(desired: readonly DesiredUnit[]): ReadonlyMap<string, TurnState> {
    const ordered = desired.filter((unit) => unit.start !== undefined);
    return new Map(ordered.map(({ unit }) => [unit, this.options.turns.state(unit)]));
  }

  /** False when a unit whose start was begun in its turn has lost it: it was not asked to start yet, and must not be. */
  mayAsk({ unit, start }: DesiredUnit): boolean {
    return !start || this.begun.get(unit)?.gaveAway === true || this.options.turns.state(unit).kind === 'has';
  }

  /**
   * Asks for turns and gives them back, after each pass. `wanted`: units that may be started but for their turn. `busy`:
   * those with something of ours under way. `report`: the newest.
   */
  update(
    { wanted, actions }: { readonly wanted: ReadonlySet<string>; readonly actions: Diff['actions'] },
    desired: readonly DesiredUnit[],
    report: Observed | undefined,
    busy: ReadonlySet<string>,
  ): void {
    const { turns, clock } = this.options;
    const now = clock.now();
    const starts = actions.flatMap(({ kind, unit }) => (kind === 'start' && busy.has(unit) ? [unit] : []));
    const started = new Set(starts);
    const seen = new Map(report?.units.map((unit) => [unit.unit, unit]));
    const wishes = new Map<string, TurnWish>();
    const ordered = new Set<string>();
    this.wakeAt = undefined;
    for (const entry of desired) {
      const { unit, service, start } = entry;
      if (!start || entry.withdrawn) continue;
      ordered.add(unit);
      if (started.has(unit) && !this.inTime(unit)) this.begun.set(unit, { since: now, gaveAway: false });
      const begun = this.begun.get(unit);
      if (begun && now >= begun.since + start.timeoutMs) begun.gaveAway = true;
      const isOver = begun && !busy.has(unit) && this.isOver(entry, seen.get(unit));
      if (isOver) this.begun.delete(unit);
      const isUnderWay = begun !== undefined && !isOver;
      if (isUnderWay ? begun.gaveAway : !wanted.has(unit)) continue;
      wishes.set(unit, { service, atOnce: start.atOnce });
      if (isUnderWay) this.wakeAt = Math.min(this.wakeAt ?? Number.POSITIVE_INFINITY, begun.since + start.timeoutMs);
    }
    for (const unit of this.begun.keys()) if (!ordered.has(unit)) this.begun.delete(unit);
    turns.want(wishes);
  }

  /** Nothing is started any more. */
  end(): void {
    this.options.turns.want(new Map());
  }

  private inTime(unit: string): boolean {
    return this.begun.get(unit)?.gaveAway === false;
  }

  /** Whether a start that is not under way any more has come to what the turn is for, or to nothing. */
  private isOver({ unit, start, check, discovery }: DesiredUnit, seen: ObservedUnit | undefined): boolean {
    switch (seen?.active) {
      case 'activating':
        return false;
      case 'active':
      case 'reloading': {
        const isHealthy = start?.until === 'active' || !check || seen.health?.state === 'healthy';
        return isHealthy && (!discovery || this.options.isRegistered(unit));
      }
      default:
        return true;
    }
  }
}
