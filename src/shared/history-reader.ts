/** Reads the history out of ZooKeeper, each batch once, whatever order they come in. What cannot be read is told. */

import { decodeBatch, type HistoryEvent } from './history.ts';
import { inOrder } from './history-ring.ts';
import { compare } from './names.ts';
import type { Store } from './store.ts';
import { HISTORY } from './znodes.ts';

export interface ReadEvents {
  /** Oldest first, by the clocks of the hosts that told them. */
  readonly events: readonly HistoryEvent[];
  /** One sentence for each batch that cannot be read. */
  readonly problems: readonly string[];
}

/** Requests at once. */
const AT_ONCE = 200;

export class HistoryReader {
  private readonly names = new Set<string>();
  private readonly batches = new Set<string>();

  constructor(private readonly store: Store) {}

  /** Reads those batches of `names`, the children of `/history`, that were not read before. Rejects with a StoreError. */
  async read(names: readonly string[]): Promise<ReadEvents> {
    const present = new Set(names);
    for (const name of this.names) if (!present.has(name)) this.names.delete(name);
    const fresh = inOrder(names).filter((name) => !this.names.has(name));
    const events: HistoryEvent[] = [];
    const problems: string[] = [];
    const batches = new Set<string>();
    for (let first = 0; first < fresh.length; first += AT_ONCE) {
      const some = fresh.slice(first, first + AT_ONCE);
      const nodes = await Promise.all(some.map((name) => this.store.get(`${HISTORY}/${name}`)));
      for (const node of nodes) {
        // removed since the names were read
        if (!node) continue;
        const decoded = decodeBatch(node.data, node.path);
        if (!decoded.ok) problems.push(decoded.problem);
        else if (!this.batches.has(decoded.value.id) && !batches.has(decoded.value.id)) {
          batches.add(decoded.value.id);
          events.push(...decoded.value.events);
        }
      }
    }
    // at the end, so that a read that fails is repeated as a whole
    for (const name of fresh) this.names.add(name);
    for (const id of batches) this.batches.add(id);
    return { events: sortedByTime(events), problems };
  }
}

/** Oldest first; those of the same time stay in their order. */
export function sortedByTime(events: readonly HistoryEvent[]): HistoryEvent[] {
  return [...events].sort((a, b) => compare(a.at, b.at));
}
