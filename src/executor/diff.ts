/**
 * The executor's decision: what must be done on this host so that systemd does what is desired. Pure: time and memory
 * are inputs. It never answers with anything that is not ours to touch: units that are neither desired, declared by the
 * spec nor remembered as ours do not appear in its answer.
 */
import { compare } from '../shared/names.ts';
import type { Desired, DesiredUnit, Failure } from '../shared/state.ts';
import { type StartConditions, serviceAhead, turnAhead } from './start-conditions.ts';
import type { UnitState } from './systemd.ts';

/** What the executor remembers about one unit. Kept on disk: `ours` and `startedWith`. */
export interface UnitMemory {
  /** We started it, or adopted it while it was desired here: we may stop it. */
  readonly ours: boolean;
  /** `{instance:…}` values of its last start (key of `valuesKey`); undefined: it has none, or they are not known. */
  readonly startedWith?: string;
  /** A failure that systemd does not show: it holds until a reload, or until the unit is seen active. */
  readonly failure?: Failure;
  /** It was seen active while desired: if it is not active now, it went away. */
  readonly ran: boolean;
  /** Someone else's stop was seen since it was last active. */
  readonly stoppedByHand: boolean;
  /** Not to be started before this time (ms of the same clock as `now`): the back-off after it ended. */
  readonly notBefore: number;
}

export const NO_MEMORY: UnitMemory = { ours: false, ran: false, stoppedByHand: false, notBefore: 0 };

export interface DiffInput {
  /** Milliseconds of a monotonic clock. */
  readonly now: number;
  /** The newest accepted desired state; undefined: not known, and then nothing is done but what `isolated` asks for. */
  readonly desired: Desired | undefined;
  /** All units of the very spec that `desired` was computed from; empty when that spec is not known. */
  readonly declared: ReadonlySet<string>;
  /** Last known state of each unit; a missing one is not known. */
  readonly states: ReadonlyMap<string, UnitState>;
  readonly memory: ReadonlyMap<string, UnitMemory>;
  /** Units with an action under way. */
  readonly busy: ReadonlySet<string>;
  /** This host is cut off from ZooKeeper for so long that others may soon start what it runs. */
  readonly isolated: boolean;
  /** Units with `isolation: stop` that may be started: no other host may, and a guard of theirs runs. */
  readonly cleared: ReadonlySet<string>;
  /** Why none of them is started on this host until a person has mended it, one sentence; undefined: nothing is to be mended. */
  readonly hindrance: string | undefined;
  /** Units with `isolation: stop` as they were known last: they count while `desired` is not known. */
  readonly runOnce: ReadonlySet<string>;
  /** Units that run but are to be started anew, because their check asks for it. */
  readonly restart: ReadonlySet<string>;
  /** Units that others find, or found a moment ago → when they may be stopped, if anything can wait, ms. */
  readonly stopNotBefore: ReadonlyMap<string, number>;
  readonly starts: StartConditions;
}

export type StartReason = 'placed' | 'exited' | 'stopped-by-hand';
export type StopReason = 'not-placed' | 'started-by-hand' | 'values-changed' | 'isolated' | 'unhealthy';

export type Action =
  | { readonly kind: 'adopt'; readonly unit: string; readonly desired: DesiredUnit }
  | { readonly kind: 'start'; readonly unit: string; readonly desired: DesiredUnit; readonly reason: StartReason }
  | { readonly kind: 'stop'; readonly unit: string; readonly reason: StopReason }
  | { readonly kind: 'forget'; readonly unit: string };

export interface Diff {
  /** At most one per unit, sorted by unit. */
  readonly actions: readonly Action[];
  /** Desired units that are not started yet, and why, one sentence. */
  readonly waiting: ReadonlyMap<string, string>;
  /** Units that are stopped as soon as those that found them had time to leave. */
  readonly parting: ReadonlySet<string>;
  /** Earliest time at which a waiting unit may be started, or stopped; undefined: nothing waits for time. */
  readonly wakeAt: number | undefined;
  /** Units with `start` that wait for nothing but their turn, or are started in it. */
  readonly turnsWanted: ReadonlySet<string>;
}

