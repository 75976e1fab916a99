/** What one hook is still to be told: in order, and not without bound. What is being told stays here until that is over. */
import type { ClusterEvent } from './hook-event.ts';
import { takeBatch } from './hook-text.ts';

/** Events that wait for one hook: all that happens to thousands of hosts at once, twice. */
export const MAX_QUEUED = 10_000;

/** As kept on disk. */
export interface SavedQueue {
  readonly events: readonly ClusterEvent[];
  readonly leftOut: number;
}

export class HookQueue {
  /** Being told; the first ones of the queue. */
  private batch: readonly ClusterEvent[] = [];
  private waiting: ClusterEvent[];
  private dropped: number;

  constructor(saved: SavedQueue = { events: [], leftOut: 0 }) {
    this.waiting = [...saved.events];
    this.dropped = saved.leftOut;
  }

  get length(): number {
    return this.batch.length + this.waiting.length;
  }

  /** Events that were left out and are not told of yet. */
  get leftOut(): number {
    return this.dropped;
  }

  /** Answers how many of the oldest were left out to make room. */
  add(events: readonly ClusterEvent[]): number {
    for (const event of events) this.waiting.push(event);
    const surplus = Math.max(0, this.length - MAX_QUEUED);
    this.waiting.splice(0, surplus);
    this.dropped += surplus;
    return surplus;
  }

  /** What is to be told next: the same until `done` is called. */
  next(): readonly ClusterEvent[] {
    if (this.batch.length === 0) {
      this.batch = takeBatch(this.waiting);
      this.waiting = this.waiting.slice(this.batch.length);
    }
    return this.batch;
  }

  /** The batch was told, or given up; with it, that `leftOut` events were left out. */
  done(leftOut: number): void {
    this.batch = [];
    this.dropped -= leftOut;
  }

  get saved(): SavedQueue {
    return { events: [...this.batch, ...this.waiting], leftOut: this.dropped };
  }
}
