/** Waits until an instance that was asked to go to another host is up there, or until it is certain that it will not be. */
import type { Clock } from '../shared/clock.ts';
import type { AskedMove, LeaderNotes } from '../shared/cluster.ts';
import { type Decoded, decodeDesired, decodeObserved } from '../shared/payloads.ts';
import { decodeNotes } from '../shared/rebalance.ts';
import type { Desired, Observed } from '../shared/state.ts';
import type { Store } from '../shared/store.ts';
import { compareVersions } from '../shared/version.ts';
import { desiredPath, LEADER, observedPath } from '../shared/znodes.ts';

export type MoveEnd =
  | { readonly kind: 'moved' }
  /** The leader does not make it: `why`. */
  | { readonly kind: 'refused'; readonly why: string }
  /** It was made, and the instance is not well, or gone from there again. */
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'late'; readonly why: string }
  | { readonly kind: 'interrupted' };

export interface MoveWatch {
  readonly move: AskedMove;
  /** Of the wish that holds the move. */
  readonly id: string;
  /** How long it may take, ms. */
  readonly deadlineMs: number;
  /** How long the leader may take to begin with it, or to refuse it, ms. */
  readonly answerMs: number;
}

/** What is known; undefined: not read yet, or unreadable. */
interface Known {
  desired?: Desired | undefined;
  origin?: Desired | undefined;
  observed?: Observed | undefined;
  notes?: LeaderNotes | undefined;
}

/** Never rejects. */
export function untilMoved(store: Store, clock: Clock, what: MoveWatch, signal: AbortSignal): Promise<MoveEnd> {
  const { move, deadlineMs, answerMs } = what;
  const known: Known = {};
  let wasTold = false;
  return new Promise((resolve) => {
    const look = (): void => {
      const told = known.desired?.units.some(({ unit, withdrawn }) => unit === move.unit && !withdrawn) ?? false;
      const end = endOf(what, known, told, wasTold);
      wasTold ||= told;
      if (end) finish(end);
    };
    const follow = <T>(path: string, decode: (data: Buffer, path: string) => Decoded<T>, keep: (value?: T) => void) =>
      store.watch(path, (node) => {
        const decoded = node && decode(node.data, path);
        keep(decoded?.ok ? decoded.value : undefined);
        look();
      });
    const watches = [
      follow(LEADER, decodeNotes, (value) => {
        known.notes = value;
      }),
      follow(desiredPath(move.from), decodeDesired, (value) => {
        known.origin = value;
      }),
      follow(desiredPath(move.to), decodeDesired, (value) => {
        known.desired = value;
      }),
      follow(observedPath(move.to), decodeObserved, (value) => {
        known.observed = value;
      }),
    ];
    const onAbort = () => finish({ kind: 'interrupted' });
    const timers = [
      clock.after(deadlineMs, () => finish({ kind: 'late', why: describeState(move, known, wasTold) })),
      clock.after(answerMs, () => {
        if (!wasTold && !isWithdrawn(move, known))
          finish({ kind: 'late', why: 'the leader has not begun with it; does it run this version?' });
      }),
    ];
    const finish = (end: MoveEnd): void => {
      for (const cancel of timers) cancel();
      signal.removeEventListener('abort', onAbort);
      for (const watch of watches) watch.close();
      resolve(end);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function endOf({ move, id }: MoveWatch, known: Known, told: boolean, wasTold: boolean): MoveEnd | undefined {
  const { desired, observed, notes } = known;
  if (!told && wasTold) return { kind: 'failed', why: `${move.to} is not to run it any more` };
  if (!told) {
    const refused = notes?.rebalance?.id === id ? notes.rebalance.refused : [];
    const mine = refused.find(({ unit, from, to }) => unit === move.unit && from === move.from && to === move.to);
    return mine && { kind: 'refused', why: mine.why };
  }
  // an older report tells nothing of what was started since
  if (!desired || !observed || compareVersions(observed, desired) < 0) return undefined;
  const seen = observed.units.find(({ unit }) => unit === move.unit);
  if (seen?.failure) return { kind: 'failed', why: seen.failure.message };
  if (seen?.active !== 'active') return undefined;
  const hasCheck = desired.units.some(({ unit, check }) => unit === move.unit && check !== undefined);
  if (!hasCheck || seen.health?.state === 'healthy') return { kind: 'moved' };
  if (seen.health?.state !== 'unhealthy') return undefined;
  return { kind: 'failed', why: `it is unhealthy there: ${seen.health.output ?? 'its check fails'}` };
}

function isWithdrawn({ unit }: AskedMove, { origin }: Known): boolean {
  return origin?.units.some((entry) => entry.unit === unit && entry.withdrawn) ?? false;
}

function describeState(move: AskedMove, known: Known, wasTold: boolean): string {
  if (!wasTold) return `${move.from} has yet to stop it`;
  const seen = known.observed?.units.find(({ unit }) => unit === move.unit);
  const state = seen?.health ? `${seen.active}, ${seen.health.state}` : (seen?.active ?? 'not started');
  return `on ${move.to} it is ${state}${seen?.waiting === undefined ? '' : `: ${seen.waiting}`}`;
}
