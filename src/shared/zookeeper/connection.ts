/**
 * The connection to the ensemble over all its sessions: what state it is in, the requests through it, and a new session
 * when one is lost. See `SessionState` for what each state promises.
 */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { SessionState } from '../store.ts';
import { NODE_EXISTS, type Outcome, type WatchEvent } from './calls.ts';
import { type Call, calls } from './client.ts';
import { Dialer } from './dialer.ts';
import type { Chroot } from './paths.ts';
import { type Lane, RequestQueue } from './request-queue.ts';
import { SessionClient } from './session.ts';

export interface ConnectionOptions {
  readonly servers: readonly string[];
  readonly chroot: Chroot;
  /** What we ask for; the server may grant another. */
  readonly sessionTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

export interface ConnectionHooks {
  /** Requests go out on a new connection from now on; the listeners of the state have been told. */
  attached(): void;
  watchEvent(event: WatchEvent): void;
  closed(): void;
}

/** How long `close` waits for a server that ends the session. */
const CLOSE_DEADLINE_MS = 2000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;

export class Connection {
  private readonly dialer: Dialer;
  private readonly queue: RequestQueue;
  private readonly listeners = new Set<(state: SessionState) => void>();
  private readonly confirmationListeners = new Set<(confirmedAt: number) => void>();
  private current: SessionState = { kind: 'connecting' };
  private client: SessionClient;
  /** Session whose chroot was seen to exist. */
  private preparedSession: string | undefined;
  /** Sessions lost since one of them lasted. */
  private losses = 0;
  private connectedAt = 0;
  private cancelPause = () => {};
  private closing: { readonly promise: Promise<void>; readonly done: () => void } | undefined;

  constructor(
    private readonly options: ConnectionOptions,
    private readonly hooks: ConnectionHooks,
  ) {
    this.dialer = new Dialer(options);
    this.queue = new RequestQueue(options.clock);
    this.client = this.createClient(undefined);
  }

  start(): void {
    this.client.start();
  }

  get state(): SessionState {
    // Asking may find out that there has been silence for too long, and changes the state then.
    if (this.current.kind === 'connected') void this.client.connected;
    return this.current;
  }

  onState(listener: (state: SessionState) => void): () => void {
    const own = (state: SessionState) => listener(state);
    this.listeners.add(own);
    return () => void this.listeners.delete(own);
  }

  onConfirmed(listener: (confirmedAt: number) => void): () => void {
    const own = (confirmedAt: number) => listener(confirmedAt);
    this.confirmationListeners.add(own);
    return () => void this.confirmationListeners.delete(own);
  }

  /** As `RequestQueue.submit`, with the session timeout as deadline. */
  request<T>(paths: readonly string[], make: () => Call<T>, lane?: Lane): Promise<T> {
    const { current } = this;
    const deadlineMs = current.kind === 'connected' ? current.timeoutMs : this.options.sessionTimeoutMs;
    return this.queue.submit(paths, make, deadlineMs, lane);
  }

  close(): Promise<void> {
    if (this.closing !== undefined) return this.closing.promise;
    const { clock } = this.options;
    let resolve = () => {};
    const promise = new Promise<void>((settled) => {
      resolve = settled;
    });
    const cancel = clock.after(CLOSE_DEADLINE_MS, () => this.closing?.done());
    const done = () => {
      cancel();
      this.client.destroy();
      resolve();
    };
    const hadSession = this.client.session !== undefined;
    this.closing = { promise, done };
    this.cancelPause();
    this.queue.close();
    this.hooks.closed();
    this.become({ kind: 'closed' });
    if (!hadSession) done();
    else if (this.client.connected) this.endSession();
    return promise;
  }

  private endSession(): void {
    // When the connection is cut before the answer, the next one tells (`onConnected`, `onExpired`).
    this.client.send(calls.closeSession(), (outcome) => {
      if (outcome.ok) this.closing?.done();
    });
  }

