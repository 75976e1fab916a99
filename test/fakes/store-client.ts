/** A client of the pretended ensemble: its states, its requests, and what happens to them when the link fails. */
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import { compare } from '../../src/shared/names.ts';
import {
  type CreateMode,
  type Operation,
  type OperationResult,
  restOfNames,
  type SessionState,
  type Store,
  StoreError,
  type StoreErrorCode,
  type Watch,
  type Znode,
} from '../../src/shared/store.ts';
import type { Children, WatchEvent, WireOperation, WireResult } from '../../src/shared/zookeeper/calls.ts';
import { ANY_VERSION, checkPath, checkSize, checkVersion, operationBytes } from '../../src/shared/zookeeper/checks.ts';
import { parentOf } from '../../src/shared/zookeeper/paths.ts';
import { Watches } from '../../src/shared/zookeeper/watches.ts';
import type { FakeProcess } from './process.ts';
import type { FakeEnsemble } from './store.ts';
import { FakeLink } from './store-link.ts';

interface Pending {
  sent: boolean;
  send(): void;
  fail(code: StoreErrorCode): void;
}

type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: StoreErrorCode; readonly path: string };

const RECONNECT_MS = 20;
const CLOSE_DEADLINE_MS = 2000;

export class FakeStore implements Store {
  /** Reads that were asked for, those of watches included. */
  reads = 0;
  private current: SessionState = { kind: 'connecting' };
  private session: string | undefined;
  private readonly listeners = new Set<(state: SessionState) => void>();
  private readonly confirmationListeners = new Set<(confirmedAt: number) => void>();
  private readonly pending = new Set<Pending>();
  private readonly link: FakeLink;
  private readonly watches: Watches;
  /** The server that it is connected to has lost the others: it answers by itself what it can, and does nothing. */
  private stranded: object | undefined;
  private dialling = false;
  private greeting = false;
  /** Sending time of the newest heartbeat, write or handshake that was answered. */
  private confirmedAt = 0;
  private losingAnswer = false;
  private cancelSilence = () => {};
  private cancelGreeting = () => {};
  /** What the client has watches on, and how many. */
  private readonly watched = new Map<string, { data: number; children: number }>();
  private cancelPing = () => {};
  private finishClose: (() => void) | undefined;

  constructor(
    private readonly ensemble: FakeEnsemble,
    private readonly timeoutMs: number,
    readonly process: FakeProcess,
  ) {
    const { clock, log, random, latencyMs } = ensemble;
    this.link = new FakeLink(clock, process, (arrive) => ensemble.receive(arrive), latencyMs);
    this.watches = new Watches({ clock: process, log, random, connected: () => this.isConnected() });
  }

