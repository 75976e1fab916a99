/** Templates on real hosts: a real HAProxy whose servers are what runs. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HAPROXY, HAPROXY_CONFIG, haproxyTemplate, serversOf } from '../harness/haproxy.ts';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 100 };
const WEB = `require('node:http').createServer((_request, response) => response.end(require('node:os').hostname())).listen(8080);`;
const DAEMON = 'servicewatcher.service';
const SOURCE = '/etc/haproxy.tpl';
const TEMPLATE = `# written on {{host}}
${haproxyTemplate('(sort-by (where discovery.web "role" "backend") "id")')}`;
const CURRENT = [{ destination: HAPROXY_CONFIG, state: 'current' }];
const FACTS = '/etc/facts.txt';
/** All that a template may know. */
const FACTS_TEMPLATE = `{{host}}
{{#each members}}{{host}} {{labels.role}};{{/each}}
{{#each services}}{{label}} {{id}} {{role}};{{/each}}
{{#each placements}}{{@key}} {{join this ","}};{{/each}}
{{#each leases}}{{@key}} {{holder.id}} {{holder.host}} {{#each waiters}}{{id}}{{/each}};{{/each}}
`;
const DEBOUNCE_S = 1;
/** Says when it was run, seconds since the boot, and with what file. */
const RELOAD = `echo "$1 $(cut -d ' ' -f 1 /proc/uptime) $(cksum <${FACTS})" >>/srv/reloads\n`;
const PAGES = '/srv/pages/servers';
/** Says what it was given, and where it ran, in places that the daemon may not write. */
const LOOK = `#!/bin/sh
cat "$1" >/srv/looked
grep -o 'servicewatcher-template-[0-9a-f]*' /proc/self/cgroup >/srv/group
`;
/** As it was written for Serf: hosts that are backends by their label, and in front who renders it. */
const SERF_TEMPLATE = `# Container {{ name }} has joined the network with the following IP address: {{ ip }}
global
    maxconn 4096

defaults
    mode http
    option httplog
    timeout connect 5s
    timeout client 50s
    timeout server 50s

frontend localnodes
    bind *:80
    default_backend nodes

backend nodes
    balance roundrobin
    option forwardfor
    option httpclose
    option httpchk HEAD /
    cookie SERVERID insert indirect nocache
    {{#each addresses}}
    server {{ host }} {{ ip }}:3000 check
    {{/each}}

listen stats
    bind *:1936
    stats enable
    stats uri /
`;
const TEMPLATES = `templates:
  - source: ${SOURCE}
    destination: ${HAPROXY_CONFIG}
    on: {labels: {role: balancer}}
    check: haproxy -c -f {file}
    reload: ${HAPROXY}
    mode: 0640
    owner: root:haproxy
  - source: /etc/facts.tpl
    destination: ${FACTS}
    on: {labels: {role: balancer}, service: web}
    reload: {exec: [/bin/sh, /usr/local/bin/reload, now]}
    debounce: ${DEBOUNCE_S}
  - {source: /etc/pages.tpl, destination: ${PAGES}, on: {labels: {pages: srv}}, check: '/usr/local/bin/look {file}'}
`;

