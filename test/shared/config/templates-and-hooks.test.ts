import { describe, expect, test } from 'vitest';
import { problems, spec, warnings } from './reading.ts';

const SERVICES = 'services: [{name: web, count: 1}]\n';

const template = (keys: string) =>
  spec(`${SERVICES}templates: [{source: /a.hbs, destination: /a, ${keys}}]`).templates?.[0];
const hook = (keys: string) => spec(`${SERVICES}hooks: [{${keys}}]`).hooks?.[0];

describe('a template', () => {
  test('of nothing but two paths has every default, and is for every host', () => {
    expect(template('')).toEqual({ source: '/a.hbs', destination: '/a', on: {}, mode: 0o644, debounceMs: 50 });
  });

  test('may say all of it', () => {
    expect(
      template(
        "on: {labels: {rack: 1, net/dc: b}, service: web.service}, check: 'haproxy -c -f {file}', reload: haproxy.service, mode: 0600, owner: haproxy:adm, debounce: 1s",
      ),
    ).toEqual({
      source: '/a.hbs',
      destination: '/a',
      on: { labels: { rack: '1', 'net/dc': 'b' }, service: 'web' },
      check: ['haproxy', '-c', '-f', '{file}'],
      reload: { kind: 'unit', unit: 'haproxy.service' },
      mode: 0o600,
      owner: 'haproxy:adm',
      debounceMs: 1000,
    });
  });

  test('may run a program instead of reloading a unit', () => {
    expect(template('reload: {exec: [nginx, -s, reload]}')?.reload).toEqual({
      kind: 'exec',
      command: ['nginx', '-s', 'reload'],
    });
  });

  test.each([
    ['0644', 0o644],
    ['644', 0o644],
    ['0o755', 0o755],
    ["'000'", 0],
  ])('with mode %s', (written, mode) => {
    expect(template(`mode: ${written}`)?.mode).toBe(mode);
  });

  test.each(['root', 'www-data', '0:0', '_apt:nogroup', 'machine$'])('that belongs to %s', (owner) => {
    expect(template(`owner: "${owner}"`)?.owner).toBe(owner);
  });

  test('may share its destination with one that no host renders as well', () => {
    const two = (first: string, second: string) =>
      `templates:\n- {source: /a, destination: /x, on: {${first}}}\n- {source: /b, destination: /x, on: {${second}}}`;
    expect(problems(two('labels: {role: edge}', 'labels: {role: inner}'))).toEqual([]);
    expect(problems(two('labels: {role: edge}', 'labels: {rack: b}'))).toHaveLength(1);
  });

  test('whose check does not look at it is accepted with a warning', () => {
    expect(warnings('templates: [{source: /a, destination: /b, check: haproxy -c -f /b}]')).toEqual([
      'c.yml:3:50: check has no {file}, so it does not look at what was rendered; write {file} for its path',
    ]);
  });
});

describe('a hook', () => {
  test('of events and a program has every default, and runs on every host', () => {
    expect(hook('on: [unit-failed, unit-moved, unit-failed], run: /usr/bin/page')).toEqual({
      events: ['unit-failed', 'unit-moved'],
      on: {},
      filter: {},
      run: ['/usr/bin/page'],
      timeoutMs: 30_000,
    });
  });

  test('may say all of it', () => {
    expect(
      hook(
        "on: leader-changed, hosts: {labels: {a: b}, service: web}, filter: {host: w1, service: web, label: web.http, role: load balancer}, run: [a, 'b c'], timeout: 1m",
      ),
    ).toEqual({
      events: ['leader-changed'],
      on: { labels: { a: 'b' }, service: 'web' },
      filter: { host: 'w1', service: 'web', label: 'web.http', role: 'load balancer' },
      run: ['a', 'b c'],
      timeoutMs: 60_000,
    });
  });

  test('that would need a shell is accepted with a warning', () => {
    expect(warnings('hooks: [{on: unit-failed, run: echo $SERVICEWATCHER_HOST}]')).toEqual([
      "c.yml:3:32: $SERVICEWATCHER_HOST is passed on as it is, since no shell is involved; to have one, write [sh, -c, '…']",
    ]);
  });
});

