/** Mistakes of what a service has beside its placement: checks, discovery and the order of starts. */
import { describe, expect, test } from 'vitest';
import { problems, warnings } from './reading.ts';

const LABEL = 'a letter or a digit, then letters, digits and _ . -, at most 100 characters';
const COMMAND = 'write a program and its arguments, as a text or as a list of words';
const URL_RULE = 'which is no URL of HTTP; write one such as http://{address}:8080/health';

/** What it is, the keys after `- {name: a, count: 1, ` in the third line, and what is said, without `c.yml:3:`. */
const ROWS: readonly (readonly [name: string, keys: string, ...expected: string[]])[] = [
  [
    'a check that is a word',
    'check: http',
    '30: check is http; write a map of settings: one of http, tcp, exec, and interval, timeout and others',
  ],
  [
    'a check of nothing',
    'check: {}',
    '23: check says not how to check; add one of http: URL, tcp: HOST:PORT, exec: COMMAND',
  ],
  ['a check of two kinds', "check: {exec: x, tcp: 'a:1'}", '31: check has both tcp and exec; keep one of them'],
  ['an unknown key', 'check: {exec: x, intervall: 1}', '40: unknown key intervall; did you mean interval?'],
  [
    'an interval of nothing',
    'check: {exec: x, interval: 0}',
    '50: check.interval is 0; write seconds (0.5) or 500ms, 4s, 1m, 2h, from 100ms to 1440m',
  ],
  [
    'a timeout of an hour',
    'check: {exec: x, timeout: 1h}',
    '49: check.timeout is 1h; write seconds (0.5) or 500ms, 4s, 1m, 2h, from 10ms to 1m',
  ],
  [
    'healthy after no probe',
    'check: {exec: x, healthy_after: 0}',
    '55: check.healthy_after is 0; write a whole number from 1 to 1000',
  ],
  [
    'a limit of half',
    'check: {exec: x, limit_per_hour: 0.5}',
    '56: check.limit_per_hour is 0.5; write a whole number from 1 to 1000',
  ],
  [
    'another consequence',
    'check: {exec: x, on_unhealthy: restat}',
    '54: check.on_unhealthy is restat; did you mean restart?',
  ],
  ['a URL without a scheme', "check: {http: 'h:80/x'}", `37: check.http is h:80/x, ${URL_RULE}`],
  ['a URL of another kind', "check: {http: 'ftp://h/'}", `37: check.http is ftp://h/, ${URL_RULE}`],
  ['a URL with a space', "check: {http: 'http://h/a b'}", `37: check.http is "http://h/a b", ${URL_RULE}`],
  [
    'a URL with port 0',
    "check: {http: 'http://h:0/'}",
    '37: check.http is http://h:0/, which has no port from 1 to 65535; write one such as http://{address}:8080/health',
  ],
  ['a URL with a port beyond', "check: {http: 'http://h:65536/'}", `37: check.http is http://h:65536/, ${URL_RULE}`],
  [
    'a URL with a password',
    "check: {http: 'http://u:p@h/'}",
    '37: check.http is http://u:p@h/, which has a name and a password that everybody could read; write exec: with a program that takes them from a file',
  ],
  [
    'a URL with an unknown placeholder',
    "check: {http: 'http://{adress}/'}",
    '37: check.http has {adress}; did you mean {address}?',
  ],
  [
    'a URL with a placeholder like none',
    "check: {http: 'http://{x}/'}",
    '37: check.http has {x}; allowed: {host}, {address}, {instance}',
  ],
  [
    'a URL whose port is no number',
    "check: {http: 'http://h:{instance}/'}",
    `37: check.http is http://h:{instance}/, ${URL_RULE} for the instance a`,
  ],
  [
    'an address without a port',
    "check: {tcp: '{address}'}",
    '36: check.tcp is {address}, which is not HOST:PORT; write {address}:5432, say',
  ],
  [
    'an address with port 0',
    "check: {tcp: 'h:0'}",
    '36: check.tcp is h:0, which has no port from 1 to 65535 after its colon',
  ],
  [
    'an address with a port beyond',
    "check: {tcp: 'h:65536'}",
    '36: check.tcp is h:65536, which has no port from 1 to 65535 after its colon',
  ],
  [
    'an address with too many colons',
    "check: {tcp: '::1:80'}",
    '36: check.tcp is ::1:80, which is not HOST:PORT; write {address}:5432, say',
  ],
  ['an empty command', "check: {exec: ''}", `37: check.exec names no program; ${COMMAND}`],
  ['a command of no words', 'check: {exec: []}', `37: check.exec names no program; ${COMMAND}`],
  ['a command that is a map', 'check: {exec: {a: b}}', `37: check.exec is a map; ${COMMAND}`],
  [
    'a command with a list in it',
    'check: {exec: [a, [b]]}',
    '41: check.exec.1 is a list; write a word, in quotes when it is empty',
  ],
  [
    'a command with an open quote',
    'check: {exec: "say it\'s"}',
    '37: check.exec has a quote or a backslash without its other half; write "it\'s" in double quotes, or a list of words',
  ],
  ['a command with a NUL', 'check: {exec: "a \\0"}', '37: check.exec has a NUL character, which no argument can hold'],
  [
    'a command too long',
    `check: {exec: ${'x'.repeat(16_385)}}`,
    '37: check.exec is longer than 16384 characters; put it into a script on the hosts and name that',
  ],
  ['a label with a slash', 'discovery: {label: a/b}', `42: discovery.label is a/b, which cannot be a label: ${LABEL}`],
  [
    'a label with a newline',
    'discovery: {label: "a\\nb"}',
    `42: discovery.label is "a\\nb", which cannot be a label: ${LABEL}`,
  ],
  ['a port beyond', 'discovery: {port: 65536}', '41: discovery.port is 65536; write a port from 1 to 65535'],
  ['a role of two words', 'discovery: {role: a b}', `41: discovery.role is "a b", which cannot be a role: ${LABEL}`],
  ['information that is a text', 'discovery: {info: a}', '41: discovery.info is a; write a map of names and texts'],
  ['information in lists', 'discovery: {info: {a: [b]}}', '45: discovery.info.a is a list; write a text'],
  [
    'a stop that is put off for a day',
    'discovery: {deregistration_delay: 1d}',
    '57: discovery.deregistration_delay is 1d; write seconds (0.5) or 500ms, 4s, 1m, 2h, from 0s to 60m',
  ],
  [
    'a stop that is put off for too long',
    'discovery: {deregistration_delay: 61m}',
    '57: discovery.deregistration_delay is 61m; write seconds (0.5) or 500ms, 4s, 1m, 2h, from 0s to 60m',
  ],
  [
    'information a little too large',
    `discovery: {info: {a: ${'x'.repeat(65_536 - 7)}}}`,
    '35: discovery.info takes 65 KiB, more than the 64 KiB that are published; name a place to read it from instead',
  ],
  [
    'a start in parallel',
    'start: parallel',
    '30: start is parallel; write a map of settings: at_once, until, timeout; or serial',
  ],
  [
    'no start at once',
    'start: {at_once: 0}',
    '40: start.at_once is 0; write a whole number, 1 or more, without leading zeros',
  ],
  ['a start until another state', 'start: {until: runing}', '38: start.until is runing; allowed: active, healthy'],
  [
    'a start until healthy without a check',
    'start: {until: healthy}',
    '38: start.until is healthy, but a has no check; add check: or write until: active',
  ],
  [
    'a start with a timeout of days',
    'start: {timeout: 48h}',
    '40: start.timeout is 48h; write seconds (0.5) or 500ms, 4s, 1m, 2h, from 1s to 1440m',
  ],
  ['after itself', 'after: a', '30: a waits for a: none of them could ever start; remove one of these'],
  ['after nobody', 'after: [{}]', '31: this entry of after has no service; add service: with the name of one'],
  ['after an empty name', "after: ['']", '31: after.0.service is an empty text; write the name of a service'],
  [
    'after an unknown service',
    'after: [zookeeper]',
    '31: after names zookeeper, which no service of the file is called; allowed: a',
  ],
  [
    'after something elsewhere',
    'after: [{service: a, where: same_host}]',
    '31: a waits for a: none of them could ever start; remove one of these',
    '51: after.0.where is same_host; did you mean same-host?',
  ],
  [
    'after with an unknown key',
    'after: [{servce: b}]',
    '31: this entry of after has no service; add service: with the name of one',
    '32: unknown key servce; did you mean service?',
  ],
];

