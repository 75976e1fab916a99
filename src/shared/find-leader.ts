/** Who leads at the moment, as far as ZooKeeper tells. */
import type { Clock } from './clock.ts';
import { decodeEpoch, decodeMember } from './payloads.ts';
import type { Store } from './store.ts';
import { EPOCH, memberPath } from './znodes.ts';

/** The host that took the present epoch, with its URL; undefined when there is none, or it is no member any more. */
export async function findLeader(store: Store): Promise<{ host: string; url: string; epoch: number } | undefined> {
  const node = await store.get(EPOCH);
  const epoch = node && decodeEpoch(node.data, node.path);
  if (!epoch?.ok) return undefined;
  const entry = await store.get(memberPath(epoch.value.leader));
  const member = entry && decodeMember(entry.data, entry.path);
  if (!member?.ok) return undefined;
  return { host: member.value.host, url: member.value.url, epoch: epoch.value.epoch };
}

/** How long an answer is good for: many who ask at once cost ZooKeeper no more than one. */
const KEPT_MS = 500;

/** `findLeader` for many who ask: they share an answer that is at most half a second old. A rejection is not kept. */
export function leaderFinder(store: Store, clock: Clock): () => ReturnType<typeof findLeader> {
  let kept: { readonly at: number; readonly answer: ReturnType<typeof findLeader> } | undefined;
  return () => {
    if (kept && clock.now() - kept.at < KEPT_MS) return kept.answer;
    const answer = findLeader(store);
    const mine = { at: clock.now(), answer };
    kept = mine;
    answer.catch(() => {
      if (kept === mine) kept = undefined;
    });
    return answer;
  };
}
