/**
 * A client's hold on a server: it has the least-loaded live one, counts as its client as long as it lives, and has another
 * one when that is gone.
 *
 * Invariants: a server is given up only because it is seen not to be registered, or not healthy, while the client's own
 * session lives: a silent ZooKeeper takes nothing away, and after a session was lost, as the server's may be, too, the server
 * has one session timeout to be registered again. Another process that counts as the same client since ends the hold.
 */
import { type Clock, delay } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { removeIfThere } from '../shared/remove-if-there.ts';
import { isStoreError, type Store, type Znode } from '../shared/store.ts';
import { untilCalled } from '../shared/until-called.ts';
import { type Claim, claim } from './claim.ts';
import { decodeRegistration, type Registration, registrationPath } from './registration.ts';
import { untilConnected, untilLive } from './until-live.ts';

export interface HoldOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly label: string;
  readonly client: string;
  /** A UUID of this process's own making. */
  readonly who: string;
  /** This process, for people. */
  readonly by: string;
  /** Called with the first server, and with each that takes its place, or the same at another address. */
  readonly onServer: (server: Registration) => void;
}

/** How a hold ends that nobody ended: another process counts as this client. */
export interface Replaced {
  readonly kind: 'replaced';
  readonly by: string;
}

/** Pause after a failed step. */
const RETRY_MS = 200;

/** Why a hold is to be looked at again. */
type Change =
  | { readonly kind: 'server-gone'; readonly why: string }
  | { readonly kind: 'server-moved'; readonly server: Registration }
  | { readonly kind: 'unregistered' }
  | { readonly kind: 'session-lost' };

type Claimed = Extract<Claim, { kind: 'claimed' }>;

/**
 * Holds a server, waiting for the first one as long as it takes. Rejects with the signal's reason when it is aborted (the
 * session then goes on counting the client until it is closed), and as the store does when the first choice is refused for
 * another reason than the connection.
 */
export async function hold(options: HoldOptions, signal: AbortSignal): Promise<Replaced> {
  return await new Hold(options, signal).run();
}

class Hold {
  /** What the caller was told last; undefined: nothing, or that server is gone since. */
  private told: Registration | undefined;
  /** Znode that counts the client, if any. */
  private entry: string | undefined;
  /** The two newest: entries in them are our own. */
  private sessions: ReadonlySet<string> = new Set();
  /** Session in which a server that is not registered is gone: those that lost theirs with our last one had their time. */
  private judging: string | undefined;

