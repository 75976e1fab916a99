/** Removing a znode that may be gone already. */
import { isStoreError, type Store } from './store.ts';

/** Removes the znode, whatever its version; that there is none is as good. Rejects with any other StoreError. */
export async function removeIfThere(store: Store, path: string): Promise<void> {
  try {
    await store.remove(path);
  } catch (error) {
    if (!isStoreError(error, 'no-node')) throw error;
  }
}
