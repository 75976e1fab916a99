/**
 * What happened to units, out of the cluster's history, from a position on: each batch at least once, whatever became of
 * leader, host and daemon meanwhile. Events come in the order of their times, as far as the hosts' clocks agree.
 */

import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { HistoryEvent, Ring } from '../shared/history.ts';
import { HistoryReader } from '../shared/history-reader.ts';
import { inOrder, KEPT, ringOf } from '../shared/history-ring.ts';
import type { Logger } from '../shared/log.ts';
import { sequenceOf } from '../shared/sequence.ts';
import type { HookEvent } from '../shared/spec.ts';
import type { Store, Watch } from '../shared/store.ts';
import { HISTORY } from '../shared/znodes.ts';
import type { ClusterEvent } from './hook-event.ts';
import type { Position } from './hook-memory.ts';

/**
 * From a change to the reading of what is new, ms: hosts tell what happened together some tenths of a second apart, and a
 * busy history is read, with all its names, no more often than this.
 */
const GATHER_MS = 250;
/** The same for each member, as the names are as many: 5 s for 5,000. */
const GATHER_PER_MEMBER_MS = 1;
/** Pause after ZooKeeper did not answer. */
const RETRY_MS = 1_000;
/** Batches that are read and told together. */
const AT_ONCE = 100;
/** Before the first batch, whose number is 0. */
const NONE = -1;
const RINGS: readonly Ring[] = ['leader', 'host'];

export interface UnitEventsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** How far it was read; undefined: what is there already is not told. */
  readonly position: Position | undefined;
  readonly members: () => number;
  /** New events, perhaps none, and how far the history is read with them. */
  readonly onRead: (events: readonly ClusterEvent[], position: Position) => void;
}

export class UnitEvents {
  private position: Position | undefined;
  private watch: Watch | undefined;
  private cancel = () => {};
  private closed = false;

  constructor(private readonly options: UnitEventsOptions) {
    this.position = options.position;
    this.open();
  }

  close(): void {
    this.closed = true;
    this.cancel();
    this.watch?.close();
  }

  /** The first names are read at once; when they change, all is looked at anew a little later. */
  private open(): void {
    const { store, log, members } = this.options;
    let state: 'unread' | 'reading' | 'read' = 'unread';
    let changed = false;
    const again = (ms: number) => {
      watch.close();
      if (!this.closed) this.cancel = this.options.clock.after(ms, () => this.open());
    };
    const gather = () => again(GATHER_MS + GATHER_PER_MEMBER_MS * members());
    const watch = store.watchChildren(HISTORY, (names) => {
      if (state !== 'unread') {
        if (state === 'read' && !changed) gather();
        changed = true;
        return;
      }
      state = 'reading';
      this.read(names ?? []).then(
        () => {
          state = 'read';
          if (changed) gather();
        },
        (error: unknown) => {
          log.debug(`the history could not be read for hooks: ${messageOf(error)}; tried again`);
          again(RETRY_MS);
        },
      );
    });
    this.watch = watch;
  }

  private async read(names: readonly string[]): Promise<void> {
    const { store, log } = this.options;
    const node = await store.get(HISTORY);
    if (!node) return;
    const history = String(node.czxid);
    const all = inOrder(names);
    const last = all.at(-1);
    this.position ??= { history, number: last === undefined ? NONE : sequenceOf(last) };
    // another history than the one that was read: nothing of it was told
    const after = this.position.history === history ? this.position.number : NONE;
    const fresh = all.filter((name) => sequenceOf(name) > after);
    this.warnOfGap(all, after);
    for (let first = 0; first === 0 || first < fresh.length; first += AT_ONCE) {
      const some = fresh.slice(first, first + AT_ONCE);
      const { events, problems } = await new HistoryReader(store).read(some);
      if (this.closed) return;
      for (const problem of problems) log.error(`${problem}; hooks are not told of it`);
      const end = some.at(-1);
      this.position = { history, number: end === undefined ? after : sequenceOf(end) };
      this.options.onRead(
        events.flatMap((event) => this.toldOf(event)),
        this.position,
      );
    }
  }

  /** What was cut off a ring is known by the rest: a ring that was ever cut is full, and all that is left of it is new. */
  private warnOfGap(all: readonly string[], after: number): void {
    for (const ring of RINGS) {
      const names = ringOf(ring, all);
      const oldest = sequenceOf(names[0] ?? '');
      if (after === NONE || names.length < KEPT || !(oldest > after)) continue;
      this.options.log.warn(
        `hooks are not told of all that happened to units: the history no longer holds up to ${oldest - after - 1} batches of events that were not read`,
        { event: 'hook-left-out', ring },
      );
    }
  }

  private toldOf({ kind, host, unit, service, from, to, why }: HistoryEvent): ClusterEvent[] {
    const event = EVENTS.get(kind);
    if (kind === 'events-dropped')
      this.options.log.warn(`hooks are not told of all that happened to units of ${host}: ${why}`);
    if (event === undefined || host === undefined || unit === undefined) return [];
    const moved = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
    return [{ event, host, unit, ...(service !== undefined && { service }), ...moved, why }];
  }
}

const EVENTS: ReadonlyMap<string, HookEvent> = new Map([
  ['started', 'unit-started'],
  ['moved', 'unit-moved'],
  ['failed', 'unit-failed'],
]);
