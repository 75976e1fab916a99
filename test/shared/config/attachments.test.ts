import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/shared/config/parse-config.ts';
import { exampleFile } from '../../fixtures/original-file.ts';
import { digest, problems, service, spec, warnings } from './reading.ts';

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8');

describe('files without these keys', () => {
  test.each([
    ['the original', exampleFile('zk1'), '0d0ed79ef82a4562c573d9dd402a82a8f9ec97a6cfc3a4ba6752f969ce3739ca'],
    [
      'a data platform',
      fixture('data-platform.yml'),
      '89dea9b1e8dfc12d328c254a3b8b5600f62fd8a94be456779233011e0dfdf2e0',
    ],
  ])('keep the digest that they had before there were such keys: %s', (_name, source, before) => {
    const parsed = parseConfig(source, 'c.yml', 'w1');
    if (!parsed.ok) throw new Error('not accepted');
    expect(parsed.config.specDigest).toBe(`sha256:${before}`);
  });

  test('keys without a value, and lists without entries, are as good as absent', () => {
    const bare = digest('- {name: a, count: 1}');
    const empty = digest('- {name: a, count: 1, check: , discovery: ~, start: null, after: []}\ntemplates: []\nhooks:');
    expect(empty).toBe(bare);
  });
});

const PROBE = { kind: 'http', url: 'http://{address}:80/' };
const DEFAULTS = {
  probe: PROBE,
  intervalMs: 2000,
  timeoutMs: 1000,
  healthyAfter: 1,
  unhealthyAfter: 3,
  startPeriodMs: 0,
  onUnhealthy: 'report',
  limitPerHour: 3,
};

describe('a check', () => {
  test('that says only what to ask has every default', () => {
    expect(service("check: {http: 'http://{address}:80/'}").check).toEqual(DEFAULTS);
  });

  test('may say all of it', () => {
    const keys =
      'interval: 500ms, timeout: 0.2, healthy_after: 2, unhealthy_after: 5, start_period: 1m, on_unhealthy: move, limit_per_hour: 10';
    expect(service(`check: {tcp: 'db:5432', ${keys}}`).check).toEqual({
      probe: { kind: 'tcp', address: 'db:5432' },
      intervalMs: 500,
      timeoutMs: 200,
      healthyAfter: 2,
      unhealthyAfter: 5,
      startPeriodMs: 60_000,
      onUnhealthy: 'move',
      limitPerHour: 10,
    });
  });

  test.each([
    ['https://a.example.org/health?x=1', 'count: 1'],
    ['http://[::1]:80/', 'count: 1'],
    ['http://{host}.{instance}.example.org/', 'count: 1'],
    ['http://{address}:{instance}/', "instances: {'8080': 1, '8081': 2}"],
    ['http://{address}/{instance}', "instances: {'a@b': 1, 'c\\d': 2}"],
  ])('may ask %s', (url, placement) => {
    expect(service(`check: {http: '${url}'}`, placement).check?.probe).toEqual({ kind: 'http', url });
  });

  test.each([['{address}:5432'], ['{instance}:1'], ['10.0.0.1:65535'], ['[::1]:80']])(
    'may connect to %s',
    (address) => {
      expect(service(`check: {tcp: '${address}'}`).check?.probe).toEqual({ kind: 'tcp', address });
    },
  );
});

describe('a command', () => {
  const command = (written: string): unknown => {
    const probe = service(`check: {exec: ${written}}`).check?.probe;
    return probe?.kind === 'exec' ? probe.command : undefined;
  };

  test.each([
    ['/bin/true', ['/bin/true']],
    [`'grep "a b" file'`, ['grep', 'a b', 'file']],
    [`"test 'a b' = \\"c d\\"e"`, ['test', 'a b', '=', 'c de']],
    [`'printf "%s" ""'`, ['printf', '%s', '']],
    ['a\\ b c', ['a b', 'c']],
    ['  a   b  ', ['a', 'b']],
    ["[a, 'b c', '']", ['a', 'b c', '']],
    ["[sh, -c, 'a | b']", ['sh', '-c', 'a | b']],
    ["[a, '\"']", ['a', '"']],
    ["'curl -w %{http_code} http://{address}/'", ['curl', '-w', '%{http_code}', 'http://{address}/']],
  ])('%s is the words %j', (written, words) => {
    expect(command(written)).toEqual(words);
    expect(warnings(`- {name: a, count: 1, check: {exec: ${written}}}`)).toEqual([]);
  });

  test.each([
    ["'a | b'", '|'],
    ["'a > b'", '>'],
    ["'a >b'", '>b'],
    ["'a 2>/dev/null'", '2>/dev/null'],
    ["'a && b'", '&&'],
    ["'test -e $HOME/x'", '$HOME/x'],
    ["'test -e a$(date)'", 'a$(date)'],
  ])('%s is accepted with a warning, as no shell reads it', (written, word) => {
    expect(warnings(`- {name: a, count: 1, check: {exec: ${written}}}`)).toEqual([
      `c.yml:3:37: ${word} is passed on as it is, since no shell is involved; to have one, write [sh, -c, '…']`,
    ]);
  });

  test('for a shell, and words of a list, are taken as meant', () => {
    expect(warnings(`- {name: a, count: 1, check: {exec: "/bin/sh -c 'a | b $C'"}}`)).toEqual([]);
    expect(warnings("- {name: a, count: 1, check: {exec: [grep, '|', '$x']}}")).toEqual([]);
  });

  test('with a misspelt placeholder is accepted with a warning, as braces may be its own', () => {
    expect(warnings("- {name: a, count: 1, check: {exec: ['a{adress}', '{print}', '{instance}']}}")).toEqual([
      'c.yml:3:37: {adress} is passed on as it is; did you mean {address}?',
    ]);
  });
});

