/** Building blocks of the file's shape: how single values are written, and what is said of others. */
import * as z from 'zod';
import { quote } from './endpoints.ts';
import { suggestion } from './nearest.ts';
import { formatDuration, MAX_DURATION_MS, readBoolean, readCount, readDuration } from './scalars.ts';

/** Scalars reach the schema as the text of the file, whatever YAML would make of them. */
export function leaf<T>(read: (text: string) => T | undefined, allowed: string) {
  return z.string({ error: (issue) => refusal(issue.input, allowed) }).transform((text, context): T => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: refusal(text, allowed) });
    return z.NEVER;
  });
}

export function oneOf<const T extends string>(...words: readonly T[]) {
  const list = words.join(', ');
  return z.string({ error: (issue) => refusal(issue.input, `write one of ${list}`) }).transform((text, context): T => {
    const word = words.find((candidate) => candidate === text);
    if (word !== undefined) return word;
    context.addIssue({ code: 'custom', message: refusal(text, suggestion(text, words)) });
    return z.NEVER;
  });
}

export function duration(min: number, max = MAX_DURATION_MS) {
  return leaf(
    (text) => {
      const value = readDuration(text);
      return value !== undefined && value >= min && value <= max ? value : undefined;
    },
    `write seconds (0.5) or 500ms, 4s, 1m, 2h, from ${formatDuration(min)} to ${formatDuration(max)}`,
  );
}

/** A whole number from 1 to `max`. */
export function wholeNumber(max: number) {
  return leaf((text) => {
    const value = readCount(text);
    return value !== undefined && value >= 1 && value <= max ? value : undefined;
  }, `write a whole number from 1 to ${max}`);
}

/** A list; `what` says of which things, with an example. Items that were taken away because they were reported are undefined. */
export function list<S extends z.ZodType>(item: S, what: string) {
  return z.array(item.optional(), { error: (issue) => refusal(issue.input, `write a list of ${what}`) });
}

/** A word where a list is expected is a list of one. */
export const listed = (input: unknown): unknown => (typeof input === 'string' ? [input] : input);

export function refusal(input: unknown, allowed: string): string {
  return `is ${describe(input)}; ${allowed}`;
}

export function describe(input: unknown): string {
  if (typeof input === 'string') return input === '' ? 'an empty text' : quote(input);
  if (input === null || input === undefined) return 'empty';
  return Array.isArray(input) ? 'a list' : 'a map';
}

export const map = (what: string) => ({
  error: (issue: { input?: unknown }) => refusal(issue.input, `write a map of ${what}`),
});

export const text = (what: string) => leaf((value) => (value === '' ? undefined : value), `write ${what}`);
export const boolean = leaf(readBoolean, 'write true or false (yes, no, on and off are understood too)');
export const count = leaf(readCount, 'write a whole number, 0 or more, without leading zeros');
export const positive = leaf(
  (value) => readCount(value) || undefined,
  'write a whole number, 1 or more, without leading zeros',
);
/** Any text, the empty one too. */
export const texts = (what: string) =>
  z.record(
    z.string(),
    leaf((value) => value, 'write a text'),
    map(what),
  );
