/** Waits until a draining host has stopped all that it had. */

import { isDown } from '../shared/active-state.ts';
import type { Clock } from '../shared/clock.ts';
import { compare } from '../shared/names.ts';
import { decodeDesired, decodeObserved } from '../shared/payloads.ts';
import type { Desired, Observed } from '../shared/state.ts';
import type { Store } from '../shared/store.ts';
import { compareVersions } from '../shared/version.ts';
import { desiredPath, memberPath, observedPath } from '../shared/znodes.ts';

export type DrainEnd =
  | { readonly kind: 'drained' }
  /** Nobody can say what runs there. */
  | { readonly kind: 'no-member' }
  | { readonly kind: 'late'; readonly left: readonly string[] }
  | { readonly kind: 'unreachable' }
  | { readonly kind: 'interrupted' };

/** What is known of the host; undefined: not read yet. `null`: there is none. */
interface Known {
  member?: boolean;
  desired?: Desired | null;
  observed?: Observed | null;
}

/** `onLeft` is called with the units that are left each time they change. Never rejects. */
export function untilDrained(
  store: Store,
  clock: Clock,
  host: string,
  deadlineMs: number,
  signal: AbortSignal,
  onLeft: (units: readonly string[]) => void,
): Promise<DrainEnd> {
  const known: Known = {};
  return new Promise((resolve) => {
    let said = '';
    const look = (): void => {
      const { member, desired, observed } = known;
      if (member === undefined || desired === undefined || observed === undefined) return;
      const left = unitsLeft(desired, observed);
      if (!member) end({ kind: 'no-member' });
      else if (left.length === 0 && isTold(desired, observed)) end({ kind: 'drained' });
      else if (left.length > 0 && left.join() !== said) onLeft(left);
      said = left.join();
    };
    const follow = (path: string, read: (data: Buffer | undefined) => void) =>
      store.watch(path, (node) => {
        read(node?.data);
        look();
      });
    const watches = [
      follow(memberPath(host), (data) => {
        known.member = data !== undefined;
      }),
      follow(desiredPath(host), (data) => {
        known.desired = decoded(data, (bytes) => decodeDesired(bytes, desiredPath(host)));
      }),
      follow(observedPath(host), (data) => {
        known.observed = decoded(data, (bytes) => decodeObserved(bytes, observedPath(host)));
      }),
    ];
    const onAbort = () => end({ kind: 'interrupted' });
    const cancel = clock.after(deadlineMs, () => {
      const left = unitsLeft(known.desired ?? null, known.observed ?? null);
      end(store.state.kind === 'connected' ? { kind: 'late', left } : { kind: 'unreachable' });
    });
    const end = (how: DrainEnd): void => {
      cancel();
      signal.removeEventListener('abort', onAbort);
      for (const watch of watches) watch.close();
      resolve(how);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function decoded<T>(
  data: Buffer | undefined,
  decode: (data: Buffer) => { readonly ok: true; readonly value: T } | { readonly ok: false },
): T | null {
  const read = data && decode(data);
  return read?.ok ? read.value : null;
}

/** Units that are still meant to run there, or have not stopped, sorted. */
function unitsLeft(desired: Desired | null, observed: Observed | null): string[] {
  const meant = desired?.units.map(({ unit }) => unit) ?? [];
  const up = observed?.units.flatMap(({ unit, active }) => (isDown(active) ? [] : [unit])) ?? [];
  return [...new Set([...meant, ...up])].sort(compare);
}

/** True when the host's report is of its newest order: an older one may be silent of what was started since. */
function isTold(desired: Desired | null, observed: Observed | null): boolean {
  return observed !== null && (desired === null || compareVersions(observed, desired) >= 0);
}
