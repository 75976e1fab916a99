/**
 * What is registered, for those who ask now and then: a label is read from ZooKeeper when somebody asks for it, and kept
 * up to date until nobody has asked for a while. Nobody asks: nothing is read.
 *
 * Invariant: of labels that do not exist nothing is asked: whoever makes names up leaves no watch for each on the servers,
 * which keep those as long as our session lives.
 */
import { type Clock, delay } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { isLabel } from '../shared/names.ts';
import type { Store, Watch } from '../shared/store.ts';
import { DISCOVERY, discoveryPath } from '../shared/znodes.ts';
import { Directory } from './directory.ts';
import type { Registration } from './registration.ts';

export interface LabelViewsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A label that is asked for is kept up to date for so long after the last question, ms. */
const KEPT_MS = 60_000;
/** Labels that are kept up to date at once; beyond them the one that was asked for longest ago is forgotten. */
const MAX_LABELS = 256;
/** How long a question waits for a label that is read for the first time. */
const FIRST_READ_MS = 5_000;
/** Entries are counted no more often than this, ms, however many ask: it takes a request for each label. */
const COUNT_EVERY_MS = 1_000;

interface View {
  readonly directory: Directory;
  cancelEnd: () => void;
}

/** Which labels there are; undefined: not read yet. */
interface Names {
  readonly watch: Watch;
  known: ReadonlySet<string> | undefined;
  cancelEnd: () => void;
}

export interface LabelCount {
  readonly label: string;
  readonly entries: number;
}

/** Why there is no answer; its message is for whoever asked. */
export class NoAnswer extends Error {}

export class LabelViews {
  /** In the order of the last question. */
  private readonly views = new Map<string, View>();
  /** Label, existing or not → who is told of its changes. */
  private readonly listeners = new Map<string, Set<() => void>>();
  private names: Names | undefined;
  private counts: Promise<readonly LabelCount[]> | undefined;

  constructor(private readonly options: LabelViewsOptions) {}

  /** The labels with the number of their entries, a second ago at most. Rejects with a `StoreError` when ZooKeeper does not answer. */
  labels(): Promise<readonly LabelCount[]> {
    if (this.counts !== undefined) return this.counts;
    const counts = this.count();
    this.counts = counts;
    const forget = () => {
      this.counts = undefined;
    };
    counts.then(() => this.options.clock.after(COUNT_EVERY_MS, forget), forget);
    return counts;
  }

  /** What is registered under a label (`isLabel`), sorted by id. Rejects with `NoAnswer` when that cannot be known in time. */
  async read(label: string): Promise<readonly Registration[]> {
    const names = this.openNames();
    if (!names.known) await this.firstRead(label, () => names.known !== undefined);
    if (!names.known) throw unread(label);
    if (!names.known.has(label)) return [];
    const { directory } = this.view(label);
    if (!directory.ready) await this.firstRead(label, () => directory.ready);
    if (!directory.ready) throw unread(label);
    return directory.entries(label);
  }

  /** Calls `listener` when something may have changed, until the answer is called; the label is kept all the time. */
  follow(label: string, listener: () => void): () => void {
    const end = this.listen(label, listener);
    if (this.openNames().known?.has(label)) this.view(label).cancelEnd();
    return () => {
      end();
      const view = this.views.get(label);
      if (view && !this.listeners.has(label)) this.keep(label, view);
    };
  }

  /** How many labels are kept up to date. */
  get open(): number {
    return this.views.size;
  }

  close(): void {
    for (const label of [...this.views.keys()]) this.drop(label);
    this.closeNames();
  }

  private async count(): Promise<readonly LabelCount[]> {
    const { store } = this.options;
    const labels = ((await store.children(DISCOVERY)) ?? []).filter(isLabel);
    const counts = await Promise.all(labels.map((label) => store.children(discoveryPath(label))));
    return labels.map((label, index) => ({ label, entries: counts[index]?.length ?? 0 }));
  }

  private listen(label: string, listener: () => void): () => void {
    const listeners = this.listeners.get(label) ?? new Set();
    this.listeners.set(label, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.listeners.get(label) === listeners) this.listeners.delete(label);
    };
  }

  private tell(label: string): void {
    for (const listener of [...(this.listeners.get(label) ?? [])]) listener();
  }

  /** It is kept for a while after the last question, and as long as anybody needs it. */
  private openNames(): Names {
    const names = this.names ?? this.watchNames();
    names.cancelEnd();
    names.cancelEnd = this.options.clock.after(KEPT_MS, () => {
      if (this.views.size === 0 && this.listeners.size === 0) this.closeNames();
    });
    return names;
  }

  private watchNames(): Names {
    const watch = this.options.store.watchChildren(DISCOVERY, (all) => {
      names.known = new Set((all ?? []).filter(isLabel));
      for (const label of [...this.listeners.keys()]) {
        if (names.known.has(label) && !this.views.has(label)) this.view(label).cancelEnd();
        this.tell(label);
      }
    });
    const names: Names = { watch, known: undefined, cancelEnd: () => {} };
    this.names = names;
    return names;
  }

  private closeNames(): void {
    this.names?.cancelEnd();
    this.names?.watch.close();
    this.names = undefined;
  }

  private view(label: string): View {
    const view = this.views.get(label) ?? this.make(label);
    // last in the order
    this.views.delete(label);
    this.views.set(label, view);
    this.keep(label, view);
    return view;
  }

  private make(label: string): View {
    if (this.views.size >= MAX_LABELS) this.forgetOne();
    const directory = new Directory({ ...this.options, onChange: () => this.tell(label) });
    directory.follow(label);
    return { directory, cancelEnd: () => {} };
  }

  private forgetOne(): void {
    const idle = [...this.views.keys()].find((label) => !this.listeners.has(label));
    if (idle === undefined) throw new NoAnswer('too many labels are followed at once on this host: ask another one');
    this.drop(idle);
  }

  /** It ends in a while, unless somebody asks again. */
  private keep(label: string, view: View): void {
    view.cancelEnd();
    view.cancelEnd = this.options.clock.after(KEPT_MS, () => {
      if (this.listeners.has(label)) return;
      this.drop(label);
      if (this.views.size === 0 && this.listeners.size === 0) this.closeNames();
    });
  }

  private drop(label: string): void {
    const view = this.views.get(label);
    this.views.delete(label);
    view?.cancelEnd();
    view?.directory.close();
  }

  private async firstRead(label: string, isRead: () => boolean): Promise<void> {
    const abort = new AbortController();
    const end = this.listen(label, () => {
      if (isRead()) abort.abort(new Error('it was read'));
    });
    await delay(this.options.clock, FIRST_READ_MS, abort.signal).catch(() => undefined);
    end();
  }
}

function unread(label: string): NoAnswer {
  return new NoAnswer(`what is registered under ${label} could not be read in time: ask again`);
}
