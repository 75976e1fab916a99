import { describe, expect, test } from 'vitest';
import { references, substitute } from '../../../src/shared/prestart-text.ts';

describe('references', () => {
  test.each([['dummy_multi@3'], ['hadoop@namenode.service'], ['Kafka-2.13:main'], ['a\\x2db@c@d.service'], ['0']])(
    '%s is found',
    (name) => {
      expect(references(`echo {instance:${name}}`)).toEqual([name]);
    },
  );

  test('each name comes once, in the order of appearance', () => {
    expect(references('{instance:b} {instance:a}{instance:b}\n{instance:c.service}')).toEqual(['b', 'a', 'c.service']);
  });

  test.each([
    ['nothing', 'echo {instances:a} {instance} {a}'],
    ['an expansion of the shell', `echo \${instance:a} \${instance:-b}`],
    ['a brace that is not closed on its line', 'echo {instance:a\n}'],
  ])('%s is no reference', (_name, script) => {
    expect(references(script)).toEqual([]);
  });
});

describe('substitute', () => {
  test('every occurrence becomes the comma-separated hosts, as written with or without .service', () => {
    const values = { 'a@1': ['w1', 'w2'], 'a@1.service': ['w3'] };
    expect(substitute('x={instance:a@1} y={instance:a@1.service} z={instance:a@1}', values)).toBe(
      'x=w1,w2 y=w3 z=w1,w2',
    );
  });

  test('text that only means something to a replacement, such as $&, is taken literally', () => {
    expect(substitute('{instance:a}', { a: ['$&', '$1'] })).toBe('$&,$1');
  });

  test('a reference without a value stays, also when its name is one that every object has', () => {
    expect(substitute('{instance:toString} {instance:b}', { a: ['w1'] })).toBe('{instance:toString} {instance:b}');
  });

  test('what is put in is not looked at again', () => {
    expect(substitute('{instance:a}', { a: ['{instance:b}'], b: ['w1'] })).toBe('{instance:b}');
  });
});
