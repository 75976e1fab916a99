/**
 * All that the executor knows about units: the states that systemd told, and the memory that `diff()` needs beside them.
 * It changes by what systemd says and by what our own jobs did; every change of what must survive a restart is saved.
 */
import type { Clock } from '../shared/clock.ts';
import type { ActiveState, Failure } from '../shared/state.ts';
import { NO_MEMORY, type UnitMemory } from './diff.ts';
import type { UnitState } from './systemd.ts';

/** First pause before a unit that ended is started again. As systemd's own RestartSec=100ms. */
const FIRST_PAUSE_MS = 100;
/**
 * Each pause is so many times the one before: 0.1, 0.3, 0.9, 2.7, 8.1, … s. Twice would make six starts in 10 s, and
 * systemd fails a unit at the sixth (StartLimitBurst=5, StartLimitIntervalSec=10s) though it ended in good order.
 */
const PAUSE_FACTOR = 3;
const LONGEST_PAUSE_MS = 30_000;
/** A unit that ran this long is healthy again: the next pause is the first one. As systemd's StartLimitIntervalSec=10s. */
const HEALTHY_AFTER_MS = 10_000;

interface Run {
  readonly activeSince: number | undefined;
  /** How often it ended in a row without having run for `HEALTHY_AFTER_MS`. */
  readonly ends: number;
}

export class UnitTable {
  readonly states = new Map<string, UnitState>();
  readonly memory = new Map<string, UnitMemory>();
  private readonly runs = new Map<string, Run>();
  /** Signals heard per unit: an answer to `list` that was asked for before the latest signal is older than the signal. */
  private readonly signals = new Map<string, number>();

  /**
   * `onOursChanged`: the set of our units, or the values they were started with, changed. `onEnded`: a unit of ours ended
   * in good order, by itself or (`stopped`) because somebody else stopped it.
   */
  constructor(
    private readonly clock: Clock,
    private readonly onOursChanged: () => void,
    private readonly onEnded: (unit: string, stopped: boolean) => void,
  ) {}

  /** A mark to hand to `listed`, taken when the list is asked for. */
  signalMark(): ReadonlyMap<string, number> {
    return new Map(this.signals);
  }

  /** Takes the answer of `list`; `busy`: units with a job of ours under way. True when anything changed. */
  listed(units: readonly UnitState[], mark: ReadonlyMap<string, number>, busy: ReadonlySet<string>): boolean {
    let changed = false;
    for (const listed of units) {
      const known = this.states.get(listed.unit);
      const overtaken = known && this.signals.get(listed.unit) !== mark.get(listed.unit);
      const next = overtaken ? { ...listed, active: known.active, sub: known.sub } : listed;
      if (known && known.load === next.load && known.active === next.active && known.sub === next.sub) continue;
      changed = true;
      this.setState(next, known, busy.has(next.unit));
    }
    return changed;
  }

  /** Takes a signal; `busy`: a job of ours is under way, so the change is our doing. True when the state changed. */
  signalled(unit: string, active: ActiveState, sub: string, busy: boolean): boolean {
    const known = this.states.get(unit);
    if (!known) return false;
    this.signals.set(unit, (this.signals.get(unit) ?? 0) + 1);
    if (known.active === active && known.sub === sub) return false;
    // a unit that changes state is loaded, whatever was read before
    this.setState({ unit, load: 'loaded', active, sub }, known, busy);
    return true;
  }

  /** Drops what is known about units that nobody asks about any more. */
  keepOnly(units: ReadonlySet<string>): void {
    for (const unit of this.states.keys()) {
      if (units.has(unit)) continue;
      this.states.delete(unit);
      this.signals.delete(unit);
      this.runs.delete(unit);
      if (!this.memory.get(unit)?.ours) this.memory.delete(unit);
    }
  }

  /** When it became active, ms of the clock; undefined while it is not. A reload of it changes nothing. */
  activeSince(unit: string): number | undefined {
    const active = this.states.get(unit)?.active;
    return active === 'active' || active === 'reloading' ? this.runs.get(unit)?.activeSince : undefined;
  }

  isOurs(unit: string): boolean {
    return this.memory.get(unit)?.ours ?? false;
  }

  /** Our units → values they were started with. */
  ours(): Map<string, string | undefined> {
    const ours = new Map<string, string | undefined>();
    for (const [unit, memory] of this.memory) if (memory.ours) ours.set(unit, memory.startedWith);
    return ours;
  }

