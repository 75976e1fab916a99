/** Waiting for a condition instead of a time, and the clock that systemd stamps its units with. */
import { isDeepStrictEqual } from 'node:util';

export interface UntilOptions {
  /** Milliseconds after which the wait fails. */
  readonly deadlineMs: number;
  /** What is waited for, for the error: "w1 to lead". */
  readonly what: string;
  /** Milliseconds between two looks; default 50. */
  readonly everyMs?: number;
}

/** Milliseconds of CLOCK_MONOTONIC: the clock of systemd's `…TimestampMonotonic`, one for all hosts of a machine. */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A value that is none yet: the condition is looked at again. */
export type NotYet = false | undefined | null;

/**
 * Answers the first value of `condition` that is not false, undefined or null. A condition that throws counts as not
 * met. Rejects after the deadline with what was waited for and what was seen last. A condition that never answers is
 * given up at the deadline too.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { deadlineMs, what, everyMs = 50 }: UntilOptions,
): Promise<Exclude<T, NotYet>> {
  const start = performance.now();
  let last = 'no answer';
  for (;;) {
    const left = start + deadlineMs - performance.now();
    if (left <= 0) throw new Error(`waited ${deadlineMs} ms for ${what}; last seen: ${last}`);
    const seen = await look(condition, left);
    if (seen.kind === 'value' && isMet(seen.value)) return seen.value;
    if (seen.kind !== 'no answer') last = seen.kind === 'value' ? show(seen.value) : String(seen.error);
    await pause(Math.min(everyMs, left));
  }
}

/** Waits until `look` answers what is deeply equal to `expected`; the error shows what it answered last. */
export async function untilEqual<T>(look: () => T | Promise<T>, expected: T, options: UntilOptions): Promise<void> {
  let last: string | undefined;
  const isEqual = async () => {
    const seen = await look();
    last = show(seen);
    return isDeepStrictEqual(seen, expected);
  };
  await until(isEqual, options).catch((error: unknown) => {
    const { deadlineMs, what } = options;
    if (last === undefined) throw error;
    throw new Error(`waited ${deadlineMs} ms for ${what}: ${show(expected)}; last seen: ${last}`);
  });
}

type Look<T> = { kind: 'value'; value: T } | { kind: 'error'; error: unknown } | { kind: 'no answer' };

function look<T>(condition: () => T | Promise<T>, leftMs: number): Promise<Look<T>> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ kind: 'no answer' }), leftMs);
    Promise.resolve()
      .then(condition)
      .then(
        (value) => resolve({ kind: 'value', value }),
        (error: unknown) => resolve({ kind: 'error', error }),
      )
      .finally(() => clearTimeout(timer));
  });
}

function isMet<T>(value: T): value is Exclude<T, NotYet> {
  return value !== false && value !== undefined && value !== null;
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}

/** Lets time pass where no condition is waited for: between faults, or between two looks. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
