/** A client of the pretended ensemble: its reads, writes and watches, over its connection. */
import { compare } from '../../src/shared/names.ts';
import {
  type CreateMode,
  type Operation,
  type OperationResult,
  restOfNames,
  type SessionState,
  type Store,
  StoreError,
  type Watch,
  type Znode,
} from '../../src/shared/store.ts';
import type { Children, WatchEvent, WireOperation, WireResult } from '../../src/shared/zookeeper/calls.ts';
import { ANY_VERSION, checkPath, checkSize, checkVersion, operationBytes } from '../../src/shared/zookeeper/checks.ts';
import { parentOf } from '../../src/shared/zookeeper/paths.ts';
import { Watches } from '../../src/shared/zookeeper/watches.ts';
import type { FakeProcess } from './process.ts';
import type { FakeEnsemble } from './store.ts';
import { FakeConnection } from './store-connection.ts';

export class FakeStore implements Store {
  /** Reads that were asked for, those of watches included. */
  reads = 0;
  private readonly connection: FakeConnection;
  private readonly watches: Watches;
  /** What the client has watches on, and how many. */
  private readonly watched = new Map<string, { data: number; children: number }>();

  constructor(
    private readonly ensemble: FakeEnsemble,
    timeoutMs: number,
    readonly process: FakeProcess,
  ) {
    const { log, random } = ensemble;
    this.watches = new Watches({ clock: process, log, random, connected: () => this.state.kind === 'connected' });
    this.connection = new FakeConnection(ensemble, timeoutMs, process, {
      openSession: () => ensemble.openSession(this, timeoutMs),
      attached: () => this.watches.connected(),
      closed: () => this.watches.closeAll(),
      died: () => {
        this.watches.closeAll();
        ensemble.forget(this);
      },
    });
  }

  get state(): SessionState {
    return this.connection.state;
  }

  onState(listener: (state: SessionState) => void): () => void {
    return this.connection.onState(listener);
  }

  onConfirmed(listener: (confirmedAt: number) => void): () => void {
    return this.connection.onConfirmed(listener);
  }

  get(path: string): Promise<Znode | undefined> {
    return this.read(path, () => this.znode(path));
  }

  async children(path: string): Promise<string[] | undefined> {
    return (await this.list(path))?.names;
  }

  async create(path: string, data: Buffer, mode: CreateMode): Promise<string> {
    checkSize(path, data.length);
    const [result] = await this.write([{ op: 'create', path, data, mode }]);
    return result?.path ?? path;
  }

  async set(path: string, data: Buffer, version?: number): Promise<number> {
    checkSize(path, data.length);
    const [result] = await this.write([{ op: 'set', path, data, version: checkVersion(path, version) }]);
    return result?.version ?? Number.NaN;
  }

  async remove(path: string, version?: number): Promise<void> {
    await this.write([{ op: 'remove', path, version: checkVersion(path, version) }]);
  }

  async ensure(path: string): Promise<void> {
    if ((await this.get(path)) !== undefined) return;
    if (path !== '/') await this.ensure(parentOf(path));
    await this.create(path, Buffer.alloc(0), 'persistent').catch((error: unknown) => {
      if (!(error instanceof StoreError) || error.code !== 'node-exists') throw error;
    });
  }

  async transaction(operations: readonly Operation[]): Promise<OperationResult[]> {
    if (operations.length === 0) return [];
    checkSize(operations[0]?.path ?? '/', operationBytes(operations));
    const results = await this.write(operations.map(toWire));
    return operations.map(({ op, path }, index): OperationResult => {
      const result = results[index];
      if (op === 'create') return { op, path: result?.path ?? path };
      if (op === 'set') return { op, version: result?.version ?? Number.NaN };
      return { op };
    });
  }

  watch(path: string, listener: (node: Znode | undefined) => void, until: 'closed' | 'gone' = 'closed'): Watch {
    checkPath(path);
    const same = (a: Znode | undefined, b: Znode | undefined) => a?.czxid === b?.czxid && a?.mzxid === b?.mzxid;
    const tell = (node: Znode | undefined) => {
      if (until === 'gone' && !node) watch.close();
      listener(node);
    };
    const options = until === 'gone' ? { gone: () => undefined } : {};
    const opened = this.watches.open('data', path, () => this.get(path), same, tell, options);
    const watch = this.counted(path, 'data', opened);
    return watch;
  }

