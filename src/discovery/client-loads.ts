/** How many clients each server has, for people and programs that ask. */
import { isLabel } from '../shared/names.ts';
import type { Store } from '../shared/store.ts';
import { CLIENTS, clientsPath, discoveryPath } from '../shared/znodes.ts';
import { countClients } from './choose.ts';
import { clientsAmong } from './client-entry.ts';

/** Id of each server that is registered under the label, or has clients left → how many clients count for it. */
export async function readLoads(store: Store, label: string): Promise<ReadonlyMap<string, number>> {
  const [ids = [], names = []] = await Promise.all([
    store.children(discoveryPath(label)),
    store.children(clientsPath(label)),
  ]);
  const counts = countClients(clientsAmong(names));
  return new Map([...new Set([...ids, ...counts.keys()])].sort().map((id) => [id, counts.get(id) ?? 0]));
}

/** Label → server → clients, of all labels that have clients. */
export async function readAllLoads(store: Store): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>> {
  const labels = ((await store.children(CLIENTS)) ?? []).filter(isLabel);
  const loads = await Promise.all(labels.map(async (label) => [label, await readLoads(store, label)] as const));
  return Object.fromEntries(
    loads.flatMap(([label, counts]) =>
      [...counts.values()].some((count) => count > 0) ? [[label, Object.fromEntries(counts)]] : [],
    ),
  );
}
