import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Config, type ConfigProblem, renderProblem } from '../../../src/shared/config/config.ts';
import { parseConfig } from '../../../src/shared/config/parse-config.ts';
import { digestOf } from '../../../src/shared/digest.ts';
import { unitsOf } from '../../../src/shared/names.ts';
import type { Service } from '../../../src/shared/spec.ts';
import { exampleFile } from '../../fixtures/original-file.ts';

const HEAD = 'zookeeper: {quorum: zk1}\n';

function accept(source: string): { config: Config; warnings: readonly ConfigProblem[] } {
  const parsed = parseConfig(source, 'c.yml', 'w1');
  if (!parsed.ok) throw new Error(parsed.problems.map((problem) => renderProblem('c.yml', problem)).join('\n'));
  return parsed;
}

const services = (list: string): readonly Service[] => accept(`${HEAD}services:\n${list}`).config.spec.services;
const warnings = (list: string): string[] =>
  accept(`${HEAD}services:\n${list}`).warnings.map((warning) => renderProblem('c.yml', warning));
const zookeeper = (settings: string): Config['zookeeper'] =>
  accept(`zookeeper: {${settings}}\nservices: []`).config.zookeeper;
const top = (settings: string): Config => accept(`${HEAD}services: []\n${settings}`).config;

const ORIGINAL = exampleFile('zookeeper_quorum_replace_me');

describe('files of the original', () => {
  test("the document's example works as it stands, without a warning", () => {
    const { config, warnings } = accept(ORIGINAL);
    expect(warnings).toEqual([]);
    expect(config.zookeeper).toEqual({
      servers: ['zookeeper_quorum_replace_me:2181'],
      chroot: '/servicewatcher',
      sessionTimeoutMs: 4000,
      timings: { loopTickMs: 500, failedLoopTickMs: 1000, boundaryMs: 1000, reactionMs: 200 },
    });
    const common = { isolation: 'keep' };
    expect(config.spec.services).toEqual([
      { ...common, type: 'global', name: 'dummy_global', enabled: false },
      {
        ...common,
        type: 'shared',
        name: 'dummy_shared',
        enabled: true,
        count: 2,
        prestart: '#!/bin/bash\necho "dummy_multi@3 is running on {instance:dummy_multi@3}"\n',
      },
      {
        ...common,
        type: 'multi',
        name: 'dummy_multi',
        enabled: true,
        exclusive: false,
        instances: { '1': 1, '2': 2, '3': 3 },
        force: { '1': 'worker2' },
      },
    ]);
  });

  test('a data platform with scripts shared by anchors works', () => {
    const file = readFileSync(new URL('../../fixtures/data-platform.yml', import.meta.url), 'utf8');
    const { config, warnings } = accept(file);
    expect(warnings).toEqual([]);
    expect(config.spec.services.map((service) => [service.name, service.type, unitsOf(service)])).toEqual([
      ['haproxy', 'global', ['haproxy.service']],
      ['kafka', 'global', ['kafka.service']],
      ['hadoop', 'multi', ['hadoop@namenode.service', 'hadoop@datanode.service']],
      ['hbase', 'multi', ['hbase@master.service', 'hbase@regionserver.service']],
      ['flink', 'multi', ['flink@jobmanager.service', 'flink@taskmanager.service']],
      ['zeppelin', 'shared', ['zeppelin.service']],
    ]);
    const scripts = new Map(config.spec.services.map((service) => [service.name, service.prestart]));
    expect(scripts.get('hadoop')).toContain('{instance:hadoop@namenode}');
    expect(scripts.get('hbase')).toBe(scripts.get('hadoop'));
    expect(scripts.get('zeppelin')).toBe(scripts.get('hadoop'));
  });
});

