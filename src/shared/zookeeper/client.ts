/**
 * The library node-zookeeper-client, made safe; the only file that imports it. What is used of it is the wire format and
 * the matching of replies to requests. Its own dialling, pings, watch table, retries and request builders are replaced:
 * they have no time limits, do not notice silence, and carry remains of one connection into the next.
 */
import type { Socket } from 'node:net';
import ConnectionManager from 'node-zookeeper-client/lib/ConnectionManager.js';
import Exception from 'node-zookeeper-client/lib/Exception.js';
import jute, {
  type Payload,
  type RawOperation,
  type Request,
  type Stat,
} from 'node-zookeeper-client/lib/jute/index.js';
import type { CreateMode } from '../store.ts';
import type { Children, Outcome, WatchEvent, WireOperation, WireResult, ZnodeStat } from './calls.ts';

export type { ConnectionManager };
export const { STATES } = ConnectionManager;

/** Numbers that the library does not know (quota exceeded, session moved) would make it throw in a socket's handler. */
Exception.create = (code) => Object.assign(new Error(`ZooKeeper error ${code}`), { code });

const { OP_CODES, protocol } = jute;

/** A request and how its answer is read; use each once. */
export interface Call<T> {
  readonly type: number;
  readonly payload: Payload | null;
  /** Undefined when the answer is not what belongs to the request. */
  decode(payload: Payload | null): Outcome<T> | undefined;
}

export interface ManagerEvents {
  /** A new value of `manager.state`. */
  state(state: number): void;
  /** The library wants its next connection. */
  dial(): void;
  watch(event: WatchEvent): void;
}

/** The library's connection manager with everything disabled that we do ourselves. */
export function createManager(sessionTimeoutMs: number, events: ManagerEvents): ConnectionManager {
  // It insists on a server in its connection string; the sockets it gets are not its own.
  const options = { sessionTimeout: sessionTimeoutMs, spinDelay: 0, retries: 0 };
  const manager = new ConnectionManager('-', options, (state) => events.state(state));
  manager.connect = () => events.dial();
  manager.onSocketTimeout = () => {};
  manager.watcherManager = {
    // No watch is known to the library, so it never sends them all again in one packet too large for the server.
    isEmpty: () => true,
    emit(event) {
      const type = EVENT_TYPES.get(event.type);
      if (type !== undefined) events.watch({ type, path: event.path });
    },
  };
  return manager;
}

/** org.apache.zookeeper.Watcher.Event.EventType */
const EVENT_TYPES: ReadonlyMap<number, WatchEvent['type']> = new Map([
  [1, 'created'],
  [2, 'removed'],
  [3, 'data-changed'],
  [4, 'children-changed'],
]);

export function toRequest(call: Call<unknown>): Request {
  return new jute.Request(new protocol.RequestHeader(0, call.type), call.payload);
}

/** Number of every heartbeat: above those of requests (`LAST_XID`), below none, which would be the server's own. */
const XID_HEARTBEAT = 0x7fff_ffff;
const OP_SYNC = 9;
const HEARTBEAT = heartbeat();

/** `sync /`: length, number, type, and the path with its own length, each of them an int32. */
function heartbeat(): Buffer {
  const frame = Buffer.alloc(4 * 4 + 1);
  frame.writeInt32BE(frame.length - 4, 0);
  frame.writeInt32BE(XID_HEARTBEAT, 4);
  frame.writeInt32BE(OP_SYNC, 8);
  frame.writeInt32BE(1, 12);
  frame.write('/', 16);
  return frame;
}

/**
 * Sends what keeps the session alive and proves it. A `sync` and not a ping: a follower answers pings by itself for as long
 * as it takes its leader to be alive, while the leader, which alone ends sessions, may be cut off from it and hear nothing.
 * A `sync` is answered by the leader; it costs neither a vote nor a write to disk. The library knows no answer to it, so
 * that it is kept out of its queues.
 */
export function sendHeartbeat(socket: Socket): void {
  socket.write(HEARTBEAT);
}

/** Whether a frame (length, then xid) answers a heartbeat. */
export function isHeartbeatAnswer(frame: Buffer): boolean {
  return frame.length >= 8 && frame.readInt32BE(4) === XID_HEARTBEAT;
}

/** Whether an answer to this request proves as much as one to a heartbeat: reads are answered by the server alone. */
export function isAnsweredByLeader(call: Call<unknown>): boolean {
  return LEADERS.has(call.type);
}

const LEADERS: ReadonlySet<number> = new Set([OP_CODES.CREATE, OP_CODES.DELETE, OP_CODES.SET_DATA, OP_CODES.MULTI]);

