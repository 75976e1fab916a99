/**
 * One exclusive template: its keys want hosts, and a host takes one instance of the whole template. The assignment is a
 * minimum-cost bipartite matching, found by adding one instance after the other along a cheapest alternating path
 * (Kuhn–Munkres, with all instances of a key as one node). Costs put the rules in their order: first few instances
 * unplaced (forced keys, then counts of 1, then the others), then few stayers moved, then many running ones adopted.
 *
 * Invariants, with `price(host) = cost of its instance − dual(its key)`, 0 when free: price ≤ 0, and
 * dual(key) ≤ cost(key, host) − price(host) for every host the key may have, and dual(key) ≤ penalty(key).
 */
import { at } from './at.ts';
import type { HostQueue } from './host-queue.ts';
import { MinHeap } from './min-heap.ts';
import type { UnitProblem } from './problem.ts';

const KEEP = 0;
/** Above the number of instances of a template, so that no number of adoptions outweighs one stayer. */
const START = 2 ** 20;
const ADOPT = START - 1;
/** Above the cost of any path; sums of a few of these stay below 2^53 and therefore exact. */
const UNPLACED = 2 ** 40;
const FREE = -1;

/** A unit of the template in the course of the matching. */
interface Key {
  readonly problem: UnitProblem;
  readonly wanted: number;
  /** Cost of leaving one instance unplaced. */
  readonly penalty: number;
  /** False: the key may be on the hosts of `special` only. */
  readonly anywhere: boolean;
  /** Hosts that cost something else than START, or that would not be open to the key otherwise. */
  readonly special: ReadonlyMap<number, number>;
  placed: number;
  dual: number;
}

/** The end of an alternating path: `key` takes the free `host`, or, with no host, gives one instance up. */
interface End {
  readonly distance: number;
  readonly hops: number;
  readonly key: number;
  readonly host: number | undefined;
}

/** How a key was reached: it would lose `host` to key `to`. */
interface Step {
  readonly distance: number;
  readonly host: number;
  readonly to: number;
}

/** A key and the cheapest way to it, `hops` instances moved. */
interface Reached {
  readonly key: number;
  readonly distance: number;
  readonly hops: number;
}

/** A search for a cheapest alternating path. */
interface Search {
  readonly steps: Map<number, Step>;
  /** Key → its final distance. */
  readonly visited: Map<number, number>;
  readonly open: MinHeap<Reached>;
  /** The best end so far. */
  end: End | undefined;
  /** The visited key that reaches hosts at START from the smallest distance less dual. */
  widest: { readonly base: number; readonly key: Key } | undefined;
}

function byDistance(a: Reached, b: Reached): number {
  return a.distance - b.distance || a.hops - b.hops || a.key - b.key;
}

export class ExclusiveTemplate {
  readonly #load: number[];
  readonly #ready: readonly boolean[];
  readonly #keys: readonly Key[];
  /** Key that has each host, or FREE. */
  readonly #occupant: Int32Array;
  /** What the occupant's instance costs, by host. */
  readonly #cost: Float64Array;

  /** `units` are the enabled units of one service; their stays are counted in `load`, which is kept up to date. */
  constructor(
    units: readonly UnitProblem[],
    ready: readonly boolean[],
    load: number[],
    takesForced: (host: number) => boolean,
  ) {
    this.#load = load;
    this.#ready = ready;
    this.#keys = units
      .map((unit) => toKey(unit, takesForced))
      .sort((a, b) => b.penalty - a.penalty || a.wanted - b.wanted);
    this.#occupant = new Int32Array(load.length).fill(FREE);
    this.#cost = new Float64Array(load.length);
  }