  watchChildren(path: string, listener: (names: readonly string[] | undefined) => void): Watch {
    checkPath(path);
    const same = (a: Children | undefined, b: Children | undefined) => a?.changed === b?.changed;
    const tell = (found: Children | undefined) => listener(found?.names);
    const options = { restOf: (found: Children | undefined) => restOfNames(found?.names.length ?? 0) };
    const watch = this.watches.open('children', path, () => this.list(path), same, tell, options);
    return this.counted(path, 'children', watch);
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  // Faults, and what the ensemble calls.

  /**
   * The cable is cut so that nothing is noticed (`silent`; `requests`, `answers`: in one direction only), or the
   * connection is reset (`reset`); until `heal`.
   */
  cut(how: 'silent' | 'requests' | 'answers' | 'reset'): void {
    this.connection.cut(how);
  }

  /** The cable is whole again. */
  heal(): void {
    this.connection.heal();
  }

  /**
   * The server that the client is connected to is cut off from the others: for `ms` it answers reads, then it gives up and
   * closes the connection. What it had heard of the client for the last `lagMs` it has not told the others yet. Worse than
   * a real one it answers heartbeats, too, so that what is confirmed is no proof: what may run once must not rest on it.
   */
  strand(ms: number, lagMs: number): void {
    this.connection.strand(ms, lagMs);
  }

  /** It is connected to a server that has lost the others. */
  get isStranded(): boolean {
    return this.connection.isStranded;
  }

  /** The next request is done, but the connection is reset before its answer arrives. */
  loseNextAnswer(): void {
    this.connection.loseNextAnswer();
  }

  /** The process dies: it neither says nor hears anything any more, but for what is on its way; its session runs out. */
  kill(): void {
    this.connection.kill();
  }

  /** The server ends the connection. */
  onReset(why: string): void {
    this.connection.onReset(why);
  }

  /** Tries to connect, if it makes sense; harmless at any time. */
  dial(): void {
    this.connection.dial();
  }

  /** Events of watches on their way to this client. */
  notify(events: readonly WatchEvent[]): void {
    const concerned = events.filter(({ type, path }) => {
      const watched = this.watched.get(path);
      if (watched === undefined) return false;
      return (type !== 'children-changed' && watched.data > 0) || (type !== 'data-changed' && watched.children > 0);
    });
    if (concerned.length === 0) return;
    this.connection.push(() => {
      for (const event of concerned) this.watches.event(event);
    });
  }

  private counted(path: string, kind: 'data' | 'children', watch: Watch): Watch {
    const counts = this.watched.get(path) ?? { data: 0, children: 0 };
    this.watched.set(path, counts);
    counts[kind] += 1;
    let open = true;
    return {
      close: () => {
        if (!open) return;
        open = false;
        counts[kind] -= 1;
        if (counts.data + counts.children === 0) this.watched.delete(path);
        watch.close();
      },
    };
  }

  /** As `checkPath`: what is there may be there. */
  private check(path: string): void {
    if (!this.ensemble.tree.get(path)) checkPath(path);
  }

  private async read<T>(path: string, look: () => T): Promise<T> {
    this.check(path);
    this.reads += 1;
    return await this.connection.request(path, true, () => ({ ok: true, value: look() }));
  }

  private async write(operations: readonly WireOperation[]): Promise<readonly WireResult[]> {
    for (const { path } of operations) this.check(path);
    const first = operations[0]?.path ?? '/';
    return await this.connection.request(first, false, (session) => {
      const applied = this.ensemble.apply(session, operations);
      if (applied.ok) return { ok: true, value: applied.results };
      return { ok: false, code: applied.code, path: operations[applied.index]?.path ?? first };
    });
  }

  private znode(path: string): Znode | undefined {
    const node = this.ensemble.tree.get(path);
    if (node === undefined) return undefined;
    const { data, version, czxid, mzxid, ctime, owner } = node;
    const znode = { path, data: Buffer.from(data), version, czxid, mzxid, ctime };
    return owner === undefined ? znode : { ...znode, owner };
  }

  private list(path: string): Promise<Children | undefined> {
    return this.read(path, () => {
      const node = this.ensemble.tree.get(path);
      return node && { names: [...node.children].sort(compare), changed: node.pzxid };
    });
  }
}

function toWire(operation: Operation): WireOperation {
  switch (operation.op) {
    case 'create':
      return operation;
    case 'exists':
      return { op: 'check', path: operation.path, version: ANY_VERSION };
    case 'check':
    case 'remove':
      return { op: operation.op, path: operation.path, version: checkVersion(operation.path, operation.version) };
    case 'set': {
      const { path, data, version } = operation;
      return { op: 'set', path, data, version: checkVersion(path, version) };
    }
  }
}
