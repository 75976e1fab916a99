/**
 * Whether this host must take itself for cut off: others may run what it runs as soon as its session has expired, so
 * units with `isolation: stop` begin to stop some time before that. After a session was lost it stays so until the leader
 * has written an order anew: the last one dates from before others were given what it names.
 */
import type { Clock } from '../shared/clock.ts';
import type { SessionState, Store } from '../shared/store.ts';

/**
 * Part of the session timeout, from the last confirmation on, after which stopping begins. It is the moment at which
 * silence is noticed (`SessionState`); the last third is what the units have to stop in.
 */
const PATIENCE = 2 / 3;

export class Isolation {
  private cutOff = false;
  /** The session was lost, and no order was confirmed since: what this host was told may be given to others by now. */
  private lapsed = false;
  private cancel = () => {};
  private readonly unsubscribe: () => void;

  /** `sessionTimeoutMs`: what is asked for, until a server has granted one. `onChange` is called when `isolated` changes. */
  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    sessionTimeoutMs: number,
    private readonly onChange: () => void,
  ) {
    this.unsubscribe = store.onState((state) => this.onState(state));
    if (store.state.kind === 'connected') return;
    // a daemon that has just started knows nothing of its earlier session: it may have been confirmed right before
    this.wait(sessionTimeoutMs * PATIENCE);
  }

  get isolated(): boolean {
    return this.cutOff;
  }

  /** Connected in a session in which no order was confirmed yet, after an earlier one was lost. */
  get unconfirmed(): boolean {
    return this.lapsed && this.store.state.kind === 'connected';
  }

  /** The leader wrote an order for this host knowing that it is back. */
  confirmed(): void {
    if (!this.unconfirmed) return;
    this.lapsed = false;
    this.become(false);
  }

  close(): void {
    this.unsubscribe();
    this.cancel();
  }

  private onState(state: SessionState): void {
    switch (state.kind) {
      case 'connected':
        this.cancel();
        this.become(this.lapsed);
        return;
      case 'suspended':
        this.wait(state.confirmedAt + state.timeoutMs * PATIENCE - this.clock.now());
        return;
      case 'lost':
        this.cancel();
        this.lapsed = true;
        this.become(true);
        return;
      case 'connecting':
      case 'closed':
        return;
    }
  }

  private wait(ms: number): void {
    this.cancel();
    if (ms <= 0) this.become(true);
    else this.cancel = this.clock.after(ms, () => this.become(true));
  }

  private become(cutOff: boolean): void {
    if (this.cutOff === cutOff) return;
    this.cutOff = cutOff;
    this.onChange();
  }
}
