import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, digestOf, digestOfText } from '../../../src/shared/digest.ts';

/** The same value with the keys of its objects in the opposite order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}

test('canonical JSON is JSON of the same value, whatever the order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const canonical = canonicalJson(value);
      expect(JSON.parse(canonical)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(reversed(value))).toBe(canonical);
    }),
  );
});

test('keys are sorted by code unit at every level, and undefined ones left out', () => {
  expect(canonicalJson({ b: [{ d: 1, c: undefined, B: 2 }], a: null })).toBe('{"a":null,"b":[{"B":2,"d":1}]}');
});

test('what JSON cannot hold is refused', () => {
  expect(() => canonicalJson(undefined)).toThrow('a undefined has no JSON');
});

test('the digest is the SHA-256 of the canonical JSON', () => {
  // printf '{"a":1,"b":2}' | sha256sum
  expect(digestOf({ b: 2, a: 1 })).toBe('sha256:43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777');
  expect(digestOfText('')).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});
