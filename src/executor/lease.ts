/**
 * The lease on units that may run once only (`isolation: stop`): whether this host may start them, may go on running them,
 * or must stop them, and the guard that stops them in its stead. Puts together what each of the three beside it knows:
 * `Heartbeat` proves that the session lives, `Isolation` says until when that holds, `Guards` hold systemd to it.
 */
import type { Clock } from '../shared/clock.ts';
import { isolationTiming } from '../shared/isolation-timing.ts';
import type { Logger } from '../shared/log.ts';
import type { Store } from '../shared/store.ts';
import { Guards } from './guards.ts';
import { Heartbeat } from './heartbeat.ts';
import { Isolation } from './isolation.ts';
import { StopTimes, sessionTooShort } from './stop-times.ts';
import type { Systemd } from './systemd.ts';

export interface LeaseOptions {
  readonly store: Store;
  readonly host: string;
  readonly systemd: Systemd;
  readonly clock: Clock;
  readonly log: Logger;
  /** The session timeout that is asked for. */
  readonly sessionTimeoutMs: number;
  /** Units of this host that may run once only, at this moment. */
  readonly runOnce: () => ReadonlySet<string>;
  /** Any of the answers changed. */
  readonly onChange: () => void;
}

export class Lease {
  private readonly isolation: Isolation;
  private readonly guards: Guards;
  private readonly heartbeat: Heartbeat;
  private readonly stopTimes: StopTimes;
  private saidIsolated = false;
  private lastCleared = '';
  private ended = false;

  constructor(private readonly options: LeaseOptions) {
    const { store, clock, log, host, systemd, sessionTimeoutMs } = options;
    this.stopTimes = new StopTimes(systemd, log);
    this.guards = new Guards({ systemd, clock, log, onChange: () => this.compare() });
    this.isolation = new Isolation(store, clock, sessionTimeoutMs, {
      onChange: () => this.onIsolation(),
      onExtended: () => {
        this.renew();
        this.compare();
      },
    });
    const onConfirmed = (confirmedAt: number) => {
      this.isolation.prove(confirmedAt);
      this.compare();
    };
    this.heartbeat = new Heartbeat({ store, host, clock, sessionTimeoutMs, onConfirmed });
  }

  /** Others may soon start what this host runs: it must be stopped. */
  get isolated(): boolean {
    return this.isolation.isolated;
  }

  /** Units that must not run here while they may run elsewhere: no stop of theirs waits. */
  get atStake(): ReadonlySet<string> {
    return this.isolated ? this.options.runOnce() : new Set();
  }

  /** A member, whose last order may be older than an interruption of its membership. */
  get unconfirmed(): boolean {
    return this.isolation.unconfirmed;
  }

  /**
   * Those that may be started now: nobody else may, a guard stops them when we cannot, and as much of the lease is left
   * as they get to stop in: one that is about to end is no time to start. None in a session that is too short for the rule.
   */
  get cleared(): ReadonlySet<string> {
    const { sure, until, sessionTimeoutMs } = this.isolation;
    const { stopAfterMs, suspectMs } = isolationTiming(sessionTimeoutMs);
    if (!sure || !this.heartbeat.proven || this.hindrance !== undefined) return new Set();
    const aheadMs = stopAfterMs - suspectMs;
    if (until - this.options.clock.now() < aheadMs) return new Set();
    return new Set([...this.options.runOnce()].filter((unit) => this.guards.covers(unit, aheadMs)));
  }

  /** Why none of them is started on this host until a person has mended it, one sentence; undefined: nothing is to be mended. */
  get hindrance(): string | undefined {
    return sessionTooShort(this.isolation.sessionTimeoutMs);
  }

  /** True when a stop of the unit that nobody here asked for may be a guard's. */
  mayBeGuards(unit: string): boolean {
    return this.options.runOnce().has(unit) && !this.guards.covers(unit);
  }

  /** As `Isolation.join`. */
  join(continuous: boolean): void {
    this.isolation.join(continuous);
  }

  lapse(): void {
    this.isolation.lapse();
  }

  confirmed(): void {
    this.isolation.confirmed();
  }

  /** systemd can be talked to (again). */
  reconnected(): void {
    this.guards.forget();
    this.renew();
  }

  /** What `runOnce` answers may have changed, or the lease was extended: systemd is told. */
  renew(): void {
    if (this.ended) return;
    const units = this.options.runOnce();
    this.heartbeat.need(units.size > 0);
    const { until, sessionTimeoutMs, sure } = this.isolation;
    if (!sure) return;
    this.guards.renew({ units, until, sessionTimeoutMs });
    this.stopTimes.check(units, sessionTimeoutMs);
  }

  /** The units are down: nothing is to be guarded any more. */
  release(): void {
    const { until, sessionTimeoutMs } = this.isolation;
    this.ended = true;
    this.guards.renew({ units: new Set(), until, sessionTimeoutMs });
  }

  /** Nothing is extended any more; a guard that runs goes on. */
  end(): void {
    this.ended = true;
  }

  async close(): Promise<void> {
    this.ended = true;
    this.isolation.close();
    await this.guards.close();
    await this.heartbeat.close();
  }

  /** Tells when other units may be started than before. */
  private compare(): void {
    const cleared = [...this.cleared].join();
    if (cleared === this.lastCleared) return;
    this.lastCleared = cleared;
    this.options.onChange();
  }

  private onIsolation(): void {
    const { log, runOnce, onChange } = this.options;
    const { isolated } = this.isolation;
    const units = runOnce();
    if (isolated !== this.saidIsolated && units.size > 0) {
      const names = [...units].join(' ');
      if (isolated)
        log.warn(
          `others may soon run ${names} (isolation: stop): stopped until the leader has confirmed it to this host`,
        );
      else log.info(`${names} may run here again (isolation: stop)`);
      this.saidIsolated = isolated;
    }
    this.renew();
    onChange();
  }
}