describe('each mistake is reported at its place, with what is allowed', () => {
  test.each(ROWS)('%s', (_name, keys, ...expected) => {
    expect(problems(`- {name: a, count: 1, ${keys}}`)).toEqual(expected.map((line) => `c.yml:3:${line}`));
  });

  test('information of 2 MB', () => {
    expect(problems(`- {name: a, count: 1, discovery: {info: {a: ${'x'.repeat(1_999_000)}}}}`)).toEqual([
      'c.yml:2:1: the services take 1953 KiB, more than the 868 KiB that fit into ZooKeeper; move long scripts and info into files on the hosts',
      'c.yml:3:35: discovery.info takes 1953 KiB, more than the 64 KiB that are published; name a place to read it from instead',
    ]);
  });

  test.each([
    [
      'a name that is no label, and no other',
      "- {name: 'a:b', count: 1, discovery: {}}",
      `c.yml:3:27: a:b cannot be a label (${LABEL}); add label: with one to be found under`,
    ],
    [
      'a unit of another service',
      '- {name: a, count: 1, after: [b@1]}\n- {name: b, instances: {1: 1}}',
      'c.yml:3:31: after names b@1, one unit of b, but only whole services can be waited for; write b',
    ],
    [
      'a misspelt service',
      '- {name: a, count: 1, after: [kafak]}\n- {name: kafka, count: 1}',
      'c.yml:3:31: after names kafak, which no service of the file is called; did you mean kafka?',
    ],
    [
      'the same service twice',
      '- {name: a, count: 1, after: [b, {service: b, where: same-host}]}\n- {name: b, count: 1}',
      'c.yml:3:34: after names b twice; keep one of them',
    ],
    [
      'a cycle of three',
      '- {name: a, count: 1, after: b}\n- {name: b, count: 1, after: [c]}\n- {name: c, count: 1, after: [d, a]}\n- {name: d, count: 1}',
      'c.yml:5:34: a waits for b waits for c waits for a: none of them could ever start; remove one of these',
    ],
    [
      'a cycle behind another service',
      '- {name: a, count: 1, after: b}\n- {name: b, count: 1, after: c}\n- {name: c, count: 1, after: b}',
      'c.yml:5:30: b waits for c waits for b: none of them could ever start; remove one of these',
    ],
    [
      'a move of a global service',
      '- {name: a, type: global, check: {exec: x, on_unhealthy: move}}',
      'c.yml:3:58: check.on_unhealthy is move, but a is global: every host has an instance already; write restart or report',
    ],
    [
      'a URL that is wrong for one key',
      "- {name: a, instances: {'1': 1, x: 1}, check: {http: 'http://h:{instance}/'}}",
      `c.yml:3:54: check.http is http://h:{instance}/, ${URL_RULE} for the instance x`,
    ],
    [
      'a service with a mistake of its own that others wait for',
      '- {name: a, count: x}\n- {name: b, count: 1, after: a}\n- {name: c, after: a}',
      'c.yml:3:20: count is x; write a whole number, 0 or more, without leading zeros',
      'c.yml:5:4: the type of this service is unknown; write type: global, or give count (shared) or instances (multi)',
    ],
  ])('%s', (_name, source, ...expected) => {
    expect(problems(source)).toEqual(expected);
  });

  test('a move of what is forced to a host is accepted with a warning', () => {
    expect(
      warnings('- {name: a, instances: {x: 1, y: 1}, force: {x: w1}, check: {exec: x, on_unhealthy: move}}'),
    ).toEqual(['c.yml:3:85: x cannot move, as force says: unhealthy or not, it stays where it is']);
  });

  test('a mistake within a list hides none of the others', () => {
    expect(problems("- {name: a, count: 1, after: ['']}\n- {name: b}").map((line) => line.slice(0, 32))).toEqual([
      'c.yml:3:31: after.0.service is a',
      'c.yml:4:4: the type of this serv',
    ]);
  });

  test('a key cannot become the server of a URL', () => {
    expect(problems("- {name: a, instances: {'u@h': 1}, check: {http: 'http://{instance}/'}}")).toEqual([
      `c.yml:3:50: check.http is http://{instance}/, ${URL_RULE} for the instance u@h`,
    ]);
  });

  test('a check with a mistake is a check all the same: nothing else is said of its absence', () => {
    expect(
      problems('- {name: a, count: 1, check: {http: [x]}, start: {until: healthy}, discovery: {only_healthy: no}}'),
    ).toEqual(['c.yml:3:37: check.http is a list; write a URL such as http://{address}:8080/health']);
  });
});
