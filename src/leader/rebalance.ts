/**
 * Which instances to move so that the hosts have as even a load as the rules allow, in as few moves as that takes, and in
 * an order in which no single one makes it less even.
 *
 * How: a chain of moves from a host with the most to one with at least two fewer makes the load more even; when there is no
 * such chain it is as even as it can be (optimal semi-matching, Harvey et al. 2003: a shortest chain from the most
 * loaded hosts passes only hosts with one less than these). What all chains come to is then made move by move. Pure; the
 * work for each chain grows with the number of hosts, instances and exclusions, not with their product.
 */
import type { AskedMove } from '../shared/cluster.ts';
import { compare, toUnitName } from '../shared/names.ts';
import { references } from '../shared/prestart-text.ts';
import type { Spec } from '../shared/spec.ts';
import { Board, type Piece } from './board.ts';
import type { Placement, PlacementInput } from './placement.ts';

/** Numbers of instances on the hosts that take part. */
export interface Spread {
  readonly least: number;
  readonly most: number;
}

export interface Rebalance {
  /** In the order in which they are to be made. */
  readonly moves: readonly AskedMove[];
  readonly before: Spread;
  readonly after: Spread;
  /** Instances that stay and are restarted all the same, as their prestart script names the hosts of what moves; sorted. */
  readonly restarts: readonly { readonly unit: string; readonly host: string }[];
}

/** `placement` must be what was computed from `input`; `only`: move no instance of another service. */
export function rebalance(input: PlacementInput, placement: Placement, only?: string): Rebalance {
  const hosts = input.hosts.flatMap(({ name, state }) => (state === 'ready' ? [name] : [])).sort(compare);
  const start = new Board(input, placement);
  const own = start.pieces.filter(({ service }) => only === undefined || service.name === only);
  const pieces = cheapestFirst(own, input.spec);
  const end = new Board(input, placement);
  const chained: AskedMove[] = [];
  for (let chain = findChain(end, pieces, hosts); chain.length > 0; chain = findChain(end, pieces, hosts)) {
    for (const move of chain) end.move(move);
    chained.push(...chain);
  }
  const direct = new Board(input, placement);
  const ordered = makeInOrder(direct, difference(start, end, pieces));
  const before = spreadOf(start, hosts);
  // where exclusive templates stand in each other's way, only the chains themselves are known to be possible
  const asPlanned =
    findChain(direct, pieces, hosts).length > 0 ? { moves: chained, board: end } : { moves: ordered, board: direct };
  const { moves, board } = asPlanned;
  return { moves, before, after: spreadOf(board, hosts), restarts: restartsOf(moves, input.spec, placement) };
}

function restartsOf(moves: readonly AskedMove[], { services }: Spec, { units }: Placement): Rebalance['restarts'] {
  const moved = new Set(moves.map(({ unit }) => unit));
  const leaves = new Set(moves.map(({ unit, from }) => `${unit} ${from}`));
  const named = (prestart: string) => references(prestart).some((reference) => moved.has(toUnitName(reference)));
  const restarting = new Set(services.flatMap(({ name, prestart = '' }) => (named(prestart) ? [name] : [])));
  return [...units.values()].flatMap(({ unit, service, instances }) =>
    restarting.has(service)
      ? instances.flatMap(({ host }) => (leaves.has(`${unit} ${host}`) ? [] : [{ unit, host }]))
      : [],
  );
}

function spreadOf(board: Board, hosts: readonly string[]): Spread {
  if (hosts.length === 0) return { least: 0, most: 0 };
  const loads = hosts.map((host) => board.load(host));
  return { least: Math.min(...loads), most: Math.max(...loads) };
}

/** Those first whose move disturbs least: nobody is restarted for it, it has no gap between stop and start, others serve meanwhile. */
function cheapestFirst(pieces: readonly Piece[], spec: Spec): Piece[] {
  const named = new Set(
    spec.services.flatMap(({ prestart }) => (prestart === undefined ? [] : references(prestart).map(toUnitName))),
  );
  const cost = (piece: Piece) =>
    Number(named.has(piece.unit)) * 4 + Number(piece.service.isolation === 'stop') * 2 + Number(countOf(piece) < 2);
  return pieces
    .map((piece) => ({ piece, cost: cost(piece) }))
    .sort((a, b) => a.cost - b.cost || compare(a.piece.unit, b.piece.unit))
    .map(({ piece }) => piece);
}

