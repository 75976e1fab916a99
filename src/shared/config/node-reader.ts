/** Nodes of the YAML library → `Located` values: anchors, aliases and merge keys resolved, limits enforced. */
import { isAlias, isMap, isScalar, isSeq, Scalar, type YAMLMap } from 'yaml';
import type { Entry, Located } from './located.ts';
import { suggestion } from './nearest.ts';

/** Values a file may hold once its aliases are expanded: far above any real file, far below what fills the memory. */
const MAX_VALUES = 200_000;
/** Depth of nesting: a configuration needs 5. */
const MAX_DEPTH = 64;

export const TOO_DEEP = `nested more than ${MAX_DEPTH} levels deep; a configuration needs 5`;

type Report = (offset: number, message: string) => void;

/** Reads one document's nodes, in the order of the file, since an alias means the latest anchor above it. */
export class NodeReader {
  readonly #report: Report;
  readonly #anchors = new Map<string, Located | 'open'>();
  readonly #sizes = new WeakMap<Located, number>();
  #total = 0;
  #depth = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  read(node: unknown, fallback = 0): Located {
    if (isAlias(node)) return this.#alias(node.source, node.range?.[0] ?? fallback);
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return { kind: 'empty', start: fallback };
    const start = node.range?.[0] ?? fallback;
    if (this.#depth >= MAX_DEPTH) {
      this.#report(start, TOO_DEEP);
      return { kind: 'empty', start };
    }
    const before = this.#total;
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, 'open');
    this.#total += 1;
    this.#depth += 1;
    const value = isScalar(node)
      ? scalar(node, start)
      : isMap(node)
        ? this.#map(node, start)
        : ({ kind: 'list', items: node.items.map((item) => this.read(item, start)), start } as const);
    this.#depth -= 1;
    this.#sizes.set(value, this.#total - before);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, value);
    return value;
  }

  #alias(name: string, start: number): Located {
    const target = this.#anchors.get(name);
    const empty: Located = { kind: 'empty', start };
    if (target === undefined) {
      const known = [...this.#anchors.keys()];
      const hint = known.length === 0 ? 'the file has no anchors above it' : suggestion(name, known);
      this.#report(start, `*${name} refers to an anchor that is not defined above it; ${hint}`);
      return empty;
    }
    if (target === 'open') {
      this.#report(start, `*${name} stands inside the very value it refers to`);
      return empty;
    }
    const size = this.#sizes.get(target) ?? 1;
    if (this.#total + size > MAX_VALUES) {
      this.#report(start, `*${name} makes the file larger than ${MAX_VALUES} values; use fewer aliases`);
      return empty;
    }
    this.#total += size;
    return target;
  }

  #map(map: YAMLMap, start: number): Located {
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    for (const pair of map.items) {
      const keyStart = isScalar(pair.key) || isAlias(pair.key) ? (pair.key.range?.[0] ?? start) : start;
      if (isMergeKey(pair.key)) {
        this.#merge(this.read(pair.value, keyStart), keyStart, merged);
        continue;
      }
      const key = this.read(pair.key, keyStart);
      const read = this.read(pair.value, keyStart);
      const value: Located = read.kind === 'empty' ? { kind: 'empty', start: keyStart } : read;
      const name = key.kind === 'text' ? key.text : isScalar(pair.key) ? pair.key.source : undefined;
      if (name === undefined) {
        this.#report(key.start, 'a key must be plain text, not a list or a map');
      } else if (name === '__proto__') {
        this.#report(key.start, '__proto__ cannot be used as a key; choose another name');
      } else if (own.has(name)) {
        this.#report(key.start, `${name} stands here twice; keep one of them`);
      } else {
        own.set(name, { start: keyStart, value });
      }
    }
    return { kind: 'map', entries: new Map([...merged, ...own]), start };
  }

  /** The rule of the YAML merge key: what is named first wins over what is named later, and a map's own keys over both. */
  #merge(value: Located, start: number, into: Map<string, Entry>): void {
    const maps = value.kind === 'list' ? value.items : [value];
    for (const map of maps) {
      if (map.kind !== 'map') {
        this.#report(start, '<< needs a map or a list of maps, usually an alias such as *defaults');
        return;
      }
      for (const [key, entry] of map.entries) if (!into.has(key)) into.set(key, entry);
    }
  }
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.type === Scalar.PLAIN && key.source === '<<';
}

/** Only an unquoted nothing, `~` or `null` is empty: quoted, it is text. */
function scalar(node: Scalar, start: number): Located {
  const plain = node.type === undefined || node.type === Scalar.PLAIN;
  if (plain && node.tag === undefined && /^(~|null|Null|NULL|)$/.test(node.source ?? ''))
    return { kind: 'empty', start };
  return { kind: 'text', text: String(node.value), start, end: node.range?.[1] ?? start };
}
