/**
 * Keeps one registration as it shall be: an ephemeral of the present session, written the moment it shall be there,
 * removed the moment it shall not, in each new session anew. Each has a loop of its own: one that fails delays no other.
 *
 * Invariants: nothing is removed but by our word; what an earlier process of ours left is replaced in one transaction, so
 * that nobody sees it missing; what others hold is left alone.
 */
import type { Clock } from '../shared/clock.ts';
import { claimEphemeral } from '../shared/ephemeral.ts';
import { messageOf } from '../shared/error-text.ts';
import type { Logger } from '../shared/log.ts';
import { Loop } from '../shared/loop.ts';
import { isStoreError, type Store, type Watch, type Znode } from '../shared/store.ts';
import { discoveryPath } from '../shared/znodes.ts';
import { decodeRegistration, encodeRegistration, type Registration, registrationPath } from './registration.ts';

/** What shall be registered. */
export type Goal =
  | { readonly kind: 'gone' }
  | { readonly kind: 'registered'; readonly value: Registration }
  /** What an earlier process of ours has registered stays as it is; if there is nothing: `otherwise`. */
  | { readonly kind: 'inherit'; readonly otherwise: Registration | undefined };

export interface EntryOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly label: string;
  readonly id: string;
  /** Whether anything may be written in the present session. */
  readonly mayWrite: () => boolean;
  /**
   * Whether an entry is that of an earlier process of ours; undefined: nobody can read it. `had`: it took the place of
   * what this very process had registered.
   */
  readonly isOurs: (found: Registration | undefined, had: boolean) => boolean;
  /** It is registered, or what is registered is another value, or it is `gone`. */
  readonly onWritten?: () => void;
}

interface Written {
  readonly session: string;
  readonly data: Buffer;
  readonly inherited: boolean;
}

const RETRY_MS = 1_000;
const TICK_MS = 60_000;
const EMPTY = Buffer.alloc(0);
/** An ephemeral may outlive its session by that session's timeout: nobody goes through many in that time. */
const SESSIONS_KEPT = 4;

export class Entry {
  private goal: Goal = { kind: 'gone' };
  private written: Written | undefined;
  /** What is being written at this moment. */
  private writing: Buffer | undefined;
  /** The place may hold something that `written` does not tell: what an earlier process left, or a write without an answer. */
  private doubt = true;
  /** What is there was seen to be other than what was written. */
  private suspect = false;
  /** The last sessions in which something of ours was there, the newest first. */
  private had: readonly string[] = [];
  private parentMade = false;
  /** That it is gone was told since its goal has changed. */
  private saidGone = false;
  /** Something is asked of ZooKeeper. */
  private busy = false;
  /** Why it is not as it shall be. */
  private problem: string | undefined;
  /** The last problem that was told. */
  private told: string | undefined;
  private watch: Watch | undefined;
  private readonly path: string;
  private readonly loop: Loop;

  constructor(private readonly options: EntryOptions) {
    const { clock, log, label, id } = options;
    this.path = registrationPath(label, id);
    this.loop = new Loop({
      name: `registration ${this.path}`,
      clock,
      log,
      gatherMs: 0,
      tickMs: () => (this.problem === undefined ? TICK_MS : RETRY_MS),
      pass: () => this.pass(),
    });
  }

  want(goal: Goal): void {
    if (sameGoal(goal, this.goal) && this.parentMade) return;
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
    return state.kind === 'connected' && this.written?.session === state.session;
  }

  /** Nothing of ours is there, nor shall be. */
  get gone(): boolean {
    return this.goal.kind === 'gone' && !this.written && !this.doubt && !this.busy;
  }

  /** Ends it; what is registered stays until the session ends. */
  async close(): Promise<void> {
    this.watch?.close();
    await this.loop.stop();
  }

  private async pass(): Promise<void> {
    const { store, log, mayWrite } = this.options;
    const { state } = store;
    if (state.kind !== 'connected' || !mayWrite()) return;
    // what an ended session wrote is gone with it
    if (this.written && this.written.session !== state.session) this.written = undefined;
    if (this.suspect) this.doubt = true;
    this.suspect = false;
    this.problem = undefined;
    this.busy = true;
    try {
      await this.reach(this.goal, state.session);
    } catch (error) {
      this.doubt = true;
      // it may be what is missing
      this.parentMade = false;
      this.complain(messageOf(error), (text) => log.warn(text));
    }
    this.writing = undefined;
    this.busy = false;
    if (this.problem === undefined) this.told = undefined;
    if (!this.gone || this.saidGone) return;
    this.saidGone = true;
    this.options.onWritten?.();
  }

