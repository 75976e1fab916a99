/**
 * systemd's messages, from the untyped bodies of D-Bus to our words. A body of another shape than
 * org.freedesktop.systemd1(5) promises throws an Error that names the message.
 */
import { ACTIVE_STATES, type ActiveState, type LoadState } from '../../shared/state.ts';
import type { ExitInfo, JobOutcome, UnitState } from '../systemd.ts';

const ACTIVE: ReadonlySet<string> = new Set(ACTIVE_STATES);
const LOAD: ReadonlySet<string> = new Set<LoadState>(['loaded', 'not-found', 'masked', 'bad-setting', 'error', 'stub']);

type JobResult = Exclude<JobOutcome['kind'], 'refused' | 'deadline' | 'disconnected'>;
const JOB_RESULTS: ReadonlySet<string> = new Set<JobResult>([
  'done',
  'canceled',
  'timeout',
  'failed',
  'dependency',
  'skipped',
  'invalid',
  'assert',
  'unsupported',
  'collected',
  'once',
]);

/** One unit of the answer to ListUnitsByNames, under the name that systemd gives it (for an alias: the real unit's). */
export function decodeListed(body: readonly unknown[]): UnitState[] {
  return array(body[0], 'ListUnitsByNames').map((entry) => {
    const [unit, , load, active, sub] = array(entry, 'ListUnitsByNames');
    return {
      unit: text(unit, 'ListUnitsByNames'),
      load: loadState(text(load, 'ListUnitsByNames')),
      active: activeState(text(active, 'ListUnitsByNames')),
      sub: text(sub, 'ListUnitsByNames'),
    };
  });
}

/** ActiveState as systemd writes it; one that a newer systemd invented counts as being in a change (`activating`). */
export function activeState(value: string): ActiveState {
  return isActiveState(value) ? value : 'activating';
}

/** LoadState as systemd writes it (`merged` never is: ListUnitsByNames answers for the unit merged into). An unknown one counts as `error`. */
export function loadState(value: string): LoadState {
  return isLoadState(value) ? value : 'error';
}

/** The object path in the answer to StartUnit and its kin. */
export function decodePath(body: readonly unknown[], member: string): string {
  return text(body[0], member);
}

/** Path and result of a JobRemoved signal. A result that a newer systemd invented counts as `failed`: the job did not do its work. */
export function decodeJobRemoved(body: readonly unknown[]): {
  readonly path: string;
  readonly unit: string;
  readonly outcome: JobOutcome;
} {
  const [, path, unit, result] = body;
  const kind = text(result, 'JobRemoved');
  return {
    path: text(path, 'JobRemoved'),
    unit: text(unit, 'JobRemoved'),
    outcome: { kind: isJobResult(kind) ? kind : 'failed' },
  };
}

/** ExecMainCode is the si_code of waitid(2): CLD_EXITED 1, CLD_KILLED 2, CLD_DUMPED 3; 0 before the first end. */
export function exitCode(siCode: unknown): ExitInfo['code'] {
  switch (siCode) {
    case 1:
      return 'exited';
    case 2:
      return 'killed';
    case 3:
      return 'dumped';
    default:
      return 'none';
  }
}

/** `value` if it is a string; else an Error naming the message. */
export function text(value: unknown, member: string): string {
  if (typeof value === 'string') return value;
  throw unexpected(member);
}

/** `value` if it is a number; else an Error naming the message. */
export function number(value: unknown, member: string): number {
  if (typeof value === 'number') return value;
  throw unexpected(member);
}

/** A time span of systemd (microseconds, uint64; the highest value is infinity) in ms; else an Error naming the message. */
export function milliseconds(value: unknown, member: string): number {
  if (value === 0xffff_ffff_ffff_ffffn) return Number.POSITIVE_INFINITY;
  if (typeof value === 'bigint' || typeof value === 'number') return Number(value) / 1000;
  throw unexpected(member);
}

function array(value: unknown, member: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw unexpected(member);
}

function unexpected(member: string): Error {
  return new Error(`systemd's message ${member} has an unexpected shape; this systemd is not supported`);
}

function isActiveState(value: string): value is ActiveState {
  return ACTIVE.has(value);
}

function isLoadState(value: string): value is LoadState {
  return LOAD.has(value);
}

function isJobResult(value: string): value is JobResult {
  return JOB_RESULTS.has(value);
}
