/**
 * The znode of one registration: what this process knows of it, and how it is written, taken over, watched and removed.
 * What shall be there is decided in `entry.ts`; its calls come one after the other.
 */
import { claimEphemeral } from '../shared/ephemeral.ts';
import { removeIfThere } from '../shared/remove-if-there.ts';
import { isStoreError, type Store, type Watch, type Znode } from '../shared/store.ts';
import { discoveryPath } from '../shared/znodes.ts';
import { decodeRegistration, type Registration, registrationPath } from './registration.ts';

export interface EntryZnodeOptions {
  readonly store: Store;
  readonly label: string;
  readonly id: string;
  /**
   * Whether an entry is that of an earlier process of ours; undefined: nobody can read it. `had`: it took the place of
   * what this very process had registered.
   */
  readonly isOurs: (found: Registration | undefined, had: boolean) => boolean;
}

/** `by`: undefined when it cannot be read. */
export type WriteOutcome =
  | { readonly kind: 'written' }
  | { readonly kind: 'held'; readonly by: Registration | undefined };

interface Written {
  readonly session: string;
  readonly data: Buffer;
  readonly inherited: boolean;
}

const EMPTY = Buffer.alloc(0);
/** An ephemeral may outlive its session by that session's timeout: nobody goes through many in that time. */
const SESSIONS_KEPT = 4;

export class EntryZnode {
  readonly path: string;
  private written: Written | undefined;
  /** What is being written at this moment. */
  private writing: Buffer | undefined;
  /** The place may hold something that `written` does not tell: what an earlier process left, or a write without an answer. */
  private doubt = true;
  /** What is there was seen to be other than what was written. */
  private suspect = false;
  /** The last sessions in which something of ours was there, the newest first. */
  private had: readonly string[] = [];
  private labelMade = false;
  private watch: Watch | undefined;

  /** `onSuspect`: what is there is not what was written. */
  constructor(
    private readonly options: EntryZnodeOptions,
    private readonly onSuspect: () => void,
  ) {
    this.path = registrationPath(options.label, options.id);
  }

  /** The label is there: a registration takes one request. */
  get ready(): boolean {
    return this.labelMade;
  }

  /** Ours is there, and what an earlier process left at that. */
  get inherited(): boolean {
    return this.written?.inherited ?? false;
  }

  /** Nothing of ours is there. */
  get empty(): boolean {
    return !this.written && !this.doubt;
  }

  isWrittenIn(session: string): boolean {
    return this.written?.session === session;
  }

  /** To be called before anything else is asked for in a session. */
  begin(session: string): void {
    // what an ended session wrote is gone with it
    if (this.written && this.written.session !== session) this.written = undefined;
    if (this.suspect) this.doubt = true;
    this.suspect = false;
  }

  /** To be called when a call has rejected: its outcome is not known. */
  failed(): void {
    this.doubt = true;
    // it may be what is missing
    this.labelMade = false;
    this.writing = undefined;
  }

  /** Writes it, or finds that another holds the place, and leaves that alone. The request is sent before this returns. */
  async write(data: Buffer, session: string, inherited: boolean): Promise<WriteOutcome> {
    this.writing = data;
    const claimed = await this.writeAtOnce(data);
    const by = claimed ? undefined : await this.claim(data);
    this.writing = undefined;
    if (by) return { kind: 'held', by: decoded(by) };
    this.written = { session, data, inherited };
    if (!this.had.includes(session)) this.had = [session, ...this.had].slice(0, SESSIONS_KEPT);
    this.doubt = false;
    this.watch ??= this.options.store.watch(this.path, (node) => this.onSeen(node));
    return { kind: 'written' };
  }

  /** Removes what is ours. */
  async remove(session: string): Promise<void> {
    // first, as it would only tell us of what we do, and stay on the server
    this.watch?.close();
    this.watch = undefined;
    if (this.doubt) {
      // the label is made before it is needed: what is registered later takes one request
      const [found] = await Promise.all([this.options.store.get(this.path), this.makeLabel()]);
      if (found && (found.owner === session || this.isOurs(found))) await removeIfThere(this.options.store, this.path);
    } else if (this.written) await removeIfThere(this.options.store, this.path);
    this.written = undefined;
    this.doubt = false;
  }

  /** What an earlier process of ours left here. */
  async earlier(session: string): Promise<Znode | undefined> {
    const node = await this.options.store.get(this.path);
    return node && node.owner !== session && decoded(node) && this.isOurs(node) ? node : undefined;
  }

  /** Ends the watch; what is registered stays until the session ends. */
  close(): void {
    this.watch?.close();
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
      if (!this.labelMade) void this.makeLabel().catch(() => undefined);
      await store.create(this.path, data, 'ephemeral');
      this.labelMade = true;
      return true;
    } catch (error) {
      if (isStoreError(error, 'no-node')) this.labelMade = false;
      else if (!isStoreError(error, 'node-exists')) throw error;
      return false;
    }
  }

  /** Answers what is there instead, if it is not ours to replace. */
  private async claim(data: Buffer): Promise<Znode | undefined> {
    await this.makeLabel();
    const claim = await claimEphemeral(this.options.store, this.path, data, (node) => this.isOurs(node));
    if (claim.kind === 'claimed') return undefined;
    this.written = undefined;
    this.doubt = false;
    return claim.by;
  }

  /** Of another session than the present one. */
  private isOurs(node: Znode): boolean {
    if (node.owner !== undefined && this.had.includes(node.owner)) return true;
    return this.options.isOurs(decoded(node), this.had.length > 0);
  }

  private async makeLabel(): Promise<void> {
    if (this.labelMade) return;
    const { store, label } = this.options;
    try {
      await store.create(discoveryPath(label), EMPTY, 'persistent');
    } catch (error) {
      if (isStoreError(error, 'no-node')) await store.ensure(discoveryPath(label));
      else if (!isStoreError(error, 'node-exists')) throw error;
    }
    this.labelMade = true;
  }

  private onSeen(node: Znode | undefined): void {
    const { state } = this.options.store;
    if (state.kind !== 'connected' || (this.written && this.written.session !== state.session)) return;
    const expected = node !== undefined && node.owner === state.session;
    if (expected && [this.written?.data, this.writing].some((data) => data && node.data.equals(data))) return;
    this.suspect = true;
    this.onSuspect();
  }
}

function decoded(node: Znode): Registration | undefined {
  const result = decodeRegistration(node.data, node.path);
  return result.ok ? result.value : undefined;
}
