import { describe, expect, test } from 'vitest';
import { renderProblem } from '../../../src/shared/config/config.ts';
import { parseConfig } from '../../../src/shared/config/parse-config.ts';

const HEAD = 'zookeeper: {quorum: zk1}\n';
const COUNT = 'write a whole number, 0 or more, without leading zeros';
const DURATION = 'write seconds (0.5) or 500ms, 4s, 1m, 2h';
const NAME_RULE = 'letters, digits and : - _ . \\, at most 255 characters together with .service';
const V6 = 'which is not supported here; write a host name that resolves to it, as host:port';

/** Problems of a file, rendered; of a service list below a valid head when it starts with a dash. */
function problems(source: string): string[] {
  const whole = source.startsWith('- ') ? `${HEAD}services:\n${source}` : source;
  const parsed = parseConfig(whole, 'c.yml', 'w1');
  return parsed.ok ? [] : parsed.problems.map((problem) => renderProblem('c.yml', problem));
}

/** One row per mistake: what it is, the file, what is said. */
const ROWS: readonly (readonly [name: string, source: string, ...expected: string[]])[] = [
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

  // Services
  [
    'a service without a name',
    '- count: 1',
    'c.yml:3:3: this service has no name; add name: with the name of its systemd unit',
  ],
  [
    'a service whose type is unknown',
    '- name: a',
    'c.yml:3:3: the type of this service is unknown; write type: global, or give count (shared) or instances (multi)',
  ],
  ['a misspelt type', '- name: a\n  type: globl', 'c.yml:4:9: type is globl; did you mean global?'],
  [
    'a type like no other',
    '- name: a\n  type: replicated',
    'c.yml:4:9: type is replicated; allowed: global, shared, multi',
  ],
  [
    'count and instances without a type',
    "- name: a\n  count: 1\n  instances: {'1': 1}",
    'c.yml:5:3: both count and instances are given without a type; write type: shared or type: multi, and remove the other key',
  ],
  [
    'shared without a count',
    '- name: a\n  type: shared',
    'c.yml:4:9: a is shared but has no count; add count: with the wanted number of instances',
  ],
  [
    'multi without instances',
    '- name: a\n  type: multi',
    'c.yml:4:9: a is multi but has no instances; add instances: with a count for each key',
  ],
  ['a negative count', '- name: a\n  count: -1', `c.yml:4:10: count is -1; ${COUNT}`],
  ['a fractional count', '- name: a\n  count: 1.5', `c.yml:4:10: count is 1.5; ${COUNT}`],
  ['a count with a leading zero', '- name: a\n  count: 010', `c.yml:4:10: count is 010; ${COUNT}`],
  ['a count that is a word', '- name: a\n  count: two', `c.yml:4:10: count is two; ${COUNT}`],
  ['a count beyond all hosts', '- name: a\n  count: 1e7', `c.yml:4:10: count is 1e7; ${COUNT}`],
  ['a count that is a list', '- name: a\n  count: [1]', `c.yml:4:10: count is a list; ${COUNT}`],
  ['a negative count of an instance', "- name: a\n  instances: {'1': -2}", `c.yml:4:20: instances.1 is -2; ${COUNT}`],
  [
    'an instance without a count',
    '- name: a\n  instances:\n    x:\n    y: 1',
    `c.yml:5:5: instances.x is empty; ${COUNT}`,
  ],
  [
    'instances as a list',
    '- name: a\n  instances: [1]',
    'c.yml:4:14: instances is a list; write a map of instance keys and their counts',
  ],
  [
    'enabled that is no boolean',
    '- name: a\n  count: 1\n  enabled: maybe',
    'c.yml:5:12: enabled is maybe; write true or false (yes, no, on and off are understood too)',
  ],
  [
    'a time to stop in that the session does not leave',
    '- name: a\n  count: 1\n  isolation: stop\n  stop_timeout: 2s',
    'c.yml:6:17: a has isolation: stop and needs 2s to stop, but there are 1s: session_timeout must be at least 8s, but it is 4s',
  ],
  [
    'a time to stop in that no session leaves',
    '- name: a\n  count: 1\n  isolation: stop\n  stop_timeout: 16s',
    'c.yml:6:17: a has isolation: stop and needs 16s to stop, but the most is 15s with session_timeout: 1m',
  ],
  [
    'a wrong isolation',
    '- name: a\n  count: 1\n  isolation: halt',
    'c.yml:5:14: isolation is halt; allowed: keep, stop',
  ],
  [
    'the name of a timer',
    '- name: kafka.timer\n  count: 1',
    'c.yml:3:9: kafka.timer is a timer unit; only services can be declared here',
  ],
  [
    'the name of the daemon itself',
    '- name: servicewatcher\n  type: global',
    'c.yml:3:9: servicewatcher is the daemon itself, which cannot start or stop itself; leave it to systemctl enable',
  ],
  [
    'a name with a space',
    '- name: my kafka\n  count: 1',
    `c.yml:3:9: "my kafka" is not the name of a systemd service: ${NAME_RULE}`,
  ],
  [
    'a name with a slash',
    '- name: a/b\n  count: 1',
    `c.yml:3:9: a/b is not the name of a systemd service: ${NAME_RULE}`,
  ],
  [
    'a name that is too long',
    `- name: ${'a'.repeat(248)}\n  count: 1`,
    `c.yml:3:9: ${'a'.repeat(57)}… is not the name of a systemd service: ${NAME_RULE}`,
  ],
  [
    'a name that every object answers to',
    '- name: constructor\n  count: 1',
    `c.yml:3:9: constructor is not the name of a systemd service: ${NAME_RULE}`,
  ],
  [
    'a multi service named with its instance',
    '- name: a@b\n  instances: {c: 1}',
    'c.yml:3:9: a@b has an @, but a multi service is named by what stands before it; write a, and the rest as a key of instances',
  ],
  [
    'a bare template as a shared service',
    '- name: a@\n  count: 1',
    'c.yml:3:9: a@ is a template without an instance; write type: multi with instances, or name one instance such as a@1',
  ],
  [
    'an instance key with a space',
    '- name: a\n  instances: {b c: 1}',
    `c.yml:4:15: "b c" cannot be the instance of a unit: ${NAME_RULE}`,
  ],
  [
    'an instance key that every object answers to',
    '- name: a\n  instances: {toString: 1}',
    `c.yml:4:15: toString cannot be the instance of a unit: ${NAME_RULE}`,
  ],
  [
    'a name declared twice',
    '- name: a\n  count: 1\n- name: a.service\n  type: global',
    'c.yml:5:9: a is declared twice, first in line 3; keep one of them',
  ],
  [
    'a unit declared by two services',
    "- name: a\n  instances: {'1': 1}\n- name: a@1\n  count: 1",
    'c.yml:5:9: a@1.service is declared twice, first by a in line 3; keep one of them',
  ],
  [
    'force with another count than 1',
    "- name: a\n  force:\n    '1': w1\n  instances: {'1': 2}",
    'c.yml:5:5: 1 is forced to w1, so its count must be 1, but it is 2',
  ],
  [
    'force with a count of 0',
    "- name: a\n  force:\n    '1': w1\n  instances: {'1': 0}",
    'c.yml:5:5: 1 is forced to w1, so its count must be 1, but it is 0',
  ],
  [
    'force for an unknown key',
    "- name: a\n  force:\n    '4': w1\n  instances: {'1': 1}",
    'c.yml:5:5: force names 4, which is not a key of instances; its keys: 1',
  ],
  [
    'force to what is no host',
    "- name: a\n  force:\n    '1': a host\n  instances: {'1': 1}",
    'c.yml:5:10: "a host" is not the name of a host',
  ],
  [
    'force without a host',
    "- name: a\n  force:\n    '1':\n  instances: {'1': 1}",
    'c.yml:5:5: force.1 is empty; write the name of a host',
  ],

  // Prestart
  [
    'a reference to an unknown unit',
    '- name: dummy\n  count: 1\n  prestart: |\n    #!/bin/sh\n    echo {instance:dumy}',
    'c.yml:7:10: {instance:dumy} names a unit that no service declares; did you mean {instance:dummy}?',
  ],
  [
    'a reference to a template',
    "- name: a\n  instances: {'1': 1, '2': 1}\n  prestart: 'echo {instance:a}'",
    'c.yml:5:19: {instance:a} names a unit that no service declares; did you mean {instance:a@1}?',
  ],
  [
    'a reference like no unit',
    '- name: a\n  count: 1\n  prestart: echo {instance:elasticsearch}',
    'c.yml:5:18: {instance:elasticsearch} names a unit that no service declares; declared: a',
  ],
  [
    'an empty reference',
    '- name: kafka\n  count: 1\n  prestart: echo {instance:}',
    'c.yml:5:18: {instance:} names a unit that no service declares; declared: kafka',
  ],
  [
    'a reference that escapes hide',
    '- name: kafka\n  count: 1\n  prestart: "echo {inst\\x61nce:zookeeper}"',
    'c.yml:5:13: {instance:zookeeper} names a unit that no service declares; declared: kafka',
  ],
  [
    'the same unknown reference in a script that two services share',
    '- name: a\n  count: 1\n  prestart: &p |\n    {instance:kafka}\n- name: b\n  count: 1\n  prestart: *p',
    'c.yml:6:5: {instance:kafka} names a unit that no service declares; declared: a, b',
  ],
  [
    'a script that is a map',
    '- name: a\n  count: 1\n  prestart: {instance:a}',
    'c.yml:5:13: prestart is a map; write a script, best as a block that starts with |',
  ],

  // ZooKeeper
  [
    'an empty quorum',
    "zookeeper: {quorum: ''}\nservices: []",
    'c.yml:1:21: zookeeper.quorum is not understood: "" is not a server; write host:port, several parted by commas',
  ],
  [
    'an IPv6 address',
    "zookeeper: {quorum: '[::1]:2181'}\nservices: []",
    `c.yml:1:21: zookeeper.quorum is not understood: [::1]:2181 looks like an IPv6 address, ${V6}`,
  ],
  [
    'a bare IPv6 address in a list',
    "zookeeper:\n  quorum:\n  - zk1\n  - '::1'\nservices: []",
    `c.yml:4:5: zookeeper.quorum.1 is not understood: ::1 looks like an IPv6 address, ${V6}`,
  ],
  [
    'a port that is none',
    'zookeeper: {quorum: "zk1:99999"}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is not understood: zk1:99999 has no port from 1 to 65535 after its colon',
  ],
  [
    'a trailing comma',
    'zookeeper: {quorum: "zk1,"}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is not understood: "" is not a server; write host:port, several parted by commas',
  ],
  [
    'a quorum that is a map',
    'zookeeper: {quorum: {a: 1}}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is a map; write h1:2181,h2:2181, a list of servers, or embedded',
  ],
  [
    'an empty list of servers',
    'zookeeper: {quorum: []}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is a list; write h1:2181,h2:2181, a list of servers, or embedded',
  ],
  [
    'a relative chroot',
    'zookeeper: {quorum: a, chroot: sw}\nservices: []',
    'c.yml:1:32: zookeeper.chroot is not understood: sw is not a znode path; write an absolute one such as /servicewatcher, without a slash at its end',
  ],
  [
    'a chroot with dots',
    'zookeeper: {quorum: a, chroot: /a/../b}\nservices: []',
    'c.yml:1:32: zookeeper.chroot is not understood: /a/../b has a part . or .., which ZooKeeper refuses',
  ],
  [
    "ZooKeeper's own znode as chroot",
    'zookeeper: {quorum: a/zookeeper/x}\nservices: []',
    'c.yml:1:21: zookeeper.quorum is not understood: /zookeeper/x is reserved for ZooKeeper itself; choose another path',
  ],
  [
    'two different chroots',
    'zookeeper: {quorum: a/b, chroot: /c}\nservices: []',
    'c.yml:1:34: zookeeper.chroot is /c, but zookeeper.quorum ends in /b; keep one of them',
  ],
  [
    'a session timeout that is too short for isolation: stop',
    'zookeeper: {quorum: a, session_timeout: 2999ms}\nservices: [{name: a, count: 1, isolation: stop}]',
    'c.yml:1:41: a has isolation: stop, for which session_timeout must be at least 3s, but it is 2999ms',
  ],
  [
    'a session timeout that is too short',
    'zookeeper: {quorum: a, session_timeout: 999ms}\nservices: []',
    `c.yml:1:41: zookeeper.session_timeout is 999ms; ${DURATION}, from 1s to 1m`,
  ],
  [
    'a session timeout that is too long',
    'zookeeper: {quorum: a, session_timeout: 61}\nservices: []',
    `c.yml:1:41: zookeeper.session_timeout is 61; ${DURATION}, from 1s to 1m`,
  ],
  [
    'a timing with an unknown unit',
    'zookeeper: {quorum: a, timings: {loop_tick: 1d}}\nservices: []',
    `c.yml:1:45: zookeeper.timings.loop_tick is 1d; ${DURATION}, from 10ms to 1440m`,
  ],
  [
    'a tick of nothing',
    'zookeeper: {quorum: a, timings: {loop_tick: 0}}\nservices: []',
    `c.yml:1:45: zookeeper.timings.loop_tick is 0; ${DURATION}, from 10ms to 1440m`,
  ],
  [
    'a negative timing',
    'zookeeper: {quorum: a, timings: {partitioner_boundary: -1}}\nservices: []',
    `c.yml:1:56: zookeeper.timings.partitioner_boundary is -1; ${DURATION}, from 0s to 1440m`,
  ],
  [
    'timings that contradict each other',
    'zookeeper: {quorum: a, timings: {loop_tick: 1, partitioner_reaction: 1500ms}}\nservices: []',
    'c.yml:1:70: partitioner_reaction (1500ms) is longer than loop_tick (1s): events would be gathered for longer than two passes may be apart; make it shorter',
  ],

  // The rest
  [
    'a listen address without a port',
    `${HEAD}services: []\nhttp: {listen: localhost}`,
    'c.yml:3:16: http.listen is localhost; write :9780, an address with a port such as 127.0.0.1:9780, or a port',
  ],
  ['http that is a word', `${HEAD}services: []\nhttp: on`, 'c.yml:3:7: http is on; write a map of settings: listen'],
  [
    'a host name with a slash',
    `${HEAD}services: []\nhost: {name: a/b}`,
    'c.yml:3:14: host.name is a/b, which cannot be the name of a host: letters, digits, - and _, in parts parted by dots',
  ],
  [
    'an address with a port',
    `${HEAD}services: []\nhost: {address: "a:1"}`,
    'c.yml:3:17: host.address is a:1; write a host name or an IPv4 address, without a port',
  ],
  [
    'a label with a space',
    `${HEAD}services: []\nhost: {labels: {a b: c}}`,
    'c.yml:3:17: "a b" cannot be a label: letters, digits and _ . / -, at most 63 characters',
  ],
  [
    'labels that take more than every member shall read',
    `${HEAD}services: []\nhost: {name: w1, labels: {a: ${'x'.repeat(40_000)}}}`,
    'c.yml:3:18: host.labels take 40 KiB, more than the 32 KiB that are published; shorten them',
  ],
  ['on_stop misspelt', `${HEAD}services: []\non_stop: kep`, 'c.yml:3:10: on_stop is kep; did you mean keep?'],
  [
    'a brake above everything',
    `${HEAD}services: []\nbrake: {above: 120%}`,
    'c.yml:3:16: brake.above is 120%; write a share of the hosts, from 0% to 100%',
  ],
  [
    'a brake above a bare number of percent',
    `${HEAD}services: []\nbrake: {above: 50}`,
    'c.yml:3:16: brake.above is 50; write a share of the hosts, from 0% to 100%',
  ],
  [
    'a brake for no host',
    `${HEAD}services: []\nbrake: {at_least: 0}`,
    'c.yml:3:19: brake.at_least is 0; write a whole number, 1 or more, without leading zeros',
  ],
  [
    'a relative state directory',
    `${HEAD}services: []\nstate_dir: state`,
    'c.yml:3:12: state_dir is state; write an absolute path, such as /var/lib/servicewatcher',
  ],
  [
    'a bus that is a path',
    `${HEAD}services: []\nsystemd: {bus: /run/bus}`,
    'c.yml:3:16: systemd.bus is /run/bus; write the address of a D-Bus, such as unix:path=/run/dbus/system_bus_socket',
  ],
];

