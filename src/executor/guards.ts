/**
 * Keeps one guard running in systemd for the units that may run on one host only, and puts a fresh one in its place each
 * time the session is confirmed. The earlier guard is ended only when the fresh one is known to count and to end in
 * time: whenever this process is frozen or dies, one of them stops the units before others may start them.
 */
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import { guardSlackMs, isolationTiming, stopBudgetMs } from '../shared/isolation-timing.ts';
import type { Logger } from '../shared/log.ts';
import { GUARD_PREFIX, type Systemd } from './systemd.ts';

/** What the guards must do now. */
export interface GuardOrder {
  /** Units to guard; empty: none is needed. */
  readonly units: ReadonlySet<string>;
  /** When the guard must begin to stop them, ms of the clock. */
  readonly until: number;
  readonly sessionTimeoutMs: number;
}

export interface GuardsOptions {
  readonly systemd: Systemd;
  readonly clock: Clock;
  readonly log: Logger;
  /** What `covers` answers may have changed. */
  readonly onChange: () => void;
}

interface Armed {
  readonly unit: string;
  readonly units: ReadonlySet<string>;
  readonly until: number;
  /** It does not fire before this time; a little later it may have. */
  readonly goodUntil: number;
}

/** What is left of an expectation with each guard that is started: it is halved after seven, two to five seconds. */
const FORGETTING = 0.9;

export class Guards {
  private order: GuardOrder | undefined;
  private armed: Armed | undefined;
  /** Guards to end once the present one is known to be good, and when they fire; undefined: those of earlier processes are not known yet. */
  private outdated: Map<string, number> | undefined;
  private working: Promise<void> | undefined;
  /** Units of the order that is carried out now: the guards of all others are about to be ended. */
  private underWay: ReadonlySet<string> | undefined;
  /** How long systemd took to start the last one: the next is given so much less time. */
  private latencyMs = 0;
  private made = 0;
  private complaint: string | undefined;
  private ended = false;

  constructor(private readonly options: GuardsOptions) {}

  /** A guard that has yet to fire, and does so in time, runs for this unit, and none that is there fires within `aheadMs`. */
  covers(unit: string, aheadMs = 0): boolean {
    const { armed, underWay } = this;
    const end = this.options.clock.now() + aheadMs;
    if (!armed?.units.has(unit) || underWay?.has(unit) === false) return false;
    // one that has fired, or is about to, and is not known to be over would stop or kill what is started now
    if ([...(this.outdated?.values() ?? [])].some((firesAt) => firesAt <= end)) return false;
    return end < armed.goodUntil;
  }

  /** Asks for guards as `order` says; at once, or when what is under way has ended. Nothing happens while systemd cannot be reached. */
  renew(order: GuardOrder): void {
    this.order = order;
    if (this.working !== undefined || this.ended || !this.options.systemd.connected) return;
    this.working = this.work().finally(() => {
      this.working = undefined;
      if (this.order !== undefined) this.renew(this.order);
    });
  }

  /** The connection to systemd was made anew: what became of calls under way is not known. */
  forget(): void {
    this.outdated = undefined;
  }

  /** Nothing more is done; guards that run go on. */
  async close(): Promise<void> {
    this.ended = true;
    await this.working;
  }

  private async work(): Promise<void> {
    for (let order = this.take(); order !== undefined; order = this.take()) {
      this.underWay = order.units;
      try {
        if (order.units.size > 0) await this.arm(order);
        else await this.disarm();
        this.complaint = undefined;
      } catch (error) {
        this.complain(messageOf(error));
      }
      this.underWay = undefined;
      this.options.onChange();
    }
  }

  private take(): GuardOrder | undefined {
    const { order } = this;
    this.order = undefined;
    return this.ended ? undefined : order;
  }

  private async arm(order: GuardOrder): Promise<void> {
    const { systemd, clock } = this.options;
    const { sessionTimeoutMs, units, until } = order;
    const goodUntil = until - this.latencyMs;
    if (goodUntil <= clock.now() || this.isUpToDate(order)) return;
    const outdated = await this.known();
    const asked = clock.now();
    // that took long: it would stop the units at once
    if (goodUntil <= asked) return;
    const unit = this.nextName();
    // whatever becomes of the call, it may be there
    outdated.set(unit, goodUntil);
    await systemd.startGuard({
      unit,
      units: [...units],
      afterMs: goodUntil - asked,
      stopMs: stopBudgetMs(sessionTimeoutMs),
    });
    const tookMs = clock.now() - asked;
    const lateMs = tookMs - this.latencyMs;
    // a busy host's systemd is slow now and then: the worst is expected for a while, but never so much that no time is left
    const worst = Math.max(tookMs, this.latencyMs * FORGETTING);
    this.latencyMs = Math.min(worst, isolationTiming(sessionTimeoutMs).pingMs);
    if (lateMs > guardSlackMs(sessionTimeoutMs)) {
      this.order ??= order;
      await systemd.endGuard(unit);
      outdated.delete(unit);
      throw new Error(`systemd took ${Math.round(tookMs)} ms to start it, too long to rely on it`);
    }
    outdated.delete(unit);
    if (this.armed !== undefined) outdated.set(this.armed.unit, this.armed.goodUntil);
    this.armed = { unit, units, until, goodUntil };
    await this.endOutdated(outdated);
  }

  private async disarm(): Promise<void> {
    const outdated = await this.known();
    if (this.armed !== undefined) outdated.set(this.armed.unit, this.armed.goodUntil);
    this.armed = undefined;
    await this.endOutdated(outdated);
  }

  /** Those of earlier processes included, of which it is not known when they fire. */
  private async known(): Promise<Map<string, number>> {
    if (this.outdated !== undefined) return this.outdated;
    const others = (await this.options.systemd.guards()).filter((unit) => unit !== this.armed?.unit);
    this.outdated = new Map(others.map((unit) => [unit, Number.NEGATIVE_INFINITY]));
    return this.outdated;
  }

  private async endOutdated(outdated: Map<string, number>): Promise<void> {
    for (const unit of [...outdated.keys()]) {
      await this.options.systemd.endGuard(unit);
      outdated.delete(unit);
    }
  }

  private isUpToDate({ units, until }: GuardOrder): boolean {
    const { armed } = this;
    if (armed === undefined || armed.until < until || armed.units.size !== units.size) return false;
    return [...units].every((unit) => armed.units.has(unit));
  }

  private nextName(): string {
    this.made += 1;
    return `${GUARD_PREFIX}${this.options.clock.date().getTime().toString(36)}-${this.made}.service`;
  }

  /** Once for each reason in a row: it is tried again with the next confirmation. */
  private complain(why: string): void {
    if (this.ended || this.complaint === why) return;
    this.complaint = why;
    this.options.log.warn(`the guard of units with isolation: stop could not be renewed: ${why}; it is tried again`);
  }
}