  private async reach(goal: Goal, session: string): Promise<void> {
    switch (goal.kind) {
      case 'gone':
        return this.remove(session);
      case 'registered':
        return this.write(encodeRegistration(goal.value), session, false);
      case 'inherit': {
        if (this.written?.inherited) return;
        const earlier = await this.earlier(session);
        if (this.goal !== goal) return;
        if (earlier) return this.write(earlier.data, session, true);
        if (goal.otherwise) return this.write(encodeRegistration(goal.otherwise), session, false);
        return this.remove(session);
      }
    }
  }

  private async write(data: Buffer, session: string, inherited: boolean): Promise<void> {
    this.writing = data;
    if (!(await this.writeAtOnce(data)) && !(await this.claim(data))) return;
    this.written = { session, data, inherited };
    this.options.onWritten?.();
    if (!this.had.includes(session)) this.had = [session, ...this.had].slice(0, SESSIONS_KEPT);
    this.doubt = false;
    this.watch ??= this.options.store.watch(this.path, (node) => this.onSeen(node));
  }

  /** The common case: one request, sent before this returns. False: it takes a closer look. */
  private async writeAtOnce(data: Buffer): Promise<boolean> {
    const { store } = this.options;
    try {
      if (this.written) {
        if (this.doubt) return false;
        if (!this.written.data.equals(data)) await store.set(this.path, data);
        return true;
      }
      // sent right before: an entry of a new label is there as soon as one of a label that others have made
      if (!this.parentMade) void this.makeParent().catch(() => undefined);
      await store.create(this.path, data, 'ephemeral');
      this.parentMade = true;
      return true;
    } catch (error) {
      if (isStoreError(error, 'no-node')) this.parentMade = false;
      else if (!isStoreError(error, 'node-exists')) throw error;
      return false;
    }
  }

  private async claim(data: Buffer): Promise<boolean> {
    await this.makeParent();
    const claim = await claimEphemeral(this.options.store, this.path, data, (node) => this.isOurs(node));
    if (claim.kind === 'claimed') return true;
    this.written = undefined;
    this.doubt = false;
    const by = decoded(claim.by);
    const who = by === undefined ? 'something that cannot be read' : `${by.source} on ${by.host}`;
    this.complain(`it is held by another (${who})`, (text) => this.options.log.error(text));
    return false;
  }

  private async remove(session: string): Promise<void> {
    // first, as it would only tell us of what we do, and stay on the server
    this.watch?.close();
    this.watch = undefined;
    if (this.doubt) {
      // the label is made before it is needed: what is registered later takes one request
      const [found] = await Promise.all([this.options.store.get(this.path), this.makeParent()]);
      if (found && (found.owner === session || this.isOurs(found))) await this.removeNow();
    } else if (this.written) await this.removeNow();
    this.written = undefined;
    this.doubt = false;
  }

  private async removeNow(): Promise<void> {
    try {
      await this.options.store.remove(this.path);
    } catch (error) {
      if (!isStoreError(error, 'no-node')) throw error;
    }
  }

  /** What an earlier process of ours left here. */
  private async earlier(session: string): Promise<Znode | undefined> {
    const node = await this.options.store.get(this.path);
    return node && node.owner !== session && decoded(node) && this.isOurs(node) ? node : undefined;
  }

  /** Of another session than the present one. */
  private isOurs(node: Znode): boolean {
    if (node.owner !== undefined && this.had.includes(node.owner)) return true;
    return this.options.isOurs(decoded(node), this.had.length > 0);
  }

  private async makeParent(): Promise<void> {
    if (this.parentMade) return;
    const { store, label } = this.options;
    try {
      await store.create(discoveryPath(label), EMPTY, 'persistent');
    } catch (error) {
      if (isStoreError(error, 'no-node')) await store.ensure(discoveryPath(label));
      else if (!isStoreError(error, 'node-exists')) throw error;
    }
    this.parentMade = true;
  }

  private onSeen(node: Znode | undefined): void {
    const { state } = this.options.store;
    if (state.kind !== 'connected' || (this.written && this.written.session !== state.session)) return;
    const expected = node !== undefined && node.owner === state.session;
    if (expected && [this.written?.data, this.writing].some((data) => data && node.data.equals(data))) return;
    this.suspect = true;
    this.loop.trigger();
  }

  private complain(what: string, tell: (text: string) => void): void {
    const text = `${this.path} cannot be registered as it shall be: ${what}; tried again until it can`;
    if (text !== this.told) tell(text);
    this.problem = text;
    this.told = text;
  }
}

function decoded(node: Znode): Registration | undefined {
  const result = decodeRegistration(node.data, node.path);
  return result.ok ? result.value : undefined;
}

function sameGoal(a: Goal, b: Goal): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