describe('each mistake is reported at its place, with what is allowed', () => {
  test.each(ROWS)('%s', (_name, source, ...expected) => {
    expect(problems(source)).toEqual(expected);
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
    expect(problems(source).map((line) => line.slice(0, 44))).toEqual([
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

  test('references to the units of a service with mistakes of its own are not called unknown', () => {
    const source = [
      '- {name: kafka.service, type: mlti, instances: {x: 1}}',
      '- {name: m, instances: {y: -1}}',
      '- {name: a, count: 1, prestart: "{instance:kafka@x} {instance:m@y.service}"}',
    ].join('\n');
    expect(problems(source)).toEqual([
      'c.yml:3:31: type is mlti; did you mean multi?',
      `c.yml:4:28: instances.y is -1; ${COUNT}`,
    ]);
  });

  test('a machine whose own name cannot be used is told to set one', () => {
    const parsed = parseConfig(`${HEAD}services: []`, 'c.yml', 'my host');
    expect(parsed).toMatchObject({
      ok: false,
      problems: [{ line: 0, message: expect.stringContaining('set host.name') }],
    });
  });

  test('services too large for a znode are refused with their size', () => {
    const script = 'x'.repeat(100_000);
    const services = Array.from({ length: 10 }, (_, index) => `- {name: s${index}, count: 1, prestart: ${script}}`);
    expect(problems(services.join('\n'))).toEqual([
      'c.yml:2:1: the services take 978 KiB, more than the 868 KiB that fit into ZooKeeper; move long scripts and info into files on the hosts',
    ]);
  });

  test('aliases of aliases that would fill the memory are refused', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `.l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(',')}]`,
    );
    expect(problems(`.l0: &l0 [x]\n${levels.join('\n')}\n${HEAD}services: []`)[0]).toMatch(
      /^c\.yml:\d+:\d+: \*l\d makes the file larger than 200000 values; use fewer aliases$/,
    );
  });

  test.each([100, 1_000, 20_000])('%i nested lists are refused, not a crash', (depth) => {
    expect(problems('['.repeat(depth) + ']'.repeat(depth))[0]).toContain('nested more than 64 levels deep');
  });
});
