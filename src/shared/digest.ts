/** Digests that are equal exactly when the values are, whatever the order their keys were written in. */
import { createHash } from 'node:crypto';
import { compare } from './names.ts';

/**
 * JSON without spaces whose object keys are sorted (by `compare`; those that look like integers come first, by
 * number), and without keys whose value is undefined. Throws a TypeError for what JSON cannot hold at all.
 */
export function canonicalJson(value: unknown): string {
  const json: string | undefined = JSON.stringify(value, (_key, inner: unknown) =>
    isRecord(inner) ? sorted(inner) : inner,
  );
  if (json === undefined) throw new TypeError(`canonicalJson: a ${typeof value} has no JSON`);
  return json;
}

/** `sha256:` and 64 lower-case hex digits, of the canonical JSON of `value`. */
export function digestOf(value: unknown): string {
  return digestOfText(canonicalJson(value));
}

/** `sha256:` and 64 lower-case hex digits, of the UTF-8 bytes of `text`. */
export function digestOfText(text: string): string {
  return `sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`;
}

function sorted(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => compare(a, b)));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
