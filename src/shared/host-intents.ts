/**
 * What operators want of hosts, in `hosts/<host>`: written and removed here, obeyed by the leader. Each change is told in
 * the history in the same step.
 */
import type { HostIntent } from './cluster.ts';
import { type EventKind, encodeBatches, RING_PREFIX } from './history.ts';
import { decodeHostIntent, encodeHostIntent } from './payloads.ts';
import { isStoreError, type Operation, type Store } from './store.ts';
import { HISTORY, HOSTS, intentPath } from './znodes.ts';

/** What is asked for. */
export interface IntentChange {
  readonly host: string;
  /** `ready`: the intent is removed. */
  readonly state: HostIntent['state'] | 'ready';
  /** Undefined: as it was, where the state stays the same. */
  readonly why: string | undefined;
  /** Host on which it is asked for. */
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
}

export interface IntentOutcome {
  /** False: it was so already. */
  readonly changed: boolean;
  /** What holds now; undefined: none. */
  readonly intent: HostIntent | undefined;
}

const TRIES = 10;
const KIND: Readonly<Record<IntentChange['state'], EventKind>> = {
  cordoned: 'host-cordoned',
  draining: 'host-draining',
  ready: 'host-uncordoned',
};

/** Answers what holds now. Rejects with a StoreError when ZooKeeper does not answer. */
export async function changeIntent(store: Store, change: IntentChange): Promise<IntentOutcome> {
  await Promise.all([store.ensure(HOSTS), store.ensure(HISTORY)]);
  for (let attempt = 1; ; attempt++) {
    try {
      return await changeOnce(store, change);
    } catch (error) {
      const overtaken = isStoreError(error, 'bad-version', 'node-exists', 'no-node');
      if (!overtaken || attempt >= TRIES) throw error;
    }
  }
}

async function changeOnce(store: Store, change: IntentChange): Promise<IntentOutcome> {
  const path = intentPath(change.host);
  const node = await store.get(path);
  const before = node && decodeHostIntent(node.data, path);
  const known = before?.ok ? before.value : undefined;
  const next = nextIntent(known, change);
  if (next === undefined ? node === undefined : next === known) return { changed: false, intent: known };
  const told = tell(change, next);
  if (next === undefined) {
    await store.transaction([{ op: 'remove', path }, ...told]);
  } else {
    const data = encodeHostIntent(next);
    const write: Operation = node ? { op: 'set', path, data } : { op: 'create', path, data, mode: 'persistent' };
    await store.transaction([write, ...told]);
  }
  return { changed: true, intent: next };
}

/** The very same object when nothing changes. */
function nextIntent(known: HostIntent | undefined, change: IntentChange): HostIntent | undefined {
  const { host, state, why, at, by } = change;
  if (state === 'ready') return undefined;
  if (known?.state === state) return why === undefined || why === known.why ? known : { ...known, why };
  return { host, state, since: at, why: why ?? `asked for on ${by}` };
}

function tell({ host, state, at, by, why }: IntentChange, next: HostIntent | undefined): Operation[] {
  const event = { at, kind: KIND[state], host, reason: state, why: next?.why ?? why ?? `asked for on ${by}` };
  return encodeBatches(by, `${by}/intent/${at}/${host}/${state}`, [event]).map((data) => ({
    op: 'create',
    path: RING_PREFIX.leader,
    data,
    mode: 'persistent-sequential',
  }));
}
