/** Mistakes of services: their types, counts, names and units, and what their scripts refer to. */
import { describe, expect, test } from 'vitest';
import { fileProblems, type Mistake } from './reading.ts';

const COUNT = 'write a whole number, 0 or more, without leading zeros';
const NAME_RULE = 'letters, digits and : - _ . \\, at most 255 characters together with .service';

const ROWS: readonly Mistake[] = [
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
];

describe('each mistake is reported at its place, with what is allowed', () => {
  test.each(ROWS)('%s', (_name, source, ...expected) => {
    expect(fileProblems(source)).toEqual(expected);
  });

  test('references to the units of a service with mistakes of its own are not called unknown', () => {
    const source = [
      '- {name: kafka.service, type: mlti, instances: {x: 1}}',
      '- {name: m, instances: {y: -1}}',
      '- {name: a, count: 1, prestart: "{instance:kafka@x} {instance:m@y.service}"}',
    ].join('\n');
    expect(fileProblems(source)).toEqual([
      'c.yml:3:31: type is mlti; did you mean multi?',
      `c.yml:4:28: instances.y is -1; ${COUNT}`,
    ]);
  });

  test('services too large for a znode are refused with their size', () => {
    const script = 'x'.repeat(100_000);
    const services = Array.from({ length: 10 }, (_, index) => `- {name: s${index}, count: 1, prestart: ${script}}`);
    expect(fileProblems(services.join('\n'))).toEqual([
      'c.yml:2:1: the services take 978 KiB, more than the 868 KiB that fit into ZooKeeper; move long scripts and info into files on the hosts',
    ]);
  });
});