  get state(): SessionState {
    // asking may find out that there has been silence for too long
    this.isConnected();
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

  get(path: string): Promise<Znode | undefined> {
    return this.read(path, () => this.znode(path));
  }

  async children(path: string): Promise<string[] | undefined> {
    return (await this.list(path))?.names;
  }

  async create(path: string, data: Buffer, mode: CreateMode): Promise<string> {
    checkSize(path, data.length);
    const [result] = await this.write([{ op: 'create', path, data, mode }]);
    return result?.path ?? path;
  }

  async set(path: string, data: Buffer, version?: number): Promise<number> {
    checkSize(path, data.length);
    const [result] = await this.write([{ op: 'set', path, data, version: checkVersion(path, version) }]);
    return result?.version ?? Number.NaN;
  }

  async remove(path: string, version?: number): Promise<void> {
    await this.write([{ op: 'remove', path, version: checkVersion(path, version) }]);
  }

  async ensure(path: string): Promise<void> {
    if ((await this.get(path)) !== undefined) return;
    if (path !== '/') await this.ensure(parentOf(path));
    await this.create(path, Buffer.alloc(0), 'persistent').catch((error: unknown) => {
      if (!(error instanceof StoreError) || error.code !== 'node-exists') throw error;
    });
  }

  async transaction(operations: readonly Operation[]): Promise<OperationResult[]> {
    if (operations.length === 0) return [];
    checkSize(operations[0]?.path ?? '/', operationBytes(operations));
    const results = await this.write(operations.map(toWire));
    return operations.map(({ op, path }, index): OperationResult => {
      const result = results[index];
      if (op === 'create') return { op, path: result?.path ?? path };
      if (op === 'set') return { op, version: result?.version ?? Number.NaN };
      return { op };
    });
  }

  watch(path: string, listener: (node: Znode | undefined) => void, until: 'closed' | 'gone' = 'closed'): Watch {
    checkPath(path);
    const same = (a: Znode | undefined, b: Znode | undefined) => a?.czxid === b?.czxid && a?.mzxid === b?.mzxid;
    const tell = (node: Znode | undefined) => {
      if (until === 'gone' && !node) watch.close();
      listener(node);
    };
    const options = until === 'gone' ? { gone: () => undefined } : {};
    const opened = this.watches.open('data', path, () => this.get(path), same, tell, options);
    const watch = this.counted(path, 'data', opened);
    return watch;
  }

  watchChildren(path: string, listener: (names: readonly string[] | undefined) => void): Watch {
    checkPath(path);
    const same = (a: Children | undefined, b: Children | undefined) => a?.changed === b?.changed;
    const tell = (found: Children | undefined) => listener(found?.names);
    const options = { restOf: (found: Children | undefined) => restOfNames(found?.names.length ?? 0) };
    const watch = this.watches.open('children', path, () => this.list(path), same, tell, options);
    return this.counted(path, 'children', watch);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.current.kind === 'closed') {
        resolve();
        return;
      }
      for (const entry of [...this.pending]) if (!entry.sent) entry.fail('closed');
      const connected = this.isConnected();
      this.watches.closeAll();
      this.become({ kind: 'closed' });
      const cancel = this.process.after(CLOSE_DEADLINE_MS, () => this.finishClose?.());
      this.finishClose = () => {
        cancel();
        this.kill();
        resolve();
      };
      if (this.session === undefined) this.finishClose();
      else if (connected) this.endSession(this.session);
    });
  }

  // Faults, and what the ensemble calls.

  /**
   * The cable is cut so that nothing is noticed (`silent`; `requests`, `answers`: in one direction only), or the
   * connection is reset (`reset`); until `heal`.
   */
  cut(how: 'silent' | 'requests' | 'answers' | 'reset'): void {
    switch (how) {
      case 'silent':
        this.link.silence('request', 'answer');
        return;
      case 'requests':
        this.link.silence('request');
        return;
      case 'answers':
        this.link.silence('answer');
        return;
      case 'reset':
        this.link.reset();
        this.process.hear(() => this.drop('the connection was reset'));
        return;
    }
  }

  /** The cable is whole again. */
  heal(): void {
    this.link.heal();
    this.process.hear(() => this.dial());
  }

  /**
   * The server that the client is connected to is cut off from the others: for `ms` it answers reads, then it gives up and
   * closes the connection. What it had heard of the client for the last `lagMs` it has not told the others yet. Worse than
   * a real one it answers heartbeats, too, so that what is confirmed is no proof: what may run once must not rest on it.
   */
  strand(ms: number, lagMs: number): void {
    if (this.session === undefined || this.current.kind !== 'connected' || this.stranded) return;
    const stranded = {};
    this.stranded = stranded;
    this.ensemble.loseSight(this.session, lagMs);
    this.ensemble.clock.after(ms, () => {
      if (this.stranded === stranded) this.onReset('the server has lost the others');
    });
  }

  /** It is connected to a server that has lost the others. */
  get isStranded(): boolean {
    return this.stranded !== undefined;
  }

  /** The next request is done, but the connection is reset before its answer arrives. */
  loseNextAnswer(): void {
    this.losingAnswer = true;
  }

  /** The process dies: it neither says nor hears anything any more, but for what is on its way; its session runs out. */
  kill(): void {
    this.process.kill();
    this.listeners.clear();
    this.confirmationListeners.clear();
    this.watches.closeAll();
    this.ensemble.forget(this);
  }

  /** The server ends the connection. */
  onReset(why: string): void {
    this.link.close(() => this.drop(why));
  }

  /** Events of watches on their way to this client. */
  notify(events: readonly WatchEvent[]): void {
    if (this.process.dead || this.current.kind !== 'connected' || this.stranded) return;
    const concerned = events.filter(({ type, path }) => {
      const watched = this.watched.get(path);
      if (watched === undefined) return false;
      return (type !== 'children-changed' && watched.data > 0) || (type !== 'data-changed' && watched.children > 0);
    });
    if (concerned.length === 0) return;
    this.hear(() => {
      for (const event of concerned) this.watches.event(event);
    });
  }

  /** Tries to connect, if it makes sense; harmless at any time. */
  dial(): void {
    if (this.dialling || this.greeting || this.process.dead || this.current.kind === 'connected') return;
    this.dialling = true;
    this.process.after(RECONNECT_MS, () => {
      this.dialling = false;
      if (this.ensemble.isServing && this.link.isUp) this.shakeHands();
    });
  }

  private shakeHands(): void {
    const { ensemble, link, process, timeoutMs } = this;
    const asked = this.session;
    const sentAt = process.now();
    this.greeting = true;
    this.cancelGreeting = process.after(isolationTiming(timeoutMs).suspectMs, () => this.drop('no answer'));
    link.open();
    link.send('request', (connection) => {
      if (!ensemble.isServing) return;
      link.moved(connection);
      const session = asked ?? ensemble.openSession(this, timeoutMs);
      const lives = ensemble.touch(session);
      link.send('answer', () => this.onGreeted(session, lives, sentAt));
    });
  }

  private onGreeted(session: string, lives: boolean, sentAt: number): void {
    if (!this.greeting) return;
    // of an answer that this process got round to too late nothing can be said
    if (this.process.now() - sentAt >= isolationTiming(this.timeoutMs).suspectMs) {
      this.drop('its answer came too late');
      return;
    }
    this.greeting = false;
    this.cancelGreeting();
    if (!lives) {
      this.session = undefined;
      for (const entry of [...this.pending]) entry.fail('session-lost');
      if (this.finishClose !== undefined) this.finishClose();
      else if (this.current.kind !== 'connecting') this.become({ kind: 'lost', session });
      this.dial();
      return;
    }
    this.session = session;
    if (this.finishClose !== undefined) {
      this.endSession(session);
      return;
    }
    this.confirmedAt = sentAt;
    this.become({ kind: 'connected', session, timeoutMs: this.timeoutMs, server: 'fake' });
    this.tellConfirmed();
    this.watchSilence();
    this.ping();
    for (const entry of [...this.pending]) entry.send();
    this.watches.connected();
  }

  private endSession(session: string): void {
    this.link.send('request', () => {
      if (this.stranded) return;
      this.ensemble.endSession(session);
      this.link.send('answer', () => this.finishClose?.());
    });
  }

  /** As the real client does: what is answered tells how long the session lives at least. */
  private ping(): void {
    if (!this.isConnected()) return;
    const sentAt = this.process.now();
    const { session } = this;
    this.link.send('request', () => {
      if (session === undefined || !this.serves(session)) return;
      this.hear(() => this.confirm(sentAt));
    });
    this.cancelPing = this.process.after(isolationTiming(this.timeoutMs).pingMs, () => this.ping());
  }

  private confirm(sentAt: number): void {
    if (this.current.kind !== 'connected' || sentAt <= this.confirmedAt) return;
    this.confirmedAt = sentAt;
    this.tellConfirmed();
  }

  private tellConfirmed(): void {
    for (const listener of [...this.confirmationListeners])
      if (this.confirmationListeners.has(listener)) listener(this.confirmedAt);
  }

  private watchSilence(): void {
    if (!this.isConnected()) return;
    const { suspectMs } = isolationTiming(this.timeoutMs);
    const left = Math.max(1, this.confirmedAt + suspectMs - this.process.now());
    this.cancelSilence = this.process.after(left, () => this.watchSilence());
  }

  /** True while connected, silence taken into account to the millisecond. */
  private isConnected(): boolean {
    if (this.current.kind !== 'connected') return false;
    if (this.process.now() - this.confirmedAt < isolationTiming(this.timeoutMs).suspectMs) return true;
    this.drop('no answer for 5/12 of the session timeout');
    return false;
  }

  /** The server has a request of the session; false when it has closed the connection as the session is over. */
  private serves(session: string): boolean {
    return this.stranded !== undefined || this.ensemble.touch(session);
  }

  /** Calls `arrive` with a message of the server's, unless it comes so late that the session may be over. */
  private hear(arrive: () => void): void {
    this.link.send('answer', () => {
      if (this.isConnected() || this.current.kind === 'closed') arrive();
    });
  }

  /** Ends the present connection, whatever its state, and tries to make another. */
  private drop(why: string): void {
    this.link.abandon();
    this.stranded = undefined;
    this.greeting = false;
    this.cancelGreeting();
    this.cancelPing();
    this.cancelSilence();
    for (const entry of [...this.pending]) if (entry.sent) entry.fail('connection-loss');
    if (this.current.kind === 'connected') {
      const { session, timeoutMs } = this.current;
      this.become({ kind: 'suspended', session, why, confirmedAt: this.confirmedAt, timeoutMs });
    }
    if (this.link.isUp) this.dial();
  }

  private become(state: SessionState): void {
    if (this.current.kind === 'closed') return;
    this.current = state;
    for (const listener of [...this.listeners]) if (this.listeners.has(listener)) listener(state);
  }

  private counted(path: string, kind: 'data' | 'children', watch: Watch): Watch {
    const counts = this.watched.get(path) ?? { data: 0, children: 0 };
    this.watched.set(path, counts);
    counts[kind] += 1;
    let open = true;
    return {
      close: () => {
        if (!open) return;
        open = false;
        counts[kind] -= 1;
        if (counts.data + counts.children === 0) this.watched.delete(path);
        watch.close();
      },
    };
  }

  /** As `checkPath`: what is there may be there. */
  private check(path: string): void {
    if (!this.ensemble.tree.get(path)) checkPath(path);
  }

  private async read<T>(path: string, look: () => T): Promise<T> {
    this.check(path);
    this.reads += 1;
    return await this.request(path, true, () => ({ ok: true, value: look() }));
  }

  private async write(operations: readonly WireOperation[]): Promise<readonly WireResult[]> {
    for (const { path } of operations) this.check(path);
    const first = operations[0]?.path ?? '/';
    return await this.request(first, false, (session) => {
      const applied = this.ensemble.apply(session, operations);
      if (applied.ok) return { ok: true, value: applied.results };
      return { ok: false, code: applied.code, path: operations[applied.index]?.path ?? first };
    });
  }

  /** `serve` is what the server does when the request reaches it. */
  private request<T>(path: string, isRead: boolean, serve: (session: string) => Answer<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        if (!this.pending.delete(entry)) return;
        cancel();
        then();
      };
      const fail = (code: StoreErrorCode, at = path) =>
        settle(() => reject(new StoreError(code, at, `ZooKeeper, ${at}: ${code}`)));
      const entry: Pending = {
        sent: false,
        fail,
        send: () => {
          entry.sent = true;
          this.exchange(isRead, serve, (answer) =>
            answer.ok ? settle(() => resolve(answer.value)) : fail(answer.code, answer.path),
          );
        },
      };
      const cancel = this.process.after(this.timeoutMs, () => fail('deadline'));
      this.pending.add(entry);
      if (this.current.kind === 'closed') fail('closed');
      else if (this.isConnected()) entry.send();
    });
  }

  private exchange<T>(
    isRead: boolean,
    serve: (session: string) => Answer<T>,
    onAnswer: (answer: Answer<T>) => void,
  ): void {
    const { session } = this;
    if (session === undefined) return;
    const isLost = this.losingAnswer;
    this.losingAnswer = false;
    const sentAt = this.process.now();
    this.link.send('request', () => {
      // the server closes the connections of a session that is over
      if (!this.serves(session) || (this.stranded && !isRead)) return;
      const answer = serve(session);
      if (isLost) {
        this.onReset('the connection was reset before the answer');
        return;
      }
      this.hear(() => {
        if (!isRead) this.confirm(sentAt);
        onAnswer(answer);
      });
    });
  }

  private znode(path: string): Znode | undefined {
    const node = this.ensemble.tree.get(path);
    if (node === undefined) return undefined;
    const { data, version, czxid, mzxid, ctime, owner } = node;
    const znode = { path, data: Buffer.from(data), version, czxid, mzxid, ctime };
    return owner === undefined ? znode : { ...znode, owner };
  }

  private list(path: string): Promise<Children | undefined> {
    return this.read(path, () => {
      const node = this.ensemble.tree.get(path);
      return node && { names: [...node.children].sort(compare), changed: node.pzxid };
    });
  }
}

function toWire(operation: Operation): WireOperation {
  switch (operation.op) {
    case 'create':
      return operation;
    case 'exists':
      return { op: 'check', path: operation.path, version: ANY_VERSION };
    case 'check':
    case 'remove':
      return { op: operation.op, path: operation.path, version: checkVersion(operation.path, operation.version) };
    case 'set': {
      const { path, data, version } = operation;
      return { op: 'set', path, data, version: checkVersion(path, version) };
    }
  }
}