describe('defaults', () => {
  test('a file of nothing but a quorum and services gets every default', () => {
    expect(accept(`${HEAD}services: []`).config).toEqual({
      file: 'c.yml',
      fileDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      zookeeper: {
        servers: ['zk1:2181'],
        chroot: '/servicewatcher',
        sessionTimeoutMs: 4000,
        timings: { loopTickMs: 10_000, failedLoopTickMs: 5000, boundaryMs: 1000, reactionMs: 2 },
      },
      http: { host: undefined, port: 9780 },
      host: { name: 'w1', labels: {} },
      onStop: 'stop',
      stateDir: '/var/lib/servicewatcher',
      spec: { services: [], brake: { above: 0.5, atLeast: 3, holdMs: 60_000 } },
      specDigest: digestOf({ services: [], brake: { above: 0.5, atLeast: 3, holdMs: 60_000 } }),
    });
  });

  test('keys without a value count as absent', () => {
    const config = accept(
      'zookeeper:\n  quorum: a\n  timings:\nservices: []\nhttp:\nhost: ~\nbrake: null\non_stop:',
    ).config;
    expect(config).toMatchObject({ onStop: 'stop', http: { port: 9780 }, host: { name: 'w1' } });
  });

  test('a time to stop in that is a quarter of the session fits', () => {
    const text = `zookeeper: {quorum: a, session_timeout: 8s}\nservices: [{name: a, count: 1, isolation: stop, stop_timeout: 2s}]`;
    expect(parseConfig(text, 'c.yml', 'w1').ok).toBe(true);
  });

  test('the isolation at the top is the default of the services', () => {
    const { spec } = accept(
      `isolation: stop\n${HEAD}services: [{name: a, count: 1}, {name: b, count: 1, isolation: keep}]`,
    ).config;
    expect(spec.services.map((service) => service.isolation)).toEqual(['stop', 'keep']);
  });
});

describe('services', () => {
  test('the type follows from count or instances', () => {
    expect(services('- {name: a, count: 0}\n- {name: b, instances: {x: 1}}').map(({ type }) => type)).toEqual([
      'shared',
      'multi',
    ]);
  });

  test.each(['yes', 'Yes', 'on', 'ON', 'true', 'True', "'yes'"])('enabled: %s means true', (word) => {
    expect(services(`- {name: a, count: 1, enabled: ${word}}`)[0]?.enabled).toBe(true);
  });

  test.each(['no', 'No', 'off', 'OFF', 'false', 'FALSE'])('enabled: %s means false', (word) => {
    expect(services(`- {name: a, count: 1, enabled: ${word}}`)[0]?.enabled).toBe(false);
  });

  test.each([
    ['3', 3],
    ["'3'", 3],
    ['1_000', 1000],
    ['1e3', 1000],
    ['0', 0],
    ['2.0', 2],
  ])('count: %s means %i', (text, count) => {
    expect(services(`- {name: a, count: ${text}}`)[0]).toMatchObject({ count });
  });

  test('instance keys and hosts that YAML takes for numbers, booleans or nothing are names as written', () => {
    const keys = ['010', '1_000', '1e3', '0x1F', '1.50', 'yes', 'null', '1:30', '2024-01-01'];
    const list = keys.map((key) => `    ${key}: 1`).join('\n');
    const hosts = ['010', '1e3', '0x1F', '1.50', 'yes', '2024-01-01'];
    const force = hosts.map((host) => `    ${host}: ${host}`).join('\n');
    const [service] = services(`- name: a\n  instances:\n${list}\n  force:\n${force}`);
    if (service?.type !== 'multi') throw new Error('not multi');
    expect(service.instances).toEqual(Object.fromEntries(keys.map((key) => [key, 1])));
    expect(service.force).toEqual(Object.fromEntries(hosts.map((host) => [host, host])));
  });

  test('host names that YAML takes for numbers are names as written', () => {
    expect(top('host: {name: 0010}').host.name).toBe('0010');
  });

  test('a name may end in .service', () => {
    expect(services('- {name: kafka.service, type: global}')[0]?.name).toBe('kafka');
  });

  test('a shared service may be one instance of a template', () => {
    const [service] = services('- {name: getty@tty1, count: 1}');
    expect(service && unitsOf(service)).toEqual(['getty@tty1.service']);
  });

  test('keys that mean nothing for a type are accepted with a warning', () => {
    expect(warnings("- name: a\n  type: global\n  count: 3\n  force: {'1': w1}\n  exclusive: true")).toEqual([
      'c.yml:5:3: count means nothing for a global service and is ignored',
      'c.yml:6:3: force means nothing for a global service and is ignored',
      'c.yml:7:3: exclusive means nothing for a global service and is ignored',
    ]);
  });

  test('exclusive: false is accepted on any type without a warning', () => {
    expect(warnings('- {name: a, type: global, exclusive: false}')).toEqual([]);
  });

  test('two instances of an exclusive service forced to one host are warned of', () => {
    expect(warnings('- name: a\n  exclusive: true\n  instances: {x: 1, y: 1}\n  force: {x: w1, y: w1}')).toEqual([
      'c.yml:6:18: x and y are both forced to w1, but a is exclusive: only one of them can run',
    ]);
  });

  test('top-level keys that only hold anchors are allowed, and merge keys work', () => {
    const { spec } = accept(
      `.base: &base {enabled: no, isolation: stop}\nx-more: &more {count: 5, enabled: yes}\n${HEAD}services:\n` +
        '- name: a\n  <<: *base\n  count: 2\n- <<: [*base, *more]\n  name: b\n- {name: c, <<: *base, <<: *more}',
    ).config;
    expect(spec.services).toMatchObject([
      { name: 'a', enabled: false, isolation: 'stop', count: 2 },
      { name: 'b', enabled: false, isolation: 'stop', count: 5 },
      { name: 'c', enabled: false, isolation: 'stop', count: 5 },
    ]);
  });

  test("a service's own keys win over merged ones, wherever they stand", () => {
    const list = services(
      '- {name: a, count: 1, <<: &b {enabled: no}, enabled: yes}\n- {enabled: yes, <<: *b, name: b, count: 1}',
    );
    expect(list.map(({ enabled }) => enabled)).toEqual([true, true]);
  });

  test('an anchor that is defined twice means the latest one above', () => {
    const list = services(
      '- {name: a, count: &n 1}\n- {name: b, count: *n}\n- {name: c, count: &n 2}\n- {name: d, count: *n}',
    );
    expect(list).toMatchObject([{ count: 1 }, { count: 1 }, { count: 2 }, { count: 2 }]);
  });
});