describe('a hook whose filter', () => {
  const FILE = `services:
- {name: web, count: 1, discovery: {label: http, role: front}}
- {name: db, count: 1}
- {name: off, count: 1, enabled: false}
hooks:
- run: a
`;
  const said = (keys: string) => warnings(`${FILE}  ${keys}`);

  test.each([
    'on: [registered, unregistered, unit-failed], filter: {label: http, service: web, role: front}',
    'on: member-join, filter: {role: backend, host: w7}',
    'on: unit-failed, filter: {service: db, role: any}',
    'on: leader-changed, filter: {host: w1}',
    'on: registered, filter: {role: any}',
  ])('may match is accepted: %s', (keys) => {
    expect(said(keys.replace(', filter', '\n  filter'))).toEqual([]);
  });

  test.each([
    [
      'asks of hosts what they do not have',
      'on: [member-join, member-failed, registered]\n  filter: {label: http}',
      '9:19: member-join, member-failed are of no label: this filter never lets them through',
    ],
    [
      'asks for a service that the leader does not have',
      'on: leader-changed\n  filter: {service: web}',
      '9:21: leader-changed is of no service: this filter never lets them through',
    ],
    [
      'names a label that no service has',
      'on: registered\n  filter: {label: htpt}',
      '9:19: no service of the file is registered under htpt: only what servicewatcher watch registers can match; did you mean http?',
    ],
    [
      'names a label that no unit has',
      'on: [registered, unit-failed]\n  filter: {label: elsewhere}',
      '9:19: no service of the file is registered under elsewhere, so unit-failed never match',
    ],
    [
      'names the label of another service',
      'on: unit-failed\n  filter: {service: db, label: http}',
      '9:32: db has no discovery: nothing has this service and the label http',
    ],
    [
      'names another label than the service has',
      'on: unit-failed\n  filter: {service: web, label: web}',
      '9:33: web is registered under http: nothing has this service and the label web',
    ],
    [
      'names a service that is not registered',
      'on: [registered, unregistered]\n  filter: {service: db}',
      '9:21: db has no discovery, so it is never registered or unregistered',
    ],
    [
      'names another role than the service has',
      'on: unit-failed\n  filter: {service: web, role: back}',
      '9:32: web has the role front: nothing has this service and the role back',
    ],
    [
      'names a service that is disabled',
      'on: unit-failed\n  filter: {service: off}',
      '9:21: off runs nowhere as the file stands: nothing matches this filter',
    ],
  ])('%s is warned of', (_name, keys, expected) => {
    expect(said(keys)).toEqual([`c.yml:${expected}`]);
  });

  test('is of nobody, as its hosts are those of a service that is disabled, is warned of', () => {
    expect(said('on: unit-failed\n  hosts: {service: off}')).toEqual([
      'c.yml:9:20: off runs nowhere as the file stands, so no host runs this hook',
    ]);
  });
});

test('what is left of templates and hooks is kept in the order of the file', () => {
  const { templates, hooks } = spec(
    'templates: [{source: /1, destination: /a}, {source: /2, destination: /b}]\nhooks: [{on: unit-failed, run: a}, {on: unit-moved, run: b}]',
  );
  expect(templates?.map(({ source }) => source)).toEqual(['/1', '/2']);
  expect(hooks?.map(({ run }) => run[0])).toEqual(['a', 'b']);
});

const EVENTS =
  'member-join, member-leave, member-failed, registered, unregistered, unit-started, unit-moved, unit-failed, leader-changed';
const RELOAD = 'the name of a unit, such as haproxy.service, or {exec: COMMAND}';
const PATH = 'write the absolute path of a file, without . and ..';
const LABEL = 'a letter or a digit, then letters, digits and _ . -, at most 100 characters';

/** What it is, the keys of a template after source and destination in the third line, and what is said, without `c.yml:3:`. */
const TEMPLATES: readonly (readonly [name: string, keys: string, ...expected: string[]])[] = [
  [
    'an unknown key',
    'src: /a',
    '43: unknown key src; allowed: source, destination, on, check, reload, mode, owner, debounce',
  ],
  ['an unknown key of hosts', 'on: {label: {a: b}}', '48: unknown key label; did you mean labels?'],
  [
    'labels that no host can have',
    'on: {labels: {a b: c}}',
    '57: "a b" cannot be a label of a host: letters, digits and _ . / -, at most 63 characters',
  ],
  ['an unknown service', 'on: {service: wep}', '57: wep is no service of the file; it has none'],
  ['a mode with set-user-ID', 'mode: 4755', '49: mode is 4755; write permissions as an octal number, such as 0644'],
  ['a mode that is not octal', 'mode: 0689', '49: mode is 0689; write permissions as an octal number, such as 0644'],
  ['an owner with a slash', 'owner: a/b', '50: owner is a/b; write user or user:group'],
  [
    'a debounce of an hour',
    'debounce: 1h',
    '53: debounce is 1h; write seconds (0.5) or 500ms, 4s, 1m, 2h, from 0s to 1m',
  ],
  ['a reload of a command', 'reload: nginx -s reload', `51: reload is "nginx -s reload"; write ${RELOAD}`],
  ['a reload without the suffix', 'reload: nginx', '51: reload is nginx; did you mean nginx.service?'],
  ['a reload of a timer', 'reload: a.timer', `51: reload is a.timer; write ${RELOAD}`],
  [
    'a reload of the daemon',
    'reload: servicewatcher.service',
    '51: reload is the daemon itself, which needs none; write another unit',
  ],
  ['a reload of nothing', 'reload: {}', `51: reload is empty; write ${RELOAD}`],
  [
    'a reload with an unknown key',
    'reload: {exe: x}',
    `51: reload is empty; write ${RELOAD}`,
    '52: unknown key exe; did you mean exec?',
  ],
  [
    'a check that is empty',
    'check: []',
    '50: check names no program; write a program and its arguments, as a text or as a list of words',
  ],
];

