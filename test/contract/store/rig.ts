/** Clients of one tree that can be cut off from it, and what is awaited and expected of them. */
import { expect } from 'vitest';
import { type SessionState, type Store, StoreError, type StoreErrorCode } from '../../../src/shared/store.ts';
import type { Direction } from '../../harness/tcp-proxy.ts';
import { until, untilEqual } from '../../harness/until.ts';

/** A client under test and the cable it hangs on. */
export interface Client {
  readonly store: Store;
  /** Cuts the connection at once and keeps it cut. */
  cut(): void;
  /** From now on nothing gets through in these directions, and nobody is told. */
  silence(...directions: readonly Direction[]): void;
  /** The cable is whole again: what was silenced arrives late. */
  heal(): void;
  dispose(): Promise<void>;
}

/** The clients of a test. */
export interface Rig {
  join(sessionMs?: number): Promise<Client>;
  connected(sessionMs?: number): Promise<Store>;
  /** A persistent znode that only this test uses. */
  place(store: Store): Promise<string>;
  dispose(): Promise<void>;
}

export const DEADLINE = { deadlineMs: 8000, everyMs: 5 };

/** Long enough that a busy machine ends none. */
export const SESSION_MS = 2_000;
/** Where what is left of one after a silence is to be long enough, too. */
export const LONG_SESSION_MS = 6_000;

/** `name` begins the paths of its places; `client` makes a client with sessions of so many ms. */
export function rigOf(name: string, client: (sessionMs: number) => Promise<Client>): Rig {
  const open: Client[] = [];
  let count = 0;

  async function join(sessionMs = SESSION_MS): Promise<Client> {
    const joined = await client(sessionMs);
    open.push(joined);
    return joined;
  }

  return {
    join,
    async connected(sessionMs = SESSION_MS) {
      const { store } = await join(sessionMs);
      await untilConnected(store);
      return store;
    },
    async place(store) {
      count += 1;
      const path = `/${name.replaceAll(' ', '-')}-${process.pid}-${count}`;
      await store.ensure(path);
      return path;
    },
    async dispose() {
      await Promise.all(open.splice(0).map((each) => each.dispose()));
    },
  };
}

export function bytes(text: string): Buffer {
  return Buffer.from(text);
}

/** Answers the state once it is connected. */
export async function untilConnected(store: Store): Promise<Extract<SessionState, { kind: 'connected' }>> {
  return await until(() => (store.state.kind === 'connected' ? store.state : undefined), {
    ...DEADLINE,
    what: 'a connection',
  });
}

export async function untilKind(store: Store, kind: SessionState['kind']): Promise<void> {
  await untilEqual(() => store.state.kind, kind, { ...DEADLINE, what: 'the state' });
}

/** Expects a rejection with a `StoreError` of this code about this path. */
export async function refused(request: Promise<unknown>, code: StoreErrorCode, path: string): Promise<void> {
  const outcome = await request.then(
    (value) => ({ answered: value }),
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(StoreError);
  expect(outcome).toMatchObject({ code, path });
}
