/**
 * Watches one thing: probes it again and again, keeps it registered while it is healthy, and ends its startup lease when
 * it is so for the first time.
 */
import { Entry } from '../discovery/entry.ts';
import { releaseLease } from '../discovery/lease.ts';
import type { WatchCheck } from '../discovery/watch-check.ts';
import { Checker } from '../health/checker.ts';
import type { Progress } from '../health/health-state.ts';
import { runProbe } from '../health/probe.ts';
import type { Turns } from '../health/turns.ts';
import { type Clock, delay } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import type { Health } from '../shared/model.ts';
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

export class Watcher {
  private readonly entry: Entry;
  private readonly checker: Checker;
  private readonly unsubscribe: () => void;
  private readonly abort = new AbortController();
  private state: Health['state'] = 'starting';
  private leaseReleased = false;

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
    this.abort.abort(new Error('closing'));
    this.checker.close();
    this.unsubscribe();
    await this.entry.close();
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
          if (!this.leaseReleased) void this.endLease();
        }
        return;
      case 'unhealthy':
        this.entry.want({ kind: 'gone' });
        if (changed) log.warn(`${name} is unhealthy, and not registered: ${output?.text ?? ''}`);
        return;
    }
  }

  /** Until it is known that the lease of the same label and id is not held by us any more. */
  private async endLease(): Promise<void> {
    const { store, clock, log, check } = this.options;
    const { label } = check.registration;
    this.leaseReleased = true;
    for (;;) {
      try {
        const release = await releaseLease(store, label, check.serviceId);
        if (release.kind === 'released') log.info(`${check.serviceId} has started: its lease ${label} is released`);
        return;
      } catch (error) {
        log.warn(`the lease ${label} could not be released: ${messageOf(error)}; tried again`);
      }
      try {
        await delay(clock, RETRY_MS, this.abort.signal);
      } catch {
        return;
      }
    }
  }
}
