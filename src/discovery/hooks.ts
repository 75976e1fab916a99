/**
 * Hooks: programs that are run on this host when members, registrations, units or the leadership change. What happened
 * follows from znodes alone: from two states of the cluster, the one that was told last and the present one, and from the
 * history. A hook that is new on this host is told of all that is there.
 */
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import { Share } from '../shared/share.ts';
import type { Hook } from '../shared/spec.ts';
import type { Store } from '../shared/store.ts';
import type { ClusterEvent } from './hook-event.ts';
import { complete, wants } from './hook-match.ts';
import { type HookFile, HookMemory, type HookState, type Position } from './hook-memory.ts';
import { HookQueue } from './hook-queue.ts';
import { type HookMetrics, HookRunner, type RunHook } from './hook-runner.ts';
import { Slots } from './hook-slots.ts';
import { HookSources } from './hook-sources.ts';
import { EMPTY_VIEW, eventsBetween, type View, withLabels, withLeavers } from './hook-view.ts';
import { leftInOrder } from './left-in-order.ts';

export interface HooksOptions {
  readonly host: string;
  /** Labels of this host. */
  readonly labels: () => Readonly<Record<string, string>>;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly file: HookFile;
  readonly run: RunHook;
  readonly metrics: HookMetrics;
}

/** What happens at once is told at once, ms. */
const GATHER_MS = 100;
/** To compare takes at most this share of the daemon's time: with thousands of registrations each look takes tens of milliseconds. */
const COMPARING_SHARE = 0.1;
const COMPARING_SAVED_MS = 1_000;
/** Without any event there is nothing to do; a pass that failed comes again sooner. */
const TICK_MS = 60_000;
/** Pause after the history could not be read. */
const RETRY_MS = 1_000;
/** Hooks that run at once on a host: those that hang, all at the same time, must not keep others waiting. */
const MAX_AT_ONCE = 16;

export class Hooks {
  private seen: View = EMPTY_VIEW;
  private position: Position | undefined;
  private readonly runners = new Map<string, HookRunner>();
  /** What waited for hooks when the daemon ended, until it is known which hooks there are. */
  private recalled: HookState['queues'] = new Map();
  /** Members of the last state that was told before this daemon began: what they said since nobody here has heard. */
  private readonly unheard = new Set<string>();
  private retry = false;
  private readonly memory: HookMemory;
  private readonly loop: Loop;
  private readonly slots = new Slots(MAX_AT_ONCE);
  private sources: HookSources | undefined;
  private ended = false;

  constructor(private readonly options: HooksOptions) {
    const { clock, log, file } = options;
    this.memory = new HookMemory(file, () => this.state, clock, log);
    const share = new Share({ clock, share: COMPARING_SHARE, savedMs: COMPARING_SAVED_MS });
    this.loop = new Loop({
      name: 'hooks',
      clock,
      log,
      gatherMs: GATHER_MS,
      restMs: () => share.restMs,
      tickMs: () => (this.retry ? RETRY_MS : TICK_MS),
      pass: async () => {
        const sources = await this.ready();
        const begun = clock.now();
        if (sources) this.compare(sources);
        share.spend(clock.now() - begun);
      },
    });
  }

  /** Recalls what was told, then begins to watch: to be called when this host is a member. */
  async start(): Promise<void> {
    const { seen, position, queues } = await this.options.file.load();
    if (this.ended) return;
    this.seen = seen;
    for (const [host, { leaving }] of seen.members) if (!leaving) this.unheard.add(host);
    this.position = position;
    this.recalled = queues;
    const { host, labels, store, clock, log } = this.options;
    const onUnitEvents = (events: readonly ClusterEvent[], read: Position) => this.onUnitEvents(events, read);
    this.sources = new HookSources({
      host,
      labels,
      store,
      clock,
      log,
      onChange: () => this.loop.trigger(),
      onUnitEvents,
    });
  }

  /** Events that wait, of all hooks. */
  get waiting(): number {
    return [...this.runners.values()].reduce((sum, { queue }) => sum + queue.length, 0);
  }

  /**
   * Begins no further run and saves what waits: it is told when the daemon is back. Resolves when the runs under way have
   * ended: whoever cannot wait for that need not, they end by themselves, and are told again.
   */
  async close(): Promise<void> {
    this.ended = true;
    this.sources?.close();
    await this.loop.stop();
    const ending = Promise.all([...this.runners.values()].map((runner) => runner.close()));
    await this.memory.close();
    await ending;
    await this.memory.close();
  }

