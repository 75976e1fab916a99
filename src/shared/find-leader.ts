/** Who leads at the moment, as far as ZooKeeper tells. */
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
