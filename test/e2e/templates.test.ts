/** Templates on real hosts: a real HAProxy whose servers are what runs. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 100 };
const WEB = `require('node:http').createServer((_request, response) => response.end(require('node:os').hostname())).listen(8080);`;
const DAEMON = 'servicewatcher.service';
const CONFIG = '/etc/haproxy/haproxy.cfg';
const SOURCE = '/etc/haproxy.tpl';
const TEMPLATE = `global
  maxconn 100
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend web
  bind :80
  default_backend web
# written on {{host}}
backend web
{{#each (sort-by (where discovery.web "role" "backend") "id")}}
  server {{id}} {{address}}:{{port}}
{{/each}}
`;
const TEMPLATES = `templates:
  - source: ${SOURCE}
    destination: ${CONFIG}
    on: {labels: {role: balancer}}
    check: haproxy -c -f {file}
    reload: haproxy.service
    mode: 0640
    owner: root:haproxy
`;

describeOnHosts('a template on three hosts', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      daemons: 1,
      units: { 'web.service': service('ExecStart=node /srv/web.js') },
      files: { '/srv/web.js': WEB, [SOURCE]: TEMPLATE },
      sessionTimeout: 2,
      settings: TEMPLATES,
      services: ['{name: web, type: global, discovery: {port: 8080, role: backend}}'],
    });
    await host('w2').systemctl('start', 'haproxy');
    await cluster.deploy(host('w2'), 'host: {labels: {role: balancer}}\n');
  });
  afterAll(() => cluster?.destroy());

  const host = (name: string): Host => cluster.lab.host(name);
  const servers = async () =>
    [...(await host('w2').read(CONFIG)).matchAll(/^ {2}server (\S+) (\S+)$/gm)].map(([, id, at]) => `${id} ${at}`);
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
  const file = async () => (await host('w2').mustSh('stat', '-c', '%i %Y %a %U:%G', CONFIG)).trim();
  const reloads = async () => (await host('w2').journal('haproxy.service')).match(/Reloaded haproxy/g)?.length ?? 0;
  const state = async () => JSON.parse((await cluster.lab.http(host('w2'), '/status')).body).templates;

  it('is written with the servers that run, by the hosts that it is for, and HAProxy sends them requests', async () => {
    await untilServers('w1', 'w2');
    await untilAnswers('w1', 'w2');
    expect(await file()).toMatch(/ 640 root:haproxy$/);
    expect(await host('w1').read(CONFIG)).not.toContain('written on');
    await cluster.deploy(host('w3'));
    await untilServers('w1', 'w2', 'w3');
    await untilAnswers('w1', 'w2', 'w3');
    expect(await state()).toEqual([{ destination: CONFIG, state: 'current' }]);
  });

  it('loses a server that was stopped in good order, and one that was killed', async () => {
    await host('w3').systemctl('stop', DAEMON);
    await untilServers('w1', 'w2');
    await untilAnswers('w1', 'w2');
    await cluster.forgetJournal(host('w2'));
    await cluster.killUnit(host('w1'), 'web.service');
    await untilServers('w2');
    const reloaded = () => cluster.loggedAt(host('w2'), `${CONFIG} was written, haproxy.service was reloaded`);
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
    await untilEqual(state, [{ destination: CONFIG, state: 'current' }], { ...WAIT, what: 'a new daemon to look' });
    await host('w2').systemctl('restart', DAEMON);
    await untilEqual(state, [{ destination: CONFIG, state: 'current' }], { ...WAIT, what: 'a new daemon to look' });
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
      const expected = [{ destination: CONFIG, state: 'failed', problem: expect.stringMatching(problem) }];
      expect(await state()).toEqual(expected);
    }
    expect(await cluster.metric(host('w2'), 'servicewatcher_templates_failed')).toBe(1);
    expect([await file(), await reloads()]).toEqual(before);
    await host('w2').write(SOURCE, TEMPLATE);
    await host('w2').systemctl('reload', DAEMON);
    await untilEqual(state, [{ destination: CONFIG, state: 'current' }], { ...WAIT, what: 'it to be right again' });
    const rendered = await host('w2').mustSh('servicewatcher', 'render', SOURCE);
    expect(rendered).toBe(await host('w2').read(CONFIG));
  });
});
