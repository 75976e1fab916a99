/**
 * Watches one thing: probes it again and again, keeps it registered while it is healthy, and ends its startup lease each
 * time that it becomes so.
 */
import { Entry } from '../discovery/entry.ts';
import { releaseLease } from '../discovery/lease.ts';
import type { WatchCheck } from '../discovery/watch-check.ts';
import { Checker } from '../health/checker.ts';
import type { Progress } from '../health/health-state.ts';
import { runProbe } from '../health/probe.ts';
import type { Turns } from '../health/turns.ts';
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import type { Health } from '../shared/state.ts';
import type { Store } from '../shared/store.ts';

export interface WatcherOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly check: WatchCheck;
  /** Shared by all that one process watches. */
  readonly turns: Turns;
  /** Default: a real one. */
  readonly probe?: typeof runProbe;
}

/** Pause after the lease could not be released. */
const RETRY_MS = 1_000;
/** Between two looks whether there is a lease to be released; each change asks for one of its own. */
const TICK_MS = 60_000;

export class Watcher {
  private readonly entry: Entry;
  private readonly checker: Checker;
  private readonly unsubscribe: () => void;
  private readonly leaseEnd: Loop;
  private state: Health['state'] = 'starting';
  /** It has become healthy, and nobody has said yet that it does not hold its lease. */
  private mayHoldLease = false;

  constructor(private readonly options: WatcherOptions) {
    const { store, clock, log, check, turns, probe = runProbe } = options;
    const { registration, pauseMs, timeoutMs, healthyAfter, unhealthyAfter } = check;
    const { label, id, host } = registration;
    this.entry = new Entry({
      store,
      clock,
      log,
      label,
      id,
      mayWrite: () => true,
      // who was started last watches: what took our place is not of an earlier process
      isOurs: (found, had) => !had && (found === undefined || (found.source === 'watch' && found.host === host)),
    });
    this.unsubscribe = store.onState((now) => {
      if (now.kind === 'connected') this.entry.look();
    });
    // a watcher that was started again does not know yet what the one before it knew
    this.entry.want({ kind: 'inherit', otherwise: undefined });
    this.leaseEnd = new Loop({
      name: `end of the lease ${label}`,
      clock,
      log,
      gatherMs: 0,
      tickMs: () => (this.mayHoldLease ? RETRY_MS : TICK_MS),
      pass: () => this.endLease(),
    });
    this.checker = new Checker({
      check: {
        probe: check.probe,
        intervalMs: pauseMs,
        timeoutMs,
        healthyAfter,
        unhealthyAfter,
        startPeriodMs: 0,
        onUnhealthy: 'report',
        limitPerHour: 0,
      },
      activeSince: clock.now(),
      firstAfterMs: 0,
      clock,
      turns,
      probe: (limitMs, signal) => probe(check.probe, limitMs, signal),
      onLooked: (progress) => this.onLooked(progress),
    });
  }

  /** It is registered in the present session. */
  get registered(): boolean {
    return this.entry.registered;
  }

  /** Ends it; what is registered stays until the session ends. */
  async close(): Promise<void> {
    this.checker.close();
    this.unsubscribe();
    await Promise.all([this.entry.close(), this.leaseEnd.stop()]);
  }

  private onLooked({ state, output }: Progress): void {
    const { log, check } = this.options;
    const { registration } = check;
    const changed = state !== this.state;
    this.state = state;
    const name = `${registration.label}/${registration.id}`;
    switch (state) {
      case 'starting':
        return;
      case 'healthy':
        this.entry.want({ kind: 'registered', value: registration });
        if (changed) {
          log.info(`${name} is healthy: registered as ${registration.address}`);
          this.mayHoldLease = true;
          this.leaseEnd.trigger();
        }
        return;
      case 'unhealthy':
        this.entry.want({ kind: 'gone' });
        if (changed) {
          log.warn(`${name} is unhealthy, and not registered: ${output?.text ?? ''}`);
          // who takes it from now on has not started yet
          this.mayHoldLease = false;
        }
        return;
    }
  }

  private async endLease(): Promise<void> {
    const { store, log, check } = this.options;
    // what is asked for without a connection is done later, when it may be unhealthy again
    if (!this.mayHoldLease || store.state.kind !== 'connected') return;
    this.mayHoldLease = false;
    const { label } = check.registration;
    try {
      const release = await releaseLease(store, label, check.serviceId);
      if (release.kind === 'released') log.info(`${check.serviceId} has started: its lease ${label} is released`);
    } catch (error) {
      if (this.state === 'healthy') this.mayHoldLease = true;
      log.warn(`the lease ${label} could not be released: ${messageOf(error)}; tried again while it is healthy`);
    }
  }
}
