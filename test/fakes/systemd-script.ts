/** How a unit of the fake systemd behaves. The real unit files of the contract tests are written from the same scripts. */

export interface UnitScript {
  /** Until it is active, or fails to become so. 0: at once. */
  readonly startMs: number;
  /**
   * `fails`: its main process exits with `exitStatus` before it is ready. `hangs`: it is never ready.
   * `hangs-before`: its `ExecStartPre=` never ends, so that there is no main process yet.
   */
  readonly start: 'succeeds' | 'fails' | 'hangs' | 'hangs-before';
  /** systemd gives up a start that takes longer (TimeoutStartSec). */
  readonly startTimeoutMs: number;
  /** Its main process exits by itself after this long of activity, with `exitStatus`. */
  readonly exitsAfterMs?: number;
  /** systemd starts it again this long after every end but by a stop (Restart=always, RestartSec). */
  readonly restartMs?: number;
  /** Status with which it fails to start, or exits by itself. */
  readonly exitStatus: number;
  /** From SIGTERM to its end. */
  readonly stopMs: number;
  /** `sigterm`: killed by the signal, which systemd takes for a clean end. `exit-143`: catches it and exits with 143, which is not. */
  readonly stop: 'sigterm' | 'exit-143' | 'ignores-sigterm';
  /** systemd sends SIGKILL when a stop takes longer (TimeoutStopSec). */
  readonly stopTimeoutMs: number;
}

/** A service that starts at once, runs for ever and stops at once. The time limits are systemd's defaults. */
export const STEADY: UnitScript = {
  startMs: 0,
  start: 'succeeds',
  startTimeoutMs: 90_000,
  exitStatus: 0,
  stopMs: 0,
  stop: 'sigterm',
  stopTimeoutMs: 90_000,
};

/** What a transient command does: it ends with `exitStatus` after `afterMs`. */
export interface CommandScript {
  readonly afterMs: number;
  readonly exitStatus: number;
}
