/** A promise that was not kept. */

export type ViolationKind =
  /** A unit that may run once only had processes on two hosts. */
  | 'two-at-once'
  /** A healthy unit was stopped or restarted, and no fault explains it. */
  | 'needless-restart'
  /** A unit that systemd starts again by itself was stopped, started or moved all the same. */
  | 'not-left-to-systemd'
  /** A unit that the configuration does not name was touched. */
  | 'stranger-touched'
  /** More instances than the count, in a cluster that called itself settled. */
  | 'count-exceeded'
  /** A daemon ended, and nobody had ended it. */
  | 'daemon-ended'
  /** A daemon reported a fault of its own. */
  | 'bug-logged'
  /** The cluster did not settle in time after a fault, or not at all, or did not stay so. */
  | 'not-settled';

export interface Violation {
  readonly kind: ViolationKind;
  /** Milliseconds of CLOCK_MONOTONIC. */
  readonly at: number;
  /** Absent when it concerns the whole cluster. */
  readonly host?: string;
  /** What was seen, in one sentence. */
  readonly evidence: string;
}

/** One line. */
export function describeViolation({ kind, at, host, evidence }: Violation): string {
  return `${(at / 1000).toFixed(3)}  ${host ?? 'cluster'}  ${kind}: ${evidence}`;
}
