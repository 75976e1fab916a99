/**
 * What is registered, for those who ask now and then: a label is read from ZooKeeper when somebody asks for it, and kept
 * up to date until nobody has asked for a while. Nobody asks: nothing is read.
 */
import { type Clock, delay } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { isLabel } from '../shared/names.ts';
import type { Store } from '../shared/store.ts';
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

interface View {
  readonly directory: Directory;
  readonly listeners: Set<() => void>;
  cancelEnd: () => void;
}

/** Why there is no answer; its message is for whoever asked. */
export class NoAnswer extends Error {}

export class LabelViews {
  /** In the order of the last question. */
  private readonly views = new Map<string, View>();

  constructor(private readonly options: LabelViewsOptions) {}

  /** The labels with the number of their entries. Rejects with a `StoreError` when ZooKeeper does not answer. */
  async labels(): Promise<readonly { readonly label: string; readonly entries: number }[]> {
    const { store } = this.options;
    const labels = ((await store.children(DISCOVERY)) ?? []).filter(isLabel);
    const counts = await Promise.all(labels.map((label) => store.children(discoveryPath(label))));
    return labels.map((label, index) => ({ label, entries: counts[index]?.length ?? 0 }));
  }

  /** What is registered under a label (`isLabel`), sorted by id. Rejects with `NoAnswer` when that cannot be known in time. */
  async read(label: string): Promise<readonly Registration[]> {
    const { directory, listeners } = this.view(label);
    if (!directory.ready) await this.firstRead(directory, listeners);
    if (!directory.ready) throw new NoAnswer(`what is registered under ${label} could not be read in time: ask again`);
    return directory.entries(label);
  }

  /** Calls `listener` when something may have changed, until the answer is called; the label is kept all the time. */
  follow(label: string, listener: () => void): () => void {
    const view = this.view(label);
    view.listeners.add(listener);
    view.cancelEnd();
    return () => {
      if (!view.listeners.delete(listener)) return;
      if (this.views.get(label) === view) this.keep(label, view);
    };
  }

  /** How many labels are kept up to date. */
  get open(): number {
    return this.views.size;
  }

  close(): void {
    for (const label of [...this.views.keys()]) this.drop(label);
  }

  private view(label: string): View {
    const known = this.views.get(label);
    const view = known ?? this.make(label);
    // last in the order
    this.views.delete(label);
    this.views.set(label, view);
    this.keep(label, view);
    return view;
  }

  private make(label: string): View {
    if (this.views.size >= MAX_LABELS) this.forgetOne();
    const listeners = new Set<() => void>();
    const directory = new Directory({
      ...this.options,
      onChange: () => {
        for (const listener of [...listeners]) listener();
      },
    });
    directory.follow(label);
    return { directory, listeners, cancelEnd: () => {} };
  }

  private forgetOne(): void {
    const idle = [...this.views].find(([, { listeners }]) => listeners.size === 0);
    if (!idle) throw new NoAnswer('too many labels are followed at once on this host: ask another one');
    this.drop(idle[0]);
  }

  /** It ends in a while, unless somebody asks again. */
  private keep(label: string, view: View): void {
    view.cancelEnd();
    view.cancelEnd = this.options.clock.after(KEPT_MS, () => {
      if (view.listeners.size === 0) this.drop(label);
    });
  }

  private drop(label: string): void {
    const view = this.views.get(label);
    this.views.delete(label);
    view?.cancelEnd();
    view?.directory.close();
  }

  private async firstRead(directory: Directory, listeners: Set<() => void>): Promise<void> {
    const abort = new AbortController();
    const listener = () => {
      if (directory.ready) abort.abort(new Error('it was read'));
    };
    listeners.add(listener);
    await delay(this.options.clock, FIRST_READ_MS, abort.signal).catch(() => undefined);
    listeners.delete(listener);
  }
}
