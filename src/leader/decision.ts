/**
 * What shall run where, decided from all that the leader knows: the placement, wishes for health granted, asked moves made,
 * and all of it verified. Pure; the pieces are in the files beside.
 */
import type { RebalanceWish, RefusedMove } from '../shared/cluster.ts';
import type { Spec } from '../shared/spec.ts';
import type { Desired, Observed } from '../shared/state.ts';
import { grantMoves } from './asked-moves.ts';
import { placedOn, runningOn } from './inputs.ts';
import { placeHealthy } from './place-healthy.ts';
import type { HostView, Placement, PlacementInput } from './placement.ts';
import { describeStays, type Relocation, relocations } from './relocation.ts';
import { type Violation, verify } from './verify.ts';

export interface DecisionInput {
  readonly spec: Spec;
  /** One for each live or held host. */
  readonly hosts: readonly HostView[];
  readonly written: ReadonlyMap<string, Desired>;
  readonly observed: ReadonlyMap<string, Observed>;
  /** Nothing is to be moved at present: many hosts were lost at once. */
  readonly braking: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A placement before any move is asked for, and what it follows from. */
export interface Basis {
  readonly placement: Placement;
  /** Wishes that were granted included. */
  readonly input: PlacementInput;
  readonly relocation: Relocation;
  /** Unit → host → why an unhealthy instance does not move. */
  readonly stays: Relocation['spent'];
}

/** The placement as the leader computes it, wishes for health included. */
export function placeAll({ spec, hosts, written, observed, braking, now }: DecisionInput): Basis {
  const live = new Set(hosts.flatMap(({ name, state }) => (state === 'held' ? [] : [name])));
  const running = runningOn(new Map([...observed].filter(([host]) => live.has(host))));
  const input = { spec, hosts, previous: placedOn(written), running };
  const relocation = relocations({ spec, written, observed, hosts, braking, now });
  const { placement, input: asked } = placeHealthy(input, relocation);
  return { placement, input: asked, relocation, stays: describeStays(relocation, placement) };
}

/** Of `placeAll`, but nothing is placed where nothing may move for its health. */
export function stayingUnhealthy(given: DecisionInput): Relocation['spent'] {
  const relocation = relocations(given);
  return relocation.leave.size === 0 ? relocation.spent : placeAll(given).stays;
}

export interface Decision {
  readonly placement: Placement;
  readonly stays: Relocation['spent'];
  readonly pauseEnds: Relocation['pauseEnds'];
  readonly refused: readonly RefusedMove[];
  /** Rules that the placement breaks: it must not be written then. */
  readonly violations: readonly Violation[];
}

/** The same with what a rebalance asks for. Moves with which the placement would break a rule are refused. */
export function decide(given: DecisionInput, wish: Pick<RebalanceWish, 'moves' | 'by'> | undefined): Decision {
  const { placement, input, stays, relocation } = placeAll(given);
  const { pauseEnds } = relocation;
  const asked = wish && { moves: wish.moves, by: wish.by, braking: given.braking };
  const made = grantMoves(input, placement, asked);
  const violations = verify(input, made.placement, made.granted);
  if (violations.length === 0 || made.granted.length === 0)
    return { placement: made.placement, stays, pauseEnds, refused: made.refused, violations };
  const why = `the placement would break a rule: ${violations[0]?.message}`;
  const refused = [...made.refused, ...made.granted.map((move) => ({ ...move, why }))];
  return { placement, stays, pauseEnds, refused, violations: verify(input, placement) };
}