const FLAGS: Readonly<Record<CreateMode, number>> = {
  persistent: 0,
  ephemeral: 1,
  'persistent-sequential': 2,
  'ephemeral-sequential': 3,
};
const OPEN = new jute.data.ACL(31, new jute.data.Id('world', 'anyone'));

/** Hex of an id of 8 bytes; undefined for 0, which stands for none. */
export function toHex(id: Buffer): string | undefined {
  const value = id.readBigUInt64BE();
  return value === 0n ? undefined : value.toString(16);
}

function toStat(stat: Stat): ZnodeStat {
  const { version, ephemeralOwner } = stat;
  return {
    version,
    czxid: stat.czxid.readBigInt64BE(),
    mzxid: stat.mzxid.readBigInt64BE(),
    ctime: Number(stat.ctime.readBigInt64BE()),
    owner: toHex(ephemeralOwner),
  };
}

function done<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

function toRaw(operation: WireOperation): RawOperation {
  switch (operation.op) {
    case 'check':
      return { type: OP_CODES.CHECK, path: operation.path, version: operation.version };
    case 'remove':
      return { type: OP_CODES.DELETE, path: operation.path, version: operation.version };
    case 'set':
      return { type: OP_CODES.SET_DATA, path: operation.path, version: operation.version, data: operation.data };
    case 'create': {
      const { path, data, mode } = operation;
      return { type: OP_CODES.CREATE, path, data, mode: FLAGS[mode], acls: [{ toRecord: () => OPEN }] };
    }
  }
}

type RawResult = { type: number; path?: string; stat?: Stat; err?: number };

/** In a failed transaction each operation has an error: 0 before the one that failed, "rolled back" after it. */
function toResults(results: readonly RawResult[], expected: number): Outcome<WireResult[]> | undefined {
  const index = results.findIndex(({ type, err }) => type === OP_CODES.ERROR && err !== 0);
  const error = results[index]?.err;
  if (error !== undefined) return { ok: false, error, index };
  if (results.length !== expected) return undefined;
  return done(results.map(({ path, stat }) => ({ path, version: stat?.version })));
}

/** The requests we make; `watch` leaves a watch on the server that fires once. Paths are the server's. */
export const calls = {
  get: (path: string, watch: boolean): Call<ZnodeStat & { data: Buffer }> => ({
    type: OP_CODES.GET_DATA,
    payload: new protocol.GetDataRequest(path, watch),
    decode: (answer) =>
      answer instanceof protocol.GetDataResponse
        ? done({ ...toStat(answer.stat), data: answer.data ?? Buffer.alloc(0) })
        : undefined,
  }),
  exists: (path: string, watch: boolean): Call<void> => ({
    type: OP_CODES.EXISTS,
    payload: new protocol.ExistsRequest(path, watch),
    decode: () => done(undefined),
  }),
  children: (path: string, watch: boolean): Call<Children> => ({
    type: OP_CODES.GET_CHILDREN2,
    payload: new protocol.GetChildren2Request(path, watch),
    decode: (answer) =>
      answer instanceof protocol.GetChildren2Response
        ? done({ names: answer.children ?? [], changed: answer.stat.pzxid.readBigInt64BE() })
        : undefined,
  }),
  create: (path: string, data: Buffer, mode: CreateMode): Call<string> => ({
    type: OP_CODES.CREATE,
    payload: new protocol.CreateRequest(path, data, [OPEN], FLAGS[mode]),
    decode: (answer) => (answer instanceof protocol.CreateResponse ? done(answer.path) : undefined),
  }),
  set: (path: string, data: Buffer, version: number): Call<number> => ({
    type: OP_CODES.SET_DATA,
    payload: new protocol.SetDataRequest(path, data, version),
    decode: (answer) => (answer instanceof protocol.SetDataResponse ? done(answer.stat.version) : undefined),
  }),
  remove: (path: string, version: number): Call<void> => ({
    type: OP_CODES.DELETE,
    payload: new protocol.DeleteRequest(path, version),
    decode: () => done(undefined),
  }),
  transaction: (operations: readonly WireOperation[]): Call<WireResult[]> => ({
    type: OP_CODES.MULTI,
    // Built here and not with the library's builder, which turns version 0 into "any".
    payload: new jute.TransactionRequest(operations.map(toRaw)),
    decode: (answer) =>
      answer instanceof jute.TransactionResponse ? toResults(answer.results, operations.length) : undefined,
  }),
  closeSession: (): Call<void> => ({ type: OP_CODES.CLOSE_SESSION, payload: null, decode: () => done(undefined) }),
};