describe('discovery', () => {
  test('of nothing but the key registers under the name of the service', () => {
    expect(service('discovery: {}').discovery).toEqual({ label: 'a', onlyHealthy: true });
    expect(service('discovery: {deregistration_delay: 0}').discovery).toEqual({ label: 'a', onlyHealthy: true });
  });

  test('may say all of it', () => {
    const keys =
      "label: db.main, port: 5432, role: primary, info: {version: 010, 'a b': ''}, only_healthy: no, deregistration_delay: 1.5m";
    expect(service(`check: {exec: x}, discovery: {${keys}}`).discovery).toEqual({
      label: 'db.main',
      port: 5432,
      role: 'primary',
      info: { version: '010', 'a b': '' },
      onlyHealthy: false,
      deregistrationDelayMs: 90_000,
    });
  });
});

describe('a start order', () => {
  test.each([
    ['start: serial', { atOnce: 1, until: 'active', timeoutMs: 300_000 }],
    ['start: {}', { atOnce: 1, until: 'active', timeoutMs: 300_000 }],
    ['start: serial, check: {exec: x}', { atOnce: 1, until: 'healthy', timeoutMs: 300_000 }],
    [
      'start: {at_once: 2, until: active, timeout: 10s}, check: {exec: x}',
      { atOnce: 2, until: 'active', timeoutMs: 10_000 },
    ],
  ])('%s', (keys, expected) => {
    expect(service(keys).start).toEqual(expected);
  });

  test('names what it comes after, anywhere or on the same host', () => {
    const { services } = spec(
      '- {name: a, count: 1, after: [b.service, {service: c, where: same-host}]}\n- {name: b, count: 1, after: c}\n- {name: c, type: global}',
    );
    expect(services.map(({ after }) => after)).toEqual([
      [
        { service: 'b', where: 'anywhere' },
        { service: 'c', where: 'same-host' },
      ],
      [{ service: 'c', where: 'anywhere' }],
      undefined,
    ]);
  });

  test('after what runs nowhere is accepted with a warning', () => {
    expect(
      warnings(
        '- {name: a, count: 1, after: [b, c, d]}\n- {name: b, count: 0}\n- {name: c, type: global, enabled: no}\n- {name: d, instances: {x: 0}}',
      ),
    ).toEqual(
      [
        [31, 'b', 'its count is 0'],
        [34, 'c', 'it is disabled'],
        [37, 'd', 'it has no instances'],
      ].map(
        ([column, name, why]) =>
          `c.yml:3:${column}: ${name} runs nowhere as the file stands, as ${why}: a is not started until that changes, or ${name} is left out here`,
      ),
    );
  });

  test('in two ways to the same service is no cycle', () => {
    expect(
      problems('- {name: a, count: 1, after: [b, c]}\n- {name: b, count: 1, after: c}\n- {name: c, count: 1}'),
    ).toEqual([]);
  });

  test('of a chain of thousands of services is looked through', () => {
    const chain = Array.from({ length: 5000 }, (_, i) => `- {name: s${i}, count: 1, after: s${(i + 1) % 5000}}`);
    const middle = ['s0', 's1', 's2', 's3', 's4', 's5', '…', 's0'].join(' waits for ');
    expect(problems(chain.join('\n'))).toEqual([
      `c.yml:5002:34: ${middle}: none of them could ever start; remove one of these`,
    ]);
  });
});

test.each([
  [
    'limit_per_hour without restarts',
    'check: {exec: x, limit_per_hour: 1}',
    '3:40: limit_per_hour means nothing without on_unhealthy: restart or move and is ignored',
  ],
  [
    'only_healthy without a check',
    'discovery: {only_healthy: no}',
    '3:35: only_healthy means nothing for a service without a check and is ignored',
  ],
])('%s is accepted with a warning', (_name, keys, expected) => {
  expect(warnings(`- {name: a, count: 1, ${keys}}`)).toEqual([`c.yml:${expected}`]);
});

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
