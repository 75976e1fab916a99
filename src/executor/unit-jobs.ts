/**
 * Carries out the actions of `diff()`, each on its own: per unit at most one at a time, none waiting for another unit's.
 * What came of an action is told to the unit table and seen in the next pass; nothing here decides.
 */
import { type Clock, delay } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import type { DesiredUnit } from '../shared/state.ts';
import { type Action, missingValues, type StartReason, type StopReason, valuesKey } from './diff.ts';
import type { Prestart } from './prestart.ts';
import type { JobOutcome, Systemd } from './systemd.ts';
import type { UnitEvents } from './unit-events.ts';
import type { UnitTable } from './unit-table.ts';

/** Longest wait for the end of a job. systemd's own limits (TimeoutStartSec, TimeoutStopSec: 90 s) end it before, unless set to infinity. */
const JOB_DEADLINE_MS = 600_000;
/** Exit status of a program that ended because of SIGTERM, as shells and the JVM give it: 128 + 15. */
const EXIT_SIGTERM = 143;
const SIGTERM = 15;
const SIGKILL = 9;
/** Pause before an action that could not be carried out is tried again. */
const RETRY_MS = 200;
/** Pause after systemd refused a stop (RefuseManualStop=yes, say): it will refuse the next one as well. */
const REFUSED_STOP_MS = 30_000;

export interface UnitJobsDependencies {
  readonly systemd: Systemd;
  readonly table: UnitTable;
  readonly prestart: Prestart;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: UnitEvents;
  /** True while the unit is still desired here in just this form; once its script has run the script does not count. */
  readonly stillDesired: (desired: DesiredUnit, scriptHasRun: boolean) => boolean;
  /** False when the turn in which its start was begun is lost. */
  readonly inTurn: (desired: DesiredUnit) => boolean;
  /** Something about a unit changed: a pass is due. */
  readonly onChange: () => void;
  readonly onDrift: (unit: string) => void;
  /** Resolves when the memory of which units are ours is on disk (or the disk has refused). */
  readonly saved: () => Promise<void>;
}

/** A start that is under way. */
interface Attempt {
  readonly desired: DesiredUnit;
  readonly abort: AbortController;
  /** systemd was told to start the unit. */
  asked: boolean;
}

type Handlers = { readonly [K in Action['kind']]: (action: Extract<Action, { kind: K }>) => Promise<void> };

export class UnitJobs {
  private readonly running = new Map<string, Promise<void>>();
  private readonly attempts = new Map<string, Attempt>();
  private readonly stoppingUnits = new Set<string>();
  private readonly abort = new AbortController();
  private readonly handlers = {
    adopt: async (action) => this.adopt(action.desired),
    start: (action) => this.start(action),
    stop: (action) => this.stopOrPause(action.unit, action.reason),
    forget: async (action) => this.deps.table.forgotten(action.unit),
  } satisfies Handlers;

  constructor(private readonly deps: UnitJobsDependencies) {}

  get busy(): ReadonlySet<string> {
    return new Set(this.running.keys());
  }

  /** Units with a stop of ours under way. */
  get stopping(): ReadonlySet<string> {
    return this.stoppingUnits;
  }

  isBusy(unit: string): boolean {
    return this.running.has(unit);
  }

  /** Begins an action, unless one is under way for its unit. */
  dispatch(action: Action): void {
    void this.exclusively(action.unit, () => this.handle(action));
  }

  /** Gives up the starts under way that are not desired in their form any more: a start may hang for hours. */
  giveUpUnwanted(): void {
    for (const { desired, abort, asked } of this.attempts.values()) {
      if (!this.deps.stillDesired(desired, asked)) abort.abort(new Error('no longer wanted'));
    }
  }

