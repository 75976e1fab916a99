/**
 * Elects one leader among the daemons: each has an ephemeral sequential znode, the lowest leads, every other one watches
 * only its predecessor, so that a change wakes one daemon and not all. Leadership is an AbortSignal, aborted at the
 * first doubt; each leadership has an epoch of its own, and every write of its is fenced by it.
 */

import { type Clock, delay } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { decodeEpoch, encodeElectionEntry, encodeEpoch } from '../shared/payloads.ts';
import { removeIfThere } from '../shared/remove-if-there.ts';
import { compareSequence } from '../shared/sequence.ts';
import { isStoreError, type Operation, type SessionState, type Store, type Watch } from '../shared/store.ts';
import { ELECTION, ELECTION_PREFIX, EPOCH } from '../shared/znodes.ts';

/** One term of leadership. */
export interface Leadership {
  /** Higher than that of any leadership before. */
  readonly epoch: number;
  /** First step of every transaction of this leader: fails once another one has won. */
  readonly fence: Operation;
  /** Aborted as soon as leadership is in doubt. */
  readonly signal: AbortSignal;
  /** When this host was connected again after its connection was in doubt or its session lost, ms of the clock; undefined: it never was. */
  readonly backSince: number | undefined;
  /** Gives this term up, after a write whose outcome is not known, say; a new term may follow. */
  resign(why: string): void;
}

export interface ElectionOptions {
  readonly store: Store;
  readonly host: string;
  readonly machineId: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onLeading: (leadership: Leadership) => void;
}

/** Pause before a failed step is tried again. */
const RETRY_MS = 200;

export class Election {
  private path: string | undefined;
  /** On the predecessor, or, while leading, on the znode of our own. */
  private watch: Watch | undefined;
  private term: AbortController | undefined;
  private leftForGood = false;
  private evaluating: Promise<void> | undefined;
  private again = false;
  private entering: Promise<string> | undefined;
  /** A create was sent and its answer never came. */
  private outcomeUnknown = false;
  private minimumEpoch = 0;
  private wasConnected = false;
  private backSince: number | undefined;
  private readonly abort = new AbortController();
  private readonly unsubscribe: () => void;

  constructor(private readonly options: ElectionOptions) {
    this.unsubscribe = options.store.onState((state) => this.onState(state));
    this.noteConnection(options.store.state);
  }

  /**
   * Enters the election of the present session; answers the path of the election znode. `earlier` is the election znode
   * of this host's earlier session, if one is known: it is removed, so that nobody waits for it to expire.
   */
  async join(earlier: string | undefined): Promise<string> {
    if (this.path !== undefined) return this.path;
    if (earlier?.startsWith(ELECTION_PREFIX)) await removeIfThere(this.options.store, earlier);
    const path = await this.enter();
    this.evaluate();
    return path;
  }

  get leading(): boolean {
    return this.term !== undefined;
  }

  /** The next term's epoch is to be higher than this one, which some executor has obeyed already. */
  raiseEpochAbove(epoch: number): void {
    this.minimumEpoch = Math.max(this.minimumEpoch, epoch + 1);
  }

  /** Gives up leadership and candidacy at once, so that the next one leads without waiting for a timeout. */
  async leave(): Promise<void> {
    this.leftForGood = true;
    this.unsubscribe();
    this.end('this daemon is leaving');
    this.abort.abort(new Error('leaving the election'));
    this.watch?.close();
    await this.evaluating;
    if (this.path !== undefined && this.options.store.state.kind === 'connected') {
      await removeIfThere(this.options.store, this.path).catch(() => undefined);
    }
  }

  private onState(state: SessionState): void {
    switch (state.kind) {
      case 'connected':
        this.noteConnection(state);
        if (this.path !== undefined) this.evaluate();
        return;
      case 'suspended':
        this.end(`the connection to ZooKeeper is in doubt: ${state.why}`);
        return;
      case 'lost':
      case 'closed':
        this.path = undefined;
        this.end('the ZooKeeper session is gone');
        return;
      case 'connecting':
        return;
    }
  }

  private noteConnection(state: SessionState): void {
    if (state.kind !== 'connected') return;
    if (this.wasConnected) this.backSince = this.options.clock.now();
    this.wasConnected = true;
  }

  private end(why: string): void {
    if (!this.term) return;
    this.options.log.info(`no longer the leader: ${why}`);
    const term = this.term;
    this.term = undefined;
    term.abort(new Error(why));
  }

  /** Finds out whether we lead now; asked again while it runs, it runs once more. */
  private evaluate(): void {
    if (this.leftForGood) return;
    if (this.evaluating !== undefined) {
      this.again = true;
      return;
    }
    this.evaluating = this.evaluateUntilSettled().finally(() => {
      this.evaluating = undefined;
    });
  }

