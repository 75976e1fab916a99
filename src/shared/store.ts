/**
 * What the rest of the program sees of ZooKeeper: one session, promises with deadlines, transactions, and watches that
 * deliver the latest value for as long as they are open. `zookeeper/` implements it over node-zookeeper-client, the
 * simulation over memory; both pass the same contract tests.
 */

/**
 * `connecting`: no session yet, nothing confirmed. `connected`: the ensemble's leader has answered something sent within
 * the last 5/12 of the session timeout. `suspended`: silence or a lost connection; the session may or may not live on;
 * whoever leads must stop at once. `lost`: the session is certainly gone with its ephemerals; a new one is being made and `connected` follows with
 * another `session`. `closed`: by us, for good.
 */
export type SessionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected'; readonly session: string; readonly timeoutMs: number; readonly server: string }
  | {
      readonly kind: 'suspended';
      readonly session: string;
      readonly why: string;
      /** Sending time (ms of the clock in use) of the newest request that the ensemble's leader answered: the session lives until `timeoutMs` later at least. */
      readonly confirmedAt: number;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'lost'; readonly session: string }
  | { readonly kind: 'closed' };

export type StoreErrorCode =
  | 'no-node'
  | 'node-exists'
  | 'bad-version'
  | 'not-empty'
  | 'no-children-for-ephemerals'
  | 'no-auth'
  | 'too-large' // refused by us before it was sent
  | 'connection-loss' // the server may or may not have done it
  | 'session-lost'
  | 'deadline' // no answer in time; the server may or may not have done it
  | 'closed'
  | 'other';

/** Every rejection of a `Store` method is one of these. `path` is the znode concerned (in a transaction: the failing operation's). */
export class StoreError extends Error {
  constructor(
    readonly code: StoreErrorCode,
    readonly path: string,
    message: string,
  ) {
    super(message);
    this.name = 'StoreError';
  }
}

/** True for a rejection of ours with one of these codes. */
export function isStoreError(error: unknown, ...codes: readonly StoreErrorCode[]): error is StoreError {
  return error instanceof StoreError && codes.includes(error.code);
}

/** A znode as read. */
export interface Znode {
  readonly path: string;
  readonly data: Buffer;
  /** dataVersion. */
  readonly version: number;
  /** zxid of its creation: another one under the same path is another znode. */
  readonly czxid: bigint;
  readonly mzxid: bigint;
  /** When it was created, ms since 1970 by the clock of the ZooKeeper server that led then: no host's. */
  readonly ctime: number;
  /** Session that owns an ephemeral, as in `SessionState.session`; undefined for a persistent znode. */
  readonly owner?: string;
}

export type CreateMode = 'persistent' | 'ephemeral' | 'persistent-sequential' | 'ephemeral-sequential';

/** One step of a transaction. `check` refuses version 0: the client library would turn it into "any". */
export type Operation =
  | { readonly op: 'check'; readonly path: string; readonly version: number }
  | { readonly op: 'exists'; readonly path: string }
  | { readonly op: 'create'; readonly path: string; readonly data: Buffer; readonly mode: CreateMode }
  | { readonly op: 'set'; readonly path: string; readonly data: Buffer; readonly version?: number }
  | { readonly op: 'remove'; readonly path: string; readonly version?: number };

/** Answer to the operation of the same index. */
export type OperationResult =
  | { readonly op: 'check' | 'exists' | 'remove' }
  | { readonly op: 'create'; readonly path: string }
  | { readonly op: 'set'; readonly version: number };

/** An open watch. After `close()` its listener is not called again. */
export interface Watch {
  close(): void;
}

/** All paths are absolute below the chroot: `/members/w1`. Deadlines default to the session timeout. */
export interface Store {
  readonly state: SessionState;
  /** Calls `listener` at every change of state (not for the current one); the answer ends it. */
  onState(listener: (state: SessionState) => void): () => void;
  /**
   * Calls `listener` with the sending time (ms of the clock in use) of the newest request that the ensemble's leader has
   * answered, each time a newer one has been, while `connected`. First right after `connected`. The answer ends it.
   */
  onConfirmed(listener: (confirmedAt: number) => void): () => void;

  get(path: string): Promise<Znode | undefined>;
  /** Names, sorted; undefined when the parent does not exist. */
  children(path: string): Promise<string[] | undefined>;
  /** Answers the real path (with the sequence number, if sequential). */
  create(path: string, data: Buffer, mode: CreateMode): Promise<string>;
  /** Answers the new version. `version`: only if the znode has it (never 0). */
  set(path: string, data: Buffer, version?: number): Promise<number>;
  remove(path: string, version?: number): Promise<void>;
  /** Creates the persistent path and its parents where missing. */
  ensure(path: string): Promise<void>;
  /** All or nothing. At most 900 KiB altogether. */
  transaction(operations: readonly Operation[]): Promise<OperationResult[]>;

  /**
   * Calls `listener` with the znode (undefined: there is none) first as it is, then after every change seen; quick
   * successive changes may come as one. Survives disconnects and new sessions: on each new connection the value is read
   * again and delivered if it differs. Silent while not connected. `until` gone: the first `undefined` is the last that is
   * delivered, and no watch for the znode's return is left on the server: for names that never come again.
   */
  watch(path: string, listener: (node: Znode | undefined) => void, until?: 'closed' | 'gone'): Watch;
  /**
   * Same for the sorted names of the children; undefined while the parent does not exist. It is called whenever one was
   * made or removed, also when the names are the same again. A list of thousands is not read for each single change: it
   * rests for `restOfNames` between two readings.
   */
  watchChildren(path: string, listener: (names: readonly string[] | undefined) => void): Watch;

  /** Ends the session: its ephemerals are gone when this resolves (or after 2 s at most, when no server answers). */
  close(): Promise<void>;
}

/** No payload may exceed this (znodes are limited to 1 MiB by the server, with the packet's other parts). */
export const MAX_PAYLOAD_BYTES = 900 * 1024;

const NAMES_PER_MS = 50;

/**
 * How long a list of so many children is not read again, ms; none for less than 50. To read, sort and compare 10,000 names took
 * a daemon 8 ms; so they take 4 % of its time at most, however fast they change.
 */
export function restOfNames(count: number): number {
  return Math.floor(count / NAMES_PER_MS);
}
