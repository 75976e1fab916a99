/**
 * Whether this host must take itself for cut off: others may run what it runs as soon as its session has expired, so
 * units with `isolation: stop` begin to stop some time before that.
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
  private cancel = () => {};
  private readonly unsubscribe: () => void;

  /** `sessionTimeoutMs`: what is asked for, until a server has granted one. `onChange` is called when `isolated` changes. */
  constructor(
    store: Store,
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

  close(): void {
    this.unsubscribe();
    this.cancel();
  }

  private onState(state: SessionState): void {
    switch (state.kind) {
      case 'connected':
        this.cancel();
        this.become(false);
        return;
      case 'suspended':
        this.wait(state.confirmedAt + state.timeoutMs * PATIENCE - this.clock.now());
        return;
      case 'lost':
        this.cancel();
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
