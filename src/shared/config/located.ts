/**
 * YAML as a tree in which every value and every key knows its place in the file.
 *
 * All scalars stay text as written: whether `010`, `1_000`, `1e3` or `yes` is a name, a number or a boolean depends on
 * where it stands, and only the reader of that place knows. Anchors, aliases and merge keys are resolved here; a value
 * that came through an alias keeps the place where it was written.
 */
import { type Document, LineCounter, parseDocument } from 'yaml';
import type { ConfigProblem } from './config.ts';
import { NodeReader, TOO_DEEP } from './node-reader.ts';

/** One value. Offsets count UTF-16 code units from the start of the source. */
export type Located =
  | { readonly kind: 'text'; readonly text: string; readonly start: number; readonly end: number }
  | { readonly kind: 'empty'; readonly start: number }
  | { readonly kind: 'list'; readonly items: readonly Located[]; readonly start: number }
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, Entry>; readonly start: number };

/** One pair of a map; `start` is where its key was written. */
export interface Entry {
  readonly start: number;
  readonly value: Located;
}

export interface LocatedDocument {
  readonly root: Located;
  readonly problems: readonly ConfigProblem[];
  readonly at: (offset: number, message: string) => ConfigProblem;
}

/** Parses one YAML document. Never throws; when there are problems, `root` holds what could be understood. */
export function parseLocated(source: string): LocatedDocument {
  const lines = new LineCounter();
  const at = (offset: number, message: string): ConfigProblem => {
    const { line, col } = lines.linePos(offset);
    return line > 0 ? { line, column: col, message } : { line: 1, column: 1, message };
  };
  const empty: Located = { kind: 'empty', start: 0 };
  let document: Document.Parsed;
  try {
    document = parseDocument(source, {
      schema: 'failsafe',
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'silent',
    });
  } catch (error) {
    // The parser recurses: a file of nothing but opening brackets exhausts the stack.
    if (!(error instanceof RangeError)) throw error;
    return { root: empty, problems: [at(0, TOO_DEEP)], at };
  }
  const problems = document.errors.map((error) => at(error.pos[0], `not valid YAML: ${oneLine(error.message)}`));
  if (problems.length > 0) return { root: empty, problems, at };
  const reader = new NodeReader((offset, message) => problems.push(at(offset, message)));
  const root = document.contents === null ? empty : reader.read(document.contents);
  return { root, problems, at };
}

/** The value below `path`, or the nearest one above it that exists. */
export function locate(root: Located, path: readonly PropertyKey[]): Located {
  let here = root;
  for (const step of path) {
    const next = child(here, step);
    if (next === undefined) return here;
    here = next;
  }
  return here;
}

/** Offset of the key that `path` ends in; of the value itself in a list, or when there is no such key. */
export function keyOffset(root: Located, path: readonly PropertyKey[]): number {
  const parent = locate(root, path.slice(0, -1));
  const key = path.at(-1);
  const entry = parent.kind === 'map' && typeof key === 'string' ? parent.entries.get(key) : undefined;
  return entry?.start ?? locate(root, path).start;
}

function child(parent: Located, step: PropertyKey): Located | undefined {
  switch (parent.kind) {
    case 'map':
      return parent.entries.get(String(step))?.value;
    case 'list':
      return typeof step === 'number' ? parent.items[step] : undefined;
    case 'text':
    case 'empty':
      return undefined;
  }
}

/** The tree without its places: strings, nulls, arrays and objects, for a schema to look at. */
export function toPlain(value: Located): unknown {
  switch (value.kind) {
    case 'text':
      return value.text;
    case 'empty':
      return null;
    case 'list':
      return value.items.map(toPlain);
    case 'map':
      return Object.fromEntries(Array.from(value.entries, ([key, entry]) => [key, toPlain(entry.value)]));
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
