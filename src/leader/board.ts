/**
 * A placement as a board on which single instances can be moved: where each unit is, how much each host has, and what stands
 * in the way of a move that is made for an even load only. Such a move costs nobody else anything: it needs a host that
 * is ready and free for it, and never goes where as much runs already. Pure; `move()` changes the board.
 */
import type { AskedMove } from '../shared/cluster.ts';
import { compare, instanceUnit } from '../shared/names.ts';
import type { Service } from '../shared/spec.ts';
import type { HostView, Placement, PlacementInput } from './placement.ts';

/** A unit whose instances may be moved. */
export interface Piece {
  readonly unit: string;
  readonly service: Service;
}

const NOWHERE: ReadonlySet<string> = new Set();

export class Board {
  /** Units whose instances may be moved, sorted by unit. */
  readonly pieces: readonly Piece[];
  /** Host → number of instances, for every host there is. */
  readonly #loads = new Map<string, number>();
  readonly #views: ReadonlyMap<string, HostView>;
  readonly #places = new Map<string, Set<string>>();
  /** Exclusive service → hosts that one of its units has. */
  readonly #taken = new Map<string, Set<string>>();
  readonly #byUnit: ReadonlyMap<string, Piece>;
  readonly #fixed: ReadonlyMap<string, string>;

  constructor({ spec, hosts }: PlacementInput, placement: Placement) {
    this.#views = new Map(hosts.map((view) => [view.name, view]));
    for (const { name } of hosts) this.#loads.set(name, 0);
    const services = new Map(spec.services.map((service) => [service.name, service]));
    const busy = changing(placement);
    const pieces: Piece[] = [];
    const fixed = new Map<string, string>();
    for (const { unit, service: name, instances } of placement.units.values()) {
      const service = services.get(name);
      if (service === undefined) continue;
      this.#places.set(unit, new Set(instances.map(({ host }) => host)));
      if (isExclusive(service)) {
        const taken = this.#taken.get(name) ?? new Set();
        this.#taken.set(name, taken);
        for (const { host } of instances) taken.add(host);
      }
      for (const { host } of instances) this.#loads.set(host, this.load(host) + 1);
      const why = fixedBy(unit, service) ?? (busy.has(isExclusive(service) ? name : unit) ? IN_CHANGE : undefined);
      if (why === undefined) pieces.push({ unit, service });
      else fixed.set(unit, why);
    }
    this.pieces = pieces.sort((a, b) => compare(a.unit, b.unit));
    this.#byUnit = new Map(pieces.map((piece) => [piece.unit, piece]));
    this.#fixed = fixed;
  }

  /** Number of instances on a host. */
  load(host: string): number {
    return this.#loads.get(host) ?? 0;
  }

  /** Hosts that have the unit. */
  places(unit: string): ReadonlySet<string> {
    return this.#places.get(unit) ?? NOWHERE;
  }

  /** Why an instance of the unit cannot come to the host; undefined: it can. `host` has `unit` only if it is placed there. */
  closed({ unit, service }: Piece, host: string): string | undefined {
    const view = this.#views.get(host);
    if (view === undefined) return `${host} is not a member`;
    if (view.state !== 'ready') return `${host} is ${view.state}`;
    const excluded = view.excluded.get(unit);
    if (excluded !== undefined) return `it cannot go to ${host}: ${excluded} there`;
    if (this.places(unit).has(host)) return `${host} has one already`;
    if (this.#taken.get(service.name)?.has(host)) return `${host} has another of ${service.name}, which is exclusive`;
    return undefined;
  }

  /** Why the move cannot be made, one sentence; undefined: it can, and makes the spread no worse. */
  obstacle({ unit, from, to }: AskedMove): string | undefined {
    const piece = this.#byUnit.get(unit);
    if (piece === undefined) return this.#fixed.get(unit) ?? `${unit} is no unit of the cluster's configuration`;
    if (!this.places(unit).has(from)) return `${unit} is not placed on ${from} any more`;
    const state = this.#views.get(from)?.state;
    if (state !== 'ready') return `${from} is ${state ?? 'not a member'}`;
    const closed = this.closed(piece, to);
    if (closed !== undefined) return closed;
    return this.load(from) > this.load(to) ? undefined : `${to} has as much to run as ${from} by now`;
  }

  /** Makes a move that nothing stands in the way of. */
  move({ unit, from, to }: AskedMove): void {
    const name = this.#byUnit.get(unit)?.service.name ?? '';
    for (const hosts of [this.#places.get(unit), this.#taken.get(name)]) {
      hosts?.delete(from);
      hosts?.add(to);
    }
    this.#loads.set(from, this.load(from) - 1);
    this.#loads.set(to, this.load(to) + 1);
  }
}

const IN_CHANGE = 'it is being placed anew anyway: try again when that is done';

function isExclusive(service: Service): boolean {
  return service.type === 'multi' && service.exclusive;
}

/** Why no instance of the unit is ever moved for the load. */
function fixedBy(unit: string, service: Service): string | undefined {
  if (!service.enabled) return `${service.name} is disabled`;
  if (service.type === 'global') return `${service.name} runs on every host`;
  if (service.type === 'shared') return undefined;
  const forced = Object.entries(service.force).find(([key]) => instanceUnit(service.name, key) === unit);
  return forced === undefined ? undefined : `it is forced to ${forced[1]}`;
}

/** Units that lack an instance, or whose instances come, go or move; for all their template may be, their services, too. */
function changing({ units, unplaced, moves }: Placement): ReadonlySet<string> {
  const names = new Set<string>();
  const add = (unit: string) => {
    names.add(unit);
    const service = units.get(unit)?.service;
    if (service !== undefined) names.add(service);
  };
  for (const { unit } of unplaced) add(unit);
  for (const { unit } of moves) add(unit);
  for (const { unit, instances } of units.values()) if (instances.some(({ why }) => why.kind !== 'kept')) add(unit);
  return names;
}