  recall(units: ReadonlyMap<string, string | undefined>): void {
    for (const [unit, startedWith] of units) this.remember(unit, { ours: true, startedWith });
  }

  /** It runs and is desired: it is ours from now on. Values that are not known are taken to be the present ones. */
  adopted(unit: string, values: string | undefined): void {
    const memory = this.memory.get(unit);
    this.remember(unit, { ours: true, ran: true, stoppedByHand: false, startedWith: memory?.startedWith ?? values });
  }

  /** We are about to start it with these values. */
  starting(unit: string, values: string | undefined): void {
    this.remember(unit, { ours: true, startedWith: values, ran: false, stoppedByHand: false });
  }

  /**
   * Our start of it is over. When it is down all the same (a condition did not hold, or it did its work and ended
   * meanwhile), that was an end of its own, and the next start waits.
   */
  startEnded(unit: string): void {
    if (this.states.get(unit)?.active === 'inactive') this.ended(unit);
  }

  /** We are about to stop it: what follows is not its own end. */
  stopping(unit: string): void {
    this.remember(unit, { ran: false, stoppedByHand: false, notBefore: 0 });
    this.forgetEnds(unit);
  }

  forgotten(unit: string): void {
    this.remember(unit, { ours: false, startedWith: undefined, ran: false, stoppedByHand: false, notBefore: 0 });
  }

  failed(unit: string, failure: Failure): void {
    this.remember(unit, { failure });
  }

  /** Clears failures that only we know of, and all pauses. */
  clearFailures(): void {
    for (const unit of this.memory.keys()) this.remember(unit, { failure: undefined, notBefore: 0 });
    for (const unit of this.runs.keys()) this.forgetEnds(unit);
  }

  /** Since when it runs stays: it may go on running. */
  private forgetEnds(unit: string): void {
    const run = this.runs.get(unit);
    if (run) this.runs.set(unit, { ...run, ends: 0 });
  }

  private setState(next: UnitState, known: UnitState | undefined, busy: boolean): void {
    this.states.set(next.unit, next);
    const memory = this.memory.get(next.unit) ?? NO_MEMORY;
    if (next.active === 'active') {
      if (known?.active !== 'active') this.becameActive(next.unit, memory, known?.active === 'reloading');
      return;
    }
    if (busy) return;
    if (next.active === 'deactivating' && isStopSub(next.sub) && memory.ran)
      this.remember(next.unit, { stoppedByHand: true });
    if (next.active === 'inactive' && known && known.active !== 'inactive' && memory.ours) this.ended(next.unit);
  }

  private becameActive(unit: string, memory: UnitMemory, reloaded: boolean): void {
    const run = this.runs.get(unit);
    const since = reloaded ? run?.activeSince : undefined;
    this.runs.set(unit, { activeSince: since ?? this.clock.now(), ends: run?.ends ?? 0 });
    const cured = memory.failure !== undefined;
    if (memory.ours || cured) this.remember(unit, { failure: undefined, ran: memory.ours, stoppedByHand: false });
  }

  private ended(unit: string): void {
    const run = this.runs.get(unit);
    const ranFor = run?.activeSince === undefined ? 0 : this.clock.now() - run.activeSince;
    const ends = ranFor >= HEALTHY_AFTER_MS ? 0 : (run?.ends ?? 0);
    const byHand = this.memory.get(unit)?.stoppedByHand ?? false;
    const pause =
      byHand && ends === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * PAUSE_FACTOR ** Math.min(ends, 16));
    this.runs.set(unit, { activeSince: undefined, ends: ends + 1 });
    this.remember(unit, { notBefore: this.clock.now() + pause });
    this.onEnded(unit, byHand);
  }

  private remember(unit: string, change: Partial<UnitMemory>): void {
    const before = this.memory.get(unit) ?? NO_MEMORY;
    const after = { ...before, ...change };
    this.memory.set(unit, after);
    if (before.ours !== after.ours || before.startedWith !== after.startedWith) this.onOursChanged();
  }
}

/** SubStates of a service that is being told to stop, as against one that ended by itself (systemd's service.c). */
export function isStopSub(sub: string): boolean {
  return sub === 'stop' || sub === 'stop-sigterm' || sub === 'stop-sigkill';
}
