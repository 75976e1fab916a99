/**
 * One ZooKeeper session, on one connection after another. Sockets, pings, time limits and the choice of a server are
 * ours; of the library only the wire format and the matching of replies are used (`client.ts`).
 *
 * Invariants: connected is said only while the ensemble's leader has answered something sent within the last 5/12 of the
 * session timeout: only it ends sessions, and a server that is cut off from it answers reads and pings all the same;
 * every request gets exactly one outcome; nothing that a server sends makes this throw.
 */
import { connect, type Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { isolationTiming } from '../isolation-timing.ts';
import type { Logger } from '../log.ts';
import { CONNECTION_LOSS, type Outcome, type WatchEvent } from './calls.ts';
import {
  type Call,
  type ConnectionManager,
  createManager,
  isAnsweredByLeader,
  isHeartbeatAnswer,
  STATES,
  sendHeartbeat,
  toHex,
  toRequest,
} from './client.ts';
import type { Address, Dialer } from './dialer.ts';
import { FrameSplitter } from './frames.ts';

export interface SessionEvents {
  /** `session` in hex; `timeoutMs` as granted. Called again after each reconnect. */
  connected(session: string, timeoutMs: number, server: string): void;
  /** Sending time of the newest request that the ensemble's leader answered; it rises from call to call. */
  confirmed(sentAt: number): void;
  disconnected(why: string): void;
  /** The session is gone for certain; this object is of no more use. */
  expired(): void;
  watch(event: WatchEvent): void;
}

export interface SessionOptions {
  readonly sessionTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly dialer: Dialer;
  /** Last transaction that an earlier session saw: no server that is behind it will be used. */
  readonly zxid?: Buffer;
  /** Number of the first request on each connection; default 1. */
  readonly firstXid?: number;
}

/** The server echoes the xid; it only has to differ among requests in flight, and must stay a positive int32. */
export const LAST_XID = 0x7fff_0000;

export class SessionClient {
  private readonly manager: ConnectionManager;
  private readonly abort = new AbortController();
  private socket: Socket | undefined;
  private cancelTimers: (() => void)[] = [];
  private online = false;
  private server = '';
  /** When the newest request that the ensemble's leader answered was sent: the session lives at least a timeout longer than that. */
  private newestConfirmed = 0;
  private pingsSent: number[] = [];
  /** Connections that were closed without a word since the last handshake. */
  private refusals = 0;

  constructor(
    private readonly options: SessionOptions,
    private readonly events: SessionEvents,
  ) {
    this.manager = createManager(options.sessionTimeoutMs, {
      state: (state) => this.onLibraryState(state),
      dial: () => void this.dial(),
      watch: (event) => this.events.watch(event),
    });
    if (options.zxid !== undefined) this.manager.zxid = options.zxid;
  }

  /** Begins to connect, and goes on until `destroy`. */
  start(): void {
    this.newestConfirmed = this.options.clock.now();
    void this.dial();
  }

  /** True while connected, silence taken into account to the millisecond. */
  get connected(): boolean {
    if (this.online && this.silence() >= this.limit())
      this.drop(`${this.server} has been silent, or without a leader, for ${Math.round(this.silence())} ms`);
    return this.online;
  }

  /** Undefined before the first handshake. */
  get session(): string | undefined {
    return toHex(this.manager.sessionId);
  }

  /** Sending time of the newest request that the ensemble's leader was seen to answer. */
  get confirmedAt(): number {
    return this.newestConfirmed;
  }

  get zxid(): Buffer {
    return this.manager.zxid;
  }

  /** Sends a request; `done` gets its outcome, later and once. Not connected: the outcome is a lost connection. */
  send<T>(call: Call<T>, done: (outcome: Outcome<T>) => void): void {
    if (!this.connected) {
      queueMicrotask(() => done({ ok: false, error: CONNECTION_LOSS }));
      return;
    }
    const sentAt = this.options.clock.now();
    if (this.manager.xid >= LAST_XID) this.manager.xid = 1;
    const proves = isAnsweredByLeader(call);
    this.manager.queue(toRequest(call), (error, response) => {
      if (error !== null) {
        if (response !== undefined && proves) this.confirm(sentAt);
        done({ ok: false, error: error.code });
        return;
      }
      if (proves) this.confirm(sentAt);
      const outcome = call.decode(response?.payload ?? null);
      done(outcome ?? { ok: false, error: CONNECTION_LOSS });
      if (outcome === undefined) this.drop(`${this.server} answered something else than was asked`);
    });
  }

  /** Cuts the connection, to be made anew with the next server. */
  reconnect(why: string): void {
    if (this.online) this.drop(why);
  }

  /** For good; requests in flight come back as a lost connection. The session itself lives until it expires. */
  destroy(): void {
    this.abort.abort();
    if (this.socket !== undefined) this.drop('closed');
  }

  private async dial(): Promise<void> {
    const { clock, dialer } = this.options;
    if (this.abort.signal.aborted) return;
    try {
      const mayLive = clock.now() - this.newestConfirmed < this.manager.sessionTimeout;
      const address = await dialer.next(this.abort.signal, mayLive);
      if (!this.abort.signal.aborted) this.open(address);
    } catch (error) {
      if (!this.abort.signal.aborted) throw error;
    }
  }

  private open(address: Address): void {
    const { clock } = this.options;
    const socket = connect({ host: address.host, port: address.port, noDelay: true });
    const frames = new FrameSplitter();
    let why = 'it closed the connection';
    this.socket = socket;
    this.server = address.server;
    this.manager.socket = socket;
    this.manager.pendingBuffer = null;
    this.manager.setState(STATES.CONNECTING);
    this.cancelTimers = [
      clock.after(address.timeoutMs, () => this.drop(`no answer within ${Math.round(address.timeoutMs)} ms`)),
    ];
    socket.on('connect', () => {
      this.pingsSent = [clock.now()];
      this.refusals += 1;
      this.manager.onSocketConnected();
    });
    socket.on('data', (chunk) => this.onData(socket, frames, chunk));
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('close', () => this.drop(why));
  }

  private onData(socket: Socket, frames: FrameSplitter, chunk: Buffer): void {
    // After a pause of this process the answer may be old, and the session over: the age decides, not the arrival.
    if (this.online && !this.connected) return;
    try {
      for (const frame of frames.push(chunk)) {
        if (this.socket !== socket) return;
        if (this.online && isHeartbeatAnswer(frame)) this.onHeartbeatAnswer();
        else this.manager.onSocketData(frame);
      }
    } catch (error) {
      if (this.socket === socket) this.drop(`its answer cannot be read: ${String(error)}`);
    }
  }

  private onLibraryState(state: number): void {
    if (state === STATES.SESSION_EXPIRED) {
      this.abort.abort();
      this.events.expired();
    }
    if (state !== STATES.CONNECTED) return;
    for (const cancel of this.cancelTimers) cancel();
    this.refusals = 0;
    this.online = true;
    this.manager.xid = this.options.firstXid ?? 1;
    this.newestConfirmed = this.pingsSent.shift() ?? this.options.clock.now();
    this.ping();
    this.watchSilence();
    const { session, online } = this;
    // An answer that this process got round to too late has been dropped again by now.
    if (session !== undefined && online) this.events.connected(session, this.manager.sessionTimeout, this.server);
  }

  /** Often enough that an answer may take a quarter of the timeout before the session counts as suspended. */
  private ping(): void {
    if (!this.connected || this.socket === undefined) return;
    this.pingsSent.push(this.options.clock.now());
    sendHeartbeat(this.socket);
    this.cancelTimers[0] = this.options.clock.after(this.timing().pingMs, () => this.ping());
  }

  private onHeartbeatAnswer(): void {
    this.confirm(this.pingsSent.shift() ?? this.newestConfirmed);
    this.options.dialer.succeeded();
  }

  private watchSilence(): void {
    if (!this.connected) return;
    this.cancelTimers[1] = this.options.clock.after(Math.max(1, this.limit() - this.silence()), () =>
      this.watchSilence(),
    );
  }

  private confirm(sentAt: number): void {
    if (sentAt <= this.newestConfirmed) return;
    this.newestConfirmed = sentAt;
    this.events.confirmed(sentAt);
  }

  private silence(): number {
    return this.options.clock.now() - this.newestConfirmed;
  }

  private limit(): number {
    return this.timing().suspectMs;
  }

  private timing() {
    return isolationTiming(this.manager.sessionTimeout);
  }

  /** Ends the present connection at once, whatever its state; the library then asks for the next. */
  private drop(why: string): void {
    const socket = this.socket;
    if (socket === undefined) return;
    this.socket = undefined;
    for (const cancel of this.cancelTimers) cancel();
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.destroy();
    if (!this.abort.signal.aborted) this.options.dialer.failed(this.server, why);
    const wasOnline = this.online;
    this.online = false;
    if (wasOnline) this.events.disconnected(why);
    this.forgetFutureTransactions();
    this.manager.onSocketClosed(false);
  }

  /**
   * A server closes the connection of a client that has seen later transactions than it has. Servers that lost their data
   * would do so for ever: after long enough we forget what we saw, and learn that the session is gone.
   */
  private forgetFutureTransactions(): void {
    const { log, clock } = this.options;
    if (this.refusals < 6 || clock.now() - this.newestConfirmed < 3 * this.manager.sessionTimeout) return;
    this.refusals = 0;
    if (this.manager.zxid.every((byte) => byte === 0)) return;
    log.warn(
      'All ZooKeeper servers turn us away; if their data was reset, this will help: beginning anew without history',
    );
    this.manager.zxid = Buffer.alloc(8);
  }
}
