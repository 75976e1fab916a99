/**
 * Tells one hook what waits in its queue: one run at a time, in order, a failed one a few times again. What is being told
 * stays in the queue until that is over.
 */
import type { Command } from '../shared/attachments.ts';
import { type Clock, delay } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import { escapeControl, type Logger } from '../shared/log.ts';
import type { Hook } from '../shared/spec.ts';
import type { ClusterEvent } from './hook-event.ts';
import { type HookQueue, MAX_QUEUED } from './hook-queue.ts';
import type { Slots } from './hook-slots.ts';
import { environmentOf, lineOf } from './hook-text.ts';

/** One run of a hook's program. */
export interface HookRun {
  /** Of the hook: no two runs of one are under way at once. */
  readonly name: string;
  readonly description: string;
  readonly argv: Command;
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly input: string;
  readonly journalFields: Readonly<Record<string, string>>;
}

export type HookOutcome =
  | { readonly kind: 'done' }
  /** One clause. */
  | { readonly kind: 'failed' | 'timeout' | 'unknown'; readonly why: string };

/** Runs a program to its end, with all its processes bounded in time, number and memory. */
export type RunHook = (run: HookRun) => Promise<HookOutcome>;

export interface HookMetrics {
  /** `unknown` ends are not counted: the run is repeated. `given-up`: beside the `failed` or `timeout` of the last attempt. */
  ran(result: 'done' | 'failed' | 'timeout' | 'given-up'): void;
  leftOut(events: number): void;
}

export interface HookRunnerOptions {
  readonly host: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: HookMetrics;
  readonly run: RunHook;
  readonly slots: Slots;
  readonly leader: () => string | undefined;
  /** Resolves when the queue as it is now is on disk: nothing is told before. */
  readonly save: () => Promise<void>;
}

/** Pauses after each failed attempt but the last, ms. */
const RETRY_PAUSES_MS = [1_000, 5_000, 25_000] as const;
/** Pause after an attempt of which nothing is known, ms: systemd's bus is being restarted. */
const UNKNOWN_PAUSE_MS = 5_000;

export class HookRunner {
  private readonly abort = new AbortController();
  private working: Promise<void> | undefined;
  private failures = 0;

  /** `key`: letters and digits. `hook` may be replaced by one that differs in its time limit. */
  constructor(
    readonly key: string,
    public hook: Hook,
    readonly queue: HookQueue,
    private readonly options: HookRunnerOptions,
  ) {}

  /** The events that the hook is to be told, in order. */
  add(events: readonly ClusterEvent[]): void {
    if (events.length > 0) {
      const before = this.queue.leftOut;
      const dropped = this.queue.add(events);
      this.options.metrics.leftOut(dropped);
      if (before === 0 && dropped > 0)
        this.options.log.warn(
          `${this.title} cannot keep up: more than ${MAX_QUEUED} events wait for it, and the oldest are left out`,
          { hook: this.program },
        );
    }
    this.wake();
  }

  /** Begins to tell what waits. */
  wake(): void {
    if (this.working !== undefined || this.abort.signal.aborted || this.queue.length === 0) return;
    this.working = this.work().finally(() => {
      this.working = undefined;
      this.wake();
    });
  }

  /** Begins no further run; resolves when the one under way has ended. */
  async close(): Promise<void> {
    this.abort.abort(new Error('hooks end'));
    await this.working;
  }

  private get program(): string {
    return this.hook.run[0];
  }

  private get title(): string {
    return `the hook ${this.hook.run.join(' ')}`;
  }

  private async work(): Promise<void> {
    const { signal } = this.abort;
    while (this.queue.length > 0 && !signal.aborted) {
      const batch = this.queue.next();
      await this.options.save();
      const leave = await this.options.slots.enter(signal);
      if (!leave) return;
      const pauseMs = await this.runOnce(batch).finally(leave);
      if (pauseMs > 0) await delay(this.options.clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** Answers how long to wait before the next run, ms. */
  private async runOnce(batch: readonly ClusterEvent[]): Promise<number> {
    const { host, clock, metrics, leader, run } = this.options;
    const { leftOut } = this.queue;
    const kind = batch[0]?.event ?? '';
    const begun = clock.now();
    const outcome = await run({
      name: this.key,
      description: `Hook ${this.program}: ${kind}`,
      argv: this.hook.run,
      timeoutMs: this.hook.timeoutMs,
      environment: environmentOf(batch, { self: host, leader: leader(), leftOut }),
      input: batch.map(lineOf).join(''),
      journalFields: { SERVICEWATCHER_HOOK: escapeControl(this.program), SERVICEWATCHER_HOOK_EVENT: kind },
    }).catch((error: unknown): HookOutcome => ({ kind: 'unknown', why: messageOf(error) }));
    const what = `${this.title}, told ${describe(batch)}`;
    const fields = { hook: this.program, hookEvent: kind, lines: batch.length, ms: Math.round(clock.now() - begun) };
    if (outcome.kind === 'done') {
      metrics.ran('done');
      this.options.log.info(`${what}: done`, { event: 'hook-done', ...fields });
      this.finish(leftOut);
      return 0;
    }
    return this.onFailure(outcome, what, fields, leftOut);
  }

  private onFailure(
    outcome: Exclude<HookOutcome, { kind: 'done' }>,
    what: string,
    fields: Readonly<Record<string, string | number>>,
    leftOut: number,
  ): number {
    const { log, metrics } = this.options;
    if (outcome.kind === 'unknown') {
      if (!this.abort.signal.aborted)
        log.warn(`${what}: its end is not known: ${outcome.why}; it is run again`, fields);
      return UNKNOWN_PAUSE_MS;
    }
    metrics.ran(outcome.kind);
    const pauseMs = RETRY_PAUSES_MS[this.failures];
    this.failures += 1;
    if (pauseMs !== undefined) {
      log.warn(`${what}: ${outcome.why}; tried again in ${pauseMs / 1000} s`, { event: 'hook-failed', ...fields });
      return pauseMs;
    }
    metrics.ran('given-up');
    log.error(`${what}: ${outcome.why}; given up after ${this.failures} attempts, it goes on with what came after`, {
      event: 'hook-given-up',
      ...fields,
    });
    this.finish(leftOut);
    return 0;
  }

  private finish(leftOut: number): void {
    if (leftOut > 0)
      this.options.log.warn(`${this.title}: ${leftOut} events before this one were left out`, {
        event: 'hook-left-out',
        hook: this.program,
        count: leftOut,
      });
    this.failures = 0;
    this.queue.done(leftOut);
    void this.options.save();
  }
}

/** `member-join w1`, `unit-failed web.service on w1`, `member-join of 3` */
function describe(batch: readonly ClusterEvent[]): string {
  const [first] = batch;
  if (first === undefined) return 'nothing';
  if (batch.length > 1) return `${first.event} of ${batch.length}`;
  const { event, unit, label, host } = first;
  const subject = unit ?? label;
  return subject === undefined ? `${event} ${host}` : `${event} ${subject} on ${host}`;
}
