/**
 * A pretended ZooKeeper ensemble and its clients, for tests and simulations: no real time, no randomness, no network. The
 * same contract tests run on it and on the real one.
 */
import type { Clock } from '../../src/shared/clock.ts';
import type { Logger } from '../../src/shared/log.ts';
import type { WireOperation, WireResult } from '../../src/shared/zookeeper/calls.ts';
import { FakeProcess } from './process.ts';
import { FakeStore } from './store-client.ts';
import { ZnodeTree } from './store-tree.ts';

export { FakeStore } from './store-client.ts';

export interface FakeEnsembleOptions {
  readonly clock: Clock;
  readonly log?: Logger;
  /** How long each message takes one way, in ms; default 1. */
  readonly latencyMs?: () => number;
  /** For the jitter of retries; default a constant. */
  readonly random?: () => number;
  /** Grain of expiry: a session ends up to this much later than its timeout, in ms; default 0. */
  readonly tickMs?: number;
}

interface Session {
  readonly id: string;
  readonly timeoutMs: number;
  readonly client: FakeStore;
  cancelExpiry: () => void;
}

/** What the servers' clock shows at the beginning, ms since 1970: the year 2001. */
const SERVERS_EPOCH = 1_000_000_000_000;
const SILENT_LOG: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export class FakeEnsemble {
  tree: ZnodeTree;
  readonly clock: Clock;
  readonly log: Logger;
  readonly latencyMs: () => number;
  readonly random: () => number;
  /** Called for each transaction that was applied, the ends of sessions included. */
  onApplied: (session: string, operations: readonly WireOperation[], results: readonly WireResult[]) => void = () => {};
  private readonly tickMs: number;
  private readonly clients = new Set<FakeStore>();
  private readonly sessions = new Map<string, Session>();
  private sessionCount = 0;
  private serving = true;
  private frozen = false;
  /** Sessions whose time is over, in the order of their ends, while nobody sees to it. */
  private readonly overdue: string[] = [];
  private readonly unread: (() => void)[] = [];

  constructor(options: FakeEnsembleOptions) {
    this.clock = options.clock;
    this.log = options.log ?? SILENT_LOG;
    this.latencyMs = options.latencyMs ?? (() => 1);
    this.random = options.random ?? (() => 0.5);
    this.tickMs = options.tickMs ?? 0;
    this.tree = this.newTree();
  }

  /** A client that begins to connect at once. */
  connect(options: { readonly sessionTimeoutMs?: number; readonly process?: FakeProcess } = {}): FakeStore {
    const process = options.process ?? new FakeProcess(this.clock);
    const client = new FakeStore(this, options.sessionTimeoutMs ?? 4000, process);
    this.clients.add(client);
    client.dial();
    return client;
  }

  get isServing(): boolean {
    return this.serving;
  }

  /** No quorum: every connection is reset, nobody can connect, and no session expires. */
  stop(): void {
    this.serving = false;
    for (const session of this.sessions.values()) session.cancelExpiry();
    for (const client of this.clients) client.onReset('the ensemble has no quorum');
  }

  /** A quorum again: every session has its whole timeout to come back. */
  start(): void {
    this.serving = true;
    for (const session of this.sessions.values()) this.awaitExpiry(session);
    for (const client of this.clients) client.process.hear(() => client.dial());
  }

  /** All data is lost, sessions included; for as long as `start` is not called there is no quorum. */
  wipe(): void {
    this.stop();
    this.tree = this.newTree();
    this.sessions.clear();
    this.overdue.length = 0;
  }

  /** SIGSTOP of all servers: nothing is answered, and nobody is told. */
  freeze(): void {
    this.frozen = true;
  }

  get isFrozen(): boolean {
    return this.frozen;
  }

  /** SIGCONT: sessions whose time is over end before anything is read that came meanwhile. */
  thaw(): void {
    this.frozen = false;
    for (const id of this.overdue.splice(0)) if (this.serving) this.expire(id);
    for (const arrive of this.unread.splice(0)) arrive();
  }

  /** A request reaches the servers. */
  receive(arrive: () => void): void {
    if (this.frozen) this.unread.push(arrive);
    else arrive();
  }

  /** Ends a session now, as if its timeout had passed; its client learns it as a real one would. */
  expire(id: string): void {
    const session = this.sessions.get(id);
    this.endSession(id);
    session?.client.onReset('the session expired');
  }

  /** Answers the id of a new session. */
  openSession(client: FakeStore, timeoutMs: number): string {
    this.sessionCount += 1;
    const id = (0x1000_0000 + this.sessionCount).toString(16);
    this.sessions.set(id, { id, timeoutMs, client, cancelExpiry: () => {} });
    return id;
  }

  /** The session's client is heard of: its time begins anew. False when the session is gone. */
  touch(id: string): boolean {
    const session = this.sessions.get(id);
    if (session !== undefined && this.serving) this.awaitExpiry(session);
    return session !== undefined;
  }

  /** Nothing is heard of the session from now on, and what was in the last `lagMs` is forgotten. */
  loseSight(id: string, lagMs: number): void {
    const session = this.sessions.get(id);
    if (session !== undefined && this.serving) this.awaitExpiry(session, lagMs);
  }

  /** Removes the session and its ephemerals. */
  endSession(id: string): void {
    this.sessions.get(id)?.cancelExpiry();
    this.sessions.delete(id);
    const removals = this.tree.ephemeralsOf(id).map((path) => ({ op: 'remove', path, version: -1 }) as const);
    if (removals.length > 0) this.apply(id, removals);
  }

  /** Applies a transaction and sends the events of watches. */
  apply(session: string, operations: Parameters<ZnodeTree['apply']>[1]): ReturnType<ZnodeTree['apply']> {
    const applied = this.tree.apply(session, operations);
    if (applied.ok) this.onApplied(session, operations, applied.results);
    if (applied.ok) for (const client of this.clients) client.notify(applied.events);
    return applied;
  }

  /** The servers' clock runs as fast as the hosts', and shows another time. */
  private newTree(): ZnodeTree {
    return new ZnodeTree(() => SERVERS_EPOCH + Math.floor(this.clock.now()));
  }

  forget(client: FakeStore): void {
    this.clients.delete(client);
  }

  private awaitExpiry(session: Session, lagMs = 0): void {
    session.cancelExpiry();
    const due = this.clock.now() - lagMs + session.timeoutMs;
    const rounded = this.tickMs > 0 ? Math.ceil(due / this.tickMs) * this.tickMs : due;
    session.cancelExpiry = this.clock.after(rounded - this.clock.now(), () => {
      if (this.frozen) this.overdue.push(session.id);
      else this.expire(session.id);
    });
  }
}
