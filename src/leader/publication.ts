/**
 * Tells what a leader has decided and sees: `/assignments`, metrics, how long a change took to settle, and, for commands,
 * which read ZooKeeper only, the notes.
 */
import type { Clock } from '../shared/clock.ts';
import { compare } from '../shared/names.ts';
import type { Desired } from '../shared/state.ts';
import type { Store } from '../shared/store.ts';
import { type Assignments, renderAssignments } from './assignments.ts';
import type { Roll } from './attendance.ts';
import type { ClusterView } from './cluster-view.ts';
import type { Decision } from './decision.ts';
import type { Leadership } from './election.ts';
import type { HandOver } from './hand-over.ts';
import { NotesWriter } from './notes-writer.ts';
import type { Placement } from './placement.ts';
import { isSettled } from './settled.ts';

export interface PublicationMetrics {
  /** Called after every pass. */
  cluster(state: { readonly assignments: Assignments; readonly brake: boolean; readonly members: number }): void;
  converged(seconds: number): void;
}

export interface PublicationOptions {
  readonly host: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly metrics: PublicationMetrics;
}

/** The end of one pass. */
export interface Published {
  readonly placement: Placement;
  readonly generation: number;
  /** Of the spec. */
  readonly digest: string;
  readonly roll: Roll;
  readonly brake: boolean;
  readonly written: ReadonlyMap<string, Desired>;
  readonly pending: HandOver['pending'];
  readonly stays: Decision['stays'];
  readonly refused: Decision['refused'];
}

export class Publication {
  private unsettledSince: number | undefined;
  private latest: Assignments | undefined;
  private readonly notes: NotesWriter;

  constructor(
    private readonly term: Pick<Leadership, 'epoch' | 'fence'>,
    private readonly options: PublicationOptions,
    private readonly view: ClusterView,
  ) {
    this.unsettledSince = options.clock.now();
    this.notes = new NotesWriter(options.store, term.fence);
  }

  /** What `/assignments` answers; undefined before the first pass. */
  get assignments(): Assignments | undefined {
    return this.latest;
  }

  /** From now on something has yet to be done. */
  unsettle(): void {
    this.unsettledSince ??= this.options.clock.now();
  }

  /** Rejects when the fence or ZooKeeper refuses the notes: resign then. */
  async publish(now: Published): Promise<void> {
    const { host, metrics } = this.options;
    const { roll, brake, written, digest } = now;
    const observed = this.view.observed.values;
    const settled = isSettled(roll.hosts, written, observed, digest) && !roll.joining;
    this.noteSettled(settled);
    const { members, intents } = this.view;
    const problems = [members, this.view.observed, intents].flatMap(({ problems: each }) => [...each.values()]);
    this.latest = renderAssignments({
      leader: host,
      epoch: this.term.epoch,
      generation: now.generation,
      digest,
      settled,
      brake,
      problems,
      placement: now.placement,
      pending: now.pending,
      hosts: roll.views,
      observed,
      stays: now.stays,
    });
    metrics.cluster({ assignments: this.latest, brake, members: roll.hosts.length });
    await this.writeNotes(now);
  }

  private noteSettled(settled: boolean): void {
    if (!settled) {
      this.unsettle();
      return;
    }
    if (this.unsettledSince !== undefined)
      this.options.metrics.converged((this.options.clock.now() - this.unsettledSince) / 1000);
    this.unsettledSince = undefined;
  }

  private async writeNotes({ roll: { held, views }, brake, refused }: Published): Promise<void> {
    const joining = views.flatMap(({ name, state }) => (state === 'joining' ? [name] : []));
    const { rebalance: wish } = this.view;
    await this.notes.write({
      epoch: this.term.epoch,
      held: [...held].sort(compare),
      brake,
      joining: joining.sort(compare),
      ...(wish && { rebalance: { id: wish.id, refused } }),
    });
  }
}
