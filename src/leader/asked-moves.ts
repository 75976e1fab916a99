/**
 * Moves that an operator's `rebalance` asks for, made in a placement that is decided already: only such as nothing stands in
 * the way of. What is refused is as if it was never asked for, and is told why. Pure.
 */
import type { AskedMove, RefusedMove } from '../shared/cluster.ts';
import { compare } from '../shared/names.ts';
import type { Why } from '../shared/state.ts';
import { Board } from './board.ts';
import type { Move, Placement, PlacementInput, UnitPlacement } from './placement.ts';

export interface AskedInput {
  readonly moves: readonly AskedMove[];
  /** Host on which they are asked for. */
  readonly by: string;
  /** Nothing is to be moved at present: many hosts were lost at once. */
  readonly braking: boolean;
}

export interface Granted {
  readonly placement: Placement;
  /** Made by this placement; those that were made before are neither granted nor refused. */
  readonly granted: readonly AskedMove[];
  readonly refused: readonly RefusedMove[];
}

/**
 * `placement` must be what was computed from `input`. Of one service only the first move is made; the others are when that
 * has been.
 */
export function grantMoves(input: PlacementInput, placement: Placement, asked: AskedInput | undefined): Granted {
  if (asked === undefined || asked.moves.length === 0) return { placement, granted: [], refused: [] };
  const board = new Board(input, placement);
  const granted: AskedMove[] = [];
  const refused: RefusedMove[] = [];
  const moving = new Set<string>();
  for (const move of asked.moves) {
    const places = board.places(move.unit);
    if (places.has(move.to) && !places.has(move.from)) continue;
    const service = placement.units.get(move.unit)?.service ?? move.unit;
    if (moving.has(service)) continue;
    const why = asked.braking ? BRAKING : board.obstacle(move);
    if (why === undefined) {
      board.move(move);
      moving.add(service);
      granted.push(move);
    } else refused.push({ ...move, why });
  }
  return { placement: withMoves(placement, granted, asked.by), granted, refused };
}

const BRAKING = 'many hosts were lost at once, and nothing is moved while the brake is engaged';

function withMoves(placement: Placement, granted: readonly AskedMove[], by: string): Placement {
  if (granted.length === 0) return placement;
  const because = { kind: 'rebalanced', by } as const;
  const units = new Map(placement.units);
  const moves: Move[] = [...placement.moves];
  for (const { unit, from, to } of granted) {
    const before = units.get(unit);
    if (before === undefined) continue;
    units.set(unit, moved(before, from, { host: to, why: { kind: 'moved', from, because } }));
    moves.push({ unit, from, to, because });
  }
  moves.sort((a, b) => compare(a.unit, b.unit) || compare(a.from, b.from));
  return { units, moves, unplaced: placement.unplaced };
}

function moved(unit: UnitPlacement, from: string, to: { readonly host: string; readonly why: Why }): UnitPlacement {
  const instances = [...unit.instances.filter(({ host }) => host !== from), to];
  return { ...unit, instances: instances.sort((a, b) => compare(a.host, b.host)) };
}