  /**
   * Stops these units, each once `ready` has resolved for it; resolves when all are down or the signal is aborted. What is
   * under way for one is not waited for: systemd replaces a start that hangs by the stop.
   */
  async stopAll(units: readonly string[], signal: AbortSignal, ready: (unit: string) => Promise<void>): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    const all = units.map(async (unit) => {
      await ready(unit);
      await this.stop(unit, 'leaving').catch((error: unknown) => this.complain(unit, error));
    });
    await Promise.race([Promise.all(all), aborted]);
  }

  /** Ends all waiting; jobs that systemd has taken go on. */
  async close(): Promise<void> {
    const why = new Error('the executor is shutting down');
    this.abort.abort(why);
    for (const attempt of this.attempts.values()) attempt.abort.abort(why);
    await Promise.allSettled(this.running.values());
  }

  private exclusively(unit: string, work: () => Promise<void>): Promise<void> {
    const current = this.running.get(unit);
    if (current !== undefined) return current;
    const job = work()
      .catch(async (error: unknown) => {
        this.complain(unit, error);
        await delay(this.deps.clock, RETRY_MS, this.abort.signal).catch(() => undefined);
      })
      .finally(() => {
        this.running.delete(unit);
        this.deps.onChange();
      });
    this.running.set(unit, job);
    return job;
  }

  private complain(unit: string, error: unknown): void {
    if (this.abort.signal.aborted) return;
    this.deps.log.warn(`${unit}: ${messageOf(error)}; tried again`, { unit });
  }

  private handle(action: Action): Promise<void> {
    switch (action.kind) {
      case 'adopt':
        return this.handlers.adopt(action);
      case 'start':
        return this.handlers.start(action);
      case 'stop':
        return this.handlers.stop(action);
      case 'forget':
        return this.handlers.forget(action);
    }
  }

  private adopt(desired: DesiredUnit): void {
    const { unit, service } = desired;
    if (!this.deps.table.isOurs(unit))
      this.deps.events.record({ kind: 'adopted', unit, service, reason: 'running', why: 'it runs already' });
    // with nothing placed for its script yet it cannot have been started: the values are taken when there are any
    const values = missingValues(desired).length === 0 ? valuesKey(desired) : undefined;
    this.deps.table.adopted(desired.unit, values);
  }

  private async start(action: Extract<Action, { kind: 'start' }>): Promise<void> {
    const { unit, desired, reason } = action;
    if (reason === 'stopped-by-hand') this.drifted(unit, reason, startWords[reason]);
    const attempt: Attempt = { desired, abort: new AbortController(), asked: false };
    this.attempts.set(unit, attempt);
    try {
      await this.attempt(action, attempt);
    } catch (error) {
      if (!attempt.abort.signal.aborted || this.abort.signal.aborted) throw error;
      // systemd replaces the start job by the stop
      if (attempt.asked) await this.stop(unit, 'superseded');
    } finally {
      this.attempts.delete(unit);
    }
  }

  private async attempt(action: Extract<Action, { kind: 'start' }>, attempt: Attempt): Promise<void> {
    const { unit, desired, reason } = action;
    const { table, log, systemd } = this.deps;
    const { signal } = attempt.abort;
    const prepared = await this.deps.prestart.run(desired, signal);
    if (prepared.kind === 'failed') {
      log.error(`${unit} cannot start: ${prepared.failure.message}`, { unit });
      table.failed(unit, prepared.failure);
      return;
    }
    if (prepared.kind === 'unknown') throw new Error(prepared.why);
    if (!this.deps.stillDesired(desired, false)) return;
    table.starting(unit, valuesKey(desired));
    await this.deps.saved();
    if (!this.deps.stillDesired(desired, false) || !this.deps.inTurn(desired)) return;
    log.info(`starting ${unit}: ${startWords[reason]}`, { unit, service: desired.service });
    attempt.asked = true;
    const outcome = await systemd.start(unit, JOB_DEADLINE_MS, signal);
    this.started(unit, outcome);
    if (outcome.kind === 'done')
      this.deps.events.record({ kind: 'started', unit, service: desired.service, reason, why: startWords[reason] });
  }

  private drifted(unit: string, reason: StartReason | StopReason, why: string): void {
    this.deps.onDrift(unit);
    this.deps.events.record({ kind: 'drift', unit, reason, why });
  }

  private started(unit: string, outcome: JobOutcome): void {
    const { table, log } = this.deps;
    switch (outcome.kind) {
      case 'done':
        table.startEnded(unit);
        return;
      case 'canceled':
        // by another job, of a unit that conflicts with it, say: two that cancel each other must not do so without a pause
        table.startEnded(unit);
        return;
      case 'disconnected':
        return;
      case 'refused':
        log.error(`${unit} was not started: ${outcome.message}`, { unit });
        table.failed(unit, { kind: 'start-refused', message: `systemd refused to start it: ${outcome.message}` });
        return;
      case 'dependency':
        log.error(`${unit} was not started: a unit that it requires failed; see systemctl status ${unit}`, { unit });
        table.failed(unit, {
          kind: 'start-refused',
          message: `a unit that it requires failed; see systemctl status ${unit}`,
        });
        return;
      case 'deadline':
        log.error(`${unit} has not started within ${JOB_DEADLINE_MS / 1000} s`, { unit });
        table.failed(unit, { kind: 'start-timeout', message: `it had not started after ${JOB_DEADLINE_MS / 1000} s` });
        return;
      default:
        // the unit's own state tells the rest: systemd reports `failed`, and the next report carries it
        log.error(`${unit} failed to start (job result: ${outcome.kind}); see journalctl -u ${unit}`, { unit });
        table.startEnded(unit);
    }
  }

  private async stopOrPause(unit: string, reason: StopReason): Promise<void> {
    const outcome = await this.stop(unit, reason);
    if (outcome.kind === 'refused') await delay(this.deps.clock, REFUSED_STOP_MS, this.abort.signal);
  }

  private async stop(unit: string, reason: StopCause): Promise<JobOutcome> {
    const { table, log, systemd } = this.deps;
    if (reason === 'started-by-hand') this.drifted(unit, reason, stopWords[reason]);
    log.info(`stopping ${unit}: ${stopWords[reason]}`, { unit });
    table.stopping(unit);
    this.stoppingUnits.add(unit);
    try {
      const outcome = await systemd.stop(unit, JOB_DEADLINE_MS, this.abort.signal);
      if (outcome.kind === 'done') this.deps.events.record({ kind: 'stopped', unit, reason, why: stopWords[reason] });
      if (outcome.kind === 'refused') log.error(`${unit} was not stopped: ${outcome.message}`, { unit });
      if (outcome.kind === 'deadline')
        log.error(`${unit} has not stopped within ${JOB_DEADLINE_MS / 1000} s`, { unit });
      await this.resetIfStopped(unit);
      return outcome;
    } finally {
      this.stoppingUnits.delete(unit);
      // until now it was not reported as down: others wait for that
      this.deps.onChange();
    }
  }

  /**
   * A unit that we, or a guard of ours, stopped may count as failed for systemd: it ended with 143, had to be killed when
   * its TimeoutStopSec was over, or had no main process yet. That says nothing against starting it here again, so it is reset.
   */
  async resetIfStopped(unit: string): Promise<void> {
    const { systemd, table, log } = this.deps;
    if (table.states.get(unit)?.active !== 'failed') return;
    const exit = await systemd.exitInfo(unit);
    const bySignal = exit.code === 'killed' && (exit.status === SIGTERM || exit.status === SIGKILL);
    const byStatus = exit.code === 'exited' && exit.status === EXIT_SIGTERM;
    // of its `ExecStartPre=` systemd tells the result alone
    const beforeMain = exit.code === 'none' && (exit.result === 'signal' || exit.result === 'timeout');
    if (bySignal || byStatus || beforeMain) {
      if (exit.status === SIGKILL)
        log.warn(`${unit} did not stop in its time (TimeoutStopSec) and was killed`, { unit });
      await systemd.resetFailed(unit);
    }
    // the signal of a reset, ours or that of whoever stopped it, may come later: until then it would be reported as failed
    const mark = table.signalMark();
    table.listed(await systemd.list([unit]), mark, this.busy);
  }
}

const startWords: Record<Extract<Action, { kind: 'start' }>['reason'], string> = {
  placed: 'it is placed here',
  exited: 'it ended by itself',
  'stopped-by-hand': 'it was stopped by hand',
};

/** Why a unit is stopped: for a reason of `diff()`, or one of the daemon's own. */
type StopCause = StopReason | 'superseded' | 'leaving';

const stopWords: Record<StopCause, string> = {
  'not-placed': 'it is not placed here any more',
  'started-by-hand': 'it was started by hand and is not placed here',
  'values-changed': 'the hosts named in its prestart script changed; it is started again at once',
  unhealthy: 'its check says that it is unhealthy; it is started again at once',
  isolated: 'this host is cut off from ZooKeeper and others may soon run it (isolation: stop)',
  superseded: 'it is not wanted any more in the form in which it was being started',
  leaving: 'the daemon of this host is stopping',
};
