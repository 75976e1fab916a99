import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/shared/config/parse-config.ts';

/** Pieces of real files, so that random texts get past the YAML parser often enough. */
const pieces = fc.constantFrom(
  'zookeeper:',
  ' quorum: ',
  'services:',
  '\n',
  '\n  ',
  '- ',
  'name: ',
  'a',
  'count: ',
  '-1',
  '1',
  'instances: ',
  '{',
  '}',
  '[',
  ']',
  ',',
  ': ',
  '&a ',
  '*a',
  '<<: ',
  '|\n',
  'prestart: ',
  '{instance:a}',
  '"',
  "'",
  '---',
  '#',
  '!!int ',
  '~',
  '__proto__: ',
  'x-b: ',
  'type: multi',
  'force: ',
  'http:',
  'listen: ',
  'brake: ',
  'check: ',
  'exec: ',
  'http://{host}:1/',
  'discovery: ',
  'info: ',
  'start: ',
  'serial',
  'after: ',
  'templates:',
  'source: ',
  'reload: ',
  'hooks:',
  'run: ',
  '\t',
  '%',
  '? ',
  '\u0000',
  '\ud800',
  '\ufeff',
);
const nearlyYaml = fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join(''));

/** Values that YAML can hold, under the keys of the configuration and others. */
const key = fc.oneof(
  fc.constantFrom(
    'zookeeper',
    'quorum',
    'timings',
    'loop_tick',
    'services',
    'name',
    'count',
    'instances',
    'force',
    'type',
    'prestart',
    'host',
    'labels',
    'http',
    'listen',
    'brake',
    'check',
    'http',
    'tcp',
    'exec',
    'interval',
    'discovery',
    'label',
    'info',
    'start',
    'after',
    'service',
    'where',
    'templates',
    'source',
    'destination',
    'on',
    'reload',
    'mode',
    'hooks',
    'filter',
    'run',
    'toString',
    'hasOwnProperty',
  ),
  fc.string(),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.constantFrom('multi', 'shared', 'global', '{instance:x}'),
    ),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
  ),
}));

function wellFormed(source: string): void {
  const parsed = parseConfig(source, 'c.yml', 'w1');
  if (parsed.ok) return;
  expect(parsed.problems.length).toBeGreaterThan(0);
  const lines = source.split('\n').length;
  for (const { line, column, message } of parsed.problems) {
    expect(line).toBeLessThanOrEqual(lines);
    expect(line === 0).toBe(column === 0);
    expect(message).toMatch(/\S/);
    expect(message).not.toMatch(/undefined|\[object/);
  }
  const order = parsed.problems.map(({ line, column }) => line * 1e6 + column);
  expect(order).toEqual([...order].sort((a, b) => a - b));
}

describe('whatever the text, the answer is a configuration or sorted problems with places, never an exception', () => {
  test('any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), wellFormed), { numRuns: 300 });
  });

  test('texts made of pieces of configurations', () => {
    fc.assert(fc.property(nearlyYaml, wellFormed), { numRuns: 1000 });
  });

  test('JSON of any shape, which is YAML too', () => {
    fc.assert(
      fc.property(fc.dictionary(key, tree), (value) => wellFormed(JSON.stringify(value))),
      { numRuns: 300 },
    );
  });
});

test('a valid file answers the same digest however its keys are ordered', () => {
  const service = fc.record({ name: fc.stringMatching(/^[a-z]{3,8}$/), count: fc.nat(20), enabled: fc.boolean() });
  const list = fc.uniqueArray(service, { selector: ({ name }) => name, maxLength: 8 });
  fc.assert(
    fc.property(list, (services) => {
      const forwards = JSON.stringify({ zookeeper: { quorum: 'a' }, services });
      const backwards = JSON.stringify({
        services: services.map(({ name, count, enabled }) => ({ enabled, count, name })),
        zookeeper: { quorum: 'a' },
      });
      const [a, b] = [parseConfig(forwards, 'a', 'w1'), parseConfig(backwards, 'b', 'w1')];
      if (!a.ok || !b.ok) throw new Error('not accepted');
      expect(b.config.specDigest).toBe(a.config.specDigest);
    }),
  );
});
