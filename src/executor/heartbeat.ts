/**
 * Proves, again and again, that the session of this host lives, as strictly as `isolation: stop` needs it. A server that
 * answers is no proof: it may be cut off from those that decide. So this writes: an answer to a write says that a quorum
 * stood behind it. And it counts from an earlier request: ZooKeeper's leader, which alone ends sessions, hears of a client
 * only with the next word of the server that the client talks to, every half tick; when a write that was sent
 * `touchLagMs` after the answer to the earlier request has been answered, that word has arrived.
 */
import type { Clock } from '../shared/clock.ts';
import { claimEphemeral } from '../shared/ephemeral.ts';
import { isolationTiming } from '../shared/isolation-timing.ts';
import { isStoreError, type SessionState, type Store } from '../shared/store.ts';
import { BEATS, beatPath } from '../shared/znodes.ts';

export interface HeartbeatOptions {
  readonly store: Store;
  readonly host: string;
  readonly clock: Clock;
  /** What is asked for, until a server has granted one. */
  readonly sessionTimeoutMs: number;
  /** The session lives until its timeout after `confirmedAt` (ms of the clock) at least. */
  readonly onConfirmed: (confirmedAt: number) => void;
}

const NOTHING = Buffer.alloc(0);
/** A timer may come so much early, ms: a beat that is sent before the lag is over proves less. */
const GRAIN_MS = 2;
/**
 * Of requests that are answered in quick succession, hundreds a second where a host leads or writes much, one is kept for
 * each of so many parts of the lag: any of them proves what it proves.
 */
const KEPT_OF_LAG = 16;
/** Reaches back over eight lags: a beat that is answered later than after five has lost its connection. */
const KEPT = 8 * KEPT_OF_LAG;

/** Times of a request and of its answer, ms of the clock. */
interface Answered {
  readonly sentAt: number;
  readonly answeredAt: number;
}

export class Heartbeat {
  private on = false;
  private ended = false;
  /** Requests that were answered in the present session, not all of them, in the order of their sending. */
  private answered: Answered[] = [];
  /** When the newest of them was answered. */
  private keptAt = Number.NEGATIVE_INFINITY;
  private timeoutMs: number;
  private session: string | undefined;
  /** Session in which our znode is known to be there. */
  private createdIn: string | undefined;
  private suspendedAt: number | undefined;
  /** The session was begun, or taken up again, at this time at the earliest, which the next beat proves. */
  private resumedAfter: number | undefined;
  /** Session in which a beat was answered. */
  private provenIn: string | undefined;
  private beating: Promise<void> | undefined;
  private cancel = () => {};
  private readonly unsubscribe: readonly (() => void)[];

  constructor(private readonly options: HeartbeatOptions) {
    const { store } = options;
    this.timeoutMs = options.sessionTimeoutMs;
    this.resumedAfter = options.clock.now();
    this.unsubscribe = [
      store.onState((state) => this.onState(state)),
      store.onConfirmed((sentAt) => this.note(sentAt)),
    ];
    this.onState(store.state);
  }

  /** A beat was answered in the present session: what is confirmed is no mere beginning. */
  get proven(): boolean {
    return this.session !== undefined && this.provenIn === this.session;
  }

  /** Beats are sent only while they are needed: each costs a write. */
  need(on: boolean): void {
    if (this.on === on || this.ended) return;
    this.on = on;
    this.provenIn = undefined;
    this.cancel();
    if (!on) return;
    // what asks for it was read a moment ago, from a server that had been told by the others: proof enough to begin with.
    // In a young session the first request is the handshake, which ZooKeeper's leader has answered itself.
    const heard = this.heardBy(this.options.clock.now()) ?? this.answered[0]?.sentAt;
    if (heard !== undefined && this.session !== undefined) this.options.onConfirmed(heard);
    this.beat();
  }

  async close(): Promise<void> {
    this.ended = true;
    this.on = false;
    this.cancel();
    for (const end of this.unsubscribe) end();
    await this.beating;
  }

  private onState(state: SessionState): void {
    switch (state.kind) {
      case 'connected':
        this.onConnected(state.session, state.timeoutMs);
        return;
      case 'suspended':
        this.suspendedAt ??= this.options.clock.now();
        this.cancel();
        return;
      case 'lost':
        this.session = undefined;
        this.suspendedAt = undefined;
        this.resumedAfter = this.options.clock.now();
        this.answered = [];
        this.keptAt = Number.NEGATIVE_INFINITY;
        this.cancel();
        return;
      case 'connecting':
      case 'closed':
        return;
    }
  }

  private onConnected(session: string, timeoutMs: number): void {
    const { suspendedAt } = this;
    const continues = this.session === session;
    this.timeoutMs = timeoutMs;
    this.session = session;
    this.suspendedAt = undefined;
    // to take a session up again, a server asks ZooKeeper's leader, which counts from then: after we lost the last server
    if (continues && suspendedAt !== undefined) this.resumedAfter = suspendedAt;
    if (this.on) this.beat();
  }

  private note(sentAt: number): void {
    const answeredAt = this.options.clock.now();
    const { touchLagMs } = isolationTiming(this.timeoutMs);
    if (answeredAt - this.keptAt < touchLagMs / KEPT_OF_LAG) return;
    this.keptAt = answeredAt;
    this.answered.push({ sentAt, answeredAt });
    this.answered.sort((a, b) => a.sentAt - b.sentAt);
    if (this.answered.length > KEPT) this.answered.shift();
  }

  private beat(): void {
    const { session } = this;
    if (this.beating !== undefined || session === undefined || !this.on) return;
    const sentAt = this.options.clock.now();
    this.beating = this.write(session)
      .then((isDone) => {
        if (isDone && session === this.session) this.onAnswer(sentAt);
      })
      .finally(() => {
        this.beating = undefined;
        const { clock } = this.options;
        const { beatMs, touchLagMs } = isolationTiming(this.timeoutMs);
        const next = Math.max(sentAt + beatMs - clock.now(), touchLagMs + GRAIN_MS);
        this.cancel();
        if (this.on && this.options.store.state.kind === 'connected')
          this.cancel = clock.after(next, () => this.beat());
      });
  }

  private onAnswer(sentAt: number): void {
    const heard = this.heardBy(sentAt) ?? Number.NEGATIVE_INFINITY;
    const proven = Math.max(heard, this.resumedAfter ?? Number.NEGATIVE_INFINITY);
    this.resumedAfter = undefined;
    this.provenIn = this.session;
    this.note(sentAt);
    if (this.on && Number.isFinite(proven)) this.options.onConfirmed(proven);
  }

  /** The newest request of which ZooKeeper's leader had been told when a request of `sentAt` came to it. */
  private heardBy(sentAt: number): number | undefined {
    const { touchLagMs } = isolationTiming(this.timeoutMs);
    return this.answered.findLast(({ answeredAt }) => answeredAt <= sentAt - touchLagMs)?.sentAt;
  }

  /** False when it is not certain that it was done: the next one will tell. */
  private async write(session: string): Promise<boolean> {
    const { store, host } = this.options;
    const path = beatPath(host);
    try {
      if (this.createdIn === session) {
        await store.set(path, NOTHING);
        return true;
      }
      await store.ensure(BEATS);
      await claimEphemeral(store, path, NOTHING, () => true);
      this.createdIn = session;
      return true;
    } catch (error) {
      if (isStoreError(error, 'no-node')) this.createdIn = undefined;
      return false;
    }
  }
}
