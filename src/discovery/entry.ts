/**
 * Keeps one registration as it shall be: an ephemeral of the present session, written the moment it shall be there,
 * removed the moment it shall not, in each new session anew. Each has a loop of its own: one that fails delays no other.
 *
 * Invariants: nothing is removed but by our word; what an earlier process of ours left is replaced in one transaction, so
 * that nobody sees it missing; what others hold is left alone.
 */
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import { EntryZnode, type EntryZnodeOptions } from './entry-znode.ts';
import { encodeRegistration, type Registration } from './registration.ts';

/** What shall be registered. */
export type Goal =
  | { readonly kind: 'gone' }
  | { readonly kind: 'registered'; readonly value: Registration }
  /** What an earlier process of ours has registered stays as it is; if there is nothing: `otherwise`. */
  | { readonly kind: 'inherit'; readonly otherwise: Registration | undefined };

export interface EntryOptions extends EntryZnodeOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether anything may be written in the present session. */
  readonly mayWrite: () => boolean;
  /** It is registered, or what is registered is another value, or it is `gone`. */
  readonly onWritten?: () => void;
}

const RETRY_MS = 1_000;
const TICK_MS = 60_000;

export class Entry {
  private goal: Goal = { kind: 'gone' };
  /** That it is gone was told since its goal has changed. */
  private saidGone = false;
  /** Something is asked of ZooKeeper. */
  private busy = false;
  /** Why it is not as it shall be. */
  private problem: string | undefined;
  /** The last problem that was told. */
  private told: string | undefined;
  private readonly znode: EntryZnode;
  private readonly loop: Loop;

  constructor(private readonly options: EntryOptions) {
    const { clock, log } = options;
    this.znode = new EntryZnode(options, () => this.loop.trigger());
    this.loop = new Loop({
      name: `registration ${this.znode.path}`,
      clock,
      log,
      gatherMs: 0,
      tickMs: () => (this.problem === undefined ? TICK_MS : RETRY_MS),
      pass: () => this.pass(),
    });
  }

  want(goal: Goal): void {
    if (sameGoal(goal, this.goal) && this.znode.ready) return;
    this.goal = goal;
    this.saidGone = false;
    this.loop.trigger();
  }

  /** To be called when the session, or whether it may be written in, has changed. */
  look(): void {
    this.loop.trigger();
  }

  /** It is registered in the present session. */
  get registered(): boolean {
    const { state } = this.options.store;
    return state.kind === 'connected' && this.znode.isWrittenIn(state.session);
  }

  /** Nothing of ours is there, nor shall be. */
  get gone(): boolean {
    return this.goal.kind === 'gone' && this.znode.empty && !this.busy;
  }

  /** Ends it; what is registered stays until the session ends. */
  async close(): Promise<void> {
    this.znode.close();
    await this.loop.stop();
  }

  private async pass(): Promise<void> {
    const { store, log, mayWrite } = this.options;
    const { state } = store;
    if (state.kind !== 'connected' || !mayWrite()) return;
    this.znode.begin(state.session);
    this.problem = undefined;
    this.busy = true;
    try {
      await this.reach(this.goal, state.session);
    } catch (error) {
      this.znode.failed();
      this.complain(messageOf(error), (text) => log.warn(text));
    }
    this.busy = false;
    if (this.problem === undefined) this.told = undefined;
    if (!this.gone || this.saidGone) return;
    this.saidGone = true;
    this.options.onWritten?.();
  }

  private async reach(goal: Goal, session: string): Promise<void> {
    switch (goal.kind) {
      case 'gone':
        return this.znode.remove(session);
      case 'registered':
        return this.write(encodeRegistration(goal.value), session, false);
      case 'inherit': {
        if (this.znode.inherited) return;
        const earlier = await this.znode.earlier(session);
        if (this.goal !== goal) return;
        if (earlier) return this.write(earlier.data, session, true);
        if (goal.otherwise) return this.write(encodeRegistration(goal.otherwise), session, false);
        return this.znode.remove(session);
      }
    }
  }

  private async write(data: Buffer, session: string, inherited: boolean): Promise<void> {
    const outcome = await this.znode.write(data, session, inherited);
    if (outcome.kind === 'written') {
      this.options.onWritten?.();
      return;
    }
    const who =
      outcome.by === undefined ? 'something that cannot be read' : `${outcome.by.source} on ${outcome.by.host}`;
    this.complain(`it is held by another (${who})`, (text) => this.options.log.error(text));
  }

  private complain(what: string, tell: (text: string) => void): void {
    const text = `${this.znode.path} cannot be registered as it shall be: ${what}; tried again until it can`;
    if (text !== this.told) tell(text);
    this.problem = text;
    this.told = text;
  }
}

function sameGoal(a: Goal, b: Goal): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
