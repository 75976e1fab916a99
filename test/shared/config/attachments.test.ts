/** What a service has beside its placement, as files may write it: checks, discovery and the order of starts. */
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
