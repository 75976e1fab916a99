/**
 * What is registered, by label, kept up to date for whoever asks: clients, templates, hooks, HTTP. While ZooKeeper is
 * silent, what was read last stands; an entry that cannot be read is reported, and its last readable value stands.
 *
 * Invariant: however many entries change at once, `onChange` is called once for all of them, and a label's list is made
 * anew once for each time it is asked for after a change; of a label with thousands of entries changes are gathered for longer.
 */
import { type Clock, systemClock } from '../shared/clock.ts';
import { Collection } from '../shared/collection.ts';
import type { Logger } from '../shared/log.ts';
import { compare, isLabel } from '../shared/names.ts';
import type { Decoded } from '../shared/payloads.ts';
import { restOfNames, type Store, type Watch } from '../shared/store.ts';
import { DISCOVERY, discoveryPath } from '../shared/znodes.ts';
import { decodeRegistration, type Registration, registrationPath } from './registration.ts';

export interface DirectoryOptions {
  readonly store: Store;
  readonly log: Logger;
  /** Something may have changed, or has been read for the first time: look. */
  readonly onChange: () => void;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** How long changes are gathered into one call of `onChange`, ms; default 10. At least 20 ms for 1,000 entries of a label. */
  readonly gatherMs?: number;
}

const GATHER_MS = 10;
/** Entries of one label that are read, and labels that are found: several times what the largest clusters have. */
export const MAX_ENTRIES = 30_000;
export const MAX_LABELS = 10_000;
/** Names that are no labels are told one by one up to this many. */
const MAX_REPORTED = 20;
const NONE: readonly Registration[] = [];

/** Labels that somebody asks for; `all`: those that come later, too. */
export type FollowedLabels = ReadonlySet<string> | 'all';

interface Followed {
  readonly collection: Collection<Registration>;
  /** Undefined: to be made anew. */
  list: readonly Registration[] | undefined;
  /** All that was there has been read once. */
  read: boolean;
}

export class Directory {
  private readonly followed = new Map<string, Followed>();
  private readonly clock: Clock;
  private readonly reported = new Set<string>();
  private all: Watch | undefined;
  private allRead = false;
  private cancelGather: (() => void) | undefined;
  private closed = false;

  constructor(private readonly options: DirectoryOptions) {
    this.clock = options.clock ?? systemClock;
  }

  /** Begins to read a label, which need not exist yet. Throws on what is no label (`isLabel`): the caller checks input. */
  follow(label: string): void {
    if (!isLabel(label)) throw new Error(`${JSON.stringify(label)} is not a label`);
    if (this.followed.has(label) || this.closed) return;
    const { store, log } = this.options;
    const decode = (data: Buffer, path: string) => decodeAt(label, data, path);
    const collection = new Collection(store, discoveryPath(label), decode, log, () => this.onLabel(label), MAX_ENTRIES);
    this.followed.set(label, { collection, list: undefined, read: false });
  }

  /** Begins to read every label there is, and those that come. */
  followAll(): void {
    if (this.all || this.closed) return;
    this.all = this.options.store.watchChildren(DISCOVERY, (names) => {
      this.followFound(names ?? []);
      this.allRead = true;
      this.changed();
    });
  }

  /** What is registered under a followed label, sorted by id; the same array until something changes. */
  entries(label: string): readonly Registration[] {
    const followed = this.followed.get(label);
    if (!followed) return NONE;
    followed.list ??= listOf(followed.collection);
    return followed.list;
  }

  /** The followed labels under which something is registered, sorted. */
  labels(): readonly string[] {
    return [...this.followed.keys()].filter((label) => this.entries(label).length > 0).sort(compare);
  }

  /** All that was asked for has been read once. */
  get ready(): boolean {
    if (this.all && !this.allRead) return false;
    for (const followed of this.followed.values()) {
      followed.read ||= followed.collection.ready;
      if (!followed.read) return false;
    }
    return true;
  }

  /** What cannot be read, one sentence each. */
  problems(): readonly string[] {
    return [...this.followed.values()].flatMap(({ collection }) => [...collection.problems.values()]);
  }

  /** Ends it: `onChange` is not called any more. */
  close(): void {
    this.closed = true;
    this.cancelGather?.();
    this.all?.close();
    for (const { collection } of this.followed.values()) collection.close();
  }

  private followFound(names: readonly string[]): void {
    for (const name of names) {
      if (isLabel(name) && (this.followed.has(name) || this.followed.size < MAX_LABELS)) this.follow(name);
      else if (this.reported.size < MAX_REPORTED && !this.reported.has(name)) {
        this.reported.add(name);
        const why = isLabel(name) ? `is one label more than the ${MAX_LABELS} that are read` : 'is not a label';
        this.options.log.error(`${DISCOVERY}/${JSON.stringify(name.slice(0, 200))} ${why}; it is ignored`);
      }
    }
  }

  private onLabel(label: string): void {
    const followed = this.followed.get(label);
    if (followed) followed.list = undefined;
    // whoever is told looks at all of them
    this.changed(restOfNames(followed?.collection.present.length ?? 0));
  }

  private changed(atLeastMs = 0): void {
    if (this.closed || this.cancelGather) return;
    this.cancelGather = this.clock.after(Math.max(this.options.gatherMs ?? GATHER_MS, atLeastMs), () => {
      this.cancelGather = undefined;
      this.options.onChange();
    });
  }
}

/** `present` is sorted by the znode's name, which is the id. */
function listOf({ present, values }: Collection<Registration>): readonly Registration[] {
  return present.flatMap((name) => values.get(name) ?? []);
}

function decodeAt(label: string, data: Buffer, path: string): Decoded<Registration> {
  const decoded = decodeRegistration(data, path);
  if (!decoded.ok || registrationPath(decoded.value.label, decoded.value.id) === path) return decoded;
  return { ok: false, problem: `${path} holds the registration of another label or id than its path says (${label})` };
}
