/** What templates can do beside Handlebars' own `if`, `unless`, `each`, `with` and `lookup`. Pure. */
import { compare } from '../shared/names.ts';

/** A helper was given what it cannot work with; the message is for whoever wrote the template. */
export class HelperError extends Error {
  constructor(
    message: string,
    /** Where it was called: line from 1, column from 0; undefined: not known. */
    readonly at: { readonly line: number; readonly column: number } | undefined,
  ) {
    super(message);
  }
}

/** The arguments as written in the template, then Handlebars' own. */
export type Helper = (...args: readonly unknown[]) => unknown;

/** `list` may be what does not exist: it is empty then, as no label exists under which nothing is registered. */
export const HELPERS: Readonly<Record<string, Helper>> = {
  'sort-by': helper('sort-by LIST "key"', 2, (fail, list, key) =>
    [...listOf(list, fail)].sort((a, b) => order(property(a, key), property(b, key))),
  ),
  where: helper('where LIST "key" VALUE', 3, (fail, list, key, value) =>
    listOf(list, fail).filter((each) => property(each, key) === value),
  ),
  join: helper('join LIST "separator"', 2, (fail, list, separator) =>
    listOf(list, fail).map(String).join(String(separator)),
  ),
  default: helper('default VALUE INSTEAD', 2, (_fail, value, instead) =>
    value === undefined || value === null || value === '' ? instead : value,
  ),
  eq: helper('eq A B', 2, (_fail, a, b) => a === b),
  ne: helper('ne A B', 2, (_fail, a, b) => a !== b),
  and: helper('and A B', 2, (_fail, ...values) => values.every(isTrue)),
  or: helper('or A B', 2, (_fail, ...values) => values.some(isTrue)),
  not: helper('not A', 1, (_fail, value) => !isTrue(value)),
  json: helper('json VALUE', 1, (_fail, value) => JSON.stringify(value ?? null)),
  upper: helper('upper TEXT', 1, (_fail, value) => String(value ?? '').toUpperCase()),
  lower: helper('lower TEXT', 1, (_fail, value) => String(value ?? '').toLowerCase()),
};

type Fail = (why: string) => never;

/** `usage` begins with its name; `and` and `or` take more values than two, all others exactly `count`. */
function helper(usage: string, count: number, work: (fail: Fail, ...values: readonly unknown[]) => unknown): Helper {
  return (...args) => {
    const values = args.slice(0, -1);
    const fail: Fail = (why) => {
      throw new HelperError(`${why}; write (${usage})`, positionOf(args.at(-1)));
    };
    const enough = /^(and|or) /.test(usage) ? values.length >= count : values.length === count;
    if (!enough) fail(`${usage.split(' ')[0]} has ${values.length} values`);
    return work(fail, ...values);
  };
}

function listOf(value: unknown, fail: Fail): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : fail('this is no list');
}

/** `labels.rack`: own properties only, as everywhere in templates. */
function property(value: unknown, path: unknown): unknown {
  let found = value;
  for (const key of String(path).split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = Reflect.get(found, key);
  }
  return found;
}

/** Numbers by their size, all else as text. */
function order(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return compare(String(a ?? ''), String(b ?? ''));
}

/** As `if` has it: an empty list is none. */
function isTrue(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

/** Where the helper was called that was given these options. */
export function positionOf(options: unknown): HelperError['at'] {
  const line = property(options, 'loc.start.line');
  const column = property(options, 'loc.start.column');
  return typeof line === 'number' && typeof column === 'number' ? { line, column } : undefined;
}
