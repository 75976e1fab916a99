/**
 * One term of leadership: reads the cluster, computes the placement, has it verified and writes it, again and again,
 * until its signal is aborted. Every decision is made by the pure files beside; this one only carries them to and fro.
 */

import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import type { Spec, SpecRecord } from '../shared/spec.ts';
import type { Desired } from '../shared/state.ts';
import { type Store, StoreError } from '../shared/store.ts';
import { compareVersions } from '../shared/version.ts';
import { withWaits } from './after.ts';
import type { Assignments } from './assignments.ts';
import { Attendance, type Roll } from './attendance.ts';
import { ClusterView } from './cluster-view.ts';
import { type Decision, decide } from './decision.ts';
import { DesiredWriter } from './desired-writer.ts';
import type { Leadership } from './election.ts';
import { type HandOver, handOver, unsureHosts } from './hand-over.ts';
import { Historian } from './historian.ts';
import { outdated } from './inputs.ts';
import type { Move, Placement } from './placement.ts';
import { Publication, type PublicationMetrics } from './publication.ts';
import { noteMoves } from './relocation.ts';
import { differs, renderUnits } from './render.ts';
import { Rewrites } from './rewrites.ts';

export interface LeaderMetrics extends PublicationMetrics {
  placed(seconds: number): void;
  moved(moves: readonly Move[]): void;
}

export interface LeaderOptions {
  readonly host: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: LeaderMetrics;
  readonly loopTickMs: number;
  /** How long events are gathered into one pass. */
  readonly reactionMs: number;
  /** How long a joining host waits for others. */
  readonly boundaryMs: number;
  /** An executor has obeyed an epoch that is higher than this one. */
  readonly onEpochTooLow: (epoch: number) => void;
}

