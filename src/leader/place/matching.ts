/**
 * Assignment of hosts to the keys of one exclusive template: a minimum-cost bipartite matching, to which instances are
 * added one by one along a cheapest alternating path (Kuhn–Munkres, with all instances of a key as one node). Costs put
 * the rules in their order: first few instances unplaced (forced keys, then counts of 1, then the others), then few
 * stayers moved, then many running ones adopted.
 *
 * Invariants, with `price(host) = cost of its instance − dual(its key)`, 0 when free: price ≤ 0, and
 * dual(key) ≤ cost(key, host) − price(host) for every host the key may have, and dual(key) ≤ penalty(key).
 */
import { at } from './at.ts';
import { costOn, type Key } from './key.ts';
import { MinHeap } from './min-heap.ts';

const FREE = -1;

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

export class Matching {
  readonly #keys: readonly Key[];
  readonly #ready: readonly boolean[];
  readonly #load: number[];
  /** Key that has each host, or FREE. */
  readonly #occupant: Int32Array;
  /** What the occupant's instance costs, by host. */
  readonly #cost: Float64Array;

  /** Starts with every host free. Keys are known by their index; `load` breaks ties and is kept up to date. */
  constructor(keys: readonly Key[], ready: readonly boolean[], load: number[]) {
    this.#keys = keys;
    this.#ready = ready;
    this.#load = load;
    this.#occupant = new Int32Array(load.length).fill(FREE);
    this.#cost = new Float64Array(load.length);
  }

  /** Index of the key that has the host; undefined: it is free. */
  occupantOf(host: number): number | undefined {
    const key = at(this.#occupant, host);
    return key === FREE ? undefined : key;
  }

  /**
   * Gives a free host to a key, without a search: only where no host is cheaper for this key, those of other keys
   * included. The caller counts the load.
   */
  assign(number: number, host: number): void {
    const key = at(this.#keys, number);
    key.placed += 1;
    this.#occupy(number, host);
    key.dual = Math.max(key.dual, at(this.#cost, host));
  }

  /** Adds one instance of the key along a cheapest path (Dijkstra); false: leaving it unplaced is the cheapest. */
  augment(start: number): boolean {
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
    else this.#load[end.host] = at(this.#load, end.host) + 1;
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

  #occupy(number: number, host: number): void {
    const key = at(this.#keys, number);
    const cost = costOn(key, host, this.#ready);
    if (cost === undefined) throw new Error(`${key.problem.unit} may not be on host ${host}`);
    this.#occupant[host] = number;
    this.#cost[host] = cost;
  }
}
