/** One exclusive template: its keys want hosts, and a host takes one instance of the whole template. */
import { at } from './at.ts';
import type { HostQueue } from './host-queue.ts';
import { type Key, toKey } from './key.ts';
import { Matching } from './matching.ts';
import type { UnitProblem } from './problem.ts';

export class ExclusiveTemplate {
  readonly #load: number[];
  readonly #keys: readonly Key[];
  readonly #matching: Matching;

  /** `units` are the enabled units of one service; their stays are counted in `load`, which is kept up to date. */
  constructor(
    units: readonly UnitProblem[],
    ready: readonly boolean[],
    load: number[],
    takesForced: (host: number) => boolean,
  ) {
    this.#load = load;
    this.#keys = units
      .map((unit) => toKey(unit, takesForced))
      .sort((a, b) => b.penalty - a.penalty || a.wanted - b.wanted);
    this.#matching = new Matching(this.#keys, ready, load);
  }

  /** Keeps what may stay, one per host; what has to give way leaves the load. `inOrder`: what may stay of a unit, the best first. */
  keep(inOrder: (unit: UnitProblem) => readonly number[]): void {
    this.#keys.forEach((key, number) => {
      for (const host of inOrder(key.problem)) {
        if (key.placed < key.wanted && this.#isFree(host)) this.#matching.assign(number, host);
        else this.#addLoad(host, -1);
      }
    });
  }

  /** Takes over running instances on hosts that are still free. */
  adopt(): void {
    this.#keys.forEach((key, number) => {
      // A stay that another key has may still be won back at no cost; adopting first could cost a stayer.
      if (key.problem.running.length === 0 || !key.problem.stays.every((host) => this.#has(number, host))) return;
      const free = key.problem.running.filter((host) => this.#isFree(host));
      free.sort((a, b) => at(this.#load, a) - at(this.#load, b) || a - b);
      for (const host of free.slice(0, Math.max(0, key.wanted - key.placed))) {
        this.#matching.assign(number, host);
        this.#addLoad(host, 1);
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
    for (const host of this.#load.keys()) {
      const unit = this.occupantOf(host);
      if (unit !== undefined) result.get(unit)?.push(host);
    }
    return result;
  }

  /** Unit of this template that has the host. */
  occupantOf(host: number): string | undefined {
    const key = this.#matching.occupantOf(host);
    return key === undefined ? undefined : at(this.#keys, key).problem.unit;
  }

  #fillKey(number: number, key: Key, queue: HostQueue, taken: number[]): void {
    const refused: number[] = [];
    let direct = key.anywhere && this.#hasAllSpecial(number, key);
    while (key.placed < key.wanted) {
      const host = direct ? this.#leastLoaded(key, queue, taken, refused) : undefined;
      if (host !== undefined) {
        // No host is cheaper for this key, so the shortest path is this one step.
        this.#matching.assign(number, host);
        this.#addLoad(host, 1);
        taken.push(host);
        continue;
      }
      if (!this.#matching.augment(number)) break;
      direct = key.anywhere && this.#hasAllSpecial(number, key);
    }
    for (const host of refused) queue.push(host);
  }

  #leastLoaded(key: Key, queue: HostQueue, taken: number[], refused: number[]): number | undefined {
    for (let host = queue.pop(); host !== undefined; host = queue.pop()) {
      if (!this.#isFree(host)) taken.push(host);
      else if (key.problem.excluded.has(host)) refused.push(host);
      else return host;
    }
    return undefined;
  }

  #hasAllSpecial(number: number, key: Key): boolean {
    for (const host of key.special.keys()) if (!this.#has(number, host)) return false;
    return true;
  }

  #isFree(host: number): boolean {
    return this.#matching.occupantOf(host) === undefined;
  }

  #has(key: number, host: number): boolean {
    return this.#matching.occupantOf(host) === key;
  }

  #addLoad(host: number, change: number): void {
    this.#load[host] = at(this.#load, host) + change;
  }
}
