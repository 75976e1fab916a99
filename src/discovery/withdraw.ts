/** Taking back what counts a client whose session goes on. */
import { type Clock, delay } from '../shared/clock.ts';
import { removeIfThere } from '../shared/remove-if-there.ts';
import { isStoreError, type Store } from '../shared/store.ts';
import { clientsPath } from '../shared/znodes.ts';
import { clientsAmong, entryName, turnsAmong } from './client-entry.ts';
import { untilConnected } from './until-live.ts';

export interface WithdrawOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly label: string;
  readonly client: string;
  /** The UUID that its turns were made with. */
  readonly who: string;
}

const RETRY_MS = 200;

/**
 * Removes the client's entry and its turns, those whose making was not answered, too; another session's entry of the same
 * client stays. To be called when its hold has ended. Tried until ZooKeeper has confirmed it; rejects with the signal's
 * reason.
 */
export async function withdraw(options: WithdrawOptions, signal: AbortSignal): Promise<void> {
  const { store, clock } = options;
  for (;;) {
    // what an earlier session left ends with that
    const { session } = await untilConnected(store, signal);
    try {
      await removeAll(options, session);
      return;
    } catch (error) {
      if (!isStoreError(error, 'connection-loss', 'session-lost', 'deadline')) throw error;
      await delay(clock, RETRY_MS, signal);
    }
  }
}

async function removeAll({ store, label, client, who }: WithdrawOptions, session: string): Promise<void> {
  const parent = clientsPath(label);
  const names = (await store.children(parent)) ?? [];
  for (const turn of turnsAmong(names)) {
    if (turn.who === who) await removeIfThere(store, `${parent}/${turn.name}`);
  }
  for (const each of clientsAmong(names)) {
    if (each.client !== client) continue;
    const path = `${parent}/${entryName(each)}`;
    const node = await store.get(path);
    if (node?.owner === session) await removeIfThere(store, path);
  }
}
