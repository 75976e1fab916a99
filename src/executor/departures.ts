/**
 * Stops in good order of what others find: its registration is removed first, and the unit is stopped
 * `deregistration_delay` later, so that nobody is sent to it any more. Here is what is known of such units, and when each
 * may be stopped; it says nothing of units without a delay.
 */
import type { Clock } from '../shared/clock.ts';
import { compare } from '../shared/names.ts';
import type { DesiredUnit, RegistrableUnit } from '../shared/state.ts';

/** How a unit of ours is registered, as far as its stop needs it: it may not be named by any order any more. */
export interface Farewell {
  readonly service: string;
  readonly label: string;
  /** From the end of its registration to its stop, ms; more than 0. */
  readonly delayMs: number;
}

export interface DeparturesOptions {
  readonly clock: Clock;
  /** Something of the unit may be registered. */
  readonly mayBeFound: (unit: string) => boolean;
  /**
   * A stop does not wait longer than this for the end of the registration, ms: as long as ZooKeeper needs to find out by
   * itself that a session is over.
   */
  readonly limitMs: number;
}

/** Longest delay where the daemon itself is stopped, ms: systemd gives it 100 s, which its units need to stop in. */
export const LEAVING_DELAY_MS = 30_000;

export class Departures {
  private known = new Map<string, Farewell>();
  /** Since when nothing of a unit is registered. */
  private readonly unfoundSince = new Map<string, number>();
  /** Since when a unit is to be stopped. */
  private readonly askedAt = new Map<string, number>();

  constructor(private readonly options: DeparturesOptions) {}

  /** As it was remembered by the process before. */
  recall(known: ReadonlyMap<string, Farewell>): void {
    this.known = new Map(known);
  }

  /** What must outlive this process. */
  get remembered(): ReadonlyMap<string, Farewell> {
    return this.known;
  }

  /** To be called in each pass: what is named counts as it is named, what is ours and not named any more as it was. */
  follow(desired: readonly DesiredUnit[] | undefined, isOurs: (unit: string) => boolean): void {
    if (desired) {
      const before = [...this.known].filter(([unit]) => isOurs(unit));
      const named = new Set(desired.map(({ unit }) => unit));
      this.known = new Map([...before.filter(([unit]) => !named.has(unit)), ...desired.flatMap(farewellOf)]);
    }
    for (const unit of this.known.keys()) this.look(unit);
    for (const times of [this.unfoundSince, this.askedAt])
      for (const unit of times.keys()) if (!this.known.has(unit)) times.delete(unit);
  }

  /** These, and no others, are to be stopped when their time has come. */
  asked(units: Iterable<string>): void {
    const now = this.options.clock.now();
    const asked = new Set(units);
    for (const unit of this.askedAt.keys()) if (!asked.has(unit)) this.askedAt.delete(unit);
    for (const unit of asked) if (!this.askedAt.has(unit)) this.askedAt.set(unit, now);
  }

  /** Before these times (ms of the clock) units are not to be stopped; `atStake`: those that cannot wait. */
  notBefore(atStake: ReadonlySet<string>): ReadonlyMap<string, number> {
    const waiting = [...this.known].filter(([unit]) => !atStake.has(unit));
    return new Map(
      waiting.map(([unit, { delayMs }]) => [
        unit,
        this.since(unit, this.askedAt.get(unit) ?? this.options.clock.now()) + delayMs,
      ]),
    );
  }

  /**
   * How long it is until the unit may be stopped, ms, where the daemon itself is being stopped since `begun`; 0: now. What
   * is registered is looked at anew.
   */
  leftWhenLeaving(unit: string, begun: number): number {
    const delayMs = Math.min(this.known.get(unit)?.delayMs ?? 0, LEAVING_DELAY_MS);
    if (delayMs === 0) return 0;
    this.look(unit);
    const end = Math.min(this.since(unit, begun) + delayMs, begun + LEAVING_DELAY_MS);
    return Math.max(0, end - this.options.clock.now());
  }

  /** What shall be registered: nothing of units that are being stopped, and of those that no order names any more. */
  registrable(desired: readonly DesiredUnit[], stopping: ReadonlySet<string>): readonly RegistrableUnit[] {
    const named = new Set(desired.map(({ unit }) => unit));
    const left = [...this.known].flatMap(([unit, { service, label }]): RegistrableUnit[] =>
      named.has(unit) ? [] : [{ unit, service, discovery: { label, onlyHealthy: true }, withdrawn: true }],
    );
    const kept = desired.map(
      (unit): RegistrableUnit => (stopping.has(unit.unit) ? { ...unit, withdrawn: true } : unit),
    );
    // two of one label on this host are told apart by their order: it is as if all were named
    return left.length === 0 ? kept : [...kept, ...left].sort((a, b) => compare(a.unit, b.unit));
  }

  private look(unit: string): void {
    const { clock, mayBeFound } = this.options;
    if (mayBeFound(unit)) this.unfoundSince.delete(unit);
    else if (!this.unfoundSince.has(unit)) this.unfoundSince.set(unit, clock.now());
  }

  /** From when on the delay counts, as far as is known by now, for a stop that was asked for at `asked`. */
  private since(unit: string, asked: number): number {
    const limit = asked + this.options.limitMs;
    return Math.min(this.unfoundSince.get(unit) ?? limit, limit);
  }
}

function farewellOf({ unit, service, discovery }: DesiredUnit): [string, Farewell][] {
  const delayMs = discovery?.deregistrationDelayMs ?? 0;
  return discovery && delayMs > 0 ? [[unit, { service, label: discovery.label, delayMs }]] : [];
}