/** What it is, the keys of a hook in the third line, and what is said, without `c.yml:3:`. */
const HOOKS: readonly (readonly [name: string, keys: string, ...expected: string[]])[] = [
  [
    'a hook of nothing',
    'timeout: 1s',
    `9: this hook has no events; add on: with some of ${EVENTS}`,
    '9: this hook has no program; add run: COMMAND',
  ],
  ['no events', 'run: a, on: []', `9: this hook has no events; add on: with some of ${EVENTS}`],
  [
    'events in a map',
    'run: a, on: {a: b}',
    '22: on is a map; write a list of events, such as [unit-failed, unit-moved]',
  ],
  ['an unknown event', 'run: a, on: [unit-faild]', '23: on.0 is unit-faild; did you mean unit-failed?'],
  ['an unknown key', 'run: a, on: unit-failed, filters: {}', '35: unknown key filters; did you mean filter?'],
  [
    'an unknown key of the filter',
    'run: a, on: unit-failed, filter: {hosts: a}',
    '44: unknown key hosts; did you mean host?',
  ],
  [
    'a filter for what is no host',
    'run: a, on: unit-failed, filter: {host: a/b}',
    '50: filter.host is a/b, which cannot be the name of a host',
  ],
  [
    'a filter for what is no label',
    'run: a, on: unit-failed, filter: {label: a/b}',
    `51: filter.label is a/b, which cannot be a label: ${LABEL}`,
  ],
  [
    'a filter for an unknown service',
    'run: a, on: unit-failed, filter: {service: a}',
    '53: a is no service of the file; it has none',
  ],
  [
    'a timeout of a day',
    'run: a, on: unit-failed, timeout: 24h',
    '44: timeout is 24h; write seconds (0.5) or 500ms, 4s, 1m, 2h, from 100ms to 60m',
  ],
];

describe('each mistake is reported at its place, with what is allowed', () => {
  test.each(TEMPLATES)('template: %s', (_name, keys, ...expected) => {
    expect(problems(`templates: [{source: /a, destination: /b, ${keys}}]`)).toEqual(
      expected.map((line) => `c.yml:3:${line}`),
    );
  });

  test.each(HOOKS)('hook: %s', (_name, keys, ...expected) => {
    expect(problems(`hooks: [{${keys}}]`)).toEqual(expected.map((line) => `c.yml:3:${line}`));
  });

  test.each([
    [
      'templates that are a map',
      'templates: {}',
      '3:12: templates is a map; write a list of templates, each starting with -',
    ],
    [
      'a template that is a word',
      'templates: [a]',
      '3:13: this entry of templates is a; write a map of the keys of a template: source and destination at least',
    ],
    [
      'a hook that is a word',
      'hooks: [a]',
      '3:9: this entry of hooks is a; write a map of the keys of a hook: on and run at least',
    ],
    [
      'a template of nothing',
      'templates: [{}]',
      '3:13: this template has no source; add source: with a path',
      '3:13: this template has no destination; add destination: with a path',
    ],
    ['a relative source', 'templates: [{source: a, destination: /b}]', `3:22: source is a; ${PATH}`],
    ['a relative destination', 'templates: [{source: /a, destination: ./b}]', `3:39: destination is ./b; ${PATH}`],
    [
      'a destination that leads elsewhere',
      'templates: [{source: /a, destination: /b/../c}]',
      `3:39: destination is /b/../c; ${PATH}`,
    ],
    [
      'a destination that is a folder',
      'templates: [{source: /a, destination: /b/}]',
      `3:39: destination is /b/; ${PATH}`,
    ],
    [
      'a destination with a newline',
      'templates: [{source: /a, destination: "/b\\nc"}]',
      '3:39: destination cannot be a path: it has control characters, or more than 4095 bytes',
    ],
    [
      'a destination that is the source',
      'templates: [{source: /a, destination: /a}]',
      '3:39: destination is the template itself; write it to another file',
    ],
    [
      'one destination of two',
      'templates:\n- {source: /a, destination: /c}\n- {source: /b, destination: /c}',
      '5:29: /c is written by the template in line 4 too; choose another file, or give the two on: labels: that differ',
    ],
  ])('%s', (_name, source, ...expected) => {
    expect(problems(source)).toEqual(expected.map((line) => `c.yml:${line}`));
  });

  test('more templates or hooks than any host can do', () => {
    const templates = Array.from({ length: 201 }, (_, i) => `{source: /a, destination: /${i}}`);
    const hooks = Array.from({ length: 201 }, () => '{on: unit-failed, run: a}');
    expect(problems(`templates: [${templates}]\nhooks: [${hooks}]`)).toEqual([
      'c.yml:3:1: there are 201 templates; 200 are the most',
      'c.yml:4:1: there are 201 hooks; 200 are the most',
    ]);
  });
});
