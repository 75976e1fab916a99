/**
 * All children of one znode with their decoded values, kept up to date. A child that cannot be read keeps its last
 * readable value and is listed among the problems: what is unreadable is reported and never acted upon.
 *
 * Invariant: what happens to one child costs as many reads whatever the number of the others: one of its data when it was made
 * or changed, and one of all names when it was made or removed.
 */
import type { Logger } from './log.ts';
import type { Decoded } from './payloads.ts';
import type { Store, Watch, Znode } from './store.ts';

/** Problems that are logged one by one, until there is none any more: whoever spoils thousands must not fill the journal. */
const MAX_TOLD = 50;

export class Collection<T> {
  /** Child's name → last readable value. */
  readonly values = new Map<string, T>();
  /** Path of a child that cannot be read → why. */
  readonly problems = new Map<string, string>();
  private names: readonly string[] | undefined;
  /** Undefined: it was seen to be gone, and the names have not said so yet. */
  private readonly watches = new Map<string, Watch | undefined>();
  private readonly seen = new Set<string>();
  private readonly parent: Watch;
  private told = 0;
  /** The last number of names that were left out. */
  private leftOut = 0;

  constructor(
    private readonly store: Pick<Store, 'watch' | 'watchChildren'>,
    private readonly path: string,
    private readonly decode: (data: Buffer, path: string) => Decoded<T>,
    private readonly log: Logger,
    private readonly onChange: () => void,
    /** Children that are read, the first by name; default: all. That there are more is one of the problems. */
    private readonly limit = Number.POSITIVE_INFINITY,
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
    for (const watch of this.watches.values()) watch?.close();
  }

  private onNames(all: readonly string[]): void {
    const names = all.length <= this.limit ? all : all.slice(0, this.limit);
    this.names = names;
    this.countLeftOut(all.length - names.length);
    const present = new Set(names);
    for (const name of [...this.watches.keys()]) if (!present.has(name)) this.drop(name);
    for (const name of names) {
      if (this.watches.get(name)) continue;
      this.watches.set(
        name,
        this.store.watch(`${this.path}/${name}`, (node) => this.onChild(name, node), 'gone'),
      );
    }
    this.onChange();
  }

  private drop(name: string): void {
    this.watches.get(name)?.close();
    this.watches.delete(name);
    this.seen.delete(name);
    this.values.delete(name);
    this.solved(`${this.path}/${name}`);
  }

  private countLeftOut(count: number): void {
    if (count === 0) this.solved(this.path);
    else if (count !== this.leftOut)
      this.complain(this.path, `${this.path} has ${count} children more than the ${this.limit} that are read`);
    this.leftOut = count;
  }

  private complain(path: string, problem: string): void {
    const known = this.problems.get(path);
    this.problems.set(path, problem);
    if (known === problem || this.told > MAX_TOLD) return;
    this.told += 1;
    if (this.told <= MAX_TOLD) this.log.error(`${problem}; it is not acted upon`, { path });
    else this.log.error(`below ${this.path} there is more that cannot be read; it is not told one by one`);
  }

  private solved(path: string): void {
    if (this.problems.delete(path) && this.problems.size === 0) this.told = 0;
  }

  private onChild(name: string, node: Znode | undefined): void {
    this.seen.add(name);
    const path = `${this.path}/${name}`;
    if (!node) {
      // the list of names, which is read after whatever has happened to one of them, has the last word on what exists
      this.watches.set(name, undefined);
      this.onChange();
      return;
    }
    const decoded = this.decode(node.data, path);
    if (decoded.ok) {
      this.values.set(name, decoded.value);
      this.solved(path);
    } else this.complain(path, decoded.problem);
    this.onChange();
  }
}
