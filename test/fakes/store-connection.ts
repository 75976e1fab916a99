/** The connections of one client of the pretended ensemble, its session, and what becomes of both when the link fails. */
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import type { SessionState } from '../../src/shared/store.ts';
import type { FakeProcess } from './process.ts';
import type { FakeEnsemble } from './store.ts';
import { FakeLink } from './store-link.ts';
import { type Answer, FakeRequests } from './store-requests.ts';

interface ConnectionHooks {
  /** Answers the id of a session that the servers open. */
  openSession(): string;
  /** Requests go out on a new connection from now on; the listeners of the state have been told. */
  attached(): void;
  closed(): void;
  died(): void;
}

const RECONNECT_MS = 20;
const CLOSE_DEADLINE_MS = 2000;

export class FakeConnection {
  private current: SessionState = { kind: 'connecting' };
  private session: string | undefined;
  private readonly listeners = new Set<(state: SessionState) => void>();
  private readonly confirmationListeners = new Set<(confirmedAt: number) => void>();
  private readonly requests: FakeRequests;
  private readonly link: FakeLink;
  /** The server that it is connected to has lost the others: it answers by itself what it can, and does nothing. */
  private stranded: object | undefined;
  private dialling = false;
  private greeting = false;
  /** Sending time of the newest heartbeat, write or handshake that was answered. */
  private confirmedAt = 0;
  private losingAnswer = false;
  private cancelSilence = () => {};
  private cancelGreeting = () => {};
  private cancelPing = () => {};
  private finishClose: (() => void) | undefined;

  constructor(
    private readonly ensemble: FakeEnsemble,
    private readonly timeoutMs: number,
    private readonly process: FakeProcess,
    private readonly hooks: ConnectionHooks,
  ) {
    const { clock, latencyMs } = ensemble;
    this.link = new FakeLink(clock, process, (arrive) => ensemble.receive(arrive), latencyMs);
    this.requests = new FakeRequests(process, timeoutMs, () => this.state.kind);
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

  /** `serve` is what the server does when the request reaches it. */
  request<T>(path: string, isRead: boolean, serve: (session: string) => Answer<T>): Promise<T> {
    return this.requests.ask(path, (onAnswer) => this.exchange(isRead, serve, onAnswer));
  }

  /** What the server tells unasked: lost, unless the client is connected to one that knows of it. */
  push(arrive: () => void): void {
    if (this.process.dead || this.current.kind !== 'connected' || this.stranded) return;
    this.hear(arrive);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.current.kind === 'closed') {
        resolve();
        return;
      }
      this.requests.fail('closed', 'unsent');
      const connected = this.isConnected();
      this.hooks.closed();
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

  // Faults: see `FakeStore`.

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

  heal(): void {
    this.link.heal();
    this.process.hear(() => this.dial());
  }

  strand(ms: number, lagMs: number): void {
    if (this.session === undefined || this.current.kind !== 'connected' || this.stranded) return;
    const stranded = {};
    this.stranded = stranded;
    this.ensemble.loseSight(this.session, lagMs);
    this.ensemble.clock.after(ms, () => {
      if (this.stranded === stranded) this.onReset('the server has lost the others');
    });
  }

  get isStranded(): boolean {
    return this.stranded !== undefined;
  }

  loseNextAnswer(): void {
    this.losingAnswer = true;
  }

  kill(): void {
    this.process.kill();
    this.listeners.clear();
    this.confirmationListeners.clear();
    this.hooks.died();
  }

  onReset(why: string): void {
    this.link.close(() => this.drop(why));
  }

  dial(): void {
    if (this.dialling || this.greeting || this.process.dead || this.current.kind === 'connected') return;
    this.dialling = true;
    this.process.after(RECONNECT_MS, () => {
      this.dialling = false;
      if (this.ensemble.isServing && this.link.isUp) this.shakeHands();
    });
  }

  private shakeHands(): void {
    const { ensemble, hooks, link, process, timeoutMs } = this;
    const asked = this.session;
    const sentAt = process.now();
    this.greeting = true;
    this.cancelGreeting = process.after(isolationTiming(timeoutMs).suspectMs, () => this.drop('no answer'));
    link.open();
    link.send('request', (connection) => {
      if (!ensemble.isServing) return;
      link.moved(connection);
      const session = asked ?? hooks.openSession();
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
      this.requests.fail('session-lost', 'all');
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
    this.requests.sendAll();
    this.hooks.attached();
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
    this.requests.fail('connection-loss', 'sent');
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
}