test('a tag that means nothing here is warned of, one of YAML itself is not', () => {
  expect(warnings('- {name: !!str a, count: !!int 1, enabled: !flag yes}')).toEqual([
    'c.yml:3:44: Unresolved tag: !flag; the tag is ignored',
  ]);
});

describe('prestart', () => {
  test('services may refer to themselves and to each other, with or without .service', () => {
    expect(
      warnings(
        '- {name: a, count: 1, prestart: "{instance:a} {instance:b.service}"}\n- {name: b, count: 1, prestart: "{instance:a.service}"}',
      ),
    ).toEqual([]);
  });

  test('a reference to what is disabled or counted 0 is warned of, at its place in the block', () => {
    const list = [
      '- name: a',
      '  count: 1',
      '  prestart: |',
      '    #!/bin/sh',
      '    echo {instance:off} {instance:m@none}',
      '- {name: off, type: global, enabled: no}',
      '- {name: m, instances: {none: 0}}',
    ].join('\n');
    expect(warnings(list)).toEqual([
      'c.yml:7:10: off runs nowhere as the file stands, so a waits before its start',
      'c.yml:7:25: m@none runs nowhere as the file stands, so a waits before its start',
    ]);
  });

  test('a service that is disabled itself may refer to what runs nowhere without a warning', () => {
    expect(warnings('- {name: a, count: 1, enabled: no, prestart: "{instance:a}"}')).toEqual([]);
  });

  test('what the shell expands itself is left alone, with a warning where it looks like a slip', () => {
    expect(warnings(`- {name: a, count: 1, prestart: 'echo \${instance:-none} \${instance:0:3}'}`)).toEqual([]);
    expect(warnings(`- {name: a, count: 1, prestart: 'echo \${instance:a}'}`)).toEqual([
      `c.yml:3:39: \${instance:a} is left to the shell; to have the hosts of a, write {instance:a} without the $`,
    ]);
  });
});

