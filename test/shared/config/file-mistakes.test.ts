/** Mistakes of the file as a whole: its form, keys that nobody knows, and how much of it there is. */
import { describe, expect, test } from 'vitest';
import { fileProblems, HEAD, type Mistake } from './reading.ts';

const ROWS: readonly Mistake[] = [
  // The file as a whole
  ['an empty file', '', 'c.yml: the file has no settings; it needs zookeeper: and services: at least'],
  ['a file that is a list', '[a]', 'c.yml: the file has no settings; it needs zookeeper: and services: at least'],
  [
    'services missing',
    HEAD,
    'c.yml:1:1: services is missing; add services: with a list, or services: [] to run nothing',
  ],
  [
    'services empty',
    `${HEAD}services:`,
    'c.yml:2:1: services is missing; add services: with a list, or services: [] to run nothing',
  ],
  [
    'services that is a map',
    `${HEAD}services: {a: 1}`,
    'c.yml:2:11: services is a map; write a list of services, each starting with -',
  ],
  [
    'a service that is a word',
    '- kafka',
    'c.yml:3:3: this entry of services is kafka; write a map of the keys of a service',
  ],
  [
    'zookeeper missing',
    'services: []',
    'c.yml:1:1: zookeeper.quorum is missing; write h1:2181,h2:2181, or embedded for a single host',
  ],
  ['a tab as indentation', 'a:\n\tb: 1', 'c.yml:2:1: not valid YAML: Tabs are not allowed as indentation'],
  [
    'two documents',
    `${HEAD}---\na: 1`,
    'c.yml:2:1: a second document starts here; a configuration is one document, so remove the --- above',
  ],
  [
    'the same key twice',
    `${HEAD}services: []\nservices: []`,
    'c.yml:3:1: services stands here twice; keep one of them',
  ],
  ['a list as a key', `${HEAD}services: []\n? [a]\n: 1`, 'c.yml:3:3: a key must be plain text, not a list or a map'],
  [
    'a key that JavaScript reserves',
    `${HEAD}services: []\n__proto__: 1`,
    'c.yml:3:1: __proto__ cannot be used as a key; choose another name',
  ],
  [
    'an unknown anchor',
    '.b: &base {}\nc: *bas',
    'c.yml:2:4: *bas refers to an anchor that is not defined above it; did you mean base?',
  ],
  [
    'an alias without any anchor',
    'c: *bas',
    'c.yml:1:4: *bas refers to an anchor that is not defined above it; the file has no anchors above it',
  ],
  ['an alias to what it stands in', 'c: &a [*a]', 'c.yml:1:8: *a stands inside the very value it refers to'],
  [
    'a merge of a text',
    'a: {<<: b}',
    'c.yml:1:5: << needs a map or a list of maps, usually an alias such as *defaults',
  ],

  // Unknown keys
  [
    'an unknown key at the top',
    `zookeper: {}\n${HEAD}services: []`,
    'c.yml:1:1: unknown key zookeper; did you mean zookeeper?',
  ],
  [
    'an unknown key of a service',
    '- name: a\n  type: global\n  enabeld: true',
    'c.yml:5:3: unknown key enabeld; did you mean enabled?',
  ],
  [
    'an unknown key that resembles none',
    `${HEAD}services: []\nhttp: {tls_certificate: x}`,
    'c.yml:3:8: unknown key tls_certificate; allowed: listen',
  ],
  [
    'an unknown timing',
    'zookeeper:\n  quorum: a\n  timings:\n    looptick: 1\nservices: []',
    'c.yml:4:5: unknown key looptick; did you mean loop_tick?',
  ],
  [
    'an unknown key that came through a merge',
    '.b: &b {naem: x}\nzookeeper: {quorum: a}\nservices:\n- <<: *b\n  name: a\n  count: 1',
    'c.yml:1:9: unknown key naem; did you mean name?',
  ],
];

describe('each mistake is reported at its place, with what is allowed', () => {
  test.each(ROWS)('%s', (_name, source, ...expected) => {
    expect(fileProblems(source)).toEqual(expected);
  });
});

describe('many mistakes', () => {
  test('are all reported at once, sorted by position, without consequences of each other', () => {
    const source = [
      'zookeeper:',
      "  quorum: ['::1', zk1]",
      '  session_timeout: 1x',
      'services:',
      '- name: kafka.timer',
      '  count: -1',
      '- name: a',
      '  count: x',
      '- name: b',
      '  prestart: "{instance:a} {instance:nowhere}"',
      '  instances: {x: 1, y: 2}',
      '  force: {y: w1, z: w1}',
      '  bogus: 1',
    ].join('\n');
    expect(fileProblems(source).map((line) => line.slice(0, 44))).toEqual([
      'c.yml:2:12: zookeeper.quorum.0 is not unders',
      'c.yml:3:20: zookeeper.session_timeout is 1x;',
      'c.yml:5:9: kafka.timer is a timer unit; only',
      'c.yml:6:10: count is -1; write a whole numbe',
      'c.yml:8:10: count is x; write a whole number',
      'c.yml:10:27: {instance:nowhere} names a unit',
      'c.yml:12:11: y is forced to w1, so its count',
      'c.yml:12:18: force names z, which is not a k',
      'c.yml:13:3: unknown key bogus; allowed: name',
    ]);
  });

  test('aliases of aliases that would fill the memory are refused', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `.l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(',')}]`,
    );
    expect(fileProblems(`.l0: &l0 [x]\n${levels.join('\n')}\n${HEAD}services: []`)[0]).toMatch(
      /^c\.yml:\d+:\d+: \*l\d makes the file larger than 200000 values; use fewer aliases$/,
    );
  });

  test.each([100, 1_000, 20_000])('%i nested lists are refused, not a crash', (depth) => {
    expect(fileProblems('['.repeat(depth) + ']'.repeat(depth))[0]).toContain('nested more than 64 levels deep');
  });
});
