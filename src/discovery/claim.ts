/**
 * One choice of a server, made in a turn (`turn.ts`): what is read then holds every choice made before. The client is
 * counted in the same transaction that ends the turn and checks that the server is still registered, so that clients that
 * choose at the same moment are spread as evenly as clients that come one after the other.
 */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { removeIfThere } from '../shared/remove-if-there.ts';
import { isStoreError, type Operation, type Store } from '../shared/store.ts';
import { clientsPath, discoveryPath } from '../shared/znodes.ts';
import { type Client, choose } from './choose.ts';
import { clientsAmong, decodeClientEntry, encodeClientEntry, entryName } from './client-entry.ts';
import { decodeRegistration, type Registration, registrationPath } from './registration.ts';
import { look, type MyTurn, type QueueOptions, takeTurn } from './turn.ts';

export interface ClaimOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly label: string;
  readonly client: string;
  /** A UUID of this process's own making. */
  readonly who: string;
  /** This process, for people: `w1, process 812`. */
  readonly by: string;
}

export interface Wish {
  /** Id of the server that the client has: it gets it again if that is live. */
  readonly keep?: string;
  /** Sessions that are this process's own: an entry of the same client in another one is another process's. Undefined: the first choice, which replaces whatever is there. */
  readonly sessions?: ReadonlySet<string>;
  /** False: it is only told, and no entry is made. */
  readonly counts: boolean;
}

/** `none`: no server is live. `replaced`: another process counts as this client since, `by` it. */
export type Claim =
  | { readonly kind: 'claimed'; readonly server: Registration; readonly entry: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'replaced'; readonly by: string };

/** Registrations that are read at once: enough that unhealthy ones cost no round trip each. */
const READ_AT_ONCE = 16;

/** Rejects as the store does, and with the signal's reason. Tried again after a rejection, it finds what was left of it. */
export async function claim(options: ClaimOptions, wish: Wish, signal: AbortSignal): Promise<Claim> {
  const { store, label } = options;
  const queue = { ...options, parent: clientsPath(label), from: discoveryPath(label) };
  // nothing is made for a label that nobody has ever registered under
  if (((await store.children(queue.from)) ?? []).length === 0) return { kind: 'none' };
  await store.ensure(queue.parent);
  for (;;) {
    const turn = await takeTurn(queue, signal);
    const answer = await claimInTurn(queue, wish, turn, signal);
    if (answer?.kind === 'none' || answer?.kind === 'replaced') await removeIfThere(store, turn.path);
    if (answer) return answer;
  }
}

/** Undefined when the turn is over without a choice: it was taken away. */
async function claimInTurn(
  options: ClaimOptions & QueueOptions,
  wish: Wish,
  turn: MyTurn,
  signal: AbortSignal,
): Promise<Claim | undefined> {
  const { store, client } = options;
  for (let { sight } = turn; ; sight = await look(options)) {
    signal.throwIfAborted();
    const clients = clientsAmong(sight.names);
    const own = clients.filter((each) => each.client === client);
    const other = wish.sessions && (await otherProcess(options, own, wish.sessions));
    if (other !== undefined) return { kind: 'replaced', by: other };
    const self = { client, ...(wish.keep !== undefined && { keep: wish.keep }) };
    const server = await firstLive(options, choose(sight.choices, clients, self, turn.number));
    if (!server) return { kind: 'none' };
    try {
      return await commit(options, wish, turn, own, server);
    } catch (error) {
      // something has changed since it was read; not so in the queue, unless the turn was taken away
      if (!isStoreError(error, 'no-node', 'node-exists')) throw error;
      if (!(await store.get(turn.path))) return undefined;
    }
  }
}

async function commit(
  { store, label, client, by }: ClaimOptions,
  { counts }: Wish,
  turn: MyTurn,
  own: readonly Client[],
  server: Registration,
): Promise<Claim> {
  const entry = { client, server: server.id };
  const path = `${clientsPath(label)}/${entryName(entry)}`;
  const operations: Operation[] = [{ op: 'exists', path: registrationPath(label, server.id) }];
  if (counts) {
    for (const each of own) operations.push({ op: 'remove', path: `${clientsPath(label)}/${entryName(each)}` });
    operations.push({ op: 'create', path, data: encodeClientEntry({ ...entry, by }), mode: 'ephemeral' });
  }
  // last, so that nobody can see the turn gone and the entry not there
  operations.push({ op: 'remove', path: turn.path });
  await store.transaction(operations);
  return { kind: 'claimed', server, entry: path };
}

/** Who else counts as this client, if anybody. */
async function otherProcess(
  { store, label }: ClaimOptions,
  own: readonly Client[],
  sessions: ReadonlySet<string>,
): Promise<string | undefined> {
  for (const each of own) {
    const node = await store.get(`${clientsPath(label)}/${entryName(each)}`);
    if (!node || (node.owner !== undefined && sessions.has(node.owner))) continue;
    const decoded = decodeClientEntry(node.data, node.path);
    return decoded.ok ? decoded.value.by : 'another process';
  }
  return undefined;
}

async function firstLive(options: ClaimOptions, ids: readonly string[]): Promise<Registration | undefined> {
  for (let at = 0; at < ids.length; at += READ_AT_ONCE) {
    const read = ids.slice(at, at + READ_AT_ONCE).map((id) => readRegistration(options, id));
    const live = (await Promise.all(read)).find((registration) => registration?.healthy);
    if (live) return live;
  }
  return undefined;
}

async function readRegistration({ store, label, log }: ClaimOptions, id: string): Promise<Registration | undefined> {
  const path = registrationPath(label, id);
  const node = await store.get(path);
  if (!node) return undefined;
  const decoded = decodeRegistration(node.data, path);
  if (decoded.ok && decoded.value.label === label && decoded.value.id === id) return decoded.value;
  log.warn(decoded.ok ? `${path} holds the registration of another label or id` : decoded.problem, { path });
  return undefined;
}
