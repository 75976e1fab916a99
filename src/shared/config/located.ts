/**
 * YAML as a tree in which every value and every key knows its place in the file.
 *
 * All scalars stay text as written: whether `010`, `1_000`, `1e3` or `yes` is a name, a number or a boolean depends on
 * where it stands, and only the reader of that place knows. Anchors, aliases and merge keys are resolved here; a value
 * that came through an alias keeps the place where it was written.
 */
import { type Document, LineCounter, parseDocument, type YAMLParseError } from 'yaml';
import { byPosition, type ConfigProblem } from './config.ts';
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
  readonly warnings: readonly ConfigProblem[];
  readonly at: (offset: number, message: string) => ConfigProblem;
}

/** `!!int` and its like say nothing that the place of a value does not. */
const STANDARD_TAG = 'tag:yaml.org,2002:';

/** Parses one YAML document. Never throws; problems are sorted, and when there are some, `root` means nothing. */
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
      // Not 'silent': that would hide further documents too.
      logLevel: 'error',
    });
  } catch (error) {
    // Parts of the library recurse, and catch the end of the stack in some places only.
    if (!(error instanceof RangeError)) throw error;
    return { root: empty, problems: [at(0, TOO_DEEP)], warnings: [], at };
  }
  const problems = document.errors.map((error) => at(error.pos[0], syntaxProblem(error))).sort(byPosition);
  if (problems.length > 0) return { root: empty, problems, warnings: [], at };
  const reader = new NodeReader((offset, message) => problems.push(at(offset, message)));
  const root = document.contents === null ? empty : reader.read(document.contents);
  const warnings = document.warnings
    .filter((warning) => !warning.message.includes(STANDARD_TAG))
    .map((warning) => at(warning.pos[0], `${warning.message}; the tag is ignored`));
  return { root, problems: problems.sort(byPosition), warnings, at };
}

function syntaxProblem(error: YAMLParseError): string {
  switch (error.code) {
    case 'MULTIPLE_DOCS':
      return 'a second document starts here; a configuration is one document, so remove the --- above';
    case 'RESOURCE_EXHAUSTION':
      return TOO_DEEP;
    default:
      return `not valid YAML: ${error.message.replace(/\s+/g, ' ').trim()}`;
  }
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
