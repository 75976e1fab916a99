/** One loaded unit of the fake systemd: its states, its job and its process. */
import type { ExitInfo, JobOutcome } from '../../src/executor/systemd.ts';
import type { Clock } from '../../src/shared/clock.ts';
import type { ActiveState } from '../../src/shared/state.ts';
import { afterOutside } from './clock.ts';
import type { UnitScript } from './systemd-script.ts';

/** systemd's defaults: more than 5 starts within 10 s are refused (DefaultStartLimitBurst, DefaultStartLimitIntervalSec). */
const START_LIMIT_BURST = 5;
const START_LIMIT_INTERVAL_MS = 10_000;

const SIGKILL = 9;
const SIGTERM = 15;
/**
 * Signals that systemd takes for a clean end of a daemon: SIGHUP, SIGINT, SIGPIPE, SIGTERM; of a command: none
 * (systemd.service(5), SuccessExitStatus).
 */
const CLEAN_SIGNALS: ReadonlySet<number> = new Set([1, 2, 13, SIGTERM]);
const NO_SIGNALS: ReadonlySet<number> = new Set();
const CLEAN: ExitInfo = { result: 'success', code: 'none', status: 0 };

/** A queued job; equal requests share one. */
export class FakeJob {
  readonly kind: 'start' | 'stop';
  /** A start that waits for the unit's stop to end. */
  waiting = false;
  #outcome: JobOutcome | undefined;
  readonly #listeners: ((outcome: JobOutcome) => void)[] = [];

  constructor(kind: 'start' | 'stop') {
    this.kind = kind;
  }

