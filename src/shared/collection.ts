/**
 * All children of one znode with their decoded values, kept up to date. A child that cannot be read keeps its last
 * readable value and is listed among the problems: what is unreadable is reported and never acted upon.
 */
import type { Logger } from './log.ts';
import type { Decoded } from './payloads.ts';
import type { Store, Watch, Znode } from './store.ts';

export class Collection<T> {
  /** Child's name → last readable value. */
  readonly values = new Map<string, T>();
  /** Path of a child that cannot be read → why. */
  readonly problems = new Map<string, string>();
  private names: readonly string[] | undefined;
  private readonly watches = new Map<string, Watch>();
  private readonly seen = new Set<string>();
  private readonly parent: Watch;

  constructor(
    private readonly store: Store,
    private readonly path: string,
    private readonly decode: (data: Buffer, path: string) => Decoded<T>,
    private readonly log: Logger,
    private readonly onChange: () => void,
  ) {
    this.parent = store.watchChildren(path, (names) => this.onNames(names ?? []));
  }

  /** Every child that exists now has been read at least once. */
  get ready(): boolean {
    return this.names?.every((name) => this.seen.has(name)) ?? false;
  }

  /** Names of all children, readable or not. */
  get present(): readonly string[] {
    return this.names ?? [];
  }

  close(): void {
    this.parent.close();
    for (const watch of this.watches.values()) watch.close();
  }

  private onNames(names: readonly string[]): void {
    this.names = names;
    const present = new Set(names);
    for (const name of [...this.watches.keys()]) if (!present.has(name)) this.drop(name);
    for (const name of names) {
      if (this.watches.has(name)) continue;
      this.watches.set(
        name,
        this.store.watch(`${this.path}/${name}`, (node) => this.onChild(name, node)),
      );
    }
    this.onChange();
  }

  private drop(name: string): void {
    this.watches.get(name)?.close();
    this.watches.delete(name);
    this.seen.delete(name);
    this.values.delete(name);
    this.problems.delete(`${this.path}/${name}`);
  }

  private onChild(name: string, node: Znode | undefined): void {
    this.seen.add(name);
    const path = `${this.path}/${name}`;
    if (!node) {
      // the list of names, which is read separately, has the last word on what exists
      this.onChange();
      return;
    }
    const decoded = this.decode(node.data, path);
    if (decoded.ok) {
      this.values.set(name, decoded.value);
      this.problems.delete(path);
    } else {
      this.problems.set(path, decoded.problem);
      this.log.error(`${decoded.problem}; it is not acted upon`, { path });
    }
    this.onChange();
  }
}