/** One string for a set of values, to compare them by; the order of the references in the script does not count. */
export function valuesKey(unit: DesiredUnit): string | undefined {
  if (!unit.prestart) return undefined;
  const values = Object.entries(unit.prestart.values).sort(([a], [b]) => compare(a, b));
  return JSON.stringify(Object.fromEntries(values));
}

/** References of the prestart script that name a unit placed nowhere yet, sorted. */
export function missingValues(unit: DesiredUnit): string[] {
  if (!unit.prestart) return [];
  const values = Object.entries(unit.prestart.values);
  return values
    .filter(([, hosts]) => hosts.length === 0)
    .map(([reference]) => reference)
    .sort(compare);
}

/** What to do now. */
export function diff(input: DiffInput): Diff {
  const actions: Action[] = [];
  const waiting = new Map<string, string>();
  const turnsWanted = new Set<string>();
  const parting = new Set<string>();
  let wakeAt: number | undefined;
  const wake = (at: number) => {
    wakeAt = Math.min(wakeAt ?? at, at);
  };
  if (!input.desired)
    return { actions: input.isolated ? decideBlind(input) : actions, waiting, parting, wakeAt, turnsWanted };

  const desired = new Map(input.desired.units.map((unit) => [unit.unit, unit]));
  for (const unit of concerned(input, desired)) {
    if (input.busy.has(unit)) continue;
    const wanted = desired.get(unit);
    const state = input.states.get(unit);
    const memory = input.memory.get(unit) ?? NO_MEMORY;
    const cutOff = input.isolated && wanted?.isolation === 'stop';
    const due =
      !wanted || wanted.withdrawn
        ? decideUnwanted(unit, state, memory, input.declared)
        : cutOff
          ? decideCutOff(unit, state)
          : cleared(restarted(decideWanted(wanted, state, memory, input.now), wanted, state, input), input);
    if (due.kind === 'start' && wanted?.start) turnsWanted.add(unit);
    const decision = inPeace(inTurn(due, input), input);
    switch (decision.kind) {
      case 'nothing':
        break;
      case 'wait':
        waiting.set(unit, decision.why);
        if (decision.until !== undefined) wake(decision.until);
        break;
      case 'part':
        parting.add(unit);
        wake(decision.until);
        break;
      default:
        actions.push(decision);
    }
  }
  return { actions, waiting, parting, wakeAt, turnsWanted };
}

/** Cut off since before this process started: what is ours and may run once only is stopped, all else is left alone. */
function decideBlind(input: DiffInput): Action[] {
  const ours = [...input.runOnce].filter((unit) => input.memory.get(unit)?.ours && !input.busy.has(unit));
  return ours.sort(compare).flatMap((unit) => {
    const decision = decideCutOff(unit, input.states.get(unit));
    return decision.kind === 'stop' ? [decision] : [];
  });
}

/** Every unit that we may have to do something about, sorted. */
function concerned(input: DiffInput, desired: ReadonlyMap<string, DesiredUnit>): string[] {
  const units = new Set(desired.keys());
  for (const [unit, memory] of input.memory) if (memory.ours) units.add(unit);
  for (const unit of input.declared) if (input.states.has(unit)) units.add(unit);
  return [...units].sort(compare);
}

type Decision =
  | Action
  | { readonly kind: 'nothing' }
  | { readonly kind: 'wait'; readonly why: string; readonly until?: number }
  | { readonly kind: 'part'; readonly until: number };

const NOTHING: Decision = { kind: 'nothing' };

function decideWanted(desired: DesiredUnit, state: UnitState | undefined, memory: UnitMemory, now: number): Decision {
  if (!state) return { kind: 'wait', why: 'its state is not known yet: systemd has not answered' };
  const unit = desired.unit;
  switch (state.active) {
    case 'active':
    case 'reloading':
    case 'activating':
      return decideRunning(desired, state, memory);
    case 'deactivating':
      return { kind: 'wait', why: 'it is still stopping' };
    case 'failed':
    case 'maintenance':
      return NOTHING;
    case 'inactive': {
      if (state.load !== 'loaded' || memory.failure) return NOTHING;
      const missing = missingValues(desired);
      if (missing.length > 0)
        return { kind: 'wait', why: `its prestart needs ${missing.join(', ')}, placed nowhere yet` };
      if (now < memory.notBefore)
        return { kind: 'wait', why: 'it ended and is started again after a pause', until: memory.notBefore };
      const reason = !memory.ran ? 'placed' : memory.stoppedByHand ? 'stopped-by-hand' : 'exited';
      return { kind: 'start', unit, desired, reason };
    }
    default:
      return exhausted(state.active);
  }
}