  /** Keeps what may stay, one per host; what has to give way leaves the load. */
  keep(): void {
    this.#keys.forEach((key, number) => {
      const byLoad = [...key.problem.stays].sort((a, b) => at(this.#load, a) - at(this.#load, b) || a - b);
      for (const host of byLoad) {
        if (key.placed < key.wanted && at(this.#occupant, host) === FREE) this.#assign(number, host);
        else this.#addLoad(host, -1);
      }
    });
  }

  /** Takes over running instances on hosts that are still free. */
  adopt(): void {
    this.#keys.forEach((key, number) => {
      // A stay that another key has may still be won back at no cost; adopting first could cost a stayer.
      if (key.problem.running.length === 0 || !key.problem.stays.every((host) => this.#has(number, host))) return;
      const free = key.problem.running.filter((host) => at(this.#occupant, host) === FREE);
      free.sort((a, b) => at(this.#load, a) - at(this.#load, b) || a - b);
      for (const host of free.slice(0, Math.max(0, key.wanted - key.placed))) {
        this.#assign(number, host);
        this.#addLoad(host, 1);
        key.dual = ADOPT;
      }
    });
  }

  /** Places what is missing. `queue` holds every ready host, before and after. */
  fill(queue: HostQueue): void {
    const taken: number[] = [];
    this.#keys.forEach((key, number) => {
      if (key.placed < key.wanted) this.#fillKey(number, key, queue, taken);
    });
    for (const host of taken) queue.push(host);
  }

  /** The result: unit → its hosts, ascending. */
  hostsByUnit(): Map<string, number[]> {
    const result = new Map(this.#keys.map((key): [string, number[]] => [key.problem.unit, []]));
    this.#occupant.forEach((key, host) => {
      if (key !== FREE) result.get(at(this.#keys, key).problem.unit)?.push(host);
    });
    return result;
  }

  /** Unit of this template that has the host. */
  occupantOf(host: number): string | undefined {
    const key = at(this.#occupant, host);
    return key === FREE ? undefined : at(this.#keys, key).problem.unit;
  }

  #fillKey(number: number, key: Key, queue: HostQueue, taken: number[]): void {
    const refused: number[] = [];
    let direct = key.anywhere && this.#hasAllSpecial(number, key);
    while (key.placed < key.wanted) {
      const host = direct ? this.#leastLoaded(key, queue, taken, refused) : undefined;
      if (host !== undefined) {
        // No host is cheaper for this key, so the shortest path is this one step.
        this.#assign(number, host);
        this.#addLoad(host, 1);
        key.dual = START;
        taken.push(host);
        continue;
      }
      if (!this.#augment(number)) break;
      direct = key.anywhere && this.#hasAllSpecial(number, key);
    }
    for (const host of refused) queue.push(host);
  }

  #leastLoaded(key: Key, queue: HostQueue, taken: number[], refused: number[]): number | undefined {
    for (let host = queue.pop(); host !== undefined; host = queue.pop()) {
      if (at(this.#occupant, host) !== FREE) taken.push(host);
      else if (key.problem.excluded.has(host)) refused.push(host);
      else return host;
    }
    return undefined;
  }

  /** Adds one instance of the key along a cheapest path (Dijkstra); false: leaving it unplaced is the cheapest. */
  #augment(start: number): boolean {
    this.#raiseDual(start);
    const search: Search = {
      steps: new Map(),
      visited: new Map(),
      open: new MinHeap(byDistance),
      end: undefined,
      widest: undefined,
    };
    let reached: Reached | undefined = { key: start, distance: 0, hops: 0 };
    while (reached !== undefined && (search.end === undefined || reached.distance < search.end.distance)) {
      if (!search.visited.has(reached.key)) {
        search.visited.set(reached.key, reached.distance);
        this.#explore(reached, search);
      }
      reached = search.open.pop();
    }
    const { end, steps, visited } = search;
    if (end === undefined) throw new Error('an alternating path always ends: leaving the instance unplaced is one');
    for (const [key, distance] of visited) {
      if (distance < end.distance) at(this.#keys, key).dual += end.distance - distance;
    }
    return this.#follow(start, end, steps);
  }

  #explore(from: Reached, search: Search): void {
    const key = at(this.#keys, from.key);
    const { distance, hops } = from;
    search.end = this.#better(
      { distance: distance + key.penalty - key.dual, hops, key: from.key, host: undefined },
      search.end,
    );
    const look = (host: number, cost: number) => {
      this.#look(from, host, distance + cost - key.dual - this.#price(host), search);
    };
    const base = distance - key.dual;
    if (key.anywhere && search.widest !== undefined && base >= search.widest.base) {
      // Where both pay START, the key that was there before is no farther: only the other hosts can be nearer from here.
      for (const [host, cost] of key.special) look(host, cost);
      for (const host of search.widest.key.problem.excluded.keys()) {
        const cost = costOn(key, host, this.#ready);
        if (cost !== undefined) look(host, cost);
      }
      return;
    }
    this.#eachHost(key, look);
    if (key.anywhere) search.widest = { base, key };
  }

  /** Notes what it means for a key reached so far to take this host: the path ends there, or another key has to give way. */
  #look(from: Reached, host: number, distance: number, search: Search): void {
    const occupant = at(this.#occupant, host);
    if (occupant === FREE) {
      search.end = this.#better({ distance, hops: from.hops, key: from.key, host }, search.end);
    } else if (occupant !== from.key && distance < (search.steps.get(occupant)?.distance ?? Number.POSITIVE_INFINITY)) {
      if (search.visited.has(occupant)) return;
      search.steps.set(occupant, { distance, host, to: from.key });
      search.open.push({ key: occupant, distance, hops: from.hops + 1 });
    }
  }

  /** The better of two ends: nearer, fewer instances moved, the less loaded host, or the key with more instances to lose. */
  #better(a: End, b: End | undefined): End {
    if (b === undefined) return a;
    const nearer = a.distance - b.distance || a.hops - b.hops;
    if (nearer !== 0) return nearer < 0 ? a : b;
    if (a.host !== undefined && b.host !== undefined) {
      return (at(this.#load, a.host) - at(this.#load, b.host) || a.host - b.host) < 0 ? a : b;
    }
    if (a.host === undefined && b.host === undefined) {
      return (at(this.#keys, b.key).wanted - at(this.#keys, a.key).wanted || a.key - b.key) < 0 ? a : b;
    }
    return a.host !== undefined ? a : b;
  }

  /** Moves the instances along the path; false when it is the starting key that goes without. */
  #follow(start: number, end: End, steps: ReadonlyMap<number, Step>): boolean {
    if (end.host === undefined) at(this.#keys, end.key).placed -= 1;
    else this.#addLoad(end.host, 1);
    at(this.#keys, start).placed += 1;
    let { key, host } = end;
    for (let step = steps.get(key); key !== start && step !== undefined; step = steps.get(key)) {
      if (host !== undefined) this.#occupy(key, host);
      ({ host, to: key } = step);
    }
    if (host === undefined) return false;
    this.#occupy(start, host);
    return true;
  }

  /** Raises the key's dual as far as the invariant allows, so that the searches that follow stay short. */
  #raiseDual(number: number): void {
    const key = at(this.#keys, number);
    let dual = key.penalty;
    this.#eachHost(key, (host, cost) => {
      if (at(this.#occupant, host) !== number) dual = Math.min(dual, cost - this.#price(host));
    });
    key.dual = dual;
  }

  #price(host: number): number {
    const occupant = at(this.#occupant, host);
    return occupant === FREE ? 0 : at(this.#cost, host) - at(this.#keys, occupant).dual;
  }

  #eachHost(key: Key, visit: (host: number, cost: number) => void): void {
    if (!key.anywhere) {
      key.special.forEach((cost, host) => {
        visit(host, cost);
      });
      return;
    }
    for (let host = 0; host < this.#ready.length; host += 1) {
      const cost = costOn(key, host, this.#ready);
      if (cost !== undefined) visit(host, cost);
    }
  }

  #hasAllSpecial(number: number, key: Key): boolean {
    for (const host of key.special.keys()) if (!this.#has(number, host)) return false;
    return true;
  }

  #has(key: number, host: number): boolean {
    return at(this.#occupant, host) === key;
  }

  #assign(number: number, host: number): void {
    at(this.#keys, number).placed += 1;
    this.#occupy(number, host);
  }

  #occupy(number: number, host: number): void {
    const cost = costOn(at(this.#keys, number), host, this.#ready);
    if (cost === undefined) throw new Error(`${at(this.#keys, number).problem.unit} may not be on host ${host}`);
    this.#occupant[host] = number;
    this.#cost[host] = cost;
  }

  #addLoad(host: number, change: number): void {
    this.#load[host] = at(this.#load, host) + change;
  }
}

/** Undefined: the key may not be there. */
function costOn(key: Key, host: number, ready: readonly boolean[]): number | undefined {
  const special = key.special.get(host);
  if (special !== undefined) return special;
  return key.anywhere && at(ready, host) && !key.problem.excluded.has(host) ? START : undefined;
}

function toKey(problem: UnitProblem, takesForced: (host: number) => boolean): Key {
  const { demand } = problem;
  const special = new Map<number, number>();
  if (demand.kind === 'forced' && demand.host !== undefined) {
    if (takesForced(demand.host) && !problem.excluded.has(demand.host)) special.set(demand.host, START);
  }
  for (const host of problem.running) special.set(host, ADOPT);
  for (const host of problem.stays) special.set(host, KEEP);
  const wanted = demand.kind === 'forced' || demand.kind === 'anywhere' ? demand.count : 0;
  const rank = demand.kind === 'forced' ? 3 : wanted === 1 ? 2 : 1;
  return {
    problem,
    wanted,
    penalty: rank * UNPLACED,
    anywhere: demand.kind === 'anywhere',
    special,
    placed: 0,
    dual: KEEP,
  };
}
