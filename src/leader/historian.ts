/**
 * The leader's part of the history: what it decides is written in the very transactions that put it into force, so that an
 * event is there if and only if what it tells was written; what else happens to the cluster is written right after. It
 * keeps the history short, in small transactions that no placement waits for.
 */
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import { encodeBatches, type HistoryEvent, RING_PREFIX } from '../shared/history.ts';
import { decodePace, encodePace, pauseMs } from '../shared/history-pace.ts';
import { surplus } from '../shared/history-ring.ts';
import { logEvent } from '../shared/history-text.ts';
import type { Logger } from '../shared/log.ts';
import type { Brake } from '../shared/spec.ts';
import type { Operation, Store } from '../shared/store.ts';
import { HISTORY } from '../shared/znodes.ts';
import type { Roll } from './attendance.ts';
import type { Alongside, DesiredWriter } from './desired-writer.ts';
import type { Leadership } from './election.ts';
import type { Move } from './placement.ts';
import { type Departure, movesByOrigin, placementEvents, type Told } from './placement-events.ts';
import { describeBrake, describeRelease } from './why.ts';

/** How often the history is cut to its length. */
const TRIM_EVERY_MS = 30_000;
/** Removed in one transaction: answered in a few milliseconds. */
const MAX_REMOVALS = 50;
/** Pause before what could not be written is tried again. */
const RETRY_MS = 1_000;
/** Lines for the journal at once, and the pause after them: a placement anew of thousands of hosts must not block the leader. */
const MAX_LINES = 100;
const LINES_PAUSE_MS = 20;

export interface HistorianOptions {
  readonly host: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Historian {
  /** What happened to the cluster and is not written yet. */
  private pending: HistoryEvent[] = [];
  /** The part of it that is being written, until that is known to be done. */
  private outgoing: { readonly count: number; readonly operations: readonly Operation[] } | undefined;
  /** What is written, but not in the journal yet. */
  private lines: HistoryEvent[] = [];
  private batches = 0;
  private generation = 0;
  private members = 0;
  /** Hosts that were there at some time of this term. */
  private readonly seen = new Set<string>();
  private held: ReadonlySet<string> | undefined;
  private working: Promise<void> | undefined;
  private trimAt: number;
  private cancelWork = () => {};
  private cancelLines: (() => void) | undefined;
  private closed = false;

  constructor(
    private readonly term: Pick<Leadership, 'epoch' | 'fence'>,
    private readonly options: HistorianOptions,
  ) {
    this.trimAt = options.clock.now() + TRIM_EVERY_MS;
    const { host } = options;
    this.note({ kind: 'leader-changed', host, reason: 'elected', why: `elected with epoch ${term.epoch}` });
  }

  /** Notes who is there, and what the brake does. */
  attend(roll: Roll, brake: Brake, braking: boolean): void {
    this.members = roll.hosts.length;
    for (const host of roll.hosts) this.seen.add(host);
    const before = this.held;
    this.held = braking ? roll.held : undefined;
    if (before === undefined && this.held !== undefined)
      this.note({ kind: 'brake-engaged', reason: 'many-lost', why: describeBrake([...roll.held], brake.holdMs) });
    if (before === undefined || this.held !== undefined) return;
    const back = [...before].every((host) => roll.hosts.includes(host));
    this.note({ kind: 'brake-released', reason: back ? 'all-back' : 'over', why: describeRelease(back) });
  }

  /** What goes along with each transaction of one placement. `hasLeft`: the host said that it would leave. */
  tell(
    writer: DesiredWriter,
    generation: number,
    moves: readonly Move[],
    hasLeft: (host: string) => boolean,
  ): Alongside {
    this.generation = generation;
    const origins = movesByOrigin(moves);
    const departureOf = (host: string): Departure => {
      if (hasLeft(host)) return 'left';
      return this.seen.has(host) ? 'lost' : 'gone';
    };
    return (after, gone) => {
      const { written: before } = writer;
      const known = new Set(writer.hosts);
      const events = placementEvents({ before, known, after, gone, moves: origins, departureOf }).map((event) =>
        this.date(event),
      );
      return { operations: this.operations(events), done: () => this.print(events) };
    };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelWork();
    this.cancelLines?.();
    for (const event of this.lines.splice(0)) logEvent(this.options.log, event);
    await this.working;
  }

  private note(event: Told): void {
    const dated = this.date(event);
    this.pending.push(dated);
    this.print([dated]);
    this.work();
  }

  private date(event: Told): HistoryEvent {
    const at = this.options.clock.date().toISOString();
    return { at, ...event, epoch: this.term.epoch, generation: this.generation };
  }

  private operations(events: readonly HistoryEvent[]): Operation[] {
    if (events.length === 0) return [];
    const { host } = this.options;
    this.batches += 1;
    const id = `${host}/epoch-${this.term.epoch}/${this.batches}`;
    return encodeBatches(host, id, events).map((data) => ({
      op: 'create',
      path: RING_PREFIX.leader,
      data,
      mode: 'persistent-sequential',
    }));
  }

  private print(events: readonly HistoryEvent[]): void {
    this.lines.push(...events);
    if (this.cancelLines === undefined) this.printSome();
  }

  private printSome(): void {
    for (const event of this.lines.splice(0, MAX_LINES)) logEvent(this.options.log, event);
    const more = this.lines.length > 0 && !this.closed;
    this.cancelLines = more ? this.options.clock.after(LINES_PAUSE_MS, () => this.printSome()) : undefined;
  }

  /** Does what is due, one thing at a time, and comes back when the next is. */
  private work(): void {
    if (this.closed || this.working !== undefined) return;
    this.cancelWork();
    const { clock, log } = this.options;
    let pause: number | undefined;
    this.working = this.workOff()
      .catch((error: unknown) => {
        pause = RETRY_MS;
        log.debug(`the history could not be written: ${messageOf(error)}; tried again`);
      })
      .finally(() => {
        this.working = undefined;
        if (this.closed) return;
        const next = this.pending.length > 0 ? 0 : Math.max(0, this.trimAt - clock.now());
        this.cancelWork = clock.after(pause ?? next, () => this.work());
      });
  }

  private async workOff(): Promise<void> {
    const { store, clock } = this.options;
    if (this.pending.length > 0) {
      this.outgoing ??= { count: this.pending.length, operations: this.operations(this.pending) };
      await store.ensure(HISTORY);
      await store.transaction([this.term.fence, ...this.outgoing.operations]);
      this.pending.splice(0, this.outgoing.count);
      this.outgoing = undefined;
    }
    if (clock.now() < this.trimAt) return;
    this.trimAt = clock.now() + TRIM_EVERY_MS;
    await this.setPace();
    await this.trim();
  }

  private async setPace(): Promise<void> {
    const { store } = this.options;
    const written = decodePace((await store.get(HISTORY))?.data);
    if (pauseMs(written) === pauseMs(this.members)) return;
    await store.transaction([this.term.fence, { op: 'set', path: HISTORY, data: encodePace(this.members) }]);
  }

  private async trim(): Promise<void> {
    const { store } = this.options;
    const names = surplus((await store.children(HISTORY)) ?? [], this.members);
    for (let first = 0; first < names.length && !this.closed; first += MAX_REMOVALS) {
      const removals = names
        .slice(first, first + MAX_REMOVALS)
        .map((name): Operation => ({ op: 'remove', path: `${HISTORY}/${name}` }));
      await store.transaction([this.term.fence, ...removals]);
    }
  }
}
