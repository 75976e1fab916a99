/** What is refused before it is sent, because a server would refuse it, drop the connection, or take it otherwise than meant. */
import { MAX_PAYLOAD_BYTES, type Operation, StoreError } from '../store.ts';
import { pathFault } from './paths.ts';

/** ZooKeeper's way to say that the version does not matter. */
export const ANY_VERSION = -1;
const MAX_INT32 = 0x7fff_ffff;

/** Throws a `StoreError` when `path` cannot be one of a znode. */
export function checkPath(path: string): void {
  const fault = pathFault(path);
  if (fault !== undefined)
    throw new StoreError('other', path, `${JSON.stringify(path)} is no path of a znode: ${fault}`);
}

/**
 * What is sent for a version asked for. Only versions from 1 on can be asked for: 0 has meant "any" in the client library,
 * and a fence that a mistake turns off would not be noticed.
 */
export function checkVersion(path: string, version: number | undefined): number {
  if (version === undefined) return ANY_VERSION;
  if (Number.isInteger(version) && version > 0 && version <= MAX_INT32) return version;
  throw new StoreError(
    'other',
    path,
    `${path}: version ${version} cannot be asked for, only 1 and above; write the znode once more first`,
  );
}

/** Bytes of all paths and data. */
export function operationBytes(operations: readonly Operation[]): number {
  return operations.reduce((sum, op) => sum + Buffer.byteLength(op.path) + ('data' in op ? op.data.length : 0), 0);
}

/** Throws a `StoreError` when `bytes` are more than one request may carry. */
export function checkSize(path: string, bytes: number): void {
  if (bytes <= MAX_PAYLOAD_BYTES) return;
  const kib = (n: number) => Math.ceil(n / 1024);
  const what = `${path}: ${kib(bytes)} KiB are too much for ZooKeeper, of which ${kib(MAX_PAYLOAD_BYTES)} KiB are allowed at once`;
  throw new StoreError('too-large', path, `${what}; write less, or in several parts`);
}
