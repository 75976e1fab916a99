/** Whether hosts that went while nobody here listened had said so: what the leader has told of them since. */
import { decodeBatch } from '../shared/history.ts';
import { ringOf } from '../shared/history-ring.ts';
import type { Store } from '../shared/store.ts';
import { HISTORY } from '../shared/znodes.ts';

/** What the leader tells of a host's coming and going. */
const ABOUT_MEMBERS: ReadonlySet<string> = new Set(['member-joined', 'member-left', 'member-lost', 'member-gone']);
/** Batches that are read at once. */
const AT_ONCE = 100;

/**
 * Those of the hosts, all of them gone, of which the newest word is that they left in good order. Of one that went while
 * nobody led, or so long ago that the history has forgotten it, nothing is known. Rejects with a StoreError.
 */
export async function leftInOrder(store: Store, hosts: Iterable<string>): Promise<ReadonlySet<string>> {
  const asked = new Set(hosts);
  const left = new Set<string>();
  const names = ringOf('leader', (await store.children(HISTORY)) ?? []);
  for (let end = names.length; end > 0 && asked.size > 0; end -= AT_ONCE) {
    const some = names.slice(Math.max(0, end - AT_ONCE), end);
    const nodes = await Promise.all(some.map((name) => store.get(`${HISTORY}/${name}`)));
    for (const node of nodes.reverse()) {
      const decoded = node && decodeBatch(node.data, node.path);
      for (const { kind, host } of decoded?.ok ? [...decoded.value.events].reverse() : []) {
        if (host === undefined || !ABOUT_MEMBERS.has(kind) || !asked.delete(host)) continue;
        if (kind === 'member-left') left.add(host);
      }
    }
  }
  return left;
}
