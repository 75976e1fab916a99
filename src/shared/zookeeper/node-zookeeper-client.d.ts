/**
 * What `client.ts` uses of node-zookeeper-client 1.1.3, read from its source: the published types leave out its inner
 * modules, and these are where its faults can be mended. Longs are buffers of 8 bytes, big endian.
 */
declare module 'node-zookeeper-client/lib/ConnectionManager.js' {
  import type { Socket } from 'node:net';
  import type { Payload, ReplyHeader, Request, WatcherEvent } from 'node-zookeeper-client/lib/jute/index.js';

  /** Sends requests and matches replies, in order, on one socket after another. */
  class ConnectionManager {
    constructor(
      connectionString: string,
      options: { sessionTimeout: number; spinDelay: number; retries: number },
      stateListener: (state: number) => void,
    );
    static readonly STATES: {
      readonly DISCONNECTED: number;
      readonly CONNECTING: number;
      readonly CONNECTED: number;
      readonly SESSION_EXPIRED: number;
    };
    state: number;
    socket: Socket | undefined;
    /** Number of the next request; sent as an int32. */
    xid: number;
    /** Last transaction seen. */
    zxid: Buffer;
    sessionId: Buffer;
    /** As granted by the server, in ms. */
    sessionTimeout: number;
    pendingBuffer: Buffer | null;
    watcherManager: { isEmpty(): boolean; emit(event: WatcherEvent): void };
    connect(): void;
    setState(state: number): void;
    onSocketConnected(): void;
    onSocketData(data: Buffer): void;
    onSocketClosed(hadError: boolean): void;
    onSocketTimeout(): void;
    queue(
      request: Request,
      callback?: (error: { code: number } | null, response?: { header: ReplyHeader; payload: Payload | null }) => void,
    ): void;
  }
  export default ConnectionManager;
}

declare module 'node-zookeeper-client/lib/Exception.js' {
  const Exception: { create(code: number, path?: string): Error & { code: number } };
  export default Exception;
}

declare module 'node-zookeeper-client/lib/jute/index.js' {
  class Payload {
    setChrootPath(path: string): void;
  }
  class RequestHeader {
    constructor(xid?: number, type?: number);
  }
  interface ReplyHeader {
    readonly xid: number;
    readonly err: number;
  }
  class Request {
    constructor(header: RequestHeader, payload: Payload | null);
  }
  interface Stat {
    readonly czxid: Buffer;
    readonly mzxid: Buffer;
    /** Last change of its children. */
    readonly pzxid: Buffer;
    readonly ctime: Buffer;
    readonly version: number;
    readonly ephemeralOwner: Buffer;
  }
  interface WatcherEvent {
    readonly type: number;
    readonly path: string;
  }
  class Acl {
    constructor(permissions: number, id: Id);
  }
  class Id {
    constructor(scheme: string, id: string);
  }
  class CreateRequest extends Payload {
    constructor(path: string, data: Buffer, acl: Acl[], flags: number);
  }
  class DeleteRequest extends Payload {
    constructor(path: string, version: number);
  }
  class ReadRequest extends Payload {
    constructor(path: string, watch: boolean);
  }
  class SetDataRequest extends Payload {
    constructor(path: string, data: Buffer, version: number);
  }
  class CreateResponse extends Payload {
    path: string;
  }
  class StatResponse extends Payload {
    stat: Stat;
  }
  class GetDataResponse extends StatResponse {
    data: Buffer | undefined;
  }
  class GetChildren2Response extends StatResponse {
    children: string[] | undefined;
  }
  /** `acls` only for a create. */
  interface RawOperation {
    type: number;
    path: string;
    data?: Buffer;
    acls?: { toRecord(): Acl }[];
    mode?: number;
    version?: number;
  }
  class TransactionRequest extends Payload {
    constructor(ops: RawOperation[]);
  }
  class TransactionResponse extends Payload {
    results: { type: number; path?: string; stat?: Stat; err?: number }[];
  }

  const jute: {
    readonly OP_CODES: Readonly<
      Record<
        | 'CREATE'
        | 'DELETE'
        | 'EXISTS'
        | 'GET_DATA'
        | 'SET_DATA'
        | 'PING'
        | 'GET_CHILDREN2'
        | 'CHECK'
        | 'MULTI'
        | 'CLOSE_SESSION'
        | 'ERROR',
        number
      >
    >;
    readonly XID_PING: number;
    readonly Request: typeof Request;
    readonly TransactionRequest: typeof TransactionRequest;
    readonly TransactionResponse: typeof TransactionResponse;
    readonly protocol: {
      readonly RequestHeader: typeof RequestHeader;
      readonly CreateRequest: typeof CreateRequest;
      readonly DeleteRequest: typeof DeleteRequest;
      readonly ExistsRequest: typeof ReadRequest;
      readonly GetDataRequest: typeof ReadRequest;
      readonly GetChildren2Request: typeof ReadRequest;
      readonly SetDataRequest: typeof SetDataRequest;
      readonly CreateResponse: typeof CreateResponse;
      readonly ExistsResponse: typeof StatResponse;
      readonly SetDataResponse: typeof StatResponse;
      readonly GetDataResponse: typeof GetDataResponse;
      readonly GetChildren2Response: typeof GetChildren2Response;
    };
    readonly data: { readonly ACL: typeof Acl; readonly Id: typeof Id };
  };

  export type { Payload, RawOperation, ReplyHeader, Request, Stat, WatcherEvent };
  export default jute;
}