  private get state(): HookState {
    const queues = [...this.runners].map(([key, { queue }]) => [key, queue.saved] as const);
    return { seen: this.seen, position: this.position, queues: new Map([...this.recalled, ...queues]) };
  }

  /** Undefined: not enough is known yet. */
  private async ready(): Promise<HookSources | undefined> {
    const { sources } = this;
    if (sources?.selected === undefined || this.ended) return undefined;
    sources.follow([...sources.selected.values()], this.position);
    this.retry = !(await this.hearDepartures(sources));
    return this.retry || this.ended ? undefined : sources;
  }

  private compare(sources: HookSources): void {
    const { selected } = sources;
    if (selected === undefined) return;
    const fresh = this.arrange(selected);
    sources.follow([...selected.values()], this.position);
    const before = withLeavers(withLabels(this.seen, sources.labels), sources.leavers);
    const after = selected.size === 0 ? EMPTY_VIEW : sources.view(before);
    const surroundings = { services: sources.services, before, after };
    const told = selected.size === 0 ? [] : eventsBetween(before, after).map((event) => complete(event, surroundings));
    const anew = fresh.size === 0 ? [] : eventsBetween(EMPTY_VIEW, after).map((event) => complete(event, surroundings));
    this.seen = after;
    for (const host of sources.leavers) if (!after.members.has(host)) sources.leavers.delete(host);
    for (const [key, runner] of this.runners) this.tell(runner, fresh.has(key) ? anew : told);
    void this.memory.save();
  }

  /** Notes those who went before this daemon began, and had said that they would. False: that could not be read. */
  private async hearDepartures(sources: HookSources): Promise<boolean> {
    for (const host of this.unheard) if (sources.isMember(host)) this.unheard.delete(host);
    const gone = [...this.unheard].filter((host) => sources.isMember(host) === false);
    const { store, log } = this.options;
    if (gone.length === 0) return true;
    try {
      for (const host of await leftInOrder(store, gone)) sources.leavers.add(host);
      for (const host of gone) this.unheard.delete(host);
      return true;
    } catch (error) {
      log.debug(`the history could not be read for hooks: ${messageOf(error)}; tried again`);
      return false;
    }
  }

  /** A runner for each hook that is for this host, and for no other; answers the keys of those that are new. */
  private arrange(selected: ReadonlyMap<string, Hook>): ReadonlySet<string> {
    const { host, clock, log, metrics, run } = this.options;
    for (const [key, runner] of this.runners) if (!selected.has(key)) this.drop(runner);
    const fresh = new Set<string>();
    for (const [key, hook] of selected) {
      const known = this.runners.get(key);
      if (known) {
        known.hook = hook;
        continue;
      }
      const saved = this.recalled.get(key);
      if (!saved) fresh.add(key);
      const options = { host, clock, log, metrics, run, slots: this.slots };
      const leader = () => this.seen.leader;
      const runner = new HookRunner(key, hook, new HookQueue(saved), {
        ...options,
        leader,
        save: () => this.memory.save(),
      });
      this.runners.set(key, runner);
    }
    // what was saved for hooks that are no longer for this host is told to nobody
    this.recalled = new Map();
    if (![...selected.values()].some(({ events }) => events.some((event) => event.startsWith('unit-'))))
      this.position = undefined;
    return fresh;
  }

  private drop(runner: HookRunner): void {
    this.runners.delete(runner.key);
    const { length } = runner.queue;
    if (length > 0)
      this.options.log.info(
        `the hook ${runner.hook.run.join(' ')} is no longer for this host: ${length} events that waited for it are dropped`,
        { hook: runner.hook.run[0] },
      );
    // its run may still be under way, and ends by itself
    void runner.close();
  }

  private onUnitEvents(events: readonly ClusterEvent[], position: Position): void {
    const { sources } = this;
    if (sources === undefined || this.ended) return;
    this.position = position;
    const surroundings = { services: sources.services, before: this.seen, after: this.seen };
    const told = events.map((event) => complete(event, surroundings));
    for (const runner of this.runners.values()) this.tell(runner, told);
    void this.memory.save();
  }

  private tell(runner: HookRunner, events: readonly ClusterEvent[]): void {
    runner.add(events.filter((event) => wants(runner.hook, event)));
  }
}