  private async evaluateUntilSettled(): Promise<void> {
    do {
      this.again = false;
      try {
        await this.evaluateOnce();
      } catch (error) {
        if (this.abort.signal.aborted || this.options.store.state.kind !== 'connected') return;
        this.options.log.warn(`the election could not be read: ${String(error)}; tried again`);
        this.again = true;
        await delay(this.options.clock, RETRY_MS, this.abort.signal).catch(() => undefined);
      }
    } while (this.again && !this.leftForGood);
  }

  private async evaluateOnce(): Promise<void> {
    const { store } = this.options;
    const { path } = this;
    if (path === undefined || store.state.kind !== 'connected') return;
    const { session } = store.state;
    const mine = path.slice(ELECTION.length + 1);
    const names = (await store.children(ELECTION)) ?? [];
    // what stands there by mistake is no candidate, and must not be waited for
    const candidates = names.filter((name) => /^n_-?\d+$/.test(name)).sort(compareSequence);
    // the numbers begin anew when the parent was removed: a name that was ours may be another daemon's by now
    const index = (await this.isOwn(path)) ? candidates.indexOf(mine) : -1;
    this.watch?.close();
    this.watch = undefined;
    if (index < 0) {
      this.end('its election znode was removed');
      await this.rejoin();
      return;
    }
    const before = candidates[index - 1];
    if (before === undefined) {
      await this.lead(path);
      if (this.leftForGood) return;
      // where everything is removed the fence's version is counted anew, too: this alone tells that the term is over
      this.watch = store.watch(path, (node) => {
        if (node?.owner !== session) this.evaluate();
      });
      return;
    }
    this.end('another daemon is before it in the election');
    this.watch = store.watch(`${ELECTION}/${before}`, (node) => {
      if (!node) this.evaluate();
    });
  }

  private async rejoin(): Promise<void> {
    this.options.log.warn('the election znode of this daemon was removed by someone; entering the election again');
    // the path is kept until there is another: when this fails, the next attempt finds it missing again
    await this.enter();
    this.again = true;
  }

  /** Whoever asks while one is being made gets the same znode: a second one of ours would wait for the first for ever. */
  private enter(): Promise<string> {
    this.entering ??= this.makeEntry().finally(() => {
      this.entering = undefined;
    });
    return this.entering;
  }

  /** Creates the election znode, or finds the one that an attempt with an unknown outcome has created after all. */
  private async makeEntry(): Promise<string> {
    const { store, host, machineId } = this.options;
    await store.ensure(ELECTION);
    const created = this.outcomeUnknown ? await this.findOwn() : undefined;
    this.outcomeUnknown = true;
    this.path =
      created ??
      (await store.create(ELECTION_PREFIX, encodeElectionEntry({ host, machineId }), 'ephemeral-sequential'));
    this.outcomeUnknown = false;
    return this.path;
  }

  private async findOwn(): Promise<string | undefined> {
    for (const name of (await this.options.store.children(ELECTION)) ?? []) {
      const path = `${ELECTION}/${name}`;
      if (await this.isOwn(path)) return path;
    }
    return undefined;
  }

  private async isOwn(path: string): Promise<boolean> {
    const { store } = this.options;
    const node = await store.get(path);
    if (store.state.kind !== 'connected') throw new Error('the connection to ZooKeeper was lost meanwhile');
    return node?.owner === store.state.session;
  }

  private async lead(election: string): Promise<void> {
    if (this.term) return;
    const { store, host, log } = this.options;
    await store.create(EPOCH, encodeEpoch({ epoch: 0, leader: host }), 'persistent').catch(ignoreNodeExists);
    const node = await store.get(EPOCH);
    if (!node) throw new Error(`${EPOCH} was removed while it was being read`);
    const decoded = decodeEpoch(node.data, node.path);
    if (!decoded.ok) log.error(`${decoded.problem}; a new epoch is derived from the znode's version`);
    const epoch = Math.max(decoded.ok ? decoded.value.epoch + 1 : 0, node.version + 1, this.minimumEpoch);
    const results = await store.transaction([
      { op: 'exists', path: election },
      // a version of 0 cannot be checked through the client library; then the election znode alone is the guard
      {
        op: 'set',
        path: EPOCH,
        data: encodeEpoch({ epoch, leader: host }),
        ...(node.version > 0 && { version: node.version }),
      },
    ]);
    const written = results[1];
    if (written?.op !== 'set') throw new Error('the transaction on the epoch has no answer for its second step');
    if (this.leftForGood || store.state.kind !== 'connected') return;
    const term = new AbortController();
    this.term = term;
    log.info(`leading with epoch ${epoch}`, { epoch });
    this.options.onLeading({
      epoch,
      fence: { op: 'check', path: EPOCH, version: written.version },
      signal: term.signal,
      backSince: this.backSince,
      resign: (why) => {
        if (this.term !== term) return;
        this.end(why);
        // not at once: what made it resign may still be there
        void delay(this.options.clock, RETRY_MS, this.abort.signal).then(
          () => this.evaluate(),
          () => undefined,
        );
      },
    });
  }
}

function ignoreNodeExists(error: unknown): void {
  if (!isStoreError(error, 'node-exists')) throw error;
}