function countOf({ unit, service }: Piece): number {
  switch (service.type) {
    case 'global':
      return Number.POSITIVE_INFINITY;
    case 'shared':
      return service.count;
    case 'multi':
      return Object.entries(service.instances).find(([key]) => unit === `${service.name}@${key}.service`)?.[1] ?? 0;
  }
}

/** A shortest chain of moves from the most loaded hosts that can give, its last move first; empty: there is none. */
function findChain(board: Board, pieces: readonly Piece[], hosts: readonly string[]): AskedMove[] {
  const levels = [...new Set(hosts.map((host) => board.load(host)))].sort((a, b) => b - a);
  const least = levels.at(-1) ?? 0;
  for (const level of levels) {
    if (level < least + 2) break;
    const chain = chainFrom(level, board, pieces, hosts);
    if (chain.length > 0) return chain;
  }
  return [];
}

/** From the hosts with so many instances, breadth first. Where a unit can go does not depend on where it is: each is looked at once. */
function chainFrom(level: number, board: Board, pieces: readonly Piece[], hosts: readonly string[]): AskedMove[] {
  const reachedBy = new Map<string, AskedMove>();
  let ring: ReadonlySet<string> = new Set(hosts.filter((host) => board.load(host) === level));
  let left = hosts.filter((host) => !ring.has(host));
  let unused = pieces;
  while (ring.size > 0 && left.length > 0) {
    const next: string[] = [];
    const others: Piece[] = [];
    for (const piece of unused) {
      const from = firstOf(board.places(piece.unit), ring);
      if (from === undefined) {
        others.push(piece);
        continue;
      }
      const closed: string[] = [];
      for (const to of left) {
        if (board.closed(piece, to) !== undefined) closed.push(to);
        else {
          reachedBy.set(to, { unit: piece.unit, from, to });
          next.push(to);
        }
      }
      left = closed;
    }
    const ends = next.filter((host) => board.load(host) <= level - 2);
    const [end] = ends.sort((a, b) => board.load(a) - board.load(b) || compare(a, b));
    if (end !== undefined) return chainTo(end, reachedBy);
    unused = others;
    ring = new Set(next);
  }
  return [];
}

function firstOf(places: ReadonlySet<string>, ring: ReadonlySet<string>): string | undefined {
  let first: string | undefined;
  for (const host of places) if (ring.has(host) && (first === undefined || compare(host, first) < 0)) first = host;
  return first;
}

function chainTo(end: string, reachedBy: ReadonlyMap<string, AskedMove>): AskedMove[] {
  const chain: AskedMove[] = [];
  for (let move = reachedBy.get(end); move !== undefined; move = reachedBy.get(move.from)) chain.push(move);
  return chain;
}

/** What has to be moved to get from one board to the other: nothing twice. */
function difference(start: Board, end: Board, pieces: readonly Piece[]): AskedMove[] {
  return pieces.flatMap(({ unit }) => {
    const before = start.places(unit);
    const after = end.places(unit);
    const comes = [...after].filter((host) => !before.has(host)).sort(compare);
    const goes = [...before].filter((host) => !after.has(host)).sort(compare);
    return goes.flatMap((from, index): AskedMove[] => {
      const to = comes[index];
      return to === undefined ? [] : [{ unit, from, to }];
    });
  });
}

/**
 * Makes the moves in an order in which each can be made and none makes the load less even, from the fullest host to the
 * emptiest first, and answers them; those that are left when none does any good are not made.
 */
function makeInOrder(board: Board, moves: readonly AskedMove[]): AskedMove[] {
  const ordered: AskedMove[] = [];
  const left = new Set(moves);
  for (;;) {
    let best: { readonly move: AskedMove; readonly gain: number } | undefined;
    for (const move of left) {
      const gain = board.load(move.from) - board.load(move.to);
      if (gain > (best?.gain ?? 0) && board.obstacle(move) === undefined) best = { move, gain };
    }
    if (best === undefined) return ordered;
    board.move(best.move);
    left.delete(best.move);
    ordered.push(best.move);
  }
}