  private createClient(zxid: Buffer | undefined): SessionClient {
    const { sessionTimeoutMs, clock, log } = this.options;
    const base = { sessionTimeoutMs, clock, log, dialer: this.dialer };
    return new SessionClient(zxid === undefined ? base : { ...base, zxid }, {
      connected: (session, timeoutMs, server) => this.onConnected(session, timeoutMs, server),
      confirmed: (sentAt) => this.onConfirmation(sentAt),
      disconnected: (why) => this.onDisconnected(why),
      expired: () => this.onExpired(),
      watch: (event) => this.hooks.watchEvent(event),
    });
  }

  private onConnected(session: string, timeoutMs: number, server: string): void {
    if (this.closing !== undefined) {
      this.endSession();
      return;
    }
    const announce = () => {
      if (this.closing !== undefined || !this.client.connected) return;
      this.preparedSession = session;
      this.connectedAt = this.options.clock.now();
      this.options.log.info('connected to ZooKeeper', { server, session, timeoutMs });
      this.become({ kind: 'connected', session, timeoutMs, server });
      if (this.current.kind !== 'connected') return;
      this.onConfirmation(this.client.confirmedAt);
      this.queue.attach(this.client);
      this.hooks.attached();
    };
    if (this.preparedSession === session) announce();
    else this.prepareChroot(announce);
  }

  private prepareChroot(then: () => void): void {
    const levels = this.options.chroot.levels();
    const whole = levels.at(-1);
    if (whole === undefined) {
      then();
      return;
    }
    this.client.send(calls.exists(whole, false), ({ ok }) => {
      if (ok) {
        then();
        return;
      }
      let left = levels.length;
      const onCreated = (path: string, outcome: Outcome<string>) => {
        left -= 1;
        if (!outcome.ok && outcome.error !== NODE_EXISTS && this.client.connected) {
          this.options.log.error('the chroot cannot be created in ZooKeeper; create it by hand or allow this host to', {
            path,
            error: outcome.error,
          });
        }
        if (left === 0) then();
      };
      for (const path of levels) {
        this.client.send(calls.create(path, Buffer.alloc(0), 'persistent'), (outcome) => onCreated(path, outcome));
      }
    });
  }

  private onDisconnected(why: string): void {
    this.queue.detach();
    if (this.current.kind !== 'connected') return;
    const { session, timeoutMs } = this.current;
    this.options.log.warn('connection to ZooKeeper lost', { session, why });
    this.become({ kind: 'suspended', session, why, confirmedAt: this.client.confirmedAt, timeoutMs });
  }

  private onExpired(): void {
    const { session, zxid } = this.client;
    this.client.destroy();
    if (this.closing !== undefined) {
      this.closing.done();
      return;
    }
    const { clock, log, random } = this.options;
    this.losses = clock.now() - this.connectedAt > MAX_PAUSE_MS ? 1 : this.losses + 1;
    const longest = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(this.losses - 1, 10), MAX_PAUSE_MS);
    log.warn('ZooKeeper session expired; its ephemeral znodes are gone; making a new one', { session });
    this.queue.rejectWaiting('session-lost', 'the session expired before this was sent');
    this.client = this.createClient(zxid);
    this.cancelPause = clock.after(longest * random(), () => this.client.start());
    if (session !== undefined) this.become({ kind: 'lost', session });
  }

  private become(state: SessionState): void {
    if (this.current.kind === 'closed') return;
    this.current = state;
    this.tell(this.listeners, state);
  }

  /** Not before the session was announced: until then nobody knows which one is confirmed. */
  private onConfirmation(confirmedAt: number): void {
    if (this.current.kind === 'connected') this.tell(this.confirmationListeners, confirmedAt);
  }

  private tell<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
    for (const listener of [...listeners]) {
      if (!listeners.has(listener)) continue;
      try {
        listener(value);
      } catch (error) {
        this.options.log.error('a listener to the state of ZooKeeper failed; this is a bug', { error: String(error) });
      }
    }
  }
}