export class Leader {
  private readonly loop: Loop;
  private readonly view: ClusterView;
  private writer: DesiredWriter | undefined;
  private generation = 0;
  private readonly attendance: Attendance;
  private readonly historian: Historian;
  private readonly rewrites: Rewrites;
  /** The newest placement that changed anything: its reasons are what people are shown. What is unplaced is of now. */
  private placement: Placement | undefined;
  private unsure: ReadonlySet<string> | undefined;
  /** Unit → host → why an unhealthy instance does not move. */
  private stays: Decision['stays'] = new Map();
  /** When the next unhealthy instance may move that may not yet, ms of the clock. */
  private pauseEnds: number | undefined;
  /** What of a rebalance is refused. */
  private refused: Decision['refused'] = [];
  private readonly publication: Publication;
  private waitedFor = '';
  private passBegan = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly term: Leadership,
    private readonly options: LeaderOptions,
  ) {
    const { clock, log, store } = options;
    this.loop = new Loop({
      name: 'leader',
      clock,
      log,
      gatherMs: options.reactionMs,
      tickMs: () => this.nextTick(),
      pass: () => this.pass(),
    });
    this.view = new ClusterView(store, log, () => this.loop.trigger());
    this.attendance = new Attendance(this.view, options.boundaryMs, term.backSince, log);
    this.rewrites = new Rewrites(clock, log);
    this.historian = new Historian(term, options);
    this.publication = new Publication(term, options, this.view);
    term.signal.addEventListener('abort', () => void this.close(), { once: true });
    this.loop.trigger();
  }

  /** What `/assignments` answers; undefined before the first pass. */
  get assignments(): Assignments | undefined {
    return this.publication.assignments;
  }

  async close(): Promise<void> {
    this.view.close();
    await this.loop.stop();
    await this.historian.close();
  }

  private nextTick(): number {
    const now = this.options.clock.now();
    const ends = [...this.attendance.ends, ...(this.pauseEnds === undefined ? [] : [this.pauseEnds])];
    // one that was over when the pass began had no effect as something is still being read: that is waited for, not polled
    const waits = ends.filter((end) => end > this.passBegan).map((end) => Math.max(0, end - now));
    return Math.min(this.options.loopTickMs, ...waits);
  }

  private async pass(): Promise<void> {
    if (this.term.signal.aborted) return;
    this.passBegan = this.options.clock.now();
    try {
      this.writer ??= await DesiredWriter.open(this.options.store, this.term.fence, this.options.log);
      await this.decide(this.writer);
    } catch (error) {
      // a write with an unknown or a refused outcome: what is written is not known any more, a new term reads it anew
      if (!(error instanceof StoreError)) throw error;
      this.term.resign(`${error.message} (${error.path})`);
    }
  }

  private async decide(writer: DesiredWriter): Promise<void> {
    const { clock, log } = this.options;
    if (!this.view.ready || this.term.signal.aborted) return;
    await this.rewrites.look(writer, this.view.observed.values);
    if (this.term.signal.aborted) return;
    const record = this.view.spec;
    if (!record) {
      this.sayOnce('no readable spec in ZooKeeper yet: nothing is placed');
      return;
    }
    if (this.epochTooLow()) return;
    for (const host of outdated(writer.written, this.view.observed.values)) {
      log.error(`the desired state of ${host} is older than what it obeys: somebody put it back; it is written anew`, {
        host,
      });
      writer.distrust(host);
    }
    const now = clock.now();
    const roll = this.attendance.call(writer, record.spec, now);
    this.historian.attend(roll, record.spec.brake, this.attendance.braking);
    const placement = this.place(writer, record.spec, roll, now);
    if (!placement) return;
    const told = this.handOver(writer, placement, record.spec, roll);
    const changed = this.changedHosts(writer, told, record, roll, now);
    if (changed.length > 0 || roll.gone.length > 0) await this.write(writer, placement, told, changed, roll.gone);
    else if (!this.placement) this.options.log.info('the placement stands as it was written before this term');
    if (this.term.signal.aborted) return;
    this.placement = { ...(this.placement ?? placement), unplaced: placement.unplaced };
    await this.publication.publish({
      placement: this.placement,
      generation: this.generation,
      digest: record.digest,
      roll,
      brake: this.attendance.braking,
      written: writer.written,
      pending: told.pending,
      stays: this.stays,
      refused: this.refused,
    });
  }

  private place(writer: DesiredWriter, spec: Spec, roll: Roll, now: number): Placement | undefined {
    const { clock, log, metrics } = this.options;
    const given = {
      spec,
      hosts: roll.views,
      written: writer.written,
      observed: this.view.observed.values,
      braking: this.attendance.braking,
      now: clock.date().getTime(),
    };
    const { placement, stays, pauseEnds, refused, violations } = decide(given, this.view.rebalance);
    this.stays = stays;
    this.pauseEnds = pauseEnds === undefined ? undefined : now + pauseEnds - given.now;
    this.refused = refused;
    metrics.placed((clock.now() - now) / 1000);
    if (violations.length === 0) return placement;
    const list = violations
      .slice(0, 5)
      .map(({ message }) => message)
      .join('; ');
    log.error(`the computed placement breaks the rules and is not written: ${list}. Please report this`);
    return undefined;
  }

  private handOver(writer: DesiredWriter, placement: Placement, spec: Spec, roll: Roll): HandOver {
    this.unsure = unsureHosts(this.unsure, roll.hosts, writer.written, this.view.observed.values);
    const rendered = renderUnits(placement, spec, [...roll.hosts, ...roll.held]);
    const reports = roll.hosts.flatMap((host) => this.view.observed.values.get(host) ?? []);
    const told = handOver({
      unsure: this.unsure,
      wanted: withWaits(rendered, spec, reports),
      written: writer.written,
      observed: this.view.observed.values,
      hosts: roll.views,
      everywhere: new Set(spec.services.flatMap(({ name, type }) => (type === 'global' ? [name] : []))),
    });
    const now = this.options.clock.date().getTime();
    return { ...told, units: noteMoves(told.units, placement.moves, writer.written, now) };
  }

  private changedHosts(
    writer: DesiredWriter,
    told: HandOver,
    { digest }: SpecRecord,
    roll: Roll,
    now: number,
  ): Desired[] {
    const generation = this.generation + 1;
    const changed: Desired[] = [];
    for (const host of roll.hosts) {
      // what runs on a host that is new, or back, is told by its first report: an order from before could only stop it
      if (!writer.written.has(host) && !this.view.observed.values.has(host)) continue;
      const units = told.units.get(host) ?? [];
      const anew = () => this.rewrites.isDue(host, this.view.observed.values.get(host), now);
      if (!differs(writer.written.get(host), units, digest) && !anew()) continue;
      changed.push({ host, epoch: this.term.epoch, generation, spec: digest, units });
    }
    return changed;
  }

  private async write(
    writer: DesiredWriter,
    placement: Placement,
    told: HandOver,
    changed: readonly Desired[],
    gone: readonly string[],
  ): Promise<void> {
    const { log, metrics } = this.options;
    this.generation += 1;
    this.publication.unsettle();
    const along = this.historian.tell(writer, this.generation, placement.moves, (host) =>
      this.attendance.hasLeft(host),
    );
    const written = await writer.write(changed, gone, along);
    this.placement = placement;
    if (written + gone.length === 0) return;
    const { epoch } = this.term;
    // a move whose old host has yet to stop the unit is one when that is done
    const moves = placement.moves.filter(
      ({ unit, from }) => !told.units.get(from)?.some((entry) => entry.unit === unit),
    );
    log.info(`placement written for ${written} host(s), ${moves.length} move(s)`, {
      epoch,
      generation: this.generation,
    });
    metrics.moved(moves);
  }

  /** An executor obeys no order of ours when it has obeyed a newer one, of a ZooKeeper whose data is lost since, say. */
  private epochTooLow(): boolean {
    const { epoch } = this.term;
    const own = { epoch, generation: this.generation };
    const ahead = [...this.view.observed.values.values()].filter((observed) => compareVersions(observed, own) > 0);
    if (ahead.length === 0) return false;
    const highest = Math.max(...ahead.map((observed) => observed.epoch));
    this.options.onEpochTooLow(highest);
    this.term.resign(`an executor has obeyed a newer order, of epoch ${highest}; this is epoch ${epoch}`);
    return true;
  }

  private sayOnce(what: string): void {
    if (this.waitedFor !== what) this.options.log.warn(what);
    this.waitedFor = what;
  }
}