/**
 * Holds back the start of a unit that comes after others, and of one that may run on one host only as long as it is not
 * certain that this is the one.
 */
function cleared(decision: Decision, input: DiffInput): Decision {
  if (decision.kind !== 'start') return decision;
  const ahead = serviceAhead(decision.desired, input.starts);
  if (ahead !== undefined) return { kind: 'wait', why: ahead };
  if (decision.desired.isolation === 'keep' || input.cleared.has(decision.unit)) return decision;
  return { kind: 'wait', why: input.hindrance ?? 'it is not yet certain that it runs nowhere else (isolation: stop)' };
}

/** Holds back the start of a unit whose turn it is not. */
function inTurn(decision: Decision, input: DiffInput): Decision {
  const ahead = decision.kind === 'start' ? turnAhead(decision.desired, input.starts) : undefined;
  return ahead === undefined ? decision : { kind: 'wait', why: ahead };
}

/** Holds back a stop as long as others may still use what they found; not the stop of what may soon run elsewhere. */
function inPeace(decision: Decision, input: DiffInput): Decision {
  if (decision.kind !== 'stop' || decision.reason === 'isolated') return decision;
  const until = input.stopNotBefore.get(decision.unit);
  return until === undefined || until <= input.now ? decision : { kind: 'part', until };
}

/** Stops an unhealthy unit that is to be started anew, if nothing holds back that start. */
function restarted(decision: Decision, wanted: DesiredUnit, state: UnitState | undefined, input: DiffInput): Decision {
  const { unit, isolation } = wanted;
  if (decision.kind !== 'nothing' || state?.active !== 'active' || !input.restart.has(unit)) return decision;
  if (isolation === 'stop' && !input.cleared.has(unit)) return decision;
  if (serviceAhead(wanted, input.starts) !== undefined) return decision;
  return missingValues(wanted).length > 0 ? decision : { kind: 'stop', unit, reason: 'unhealthy' };
}

/** A unit that must not run here while it may run elsewhere. */
function decideCutOff(unit: string, state: UnitState | undefined): Decision {
  const up = state?.active === 'active' || state?.active === 'reloading' || state?.active === 'activating';
  if (up) return { kind: 'stop', unit, reason: 'isolated' };
  return { kind: 'wait', why: 'this host is cut off from ZooKeeper (isolation: stop)' };
}

function decideRunning(desired: DesiredUnit, state: UnitState, memory: UnitMemory): Decision {
  const unit = desired.unit;
  if (!memory.ours || (!memory.ran && state.active === 'active')) return { kind: 'adopt', unit, desired };
  const values = valuesKey(desired);
  // an instance that is placed nowhere for the moment is no reason to take a running unit down
  if (values === undefined || missingValues(desired).length > 0) return NOTHING;
  if (memory.startedWith === undefined) return { kind: 'adopt', unit, desired };
  return values === memory.startedWith ? NOTHING : { kind: 'stop', unit, reason: 'values-changed' };
}

function decideUnwanted(
  unit: string,
  state: UnitState | undefined,
  memory: UnitMemory,
  declared: ReadonlySet<string>,
): Decision {
  if (!memory.ours && !declared.has(unit)) return NOTHING;
  if (!state) return NOTHING;
  switch (state.active) {
    case 'active':
    case 'reloading':
    case 'activating':
      return { kind: 'stop', unit, reason: memory.ours ? 'not-placed' : 'started-by-hand' };
    case 'deactivating':
    case 'maintenance':
      return NOTHING;
    case 'inactive':
    case 'failed':
      return memory.ours ? { kind: 'forget', unit } : NOTHING;
    default:
      return exhausted(state.active);
  }
}

function exhausted(value: never): never {
  throw new Error(`not a state of systemd: ${String(value)}`);
}
