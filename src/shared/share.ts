/** Keeps work that events ask for to a share of a process's time, so that what else it does is not delayed by more. */
import type { Clock } from './clock.ts';

export interface ShareOptions {
  readonly clock: Clock;
  /** Of the time that passes, above 0 and below 1. */
  readonly share: number;
  /** How long, ms, the share may be left unused and used later: so much work may come at once. */
  readonly savedMs: number;
}

export class Share {
  /** When all work so far is paid for. */
  private paidAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: ShareOptions) {}

  /** So much work was done, ms. */
  spend(ms: number): void {
    const { clock, share, savedMs } = this.options;
    this.paidAt = Math.max(this.paidAt, clock.now() - savedMs) + ms / share;
  }

  /** How long there should be no more of it, ms. */
  get restMs(): number {
    return Math.max(0, this.paidAt - this.options.clock.now());
  }
}