describe('zookeeper', () => {
  test.each<[string, readonly string[] | 'embedded', string]>([
    ['quorum: "h1:2181,h2:2182"', ['h1:2181', 'h2:2182'], '/servicewatcher'],
    ['quorum: " h1 , h2:99 "', ['h1:2181', 'h2:99'], '/servicewatcher'],
    ['quorum: [h1, "h2:2182"]', ['h1:2181', 'h2:2182'], '/servicewatcher'],
    ['quorum: 10.0.0.1', ['10.0.0.1:2181'], '/servicewatcher'],
    ['quorum: embedded', 'embedded', '/servicewatcher'],
    ['quorum: "h1:2181,h2:2181/prod/sw"', ['h1:2181', 'h2:2181'], '/prod/sw'],
    ['quorum: "h1/"', ['h1:2181'], '/servicewatcher'],
    ['quorum: h1/prod, chroot: /prod', ['h1:2181'], '/prod'],
    ['quorum: h1, chroot: /a/b-c.d', ['h1:2181'], '/a/b-c.d'],
  ])('%s', (settings, servers, chroot) => {
    expect(zookeeper(settings)).toMatchObject({ servers, chroot });
  });

  test.each([
    ['2', 2000],
    ['1.5', 1500],
    ['.5', 500],
    ['500ms', 500],
    ['4s', 4000],
    ['1m', 60_000],
    ['2h', 7_200_000],
    ['1.5 s', 1500],
  ])('loop_tick: %s is %i ms', (text, ms) => {
    expect(zookeeper(`quorum: a, timings: {loop_tick: ${text}}`).timings.loopTickMs).toBe(ms);
  });

  test('a reaction as long as the loop tick is allowed, as are no boundary and no reaction', () => {
    expect(zookeeper('quorum: a, timings: {loop_tick: 1, partitioner_reaction: 1}').timings.reactionMs).toBe(1000);
    expect(zookeeper('quorum: a, timings: {partitioner_boundary: 0, partitioner_reaction: 0}').timings).toMatchObject({
      boundaryMs: 0,
      reactionMs: 0,
    });
  });
});

describe('the host', () => {
  test.each([
    ["':9780'", undefined, 9780],
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    ['9000', undefined, 9000],
    ["'[::1]:9780'", '::1', 9780],
    ["'*:9780'", undefined, 9780],
    ['localhost:9780', 'localhost', 9780],
  ])('http.listen: %s', (text, host, port) => {
    expect(top(`http: {listen: ${text}}`).http).toEqual({ host, port });
  });

  test('all settings of the host are taken', () => {
    const config = top(
      'host: {name: w9, address: 192.0.2.9, labels: {rack: 7, zone.a/b: on}}\non_stop: keep\nstate_dir: /srv/sw\n' +
        'systemd: {bus: "unix:path=/tmp/bus"}\nbrake: {above: 25%, at_least: 2, hold: 5m}',
    );
    expect(config).toMatchObject({
      host: { name: 'w9', address: '192.0.2.9', labels: { rack: '7', 'zone.a/b': 'on' } },
      onStop: 'keep',
      stateDir: '/srv/sw',
      systemdBus: 'unix:path=/tmp/bus',
      spec: { brake: { above: 0.25, atLeast: 2, holdMs: 300_000 } },
    });
  });
});

describe('digests', () => {
  const digests = (source: string) => {
    const { fileDigest, specDigest } = accept(source).config;
    return { fileDigest, specDigest };
  };

  test('the digest of the spec ignores form, comments and what concerns one host only', () => {
    const a = digests(`${HEAD}services:\n- name: a\n  instances: {y: 1, x: 2}\n  force: {y: w1}`);
    const b = digests(
      `# hosts differ\nhost: {name: w7}\n${HEAD}services:\n- force: {y: w1}\n  instances: {x: 2, y: 1}\n  name: a.service`,
    );
    expect(b.specDigest).toBe(a.specDigest);
    expect(b.fileDigest).not.toBe(a.fileDigest);
  });

  test('the digest of the spec tells services and policies apart', () => {
    const base = digests(`${HEAD}services: [{name: a, count: 1}]`).specDigest;
    expect(digests(`${HEAD}services: [{name: a, count: 2}]`).specDigest).not.toBe(base);
    expect(digests(`${HEAD}services: [{name: a, count: 1}]\nbrake: {hold: 1}`).specDigest).not.toBe(base);
  });
});

test('a file of 2,500 services with scripts is read', () => {
  const entries = Array.from(
    { length: 2500 },
    (_, i) =>
      `  - name: svc-${i}\n    count: 3\n    prestart: |\n      #!/bin/sh\n      echo {instance:svc-${(i + 1) % 2500}}\n`,
  );
  const source = `${HEAD}services:\n${entries.join('')}`;
  expect(source.length).toBeGreaterThan(220 * 1024);
  expect(accept(source).config.spec.services).toHaveLength(2500);
});
