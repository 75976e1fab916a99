/** One reading of the whole cluster from ZooKeeper, for commands that look and go. */
import type { HostIntent, LeaderNotes, Member } from './cluster.ts';
import { findLeader } from './find-leader.ts';
import {
  type Decoded,
  decodeDesired,
  decodeHostIntent,
  decodeMember,
  decodeObserved,
  decodeSpecRecord,
} from './payloads.ts';
import { decodeNotes } from './rebalance.ts';
import type { SpecRecord } from './spec.ts';
import type { Desired, Observed } from './state.ts';
import type { Store } from './store.ts';
import { DESIRED, HOSTS, LEADER, MEMBERS, OBSERVED, SPEC } from './znodes.ts';

export interface Snapshot {
  readonly leader: string | undefined;
  readonly epoch: number | undefined;
  readonly spec: SpecRecord | undefined;
  readonly members: ReadonlyMap<string, Member>;
  readonly desired: ReadonlyMap<string, Desired>;
  readonly observed: ReadonlyMap<string, Observed>;
  readonly intents: ReadonlyMap<string, HostIntent>;
  /** Of the present leader; undefined: it has told nothing yet. */
  readonly notes?: LeaderNotes;
  /** Znodes that cannot be read, one sentence each. */
  readonly problems: readonly string[];
}

/** Rejects with a StoreError when ZooKeeper does not answer. */
export async function readSnapshot(store: Store): Promise<Snapshot> {
  const problems: string[] = [];
  const [leader, notes, spec, members, desired, observed, intents] = await Promise.all([
    findLeader(store),
    readOne(store, LEADER, decodeNotes, problems),
    readOne(store, SPEC, decodeSpecRecord, problems),
    readAll(store, MEMBERS, decodeMember, problems),
    readAll(store, DESIRED, decodeDesired, problems),
    readAll(store, OBSERVED, decodeObserved, problems),
    readAll(store, HOSTS, decodeHostIntent, problems),
  ]);
  const known = { leader: leader?.host, epoch: leader?.epoch, spec, members, desired, observed, intents, problems };
  return notes !== undefined && notes.epoch === leader?.epoch ? { ...known, notes } : known;
}

type Decode<T> = (data: Buffer, path: string) => Decoded<T>;

async function readOne<T>(store: Store, path: string, decode: Decode<T>, problems: string[]): Promise<T | undefined> {
  const node = await store.get(path);
  if (!node) return undefined;
  const decoded = decode(node.data, path);
  if (decoded.ok) return decoded.value;
  problems.push(decoded.problem);
  return undefined;
}

async function readAll<T>(
  store: Store,
  parent: string,
  decode: Decode<T>,
  problems: string[],
): Promise<Map<string, T>> {
  const names = (await store.children(parent)) ?? [];
  const values = await Promise.all(names.map((name) => readOne(store, `${parent}/${name}`, decode, problems)));
  const read = new Map<string, T>();
  for (const [index, name] of names.entries()) {
    const value = values[index];
    if (value !== undefined) read.set(name, value);
  }
  return read;
}
