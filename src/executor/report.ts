/** What the executor tells the leader: `observed/<host>`, from what systemd said. Pure. */
import { isDown } from '../shared/active-state.ts';
import { compare } from '../shared/names.ts';
import type { Failure, Health, Observed, ObservedUnit, Version } from '../shared/state.ts';
import type { UnitMemory } from './diff.ts';
import type { UnitState } from './systemd.ts';

export interface ReportInput {
  readonly host: string;
  readonly applied: Version;
  readonly refused: string | undefined;
  readonly desired: ReadonlySet<string>;
  readonly declared: ReadonlySet<string>;
  readonly states: ReadonlyMap<string, UnitState>;
  readonly memory: ReadonlyMap<string, UnitMemory>;
  readonly waiting: ReadonlyMap<string, string>;
  /** Units that we are stopping: one that ends as `failed` because of our SIGTERM has not failed. */
  readonly stopping: ReadonlySet<string>;
  /** Units with an action under way that are not to run here: until it has ended they are not said to be down. */
  readonly ending: ReadonlySet<string>;
  /** The daemon is stopping, and its units with it. */
  readonly leaving: boolean;
  /** Of units with a check. */
  readonly health: ReadonlyMap<string, Health>;
}

/** What all probes together may say in one report, bytes: hundreds of unhealthy units must not make it too large to be written. */
const MAX_OUTPUTS_BYTES = 128 * 1_024;

/** Every unit that is desired, not idle, or cannot run here; sorted by unit. */
export function report(input: ReportInput): Observed {
  const units: ObservedUnit[] = [];
  for (const state of input.states.values()) {
    const memory = input.memory.get(state.unit);
    if (!input.desired.has(state.unit) && !input.declared.has(state.unit) && !memory?.ours) continue;
    const failure = input.stopping.has(state.unit) ? undefined : failureOf(state, memory);
    const active = input.ending.has(state.unit) && isDown(state.active) ? 'deactivating' : state.active;
    if (active === 'inactive' && !failure && !input.desired.has(state.unit)) continue;
    const waiting = input.waiting.get(state.unit);
    // a unit that is on its way down has none: what the last probe said is of a run that is over
    const health = active === 'active' || active === 'reloading' ? input.health.get(state.unit) : undefined;
    units.push({
      ...state,
      active,
      ...(failure && { failure }),
      ...(waiting !== undefined && { waiting }),
      ...(health && { health }),
    });
  }
  units.sort((a, b) => compare(a.unit, b.unit));
  const { epoch, generation } = input.applied;
  const { refused, leaving } = input;
  return {
    host: input.host,
    epoch,
    generation,
    ...(refused !== undefined && { refused }),
    ...(leaving && { leaving }),
    units: withoutLateOutputs(units),
  };
}

/** What probes said is left out where it would be too much. */
function withoutLateOutputs(units: readonly ObservedUnit[]): ObservedUnit[] {
  let left = MAX_OUTPUTS_BYTES;
  return units.map((unit) => {
    if (unit.health?.output === undefined) return unit;
    const { output, ...health } = unit.health;
    left -= Buffer.byteLength(output);
    return left >= 0 ? unit : { ...unit, health };
  });
}

/** Why a unit cannot run here, if so. A unit that runs has no failure, whatever its unit file looks like by now. */
export function failureOf(state: UnitState, memory: UnitMemory | undefined): Failure | undefined {
  const unit = state.unit;
  if (state.active === 'failed') {
    const message = `systemd reports it failed: see systemctl status ${unit}, then systemctl reset-failed ${unit}`;
    return { kind: 'failed', message };
  }
  if (state.active !== 'inactive') return undefined;
  switch (state.load) {
    case 'loaded':
    case 'stub':
      return memory?.failure;
    case 'not-found':
      return {
        kind: 'not-found',
        message: `there is no unit file ${unit} on this host: install it, then systemctl daemon-reload`,
      };
    case 'masked':
      return { kind: 'masked', message: `it is masked on this host: systemctl unmask ${unit} to allow it` };
    case 'bad-setting':
    case 'error':
      return { kind: 'invalid-unit', message: `systemd cannot load it (${state.load}): see systemctl status ${unit}` };
  }
}
