/**
 * Claims an ephemeral znode for the present session, taking it over from an earlier session where that is right: one
 * transaction removes the old znode and creates the new one, so that nobody ever sees it missing.
 */
import { isStoreError, type Store, type Znode } from './store.ts';

/** `was`: what was there right before: nothing, this session's own, or another session's, replaced without a gap. */
export type Claim =
  | { readonly kind: 'claimed'; readonly was: 'absent' | 'own' | 'replaced' }
  | { readonly kind: 'held'; readonly by: Znode };

/** How often a claim is tried anew when the znode changes between look and transaction. */
const TRIES = 5;

/**
 * Creates `path` as an ephemeral of the session that `store` is in, or finds it there already. Where another session
 * owns it, `mayReplace` decides; otherwise the answer says who holds it.
 */
export async function claimEphemeral(
  store: Store,
  path: string,
  data: Buffer,
  mayReplace: (node: Znode) => boolean,
): Promise<Claim> {
  for (let attempt = 1; ; attempt++) {
    try {
      const node = await store.get(path);
      if (!node) {
        await store.create(path, data, 'ephemeral');
        return { kind: 'claimed', was: 'absent' };
      }
      const session = store.state.kind === 'connected' ? store.state.session : undefined;
      if (session !== undefined && node.owner === session) {
        await store.set(path, data);
        return { kind: 'claimed', was: 'own' };
      }
      if (!mayReplace(node)) return { kind: 'held', by: node };
      await store.transaction([
        { op: 'remove', path },
        { op: 'create', path, data, mode: 'ephemeral' },
      ]);
      return { kind: 'claimed', was: 'replaced' };
    } catch (error) {
      const changed = isStoreError(error, 'no-node', 'node-exists');
      if (!changed || attempt >= TRIES) throw error;
    }
  }
}
