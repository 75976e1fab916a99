/** Hosts by load, the least loaded first, ties by number. */
import { at } from './at.ts';
import { MinHeap } from './min-heap.ts';

export class HostQueue {
  /** `load * hosts + host`: one number that sorts by load, then by host. */
  readonly #keys = new MinHeap<number>((a, b) => a - b);
  readonly #load: readonly number[];

  /**
   * Holds `hosts`; `load` is the caller's list of loads by host. It is read anew whenever a host comes to the top: the
   * load of a host that waits here may rise, but must not fall.
   */
  constructor(load: readonly number[], hosts: Iterable<number>) {
    this.#load = load;
    for (const host of hosts) this.push(host);
  }

  push(host: number): void {
    this.#keys.push(this.#keyOf(host));
  }

  /** Takes out the least-loaded host; undefined when none is left. */
  pop(): number | undefined {
    for (let key = this.#keys.pop(); key !== undefined; key = this.#keys.pop()) {
      const host = key % this.#load.length;
      if (key === this.#keyOf(host)) return host;
      this.push(host);
    }
    return undefined;
  }

  #keyOf(host: number): number {
    return at(this.#load, host) * this.#load.length + host;
  }
}
