/**
 * A level-triggered loop: one pass at start, one after every event, one on a slow tick. Events that arrive while a pass
 * runs, or while they are being gathered, become exactly one more pass. A pass that throws is logged and tried again on
 * the next tick or event: it never ends the loop.
 */
import type { Clock } from './clock.ts';
import { stackOf } from './error-text.ts';
import type { Logger } from './log.ts';

export interface LoopOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Longest wait between two passes, ms; asked again after each pass. */
  readonly tickMs: () => number;
  /** How long events are gathered into one pass, ms. 0: the pass runs in the next microtask. */
  readonly gatherMs: number;
  /**
   * How long no pass begins for an event after a pass has ended, ms; asked after each pass; default 0. What happens
   * meanwhile becomes one pass.
   */
  readonly restMs?: () => number;
  readonly pass: () => Promise<void> | void;
}

/** Bounds of the wait after a pass that failed, ms; the upper one counts when something happened meanwhile. */
const SHORTEST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 1_000;

export class Loop {
  private running = false;
  private again = false;
  private stopped = false;
  private cancelTick: (() => void) | undefined;
  private cancelGather: (() => void) | undefined;
  private restsUntil = Number.NEGATIVE_INFINITY;
  private idle: Promise<void> = Promise.resolve();

  constructor(private readonly options: LoopOptions) {}

  /** Asks for a pass. */
  trigger(): void {
    if (this.stopped) return;
    if (this.running) {
      this.again = true;
      return;
    }
    if (this.cancelGather) return;
    const { clock, gatherMs } = this.options;
    const wait = Math.max(gatherMs, this.restsUntil - clock.now());
    if (wait <= 0) this.start();
    else this.cancelGather = clock.after(wait, () => this.start());
  }

  /** Ends the loop; resolves when a pass in progress is over. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelTick?.();
    this.cancelGather?.();
    await this.idle;
  }

  private start(): void {
    if (this.stopped) return;
    this.running = true;
    this.cancelGather?.();
    this.cancelGather = undefined;
    this.cancelTick?.();
    this.cancelTick = undefined;
    this.idle = this.runOnce();
  }

  private async runOnce(): Promise<void> {
    this.again = false;
    let failed = false;
    try {
      await this.options.pass();
    } catch (error) {
      failed = true;
      const reason = stackOf(error);
      this.options.log.error(`${this.options.name}: a pass failed and is tried again: ${reason}`);
    }
    this.running = false;
    this.restsUntil = this.options.clock.now() + (this.options.restMs?.() ?? 0);
    if (this.stopped) return;
    const tick = this.options.tickMs();
    // after a failure an immediate further pass would spin, and a wait that the pass should have ended may still be asked for
    if (failed) this.armTick(Math.max(SHORTEST_RETRY_MS, this.again ? Math.min(LONGEST_RETRY_MS, tick) : tick));
    else this.armTick(tick);
    if (this.again && !failed) this.trigger();
  }

  private armTick(ms: number): void {
    this.cancelTick?.();
    this.cancelTick = this.options.clock.after(ms, () => this.start());
  }
}
