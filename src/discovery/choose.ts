/** Which server a client gets. Pure. */
import { compare } from '../shared/names.ts';

/** A client that counts, and the id of the server (of its registration) that it has. */
export interface Client {
  readonly client: string;
  readonly server: string;
}

/** How many clients each server has; a server without any is missing. */
export function countClients(clients: Iterable<Client>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { server } of clients) counts.set(server, (counts.get(server) ?? 0) + 1);
  return counts;
}

/**
 * The servers in the order in which `self` shall have them: the first that is live is its choice. Fewest clients first,
 * `self` not counted among them; those with as many by name, beginning with another one at each `turn` (any integer), so
 * that clients which are gone again at once are spread, too. `keep` comes first, however loaded: a client keeps its
 * server as long as that lives.
 */
export function choose(
  servers: readonly string[],
  clients: readonly Client[],
  self: { readonly client: string; readonly keep?: string },
  turn = 0,
): string[] {
  const counts = countClients(clients.filter(({ client }) => client !== self.client));
  const byLoad = new Map<number, string[]>();
  for (const server of [...new Set(servers)].sort(compare)) {
    if (server === self.keep) continue;
    const load = counts.get(server) ?? 0;
    const equal = byLoad.get(load);
    if (equal) equal.push(server);
    else byLoad.set(load, [server]);
  }
  const order = [...byLoad].sort(([a], [b]) => a - b).flatMap(([, equal]) => rotate(equal, turn));
  return self.keep !== undefined && servers.includes(self.keep) ? [self.keep, ...order] : order;
}

function rotate(names: readonly string[], turn: number): string[] {
  const first = ((turn % names.length) + names.length) % names.length;
  return [...names.slice(first), ...names.slice(0, first)];
}
