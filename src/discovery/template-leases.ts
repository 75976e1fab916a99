/** All startup leases for templates, kept up to date: who has one, and who waits for it. While ZooKeeper is silent, what was read last stands. */
import { basename } from 'node:path/posix';
import { Collection } from '../shared/collection.ts';
import type { Logger } from '../shared/log.ts';
import { compare, isLabel } from '../shared/names.ts';
import type { Decoded } from '../shared/payloads.ts';
import { compareSequence } from '../shared/sequence.ts';
import type { Store, Watch } from '../shared/store.ts';
import { LEASES, leasePath } from '../shared/znodes.ts';
import { decodeHolder, decodeWaiter, type LeaseHolder, type LeaseWaiter } from './lease.ts';
import type { LeaseFact } from './template-data.ts';

type Part =
  | { readonly kind: 'holder'; readonly value: LeaseHolder }
  | { readonly kind: 'waiter'; readonly value: LeaseWaiter }
  | { readonly kind: 'other' };

/** Leases that are read, the first by name, and of each the holder and those who wait: far more than anybody looks at. */
const MAX_LEASES = 1_000;
const MAX_PARTS = 1_000;
const HOLDER = 'holder';
const WAITER = /^n_-?\d+$/;

export class TemplateLeases {
  private readonly followed = new Map<string, Collection<Part>>();
  private readonly all: Watch;
  private allRead = false;

  /** `onChange`: something may have changed, or has been read for the first time. */
  constructor(
    private readonly store: Store,
    private readonly log: Logger,
    private readonly onChange: () => void,
  ) {
    this.all = store.watchChildren(LEASES, (names) => this.onNames(names ?? []));
  }

  /** Every lease that exists now has been read at least once. */
  get ready(): boolean {
    return this.allRead && [...this.followed.values()].every(({ ready }) => ready);
  }

  /** Sorted by label. */
  get leases(): readonly LeaseFact[] {
    const facts = [...this.followed].map(([label, parts]) => leaseOf(label, parts));
    return facts
      .filter(({ holder, waiters }) => holder !== undefined || waiters.length > 0)
      .sort((a, b) => compare(a.label, b.label));
  }

  close(): void {
    this.all.close();
    for (const parts of this.followed.values()) parts.close();
  }

  private onNames(names: readonly string[]): void {
    this.allRead = true;
    // the queues of services that start in turns are there, too: their names are no labels
    const labels = new Set(names.filter(isLabel).slice(0, MAX_LEASES));
    for (const [label, parts] of this.followed) {
      if (labels.has(label)) continue;
      parts.close();
      this.followed.delete(label);
    }
    for (const label of labels) {
      if (this.followed.has(label)) continue;
      const { store, log, onChange } = this;
      this.followed.set(label, new Collection(store, leasePath(label), decodePart, log, onChange, MAX_PARTS));
    }
    this.onChange();
  }
}

function leaseOf(label: string, { present, values }: Collection<Part>): LeaseFact {
  const holder = values.get(HOLDER);
  const waiters = [...present].sort(compareSequence).flatMap((name) => {
    const part = values.get(name);
    return part?.kind === 'waiter' ? [part.value] : [];
  });
  return { label, ...(holder?.kind === 'holder' && { holder: holder.value }), waiters };
}

function decodePart(data: Buffer, path: string): Decoded<Part> {
  const name = basename(path);
  if (name === HOLDER) {
    const holder = decodeHolder(data, path);
    return holder.ok ? { ok: true, value: { kind: 'holder', value: holder.value } } : holder;
  }
  if (!WAITER.test(name)) return { ok: true, value: { kind: 'other' } };
  const waiter = decodeWaiter(data, path);
  return waiter.ok ? { ok: true, value: { kind: 'waiter', value: waiter.value } } : waiter;
}
