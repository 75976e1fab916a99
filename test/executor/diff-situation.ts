/** What `diff` is asked about one unit, told briefly, and its answer in a few words. */
import { type DiffInput, diff, NO_MEMORY, type UnitMemory } from '../../src/executor/diff.ts';
import type { StartConditions } from '../../src/executor/start-conditions.ts';
import type { UnitState } from '../../src/executor/systemd.ts';
import type { ActiveState, Desired, DesiredPrestart, DesiredUnit, LoadState } from '../../src/shared/state.ts';

export const UNIT = 'a.service';
export const NOW = 1_000;

export function wanted(unit: string, prestart?: DesiredPrestart): DesiredUnit {
  return { unit, service: 'a', isolation: 'keep', why: { kind: 'kept' }, ...(prestart && { prestart }) };
}

export function desired(...units: readonly DesiredUnit[]): Desired {
  return { host: 'w1', epoch: 1, generation: 1, spec: 'sha256:', units };
}

export function state(active: ActiveState, load: LoadState = 'loaded', unit = UNIT): UnitState {
  return { unit, load, active, sub: active };
}

export function memory(change: Partial<UnitMemory>): UnitMemory {
  return { ...NO_MEMORY, ...change };
}

export const prestart = (...hosts: string[]): DesiredPrestart => ({ script: '{instance:c}', values: { c: hosts } });

export const start = { atOnce: 1, until: 'active', timeoutMs: 60_000 } as const;
export const after = [
  { service: 'disk', where: 'same-host' },
  { service: 'kafka', where: 'anywhere' },
] as const;

export interface Situation {
  readonly desired?: Desired | undefined;
  readonly declared?: readonly string[];
  readonly state?: UnitState;
  readonly memory?: UnitMemory;
  readonly busy?: boolean;
  readonly isolated?: boolean;
  readonly cleared?: boolean;
  readonly hindrance?: string;
  readonly restart?: boolean;
  /** Of its stop. */
  readonly notBefore?: number;
  readonly starts?: Partial<StartConditions>;
}

const NO_ORDER: StartConditions = { turns: new Map(), runningHere: new Set(), stale: false };

export function input(situation: Situation): DiffInput {
  return {
    now: NOW,
    desired: 'desired' in situation ? situation.desired : desired(wanted(UNIT)),
    declared: new Set(situation.declared ?? [UNIT]),
    states: new Map(situation.state && [[UNIT, situation.state]]),
    memory: new Map(situation.memory && [[UNIT, situation.memory]]),
    busy: new Set(situation.busy ? [UNIT] : []),
    isolated: situation.isolated ?? false,
    cleared: new Set(situation.cleared ? [UNIT] : []),
    hindrance: situation.hindrance,
    runOnce: new Set(),
    restart: new Set(situation.restart ? [UNIT] : []),
    stopNotBefore: new Map(situation.notBefore === undefined ? [] : [[UNIT, situation.notBefore]]),
    starts: { ...NO_ORDER, ...situation.starts },
  };
}

/** `start placed`, `stop not-placed`, `adopt`, `forget`, `wait: …`, or nothing. */
export function decide(situation: Situation): string {
  const { actions, waiting } = diff(input(situation));
  const [action] = actions;
  if (!action) return waiting.has(UNIT) ? `wait: ${waiting.get(UNIT)}` : 'nothing';
  return 'reason' in action ? `${action.kind} ${action.reason}` : action.kind;
}