describeOnHosts('a template on three hosts', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      daemons: 1,
      units: { 'web.service': service('ExecStart=node /srv/web.js') },
      files: {
        '/srv/web.js': WEB,
        [SOURCE]: TEMPLATE,
        '/etc/facts.tpl': FACTS_TEMPLATE,
        '/etc/pages.tpl': '{{#each discovery.web}}{{id}} {{/each}}',
        '/usr/local/bin/reload': RELOAD,
      },
      settings: TEMPLATES,
      services: ['{name: web, type: global, discovery: {port: 8080, role: backend}}'],
    });
    await host('w2').systemctl('start', HAPROXY);
    await cluster.deploy(host('w2'), 'host: {labels: {role: balancer}}\n');
  });
  afterAll(() => cluster?.destroy());

  const host = (name: string): Host => cluster.lab.host(name);
  const servers = async () => serversOf(await host('w2').read(HAPROXY_CONFIG)).map(({ id, at }) => `${id} ${at}`);
  const untilServers = (...names: string[]) =>
    untilEqual(
      servers,
      names.map((name) => `${name} ${name}:8080`),
      { ...WAIT, what: 'the servers' },
    );
  /** Which hosts answer through HAProxy. */
  const answers = async () => {
    const script = `for (let i = 0; i < 6; i++) console.log(await (await fetch('http://127.0.0.1/')).text())`;
    const { stdout } = await host('w2').sh('node', '--input-type=module', '-e', script);
    return [...new Set(stdout.trim().split('\n'))].sort();
  };
  const untilAnswers = (...names: string[]) => untilEqual(answers, names, { ...WAIT, what: 'who answers' });
  /** Another inode or another time: it was written. */
  const file = async () => (await host('w2').mustSh('stat', '-c', '%i %Y %a %U:%G', HAPROXY_CONFIG)).trim();
  const reloads = async () => (await host('w2').journal(HAPROXY)).match(/Reloaded haproxy/g)?.length ?? 0;
  const stateOf = async (name: string, destination: string) => {
    const { templates } = JSON.parse((await cluster.lab.http(host(name), '/status')).body);
    return templates.filter((template: { destination: string }) => template.destination === destination);
  };
  const state = () => stateOf('w2', HAPROXY_CONFIG);
  const untilState = (look: () => Promise<unknown>, expected: unknown) =>
    until(
      async () => {
        expect(await look()).toEqual(expected);
        return true;
      },
      { ...WAIT, what: 'the state of the template' },
    );

  it('is written with the servers that run, by the hosts that it is for, and HAProxy sends them requests', async () => {
    await untilServers('w1', 'w2');
    await untilAnswers('w1', 'w2');
    expect(await file()).toMatch(/ 640 root:haproxy$/);
    expect(await host('w1').read(HAPROXY_CONFIG)).not.toContain('written on');
    await cluster.deploy(host('w3'));
    await untilServers('w1', 'w2', 'w3');
    await untilAnswers('w1', 'w2', 'w3');
    expect(await state()).toEqual(CURRENT);
  });

  it('loses a server that was stopped in good order, and one that was killed', async () => {
    await host('w3').systemctl('stop', DAEMON);
    await untilServers('w1', 'w2');
    await untilAnswers('w1', 'w2');
    await cluster.forgetJournal(host('w2'));
    await cluster.killUnit(host('w1'), 'web.service');
    await untilServers('w2');
    const reloaded = () => cluster.loggedAt(host('w2'), `${HAPROXY_CONFIG} was written, ${HAPROXY} was reloaded`);
    const at = await until(reloaded, { ...WAIT, what: 'the reload to be told' });
    const exited = (await host('w1').journal('web.service'))
      .split('\n')
      .filter((line) => /Main process exited/.test(line));
    const died = Number(/^\[\s*(\d+\.\d+)\]/.exec(exited.at(-1) ?? '')?.[1]) * 1000;
    console.info(`from an instance's death to the reload on another host: ${Math.round(at - died)} ms`);
    await untilAnswers('w2');
  });

  it('writes and reloads nothing when nothing has changed, though the daemon begins anew', async () => {
    const before = [await file(), await reloads()];
    expect(before[1]).toBeGreaterThan(0);
    await cluster.killUnit(host('w2'), DAEMON);
    await untilEqual(state, CURRENT, { ...WAIT, what: 'a new daemon to look' });
    await host('w2').systemctl('restart', DAEMON);
    await untilEqual(state, CURRENT, { ...WAIT, what: 'a new daemon to look' });
    expect([await file(), await reloads()]).toEqual(before);
  });

  it('that cannot be parsed, or whose check fails, leaves the file as it was, and says where and why', async () => {
    const before = [await file(), await reloads()];
    for (const [text, problem] of [
      [TEMPLATE.replace('{{/each}}', '{{/if}}'), /haproxy\.tpl:13:\d+: each doesn't match if/],
      [TEMPLATE.replace('bind :80', 'bindd :80'), /the check haproxy -c -f \{file\} ended with status 1: .*bindd/],
    ] as const) {
      await host('w2').write(SOURCE, text);
      // it is looked at on the next occasion
      await host('w2').systemctl('reload', DAEMON);
      await cluster.untilJournal(host('w2'), problem);
      const expected = [{ destination: HAPROXY_CONFIG, state: 'failed', problem: expect.stringMatching(problem) }];
      await untilState(() => state(), expected);
    }
    expect(await cluster.metric(host('w2'), 'servicewatcher_templates_failed')).toBe(1);
    await host('w2').write(SOURCE, `{{nosuch}}\n{{#each members}}\n{{/if}}\n`);
    expect(await host('w2').sh('servicewatcher', 'check', CONFIG_FILE)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^\/etc\/haproxy\.tpl:2:\d+: each doesn't match if$/m),
    });
    expect([await file(), await reloads()]).toEqual(before);
    await host('w2').write(SOURCE, TEMPLATE);
    await host('w2').systemctl('reload', DAEMON);
    await untilEqual(state, CURRENT, { ...WAIT, what: 'it to be right again' });
    const rendered = await host('w2').mustSh('servicewatcher', 'render', SOURCE);
    expect(rendered).toBe(await host('w2').read(HAPROXY_CONFIG));
  });

  it('knows members, labels, registrations, placements and leases, tells a program of each change, and rests between them', async () => {
    const facts = async () => (await host('w2').read(FACTS)).trimEnd().split('\n');
    const expected = (leases: string) => [
      'w2',
      'w1 ;w2 balancer;',
      'web w1 backend;web w2 backend;',
      'web.service w1,w2;',
      ...(leases === '' ? [] : [leases]),
    ];
    const lease = (command: string, id: string, ...more: string[]) =>
      host('w1').mustSh('servicewatcher', command, '--label', 'db', '--service-id', id, ...more);
    await host('w1').systemctl('reset-failed', 'web.service');
    await untilEqual(facts, expected(''), { ...WAIT, what: 'the facts' });
    await lease('acquire-lease', 'one');
    await untilEqual(facts, expected('db one w1 ;'), { ...WAIT, what: 'the lease to be known' });
    const second = lease('acquire-lease', 'two');
    await untilEqual(facts, expected('db one w1 two;'), { ...WAIT, what: 'who waits to be known' });
    await lease('release-lease', 'one');
    await second;
    await untilEqual(facts, expected('db two w1 ;'), { ...WAIT, what: 'the next holder to be known' });

    // once for each text, however quickly they came, until it is the one that is there
    const told = async () =>
      (await host('w2').read('/srv/reloads'))
        .trim()
        .split('\n')
        .map((line) => line.split(' '));
    const sum = async () => (await host('w2').mustSh('sh', '-c', `cksum <${FACTS}`)).trim();
    const current = async () => (await told()).at(-1)?.slice(2).join(' ') === (await sum());
    await until(current, { ...WAIT, what: 'the program to be told of the last change' });
    const runs = (await told()).map(([word, at, ...text]) => ({ word, at: Number(at), text: text.join(' ') }));
    expect(runs.length).toBeGreaterThanOrEqual(4);
    for (const [index, { word, at, text }] of runs.slice(1).entries()) {
      expect(word).toBe('now');
      expect(at - (runs[index]?.at ?? at)).toBeGreaterThan(DEBOUNCE_S - 0.1);
      expect(text).not.toBe(runs[index]?.text);
    }

    const render = (...args: string[]) => host('w2').sh('servicewatcher', 'render', '/etc/facts.tpl', ...args);
    const { code, stdout } = await render('--json');
    const { template, text, data } = JSON.parse(stdout);
    expect({ code, template, text }).toEqual({
      code: 0,
      template: '/etc/facts.tpl',
      text: await host('w2').read(FACTS),
    });
    expect(data).toMatchObject({
      host: 'w2',
      members: [{ host: 'w1' }, { host: 'w2', labels: { role: 'balancer' } }],
      discovery: { web: [{ id: 'w1', port: 8080 }, { id: 'w2' }] },
      placements: { 'web.service': ['w1', 'w2'] },
      leases: { db: { holder: { id: 'two', host: 'w1' }, waiters: [] } },
    });
    expect(await render('--out', '/root/facts')).toMatchObject({ code: 0, stdout: '' });
    expect(await host('w2').read('/root/facts')).toBe(text);
    expect(await render('--out', '/no/such/facts')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^\/no\/such\/facts could not be written: ENOENT/),
    });
    await host('w2').write('/etc/bad.tpl', 'a\n{{#each members}}');
    expect(await host('w2').sh('servicewatcher', 'render', '/etc/bad.tpl')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^\/etc\/bad\.tpl:2:\d+: it cannot be parsed/),
    });
  });

  it('may be written outside of /etc where its host allows it, and its check is not shut in with the daemon', async () => {
    const pages = host('w3');
    await pages.mustSh('mkdir', '/srv/pages');
    await pages.write('/usr/local/bin/look', LOOK, 0o755);
    await pages.write(
      CONFIG_FILE,
      cluster.configuration('w1').replace('services:', 'host: {labels: {pages: srv, role: backend}}\nservices:'),
    );
    await pages.systemctl('start', DAEMON);
    const problem =
      /\/srv\/pages\/servers may not be written by the daemon: allow its folder with ReadWritePaths= \(systemctl edit/;
    await cluster.untilJournal(pages, problem);
    await untilState(
      () => stateOf('w3', PAGES),
      [{ destination: PAGES, state: 'failed', problem: expect.stringMatching(problem) }],
    );
    await pages.write(`/etc/systemd/system/${DAEMON}.d/pages.conf`, '[Service]\nReadWritePaths=/srv/pages\n');
    await pages.systemctl('daemon-reload');
    await pages.systemctl('restart', DAEMON);
    await untilEqual(() => stateOf('w3', PAGES), [{ destination: PAGES, state: 'current' }], {
      ...WAIT,
      what: 'the file',
    });
    // its own instance may come later: until then it is written, and looked at, once more
    const written = async () => [
      await pages.read(PAGES),
      await pages.read('/srv/looked'),
      (await pages.mustSh('ls', '-A', '/srv/pages')).trim(),
    ];
    await untilEqual(written, ['w1 w2 w3 ', 'w1 w2 w3 ', 'servers'], { ...WAIT, what: 'what is written' });
    expect(await pages.read('/srv/group')).toMatch(/^servicewatcher-template-[0-9a-f]{32}\n/);

    await pages.write('/etc/serf.hb', SERF_TEMPLATE);
    await pages.mustSh('servicewatcher', 'render', '/etc/serf.hb', '--out', '/etc/serf.cfg');
    const rendered = await pages.read('/etc/serf.cfg');
    expect(rendered).toMatch(/^# Container w3 has joined the network with the following IP address: w3\n/);
    expect(rendered.match(/^ *server .*$/gm)).toEqual(['    server w3 w3:3000 check']);
    expect(await pages.sh('haproxy', '-c', '-f', '/etc/serf.cfg')).toMatchObject({ code: 0 });
  });
});
