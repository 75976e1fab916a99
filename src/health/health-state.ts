/** What the results of an instance's probes, one after the other, say of its health. Pure. */
import type { HealthCheck } from '../shared/attachments.ts';
import type { Health } from '../shared/state.ts';

/** What is known of one run of an instance. */
export interface Progress {
  readonly state: Health['state'];
  /** In a row, up to now. */
  readonly successes: number;
  readonly failures: number;
  /** What a failed probe said, and when; only while it is not healthy. */
  readonly output?: { readonly text: string; readonly at: number };
}

/** One probe's result; the times in ms of one clock. */
export interface Looked {
  /** What it said; undefined: it succeeded. */
  readonly failure: string | undefined;
  /** When the result was there. */
  readonly at: number;
  /** When the instance became active. */
  readonly activeSince: number;
}

/** An instance that has just become active. */
export const STARTING: Progress = { state: 'starting', successes: 0, failures: 0 };

/**
 * How often what an unhealthy instance's probes say is taken anew: each change is a write to ZooKeeper, and there may be a
 * time in each text.
 */
export const OUTPUT_EVERY_MS = 30_000;

type Thresholds = Pick<HealthCheck, 'healthyAfter' | 'unhealthyAfter' | 'startPeriodMs'>;

/** The progress after one more probe. */
export function look(before: Progress, { failure, at, activeSince }: Looked, check: Thresholds): Progress {
  if (failure === undefined) {
    const successes = before.successes + 1;
    if (before.state === 'healthy' || successes >= check.healthyAfter)
      return { state: 'healthy', successes, failures: 0 };
    return { ...before, successes, failures: 0 };
  }
  const counts = at - activeSince >= check.startPeriodMs;
  const failures = counts ? before.failures + 1 : before.failures;
  const state = counts && failures >= check.unhealthyAfter ? 'unhealthy' : before.state;
  if (state === 'healthy') return { state, successes: 0, failures };
  const stale = before.output === undefined || state !== before.state || at - before.output.at >= OUTPUT_EVERY_MS;
  const output = stale ? { text: failure, at } : before.output;
  return { state, successes: 0, failures, ...(output && { output }) };
}

/** As it is reported; without what follows from it. */
export function toHealth({ state, output }: Progress): Health {
  return { state, ...(output && { output: output.text }) };
}
