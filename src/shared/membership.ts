/**
 * A daemon's membership: the ephemeral `members/<host>`, in every session anew. An entry of this host's own earlier
 * session is taken over at once; one of another machine is respected, and told.
 */
import { type Clock, delay } from './clock.ts';
import type { Member } from './cluster.ts';
import { claimEphemeral } from './ephemeral.ts';
import { messageOf } from './error-text.ts';
import type { Logger } from './log.ts';
import { decodeMember, encodeMember } from './payloads.ts';
import type { SessionState, Store, Watch, Znode } from './store.ts';
import { memberPath, PARENTS } from './znodes.ts';

export interface MembershipOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** This host as a member, but for the election znode, which `elect` makes. */
  readonly describe: () => Omit<Member, 'election'>;
  /** Enters the election; `earlier`: the election znode of this host's earlier session. Answers the new one's path. */
  readonly elect: (earlier: string | undefined) => Promise<string>;
  /**
   * The host is a member in the present session. Called once per session, and awaited; tried again if it rejects.
   * `continuous`: it took over the entry of this host's own earlier session, so that nobody saw the host missing.
   */
  readonly onJoined: (continuous: boolean) => Promise<void>;
  /** The entry is gone though the session is not: others saw the host missing. It joins again by itself. */
  readonly onInterrupted: () => void;
  /** The name belongs to another machine, or another daemon on this one: this daemon must end. */
  readonly onNameTaken: (why: string) => void;
}

/** Pause after a failed step. */
const RETRY_MS = 200;

export class Membership {
  private readonly unsubscribe: () => void;
  private readonly abort = new AbortController();
  private watch: Watch | undefined;
  private joinedIn: string | undefined;
  private election: string | undefined;
  /** Session in which an entry was taken over without a gap. */
  private continuousIn: string | undefined;
  private joining: Promise<void> | undefined;
  private ended = false;

  constructor(private readonly options: MembershipOptions) {
    this.unsubscribe = options.store.onState((state) => this.onState(state));
    this.onState(options.store.state);
  }

  /** Joined in the session that is connected now. */
  get joined(): boolean {
    const { state } = this.options.store;
    return state.kind === 'connected' && state.session === this.joinedIn;
  }

  /** Writes what `describe` says by now. A failure is logged: the next session writes it anyway. */
  async refresh(): Promise<void> {
    if (!this.joined || this.election === undefined) return;
    const self = this.options.describe();
    try {
      await this.options.store.set(memberPath(self.host), encodeMember({ ...self, election: this.election }));
    } catch (error) {
      this.options.log.warn(`${memberPath(self.host)} could not be brought up to date: ${String(error)}`);
    }
  }

  /** Stops keeping the membership up; the znode stays until it is removed or the session ends. */
  async close(): Promise<void> {
    this.ended = true;
    this.unsubscribe();
    this.watch?.close();
    this.abort.abort(new Error('leaving'));
    await this.joining;
  }

  private onState(state: SessionState): void {
    if (state.kind === 'connected' && state.session !== this.joinedIn) this.begin();
  }

  private begin(): void {
    if (this.joining !== undefined || this.ended) return;
    this.joining = this.joinUntilDone().finally(() => {
      this.joining = undefined;
      const { state } = this.options.store;
      if (state.kind === 'connected' && state.session !== this.joinedIn) this.begin();
    });
  }

  private async joinUntilDone(): Promise<void> {
    while (!this.ended) {
      const { state } = this.options.store;
      if (state.kind !== 'connected') return;
      try {
        if (await this.joinOnce()) {
          this.joinedIn = state.session;
          this.watchOwn();
        }
        return;
      } catch (error) {
        if (this.ended) return;
        this.options.log.warn(`joining the cluster failed: ${messageOf(error)}; tried again`);
        await delay(this.options.clock, RETRY_MS, this.abort.signal).catch(() => undefined);
      }
    }
  }

  private async joinOnce(): Promise<boolean> {
    const { store, describe, elect, onJoined, onNameTaken } = this.options;
    const self = describe();
    const path = memberPath(self.host);
    for (const parent of PARENTS) await store.ensure(parent);
    const holder = await this.holder(path);
    if (holder && holder.machineId !== self.machineId) {
      onNameTaken(nameTaken(self.host, holder));
      return false;
    }
    const election = await elect(holder?.election);
    this.election = election;
    // what a process had that was leaving, a leader may have given away already
    let wasLeaving = false;
    const claim = await claimEphemeral(store, path, encodeMember({ ...self, election }), (node) => {
      const decoded = decodeMember(node.data, path);
      wasLeaving = decoded.ok && decoded.value.leaving === true;
      // an entry that nobody can read protects nobody
      return !decoded.ok || decoded.value.machineId === self.machineId;
    });
    if (claim.kind === 'held') throw new Error(`${path} was taken by another machine at this moment`);
    const session = store.state.kind === 'connected' ? store.state.session : undefined;
    // one that is ours already was made by an attempt whose answer was lost: whether there was a gap is not known then
    if (claim.was === 'replaced' && !wasLeaving) this.continuousIn = session;
    else if (claim.was !== 'own') this.continuousIn = undefined;
    await onJoined(session !== undefined && this.continuousIn === session);
    return true;
  }

  private async holder(path: string): Promise<Member | undefined> {
    const node = await this.options.store.get(path);
    if (!node) return undefined;
    const decoded = decodeMember(node.data, path);
    if (decoded.ok) return decoded.value;
    this.options.log.error(`${decoded.problem}; it is replaced`);
    return undefined;
  }

  private watchOwn(): void {
    this.watch?.close();
    this.watch = this.options.store.watch(memberPath(this.options.describe().host), (node) => this.onOwn(node));
  }

  private onOwn(node: Znode | undefined): void {
    const { store, log, describe, onNameTaken } = this.options;
    const { state } = store;
    if (this.ended || state.kind !== 'connected' || state.session !== this.joinedIn) return;
    if (node?.owner === state.session) return;
    if (!node) {
      log.warn('the member znode of this host was removed by someone; joining again');
      this.joinedIn = undefined;
      this.continuousIn = undefined;
      this.options.onInterrupted();
      this.begin();
      return;
    }
    const decoded = decodeMember(node.data, node.path);
    const { host } = describe();
    onNameTaken(decoded.ok ? nameTaken(host, decoded.value) : `another daemon took over the name ${host}`);
  }
}

function nameTaken(host: string, holder: Member): string {
  return `the host name ${host} is in use by another daemon (machine ${holder.machineId}, address ${holder.address}, ${holder.url}): give one of the two another host.name, or stop one`;
}
