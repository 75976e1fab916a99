/** The znodes of a pretended ZooKeeper: what each operation does and answers, without time, sessions' lives or a network. */
import type { CreateMode, StoreErrorCode } from '../../src/shared/store.ts';
import type { WatchEvent, WireOperation, WireResult } from '../../src/shared/zookeeper/calls.ts';
import { ANY_VERSION } from '../../src/shared/zookeeper/checks.ts';
import { parentOf } from '../../src/shared/zookeeper/paths.ts';

interface Node {
  data: Buffer;
  version: number;
  readonly czxid: bigint;
  mzxid: bigint;
  readonly ctime: number;
  readonly owner: string | undefined;
  readonly children: Set<string>;
  /** Children ever created: the next sequence number, as in ZooKeeper. */
  created: number;
  /** zxid of the last transaction that made or removed a child, or of its own creation. */
  pzxid: bigint;
}

export type Applied =
  | { readonly ok: true; readonly results: readonly WireResult[]; readonly events: readonly WatchEvent[] }
  | { readonly ok: false; readonly code: StoreErrorCode; readonly index: number };

/** Thrown within a transaction to roll it back. */
class Refusal extends Error {
  constructor(readonly code: StoreErrorCode) {
    super(code);
  }
}

export class ZnodeTree {
  private zxid = 0n;
  private readonly nodes: Map<string, Node>;

  /** `now`: ms since 1970 by the clock of the servers. */
  constructor(private readonly now: () => number) {
    this.nodes = new Map([['/', this.makeNode(Buffer.alloc(0), undefined)]]);
  }

  get(path: string): Readonly<Node> | undefined {
    return this.nodes.get(path);
  }

  /** Paths of all ephemerals of a session, in the order of their creation. */
  ephemeralsOf(session: string): string[] {
    return [...this.nodes].filter(([, { owner }]) => owner === session).map(([path]) => path);
  }

  /** All or nothing. `session` becomes the owner of ephemerals. */
  apply(session: string, operations: readonly WireOperation[]): Applied {
    const undo: (() => void)[] = [];
    const events: WatchEvent[] = [];
    const results: WireResult[] = [];
    this.zxid += 1n;
    for (const [index, operation] of operations.entries()) {
      try {
        results.push(this.step(session, operation, undo, events));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        for (const revert of undo.reverse()) revert();
        return { ok: false, code: error.code, index };
      }
    }
    return { ok: true, results, events };
  }

  private step(session: string, operation: WireOperation, undo: (() => void)[], events: WatchEvent[]): WireResult {
    switch (operation.op) {
      case 'check':
        this.expect(operation.path, operation.version);
        return { path: undefined, version: undefined };
      case 'create':
        return {
          path: this.create(session, operation.path, operation.data, operation.mode, undo, events),
          version: undefined,
        };
      case 'set':
        return { path: undefined, version: this.set(operation.path, operation.data, operation.version, undo, events) };
      case 'remove':
        this.remove(operation.path, operation.version, undo, events);
        return { path: undefined, version: undefined };
    }
  }

  private create(
    session: string,
    wanted: string,
    data: Buffer,
    mode: CreateMode,
    undo: (() => void)[],
    events: WatchEvent[],
  ): string {
    const parent = this.nodes.get(parentOf(wanted));
    if (parent === undefined) throw new Refusal('no-node');
    const sequential = mode === 'persistent-sequential' || mode === 'ephemeral-sequential';
    const path = sequential ? wanted + String(parent.created).padStart(10, '0') : wanted;
    if (this.nodes.has(path)) throw new Refusal('node-exists');
    if (parent.owner !== undefined) throw new Refusal('no-children-for-ephemerals');

    const ephemeral = mode === 'ephemeral' || mode === 'ephemeral-sequential';
    this.nodes.set(path, this.makeNode(data, ephemeral ? session : undefined));
    const { pzxid } = parent;
    parent.children.add(nameOf(path));
    parent.created += 1;
    parent.pzxid = this.zxid;
    undo.push(() => {
      this.nodes.delete(path);
      parent.children.delete(nameOf(path));
      parent.created -= 1;
      parent.pzxid = pzxid;
    });
    events.push({ type: 'created', path }, { type: 'children-changed', path: parentOf(path) });
    return path;
  }

  private set(path: string, data: Buffer, version: number, undo: (() => void)[], events: WatchEvent[]): number {
    const node = this.expect(path, version);
    const before = { data: node.data, version: node.version, mzxid: node.mzxid };
    undo.push(() => void Object.assign(node, before));
    node.data = Buffer.from(data);
    node.version += 1;
    node.mzxid = this.zxid;
    events.push({ type: 'data-changed', path });
    return node.version;
  }

  private remove(path: string, version: number, undo: (() => void)[], events: WatchEvent[]): void {
    const node = this.expect(path, version);
    if (node.children.size > 0) throw new Refusal('not-empty');
    const parent = this.nodes.get(parentOf(path));
    this.nodes.delete(path);
    const pzxid = parent?.pzxid;
    parent?.children.delete(nameOf(path));
    if (parent) parent.pzxid = this.zxid;
    undo.push(() => {
      this.nodes.set(path, node);
      parent?.children.add(nameOf(path));
      if (parent && pzxid !== undefined) parent.pzxid = pzxid;
    });
    events.push({ type: 'removed', path }, { type: 'children-changed', path: parentOf(path) });
  }

  private expect(path: string, version: number): Node {
    const node = this.nodes.get(path);
    if (node === undefined) throw new Refusal('no-node');
    if (version !== ANY_VERSION && node.version !== version) throw new Refusal('bad-version');
    return node;
  }

  private makeNode(data: Buffer, owner: string | undefined): Node {
    const zxid = this.zxid;
    const ctime = this.now();
    return {
      data: Buffer.from(data),
      version: 0,
      czxid: zxid,
      mzxid: zxid,
      ctime,
      owner,
      children: new Set(),
      created: 0,
      pzxid: zxid,
    };
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
