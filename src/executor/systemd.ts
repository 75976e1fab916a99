/**
 * What the executor sees of systemd. `systemd/` implements it over D-Bus, the simulation over memory; both pass the
 * same contract tests.
 */
import type { ActiveState, LoadState } from '../shared/state.ts';

/** What the names of all guards begin with. */
export const GUARD_PREFIX = 'servicewatcher-guard-';

/** A unit as systemd lists it. */
export interface UnitState {
  readonly unit: string;
  readonly load: LoadState;
  readonly active: ActiveState;
  readonly sub: string;
}

/** How a service's main process ended, read on demand. */
export interface ExitInfo {
  /** systemd's Result: `success`, `exit-code`, `signal`, `timeout`, `start-limit-hit`, … */
  readonly result: string;
  /** `exited`, `killed`, `dumped`, or `none` when it never ran. */
  readonly code: 'exited' | 'killed' | 'dumped' | 'none';
  /** Exit status, or signal number. */
  readonly status: number;
}

/**
 * How a job ended. `done` … `skipped` are systemd's own job results; `refused`: systemd did not take the job (no such
 * unit, masked, …); `deadline`: no result in time, the job goes on; `disconnected`: the bus went away, outcome unknown.
 */
export type JobOutcome =
  | { readonly kind: 'done' }
  | {
      readonly kind:
        | 'canceled'
        | 'timeout'
        | 'failed'
        | 'dependency'
        | 'skipped'
        | 'invalid'
        | 'assert'
        | 'unsupported'
        | 'collected'
        | 'once';
    }
  | { readonly kind: 'refused'; readonly error: string; readonly message: string }
  | { readonly kind: 'deadline' }
  | { readonly kind: 'disconnected' };

/** A one-shot transient service: a prestart script, or the program of a hook or a template. */
export interface TransientCommand {
  readonly unit: string;
  readonly description: string;
  /** Absolute path of the program, and its arguments: no shell is involved. */
  readonly argv: readonly [string, ...string[]];
  /** systemd kills it after this long. */
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Absolute path of the file that is its standard input; default: it has none. */
  readonly inputFile?: string;
  /** Absolute path of a file that gets what it prints on either stream; default: the journal. */
  readonly outputFile?: string;
  /** Fields that each line of its output has in the journal. */
  readonly journalFields?: Readonly<Record<string, string>>;
  /** What it may take at most; default: what systemd gives any service. `fileBytes`: of each file that it writes. */
  readonly limits?: {
    readonly tasks: number;
    readonly memoryBytes: number;
    readonly cpuWeight: number;
    readonly fileBytes?: number;
  };
}

/**
 * A transient service that waits, then stops units, then kills what is left of them, unless it is ended before: it does so
 * when this process is frozen or dead, too.
 */
export interface Guard {
  /** Name of the transient service; no two guards may have the same. */
  readonly unit: string;
  /** Units that it stops; at least one. */
  readonly units: readonly string[];
  /** From its start to the stop of the units. */
  readonly afterMs: number;
  /** From the stop to SIGKILL for whatever processes of theirs are left. */
  readonly stopMs: number;
}

export interface SystemdEvents {
  /** Connected (again) to the bus: everything may have changed. */
  readonly onConnected: () => void;
  readonly onDisconnected: (why: string) => void;
  /**
   * A unit's state changed, as told by a signal. Not every change of every property: ActiveState and SubState only. That a
   * unit which was listed is failed or inactive is not told when systemd starts it again by itself (Restart=).
   */
  readonly onUnit: (unit: string, active: ActiveState, sub: string) => void;
  /** Unit files were reloaded (daemon-reload): load states may have changed. */
  readonly onReloaded: () => void;
}

/** Connection to one host's systemd. All calls reject with an Error while disconnected; every call has a deadline. */
export interface Systemd {
  readonly connected: boolean;
  /** States of exactly these units, in any order; units without a file come back as `not-found`. */
  list(units: readonly string[]): Promise<UnitState[]>;
  /** Queues a start job (mode `replace`) and awaits its end. */
  start(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome>;
  stop(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome>;
  /** Reloads the unit, or restarts one that cannot be reloaded, and awaits the end. One that does not run is left alone: `done`. */
  reload(unit: string, deadlineMs: number, signal: AbortSignal): Promise<JobOutcome>;
  /** A unit that has not failed, or does not exist, has nothing to reset: this is no error. */
  resetFailed(unit: string): Promise<void>;
  /** systemd forgets it (`success`, `none`) soon after a unit has become inactive; a failed one keeps it. */
  exitInfo(unit: string): Promise<ExitInfo>;
  /** How long a unit may take to stop before systemd kills it (TimeoutStopSec), ms; Infinity: it is never killed. */
  stopTimeoutMs(unit: string): Promise<number>;
  /**
   * Starts a transient `Type=oneshot` service and awaits the end of its start job, which is the end of the command. One of
   * the same name that is left from before is stopped or reset first. When aborted, it is stopped, then this rejects.
   */
  run(command: TransientCommand, signal: AbortSignal): Promise<JobOutcome>;
  /** Starts a guard; resolves when it runs: it counts from before that moment. Rejects when systemd refuses it. */
  startGuard(guard: Guard): Promise<void>;
  /** Ends a guard; resolves when it does nothing any more. One that is over, or never was, is no error. */
  endGuard(unit: string): Promise<void>;
  /** Names of all guards that run, those of earlier processes included: units whose names begin with `GUARD_PREFIX`. */
  guards(): Promise<string[]>;
  close(): Promise<void>;
}
