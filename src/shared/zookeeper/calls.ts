/** The vocabulary between `client.ts`, which alone knows the client library, and the rest of this layer. */
import type { CreateMode, StoreErrorCode } from '../store.ts';

/** What a request may come back with when it failed: ZooKeeper's error number (KeeperException.Code), always below 0. */
export type ErrorNumber = number;

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  /** `index`: which operation of a transaction failed. */
  | { readonly ok: false; readonly error: ErrorNumber; readonly index?: number };

/** Of a znode, as the server tells it. */
export interface ZnodeStat {
  readonly version: number;
  readonly czxid: bigint;
  readonly mzxid: bigint;
  /** Ms since 1970 by the clock of the ensemble's leader at its creation. */
  readonly ctime: number;
  /** Session in hex; undefined for a persistent znode. */
  readonly owner: string | undefined;
}

/** The children of a znode. */
export interface Children {
  readonly names: string[];
  /** zxid of the last transaction that made or removed one, or of the znode's own creation. */
  readonly changed: bigint;
}

/** One step of a transaction on the wire; `version` -1: any. */
export type WireOperation =
  | { readonly op: 'check'; readonly path: string; readonly version: number }
  | { readonly op: 'create'; readonly path: string; readonly data: Buffer; readonly mode: CreateMode }
  | { readonly op: 'set'; readonly path: string; readonly data: Buffer; readonly version: number }
  | { readonly op: 'remove'; readonly path: string; readonly version: number };

export interface WireResult {
  readonly path: string | undefined;
  readonly version: number | undefined;
}

/** What a watch left on the server reports, once. `path` is the server's. */
export interface WatchEvent {
  readonly type: 'created' | 'removed' | 'data-changed' | 'children-changed';
  readonly path: string;
}

export const CONNECTION_LOSS = -4;
export const NO_NODE = -101;
export const NODE_EXISTS = -110;
export const SESSION_EXPIRED = -112;
export const SESSION_MOVED = -118;

/** Which code of ours an error number becomes, and what a person should know of it. */
export function describeError(error: ErrorNumber): { readonly code: StoreErrorCode; readonly message: string } {
  switch (error) {
    case CONNECTION_LOSS:
    case SESSION_MOVED:
      return { code: 'connection-loss', message: 'the connection was lost before the answer; it may have been done' };
    case NO_NODE:
      return { code: 'no-node', message: 'there is no such znode (for a create: no parent)' };
    case -102:
      return { code: 'no-auth', message: 'ZooKeeper forbids it; look at the ACL with zkCli.sh getAcl' };
    case -103:
      return { code: 'bad-version', message: 'the znode has another version' };
    case -108:
      return { code: 'no-children-for-ephemerals', message: 'an ephemeral znode cannot have children' };
    case NODE_EXISTS:
      return { code: 'node-exists', message: 'the znode exists already' };
    case -111:
      return { code: 'not-empty', message: 'the znode has children' };
    case SESSION_EXPIRED:
      return { code: 'session-lost', message: 'the session expired' };
    case -125:
      return { code: 'other', message: 'a quota of ZooKeeper is exceeded; look with zkCli.sh listquota' };
    default:
      return { code: 'other', message: `ZooKeeper answered error ${error}` };
  }
}
