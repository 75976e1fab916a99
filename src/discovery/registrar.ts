/**
 * Registers what this host runs, for others to find: one entry for each unit with `discovery` that runs and is healthy.
 * It is told what the host shall run and what systemd says; while it is told nothing, and while ZooKeeper is silent, what
 * is registered stays.
 */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import type { Observed, RegistrableUnit } from '../shared/state.ts';
import type { Store } from '../shared/store.ts';
import { Entry } from './entry.ts';
import { registrationGoals } from './goals.ts';

export interface RegistrarOptions {
  readonly host: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where others reach this host. */
  readonly address: () => string;
  /** What `isRegistered` or `mayBeFound` answers for some unit has changed. */
  readonly onChange?: () => void;
}

export class Registrar {
  /** Path of the znode → its entry. */
  private readonly entries = new Map<string, Entry>();
  /** Unit that is to be registered → path of its znode. */
  private pathOf: ReadonlyMap<string, string> = new Map();
  /** The same, with those that are not to be registered at the moment. */
  private placeOf: ReadonlyMap<string, string> = new Map();
  private readonly told = new Set<string>();
  private readonly unsubscribe: () => void;
  /** Session in which the host's membership is confirmed. */
  private joinedIn: string | undefined;
  private closed = false;

  constructor(private readonly options: RegistrarOptions) {
    this.unsubscribe = options.store.onState((state) => {
      if (state.kind === 'connected') this.look();
    });
  }

  /**
   * What is registered follows from these. Requests to ZooKeeper that need no closer look are sent before this returns:
   * whoever sees a report that is written afterwards finds the registration, too.
   */
  update(desired: readonly RegistrableUnit[], observed: Observed): void {
    if (this.closed) return;
    const { host, address, log } = this.options;
    const { places, problems } = registrationGoals({ host, address: address(), desired, observed });
    this.placeOf = new Map([...places].map(([path, { unit }]) => [unit, path]));
    this.pathOf = new Map(
      [...places].flatMap(([path, { unit, goal }]) => (goal.kind === 'gone' ? [] : [[unit, path]])),
    );
    for (const [path, entry] of this.entries) {
      if (places.has(path)) continue;
      entry.want({ kind: 'gone' });
      if (entry.gone) this.drop(path, entry);
    }
    for (const [path, { label, id, goal }] of places) {
      const entry = this.entries.get(path) ?? this.open(path, label, id);
      entry.want(goal);
    }
    for (const problem of problems) if (!this.told.has(problem)) log.error(problem);
    this.told.clear();
    for (const problem of problems) this.told.add(problem);
  }

  /** The host has joined in the present session: its registrations may be written. */
  joined(): void {
    const { state } = this.options.store;
    this.joinedIn = state.kind === 'connected' ? state.session : undefined;
    this.look();
  }

  /** The host's name is not ours any more: nothing is written until it has joined anew. */
  left(): void {
    this.joinedIn = undefined;
  }

  /** It is registered at the moment, in the present session. */
  isRegistered(unit: string): boolean {
    return this.entries.get(this.pathOf.get(unit) ?? '')?.registered ?? false;
  }

  /** Something of it may be registered, by an earlier process of ours, too. A unit that was never spoken of may be. */
  mayBeFound(unit: string): boolean {
    return !(this.entries.get(this.placeOf.get(unit) ?? '')?.gone ?? false);
  }

  /** How many of this host's units are registered at the moment. */
  get registered(): number {
    return [...this.entries.values()].filter((entry) => entry.registered).length;
  }

  /** Ends it; what is registered stays until the session ends, or the next process takes it over. */
  async close(): Promise<void> {
    this.closed = true;
    this.unsubscribe();
    await Promise.all([...this.entries.values()].map((entry) => entry.close()));
  }

  private look(): void {
    for (const entry of this.entries.values()) entry.look();
  }

  private open(path: string, label: string, id: string): Entry {
    const { host, store, clock, log, onChange } = this.options;
    const entry = new Entry({
      ...(onChange && { onWritten: onChange }),
      store,
      clock,
      log,
      label,
      id,
      mayWrite: () => store.state.kind === 'connected' && store.state.session === this.joinedIn,
      // `members/<host>` is ours: what a daemon wrote for this host is of an earlier process; unreadable, it serves nobody
      isOurs: (found) => found === undefined || (found.source === 'service' && found.host === host),
    });
    this.entries.set(path, entry);
    return entry;
  }

  private drop(path: string, entry: Entry): void {
    this.entries.delete(path);
    void entry.close();
  }
}