  /** Calls `listener` with the outcome: at once when the job has ended, else when it does. */
  onEnd(listener: (outcome: JobOutcome) => void): void {
    if (this.#outcome) listener(this.#outcome);
    else this.#listeners.push(listener);
  }

  end(outcome: JobOutcome): void {
    this.#outcome = outcome;
    for (const listener of this.#listeners) listener(outcome);
  }
}

export class FakeUnit {
  active: ActiveState = 'inactive';
  sub = 'dead';
  exit: ExitInfo = CLEAN;
  /** Replaced by another definition; what runs already goes on as it was. */
  script: UnitScript;
  readonly #clock: Clock;
  readonly #type: 'notify' | 'oneshot';
  readonly #changed: () => void;
  #job: FakeJob | undefined;
  #cancelTimer: () => void = () => undefined;
  #starts: number[] = [];

  /**
   * @param type a `oneshot` is never active: its start is its whole life.
   * @param changed called after every change of state.
   */
  constructor(clock: Clock, script: UnitScript, type: 'notify' | 'oneshot', changed: () => void) {
    this.#clock = clock;
    this.script = script;
    this.#type = type;
    this.#changed = changed;
  }

  /** True while it has processes or a job. */
  get busy(): boolean {
    return this.#job !== undefined || !(this.active === 'inactive' || this.active === 'failed');
  }

  start(): FakeJob {
    if (this.#job?.kind === 'start') return this.#job;
    const job = this.#queue('start');
    if (this.active === 'active') this.#endJob({ kind: 'done' });
    else if (this.active === 'deactivating') job.waiting = true;
    else this.#activate();
    return job;
  }

  stop(): FakeJob {
    if (this.#job?.kind === 'stop') return this.#job;
    const job = this.#queue('stop');
    if (this.sub === 'auto-restart') {
      this.#cancelTimer();
      this.#unload();
      this.#endJob({ kind: 'done' });
    } else if (this.active === 'active' || this.active === 'activating') this.#terminate('success');
    else if (this.active !== 'deactivating') this.#endJob({ kind: 'done' });
    return job;
  }

  /** `systemctl kill`: the signal to its processes; nothing when there are none, or when they ignore it. */
  kill(signal: number): void {
    if (this.active === 'inactive' || this.active === 'failed' || this.sub === 'auto-restart') return;
    if (signal === SIGTERM && this.script.stop === 'ignores-sigterm') return;
    if (signal === SIGTERM && this.script.stop === 'exit-143') {
      this.#died({ result: 'success', code: 'exited', status: 128 + SIGTERM });
    } else {
      this.#died({ result: 'success', code: 'killed', status: signal });
    }
  }

  /** Its host loses power: nothing of it happens any more, and nobody is told. */
  vanish(): void {
    this.#cancelTimer();
    this.#job = undefined;
  }

  /** The start limit begins anew. */
  forgetStarts(): void {
    this.#starts = [];
  }

  resetFailed(): void {
    this.forgetStarts();
    if (this.active === 'failed') this.#unload();
  }

  #activate(): void {
    this.#cancelTimer();
    if (this.#job) this.#job.waiting = false;
    const now = this.#clock.now();
    this.#starts = this.#starts.filter((start) => now - start < START_LIMIT_INTERVAL_MS);
    if (this.#starts.length >= START_LIMIT_BURST) {
      const result = this.exit.result === 'success' ? 'start-limit-hit' : this.exit.result;
      this.#enter('failed', 'failed', { ...this.exit, result });
      this.#endJob({ kind: 'failed' });
      return;
    }
    this.#starts.push(now);
    this.#begin();
  }

  #begin(): void {
    const { start, startMs, startTimeoutMs, exitStatus } = this.script;
    if (start === 'succeeds' && startMs === 0) {
      this.#run();
      return;
    }
    this.#enter('activating', start === 'hangs-before' ? 'start-pre' : 'start', CLEAN);
    const hangs = start === 'hangs' || start === 'hangs-before';
    if (hangs || startMs > startTimeoutMs) this.#after(startTimeoutMs, () => this.#terminate('timeout'));
    else if (start === 'succeeds') this.#after(startMs, () => this.#run());
    else this.#after(startMs, () => this.#died({ result: 'success', code: 'exited', status: exitStatus }));
  }

  #run(): void {
    this.#enter('active', 'running', CLEAN);
    const { exitsAfterMs, exitStatus } = this.script;
    if (exitsAfterMs !== undefined) {
      this.#after(exitsAfterMs, () => this.#died({ result: 'success', code: 'exited', status: exitStatus }));
    }
    this.#endJob({ kind: 'done' });
  }

  /** SIGTERM, and SIGKILL when that takes too long. */
  #terminate(result: 'success' | 'timeout'): void {
    const beforeMain = this.sub === 'start-pre';
    this.#enter('deactivating', 'stop-sigterm', this.exit);
    const { stop, stopMs, stopTimeoutMs } = this.script;
    // how a command before the main process ended is told by the result alone
    if (beforeMain)
      this.#after(0, () => this.#died({ result: result === 'success' ? 'signal' : result, code: 'none', status: 0 }));
    else if (stop === 'ignores-sigterm' || stopMs > stopTimeoutMs) {
      this.#after(stopTimeoutMs, () => this.#died({ result: 'timeout', code: 'killed', status: SIGKILL }));
    } else if (stop === 'exit-143') {
      this.#after(stopMs, () => this.#died({ result, code: 'exited', status: 128 + SIGTERM }));
    } else {
      this.#after(stopMs, () => this.#died({ result, code: 'killed', status: SIGTERM }));
    }
  }

  #died(exit: ExitInfo): void {
    this.#cancelTimer();
    const early = this.active === 'activating' && this.#type === 'notify';
    const cleanSignals = this.#type === 'notify' ? CLEAN_SIGNALS : NO_SIGNALS;
    const result = exit.result === 'success' ? resultOf(exit, early, cleanSignals) : exit.result;
    const { restartMs } = this.script;
    if (restartMs !== undefined && this.active !== 'deactivating') {
      this.#enter('activating', 'auto-restart', { ...exit, result });
      this.#after(restartMs, () => this.#activate());
    } else if (result === 'success') this.#unload();
    else this.#enter('failed', 'failed', { ...exit, result });
    if (this.#job?.waiting) this.#activate();
    else this.#endJob({ kind: this.#job?.kind === 'stop' || result === 'success' ? 'done' : 'failed' });
  }

  /** A unit that is inactive is soon forgotten with its past, unless another unit refers to it. */
  #unload(): void {
    this.#starts = [];
    this.#enter('inactive', 'dead', CLEAN);
  }

  #enter(active: ActiveState, sub: string, exit: ExitInfo): void {
    this.active = active;
    this.sub = sub;
    this.exit = exit;
    this.#changed();
  }

  #queue(kind: 'start' | 'stop'): FakeJob {
    this.#endJob({ kind: 'canceled' });
    const job = new FakeJob(kind);
    this.#job = job;
    return job;
  }

  #endJob(outcome: JobOutcome): void {
    const job = this.#job;
    this.#job = undefined;
    job?.end(outcome);
  }

  #after(ms: number, then: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = afterOutside(this.#clock, ms, then);
  }
}

/** @param early it ended before it was ready, which is a failure even of a clean end (systemd calls it `protocol`). */
function resultOf(exit: ExitInfo, early: boolean, cleanSignals: ReadonlySet<number>): string {
  if (exit.code === 'exited' && exit.status !== 0) return 'exit-code';
  if (exit.code === 'killed' && !cleanSignals.has(exit.status)) return 'signal';
  return early ? 'protocol' : 'success';
}