  constructor(
    private readonly options: HoldOptions,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<Replaced> {
    let keep: string | undefined;
    let first = true;
    for (;;) {
      const { answer, session } = await this.claimed(keep, first);
      if (answer.kind === 'replaced') return answer;
      first = false;
      this.entry = answer.entry;
      const change = await this.untilChange(answer, session);
      keep = this.next(change, answer.server);
    }
  }

  /** Answers the id of the server that is kept if possible. */
  private next(change: Exclude<Change, { kind: 'server-moved' }>, server: Registration): string | undefined {
    const { log, label, client } = this.options;
    const about = { label, client, server: server.id };
    switch (change.kind) {
      case 'server-gone':
        log.warn(`${server.id} ${change.why}; choosing another server for ${client}`, about);
        this.told = undefined;
        return undefined;
      case 'unregistered':
        log.warn(`the entry of ${client} was removed or replaced by someone; looking who counts`, about);
        return server.id;
      case 'session-lost':
        log.warn(`${client} was not counted for a while, as its session was lost; it keeps ${server.id}`, about);
        return server.id;
    }
  }

  /** Tries until it has an answer, waiting for a server if there is none; `session`: the one before the last try. */
  private async claimed(keep: string | undefined, first: boolean) {
    const { options, signal } = this;
    const { store, clock, log, label, client } = options;
    for (let waited = false; ; ) {
      const { session } = await this.connected();
      if (keep !== undefined && session !== this.judging) {
        await this.untilRegistered(keep);
        const { state } = store;
        if (state.kind === 'connected' && state.session === session) this.judging = session;
        else continue;
      }
      try {
        const own = first ? {} : { sessions: this.sessions };
        const answer = await claim(options, { ...(keep !== undefined && { keep }), ...own, counts: true }, signal);
        this.judging = session;
        if (answer.kind !== 'none') return { answer, session };
        if (!waited) log.warn(`no server is live as ${label}; ${client} waits for the first one`, { label, client });
        // one that reads as live here and not there must not be asked for without a pause
        else await delay(clock, RETRY_MS, signal);
        waited = true;
        if (this.entry !== undefined) await removeIfThere(store, this.entry);
        this.entry = undefined;
        await untilLive(options, signal);
      } catch (error) {
        signal.throwIfAborted();
        const isConnection = isStoreError(error, 'connection-loss', 'session-lost', 'deadline');
        if (!isConnection && (first || !isStoreError(error))) throw error;
        log.warn(`choosing a server as ${label} failed: ${messageOf(error)}; tried again`, { label, client });
        await delay(clock, RETRY_MS, signal);
      }
    }
  }

  private async connected() {
    const state = await untilConnected(this.options.store, this.signal);
    const earlier = [...this.sessions].filter((session) => session !== state.session);
    this.sessions = new Set([...earlier, state.session].slice(-2));
    return state;
  }

  /** Tells of the server, and resolves when the hold on it is to be looked at. `session`: the one before it was claimed. */
  private async untilChange({ server, entry }: Claimed, session: string) {
    let current = server;
    for (;;) {
      if (!this.told || !isSameServer(this.told, current)) {
        this.told = current;
        this.options.onServer(current);
      }
      const change = await this.nextChange(current, entry, session);
      if (change.kind !== 'server-moved') return change;
      current = change.server;
    }
  }

  private nextChange(server: Registration, entry: string, session: string): Promise<Change> {
    const { store } = this.options;
    return untilCalled<Change>(this.signal, (done) => {
      const look = () => {
        const { state } = store;
        if (state.kind === 'lost' || (state.kind === 'connected' && state.session !== session))
          done({ kind: 'session-lost' });
      };
      const unsubscribe = store.onState(look);
      const registration = store.watch(registrationPath(server.label, server.id), (node) => {
        const change = this.changeOf(server, node);
        if (change) done(change);
      });
      const own = store.watch(entry, (node) => {
        if (node?.owner !== session) done({ kind: 'unregistered' });
      });
      look();
      return {
        close: () => {
          unsubscribe();
          registration.close();
          own.close();
        },
      };
    });
  }

  private changeOf(server: Registration, node: Znode | undefined): Change | undefined {
    if (!node) return { kind: 'server-gone', why: `is not registered as ${server.label} any more` };
    const decoded = decodeRegistration(node.data, node.path);
    if (!decoded.ok) {
      this.options.log.error(`${decoded.problem}; ${this.options.client} keeps it as it was`);
      return undefined;
    }
    if (!decoded.value.healthy) return { kind: 'server-gone', why: 'is not healthy any more' };
    return isSameServer(server, decoded.value) ? undefined : { kind: 'server-moved', server: decoded.value };
  }

  /** Resolves when the server is registered, or after a session timeout. */
  private async untilRegistered(id: string): Promise<void> {
    const { store, clock, label } = this.options;
    const { timeoutMs } = await this.connected();
    await untilCalled<void>(this.signal, (done) => {
      const cancel = clock.after(timeoutMs, () => done());
      const watch = store.watch(registrationPath(label, id), (node) => {
        if (node) done();
      });
      return {
        close: () => {
          cancel();
          watch.close();
        },
      };
    });
  }
}

/** Whether whoever is connected to the one need not connect anew. */
function isSameServer(a: Registration, b: Registration): boolean {
  return a.id === b.id && a.address === b.address && a.port === b.port;
}
