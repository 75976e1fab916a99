/**
 * Which labels a template can see, so that a host follows no others: told by the paths that stand in it. Where that cannot be
 * told, it is all of them. Pure.
 */
import { isLabel } from '../shared/names.ts';
import type { FollowedLabels } from './directory.ts';

/** What changes what `this` is within it, when it is given something that is not the whole of the data. */
const CONTEXTS: ReadonlySet<unknown> = new Set(['each', 'with']);
/** Text of the template, and places in it: nothing is named there. */
const LEAVES: ReadonlySet<string> = new Set(['loc', 'strip', 'openStrip', 'inverseStrip', 'closeStrip']);
/** They bring texts that are not looked at here. */
const OTHER_TEXTS: ReadonlySet<unknown> = new Set([
  'PartialStatement',
  'PartialBlockStatement',
  'Decorator',
  'DecoratorBlock',
]);

/** `program`: a template as Handlebars parses it. */
export function labelsSeenBy(program: unknown): FollowedLabels {
  const seen = new Seen();
  seen.visit(program, false);
  return seen.labels;
}

class Seen {
  labels: Set<string> | 'all' = new Set();

  /** `within`: `this` is a part of the data, and not the whole. */
  visit(node: unknown, within: boolean): void {
    if (typeof node !== 'object' || node === null || this.labels === 'all') return;
    if (Array.isArray(node)) {
      for (const each of node) this.visit(each, within);
      return;
    }
    const type = read(node, 'type');
    if (OTHER_TEXTS.has(type)) this.labels = 'all';
    else if (type === 'PathExpression') this.path(node, within);
    else if (type === 'BlockStatement') this.block(node, within);
    else if (!this.lookup(node, within)) this.parts(node, within, []);
  }

  private parts(node: object, within: boolean, except: readonly string[]): void {
    for (const [key, part] of Object.entries(node))
      if (!LEAVES.has(key) && !except.includes(key)) this.visit(part, within);
  }

  private block(node: object, within: boolean): void {
    const changes = CONTEXTS.has(read(read(node, 'path'), 'original')) && !isWhole(list(node, 'params')[0]);
    this.visit(read(node, 'program'), within || changes);
    // `else` has what stands around the block
    this.parts(node, within, ['program']);
  }

  /** `lookup discovery "LABEL"`. */
  private lookup(node: object, within: boolean): boolean {
    const [from, key] = list(node, 'params');
    if (read(read(node, 'path'), 'original') !== 'lookup' || read(key, 'type') !== 'StringLiteral') return false;
    const names = namesOf(from);
    if (names?.length !== 1 || names[0] !== 'discovery') return false;
    this.label(read(key, 'value'));
    this.parts(node, within, ['params']);
    return true;
  }

  private path(node: object, within: boolean): void {
    const names = namesOf(node);
    const [first, second] = names ?? [];
    if (first === 'discovery') this.label(second);
    else if (first === 'services' || (names?.length === 0 && !(within && isThis(node)))) this.labels = 'all';
  }

  private label(name: unknown): void {
    if (typeof name !== 'string') this.labels = 'all';
    else if (this.labels !== 'all' && isLabel(name)) this.labels.add(name);
  }
}

/** The names of a path, from where it begins: `@root`, something around it, or here. Undefined: it is none of the data. */
function namesOf(path: unknown): readonly unknown[] | undefined {
  if (read(path, 'type') !== 'PathExpression') return undefined;
  const parts = list(path, 'parts');
  if (read(path, 'data') !== true) return parts;
  return parts[0] === 'root' ? parts.slice(1) : undefined;
}

/** `this`, `..` or `@root`: it may be the whole of the data. */
function isWhole(path: unknown): boolean {
  return namesOf(path)?.length === 0;
}

function isThis(path: unknown): boolean {
  return read(path, 'depth') === 0 && read(path, 'data') !== true;
}

function list(node: unknown, key: string): readonly unknown[] {
  const found = read(node, key);
  return Array.isArray(found) ? found : [];
}

function read(node: unknown, key: string): unknown {
  return typeof node === 'object' && node !== null ? Reflect.get(node, key) : undefined;
}
