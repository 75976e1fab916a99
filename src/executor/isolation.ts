/**
 * Until when this host may run what others must not run at the same time. Others may start its units as soon as its
 * session has expired, so units with `isolation: stop` are stopped some time before that (`isolationTiming`). After a
 * session was lost, or when the host's membership was missing for a moment, it stays cut off until the leader has written
 * an order anew: the last one dates from before others were given what it names.
 */
import type { Clock } from '../shared/clock.ts';
import { isolationTiming } from '../shared/isolation-timing.ts';
import type { SessionState, Store } from '../shared/store.ts';

export interface IsolationEvents {
  /** `isolated` or `sure` changed. */
  onChange(): void;
  /** `until` rose. */
  onExtended(): void;
}

export class Isolation {
  /** The membership was interrupted, and no order was confirmed since: what this host was told may be given to others by now. */
  private lapsed = false;
  private joined = false;
  private timeoutMs: number;
  /** What `until` counts from. */
  private confirmedAt: number;
  /** Newest confirmation of the present session. */
  private latest = Number.NEGATIVE_INFINITY;
  private told = '';
  private cancel = () => {};
  private readonly unsubscribe: () => void;

  /** `sessionTimeoutMs`: what is asked for, until a server has granted one. */
  constructor(
    store: Store,
    private readonly clock: Clock,
    sessionTimeoutMs: number,
    private readonly events: IsolationEvents,
  ) {
    this.timeoutMs = sessionTimeoutMs;
    // a daemon that has just started knows nothing of its earlier session: it may have been confirmed right before
    this.confirmedAt = clock.now();
    this.unsubscribe = store.onState((state) => this.onState(state));
    this.told = this.position;
    this.onState(store.state);
    this.update();
  }

  /** Others may start what this host runs, or soon will. Asked of the clock: after a pause of this process its timers come late. */
  get isolated(): boolean {
    return this.lapsed || this.clock.now() >= this.until;
  }

  /** Nobody else may start what this host was told to run, until `until`: the present session has proved it. */
  get sure(): boolean {
    return this.joined && Number.isFinite(this.latest) && !this.isolated;
  }

  /** When stopping must begin (ms of the clock), unless more is confirmed until then. */
  get until(): number {
    return this.confirmedAt + isolationTiming(this.timeoutMs).stopAfterMs;
  }

  get sessionTimeoutMs(): number {
    return this.timeoutMs;
  }

  /** A member, whose last order may be older than an interruption of its membership. */
  get unconfirmed(): boolean {
    return this.lapsed && this.joined;
  }

  /** The present session lives until its timeout after `confirmedAt` at least. */
  prove(confirmedAt: number): void {
    this.latest = confirmedAt;
    // until it has joined, the membership hangs on an earlier session, of which this says nothing
    if (this.joined) this.update();
  }

  /** The host's name is ours in the present session. `continuous`: at no moment since our last order was it missing. */
  join(continuous: boolean): void {
    this.joined = true;
    this.lapsed ||= !continuous;
    this.update();
  }

  /** The host's name is not ours any more, or was not for a moment. */
  lapse(): void {
    this.joined = false;
    this.lapsed = true;
    this.update();
  }

  /** The leader wrote an order for this host knowing that it is there. */
  confirmed(): void {
    if (!this.unconfirmed) return;
    this.lapsed = false;
    this.update();
  }

  close(): void {
    this.unsubscribe();
    this.cancel();
  }

  private onState(state: SessionState): void {
    if (state.kind === 'connected') this.timeoutMs = state.timeoutMs;
    if (state.kind !== 'lost') return;
    this.latest = Number.NEGATIVE_INFINITY;
    this.lapse();
  }

  private get position(): string {
    return `${this.isolated} ${this.sure} ${this.unconfirmed}`;
  }

  private update(): void {
    const before = this.until;
    if (this.joined) this.confirmedAt = Math.max(this.confirmedAt, this.latest);
    const { until } = this;
    this.cancel();
    const left = until - this.clock.now();
    if (left > 0) this.cancel = this.clock.after(left, () => this.update());
    if (until > before) this.events.onExtended();
    if (this.position === this.told) return;
    this.told = this.position;
    this.events.onChange();
  }
}
