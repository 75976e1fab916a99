/**
 * Which server is tried next. Every server of the list has its turn, every address of its name too; after a round without
 * success there is a pause that grows, with jitter, so that thousands of hosts do not come back in step.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Clock, delay } from '../clock.ts';
import type { Logger } from '../log.ts';

/** Where to connect to. */
export interface Address {
  /** As configured: `zk1:2181`. */
  readonly server: string;
  readonly host: string;
  readonly port: number;
  /** How long connecting and the handshake may take together, in ms. */
  readonly timeoutMs: number;
}

export interface DialerOptions {
  /** `host:port`, `host` or `[::1]:2181`. */
  readonly servers: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
}

interface Server {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  known: readonly string[];
  resolving: Promise<void> | undefined;
}

const DEFAULT_PORT = 2181;
const MIN_ATTEMPT_MS = 250;
const FIRST_PAUSE_MS = 50;
/** Longest pause while the session may live on, and afterwards. */
const MAX_PAUSE_MS = 1000;
const MAX_LATE_PAUSE_MS = 3000;
/**
 * Longest pause, and longest attempt, as parts of the session timeout: when an ensemble has its quorum again every session
 * lives for its whole timeout from then on, and a host that sleeps through it, or waits for one dead server, would be lost.
 */
const PAUSE_SHARE = 1 / 4;
const ATTEMPT_SHARE = 1 / 2;

/** Throws when `text` is not `host:port`, `host` or `[IPv6]:port`. */
export function parseServer(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\],]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Error(`zookeeper.quorum: ${JSON.stringify(text)} is not a server; write host:port, as in zk1:2181`);
  }
  return { host, port };
}

export class Dialer {
  private readonly servers: readonly Server[];
  private readonly queue: { server: Server; host: string }[] = [];
  private position = 0;
  /** Servers that had their turn in this round. */
  private tried = 0;
  /** Rounds through all servers without success. */
  private round = 0;
  private readonly reported = new Set<string>();

  constructor(private readonly options: DialerOptions) {
    if (options.servers.length === 0) throw new Error('zookeeper.quorum names no server');
    this.servers = shuffle(options.servers, options.random).map((name) => ({
      name: name.trim(),
      ...parseServer(name),
      known: [],
      resolving: undefined,
    }));
  }

  /** The next address, after a pause where one is due. Rejects only when `signal` is aborted. */
  async next(signal: AbortSignal, sessionMayLive: boolean): Promise<Address> {
    for (;;) {
      const candidate = this.queue.shift();
      if (candidate !== undefined) {
        const { name, port } = candidate.server;
        return { server: name, host: candidate.host, port, timeoutMs: this.attemptMs() };
      }
      if (this.tried >= this.servers.length) await this.pause(signal, sessionMayLive);
      const server = this.servers[this.position];
      this.position = (this.position + 1) % this.servers.length;
      this.tried += 1;
      if (server === undefined) continue;
      for (const host of await this.addresses(server, signal)) this.queue.push({ server, host });
    }
  }

  /**
   * A connection proved good: the count of failures begins anew, with the next server. Not to be called for a mere
   * handshake, or a server that accepts and then cuts every connection would be called upon without a pause.
   */
  succeeded(): void {
    this.round = 0;
    this.tried = 0;
    this.queue.length = 0;
    this.reported.clear();
  }

  /** Says in the log why a server could not be used: once for each server until one is reached again. */
  failed(server: string, why: string): void {
    const fields = { server, why };
    if (this.reported.has(server)) {
      this.options.log.debug('ZooKeeper server cannot be used', fields);
      return;
    }
    this.reported.add(server);
    this.options.log.warn('ZooKeeper server cannot be used', fields);
  }

  private attemptMs(): number {
    const { sessionTimeoutMs } = this.options;
    // A lost server is noticed after 5/12 of the session; all others should have had a turn before it is over.
    const first = Math.max(MIN_ATTEMPT_MS, sessionTimeoutMs / (3 * this.servers.length));
    return Math.min(first * 2 ** Math.min(this.round, 10), Math.max(MIN_ATTEMPT_MS, sessionTimeoutMs * ATTEMPT_SHARE));
  }

  private async pause(signal: AbortSignal, sessionMayLive: boolean): Promise<void> {
    const longest = Math.min(
      sessionMayLive ? MAX_PAUSE_MS : MAX_LATE_PAUSE_MS,
      this.options.sessionTimeoutMs * PAUSE_SHARE,
    );
    const ms = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(this.round, 10), longest);
    this.round += 1;
    this.tried = 0;
    await delay(this.options.clock, ms * (0.5 + this.options.random() / 2), signal);
  }

  /** Addresses of a server's name; those of an earlier time when the name service does not answer; maybe none. */
  private async addresses(server: Server, signal: AbortSignal): Promise<readonly string[]> {
    if (isIP(server.host) !== 0) return [server.host];
    // Never two look-ups of one name: those that hang hold a thread each of a pool of four.
    server.resolving ??= lookup(server.host, { all: true })
      .then((found) => {
        server.known = found.map(({ address }) => address);
      })
      .catch((error: unknown) => this.failed(server.name, `its name cannot be looked up: ${String(error)}`))
      .finally(() => {
        server.resolving = undefined;
      });
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.options.clock.after(this.attemptMs(), () => {
        this.failed(server.name, 'looking up its name takes too long');
        resolve();
      });
    });
    await Promise.race([server.resolving, late]);
    cancel();
    signal.throwIfAborted();
    return server.known;
  }
}

/** Fisher and Yates: hosts that share a list of servers spread over them. */
function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items];
  const shuffled: T[] = [];
  while (left.length > 0) shuffled.push(...left.splice(Math.floor(random() * left.length), 1));
  return shuffled;
}
