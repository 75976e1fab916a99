/** Probes one run of one instance again and again, one probe at a time, until it is closed. */
import type { HealthCheck } from '../shared/attachments.ts';
import { type Clock, delay } from '../shared/clock.ts';
import { look, type Progress, STARTING } from './health-state.ts';
import type { ProbeResult } from './probe.ts';
import type { Turns } from './turns.ts';

export interface CheckerOptions {
  readonly check: HealthCheck;
  /** When the instance became active, ms of `clock`. */
  readonly activeSince: number;
  /** Before the first probe, ms. */
  readonly firstAfterMs: number;
  /** What is known already, where the check of a run was changed; default: nothing. */
  readonly from?: Progress;
  /** No probe is begun before this: the last one of the checker before may still be on its way out. */
  readonly after?: Promise<void>;
  readonly clock: Clock;
  readonly turns: Turns;
  readonly probe: (timeoutMs: number, signal: AbortSignal) => Promise<ProbeResult>;
  readonly onLooked: (progress: Progress) => void;
}

/** Bounds of what a check asks for, ms: what is read from ZooKeeper must not become a busy loop, or a timer that overflows. */
const SHORTEST_MS = 100;
const SHORTEST_TIMEOUT_MS = 1;
const LONGEST_MS = 86_400_000;

export class Checker {
  /** No probe is under way any more, and none will be. */
  readonly ended: Promise<void>;
  private current: Progress;
  private readonly abort = new AbortController();

  constructor(private readonly options: CheckerOptions) {
    this.current = options.from ?? STARTING;
    this.ended = this.run();
  }

  get progress(): Progress {
    return this.current;
  }

  /** No result counts any more; a probe under way is given up. */
  close(): void {
    this.abort.abort(new Error('no longer checked'));
  }

  private async run(): Promise<void> {
    const { check, clock, turns, firstAfterMs, activeSince, probe, onLooked } = this.options;
    const { signal } = this.abort;
    const timeoutMs = bounded(check.timeoutMs, SHORTEST_TIMEOUT_MS);
    let pauseMs = firstAfterMs;
    await this.options.after;
    for (;;) {
      if (!(await pause(clock, pauseMs, signal))) return;
      const result = await turns.run(() => probe(timeoutMs, signal), signal);
      if (result === undefined || signal.aborted) return;
      const failure = result.ok ? undefined : result.output;
      this.current = look(this.current, { failure, at: clock.now(), activeSince }, check);
      onLooked(this.current);
      pauseMs = bounded(check.intervalMs, SHORTEST_MS);
    }
  }
}

function bounded(ms: number, shortest: number): number {
  return Math.min(LONGEST_MS, Math.max(shortest, ms));
}

/** False when the signal was aborted. */
async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(clock, ms, signal);
    return true;
  } catch {
    return false;
  }
}
