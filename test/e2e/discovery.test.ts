/** What runs is found, and what does not run is not: by the command line, over HTTP, by a real Prometheus. */
import { get as httpGet, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRegistration, type Registration, registrationPath } from '../../src/discovery/registration.ts';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service, sleeping } from '../harness/units.ts';
import { monotonicNow, until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 50 };
/** A daemon that is killed is back before it is over, on a busy machine as well. */
const SESSION_MS = 8_000;
/** Session timeout, one tick of ZooKeeper, and 0.3 s. */
const LOST_MS = SESSION_MS + 500 + 300;
/** For the programs that look, on a busy machine. */
const SLACK_MS = 3_000;
/** What is done in good order is seen within this time: no session has ended by then. */
const IN_ORDER = { deadlineMs: SESSION_MS / 2, everyMs: 50 };
/** As long as no check takes longer on a busy machine. */
const CHECK_TIMEOUT_MS = 2_000;

/** Answers 200, or as `/run/sick` and `/run/hangs` say; the door is open but on w2. */
const WEB = `
const { existsSync } = require('node:fs');
require('node:http').createServer((request, response) => {
  if (existsSync('/run/hangs')) return;
  response.writeHead(existsSync('/run/sick') ? 503 : 200);
  response.end('it is ' + (existsSync('/run/sick') ? 'sick' : 'well'));
}).listen(8080);
// what is to accept connections here does so on two hosts of three
if (require('node:os').hostname() !== 'w2') require('node:net').createServer((socket) => socket.end()).listen(8081);
`;
const web = service('ExecStart=node /srv/web.js\nRestart=always\nRestartSec=1');

const SERVICES = [
  '{name: web, type: global, check: {http: "http://{address}:8080/", interval: 200ms, timeout: 2s, healthy_after: 4, unhealthy_after: 1}, ' +
    'discovery: {label: web, port: 8080, role: front, info: {zone: a}}}',
  '{name: broker, count: 2, discovery: {label: mqtt, port: 1883}}',
  '{name: shard, instances: {a: 1, b: 1}, discovery: {label: shard}}',
  '{name: agent, type: global, discovery: {label: metrics, port: 9780}}',
  '{name: door, type: global, check: {tcp: "{host}:8081", interval: 200ms, unhealthy_after: 3}, discovery: {label: door, port: 8081, only_healthy: false}}',
];

describeOnHosts('discovery on three hosts', () => {
  let cluster: Cluster;
  let [w1, w2, w3]: Host[] = [];
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      units: {
        'web.service': web,
        'broker.service': sleeping,
        'shard@.service': sleeping,
        'agent.service': sleeping,
        'door.service': sleeping,
      },
      files: { '/srv/web.js': WEB },
      services: SERVICES,
      sessionTimeout: SESSION_MS / 1000,
    });
    [w1, w2, w3] = cluster.lab.hosts;
    // it takes some seconds until it asks for its targets
    const sd = [{ url: 'http://w2:9780/discovery/metrics/prometheus', refresh_interval: '1s' }];
    const job = { job_name: 'daemons', scrape_interval: '1s', http_sd_configs: sd };
    await the(w3).write('/etc/prometheus-lab.yml', JSON.stringify({ scrape_configs: [job] }));
    const argv = ['prometheus', '--config.file=/etc/prometheus-lab.yml', '--storage.tsdb.path=/run/prometheus'];
    await the(w3).mustSh('systemd-run', '--unit=prometheus-lab', '--collect', ...argv);
  });
  afterAll(() => cluster?.destroy());

  const the = (host: Host | undefined): Host => {
    if (host === undefined) throw new Error('there is no such host');
    return host;
  };
  const command = (...argv: string[]) => the(w3).sh('servicewatcher', ...argv);
  const hosts = async (label: string, ...argv: string[]) => {
    const { code, stdout, stderr } = await command('hosts', '--label', label, ...argv);
    return { code, stdout, stderr };
  };
  /** What the daemon of a host knows, without a process for each question. */
  const ids = async (label: string, host = the(w3)): Promise<string[]> => {
    const { status, body } = await cluster.lab.http(host, `/discovery/${label}`);
    if (status !== 200) throw new Error(`${status}: ${body}`);
    return JSON.parse(body).map(({ id }: Registration) => id);
  };
  const untilIds = (label: string, expected: readonly string[], host = the(w3)) =>
    untilEqual(() => ids(label, host), [...expected], { ...WAIT, what: `what is registered under ${label}` });
  const listed = (...names: string[]) => ({ code: 0, stdout: `${names.join(',')}\n`, stderr: '' });
  const NOTHING = { code: 1, stdout: '', stderr: '' };

  it('finds each label with the hosts where it runs, and no others', async () => {
    await untilIds('web', ['w1', 'w2', 'w3']);
    expect(await hosts('web')).toEqual(listed('w1', 'w2', 'w3'));
    expect(await hosts('web', '--port', '9300', '--role', 'front')).toEqual(listed('w1:9300', 'w2:9300', 'w3:9300'));
    expect(await hosts('web', '--role', 'back')).toEqual(NOTHING);
    const brokers = await cluster.runsOn('broker.service');
    await untilIds('mqtt', brokers);
    expect(await hosts('mqtt')).toEqual(listed(...brokers));
    const [a, b] = [await cluster.runsOn('shard@a.service'), await cluster.runsOn('shard@b.service')];
    await untilIds('shard', [...a.map((host) => `${host}:a`), ...b.map((host) => `${host}:b`)].sort());
    const { stdout } = await hosts('web', '--json');
    expect(JSON.parse(stdout)[0]).toMatchObject({
      id: 'w1',
      address: 'w1',
      port: 8080,
      role: 'front',
      info: { zone: 'a' },
      healthy: true,
      unit: 'web.service',
    });
    await untilIds('metrics', ['w1', 'w2', 'w3']);
    expect(await cluster.metric(the(w1), 'servicewatcher_registrations')).toBeGreaterThanOrEqual(2);
  });

  it('prints nothing for an unknown label, and says what is wrong with one that is none', async () => {
    expect(await hosts('nothing')).toEqual(NOTHING);
    const bad = await command('hosts', '--label', 'a/b\nc');
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('"a/b\\nc" is no label')]);
  });

  it('keeps what is unhealthy where the service wishes so, and leaves it out for those who ask for the healthy ones', async () => {
    const ask = async (query: string) => (await cluster.lab.http(the(w3), `/discovery/door?${query}`)).body;
    await untilEqual(() => ask('healthy&format=csv'), 'w1,w3', { ...WAIT, what: 'those who are healthy' });
    await untilIds('door', ['w1', 'w2', 'w3']);
    expect(await ask('format=csv')).toBe('w1,w2,w3');
    expect(await ask('format=csv&port=9300&role=back')).toBe('');
    expect(await ask('format=csv&port=9300&healthy')).toBe('w1:9300,w3:9300');
    const [all, healthy, none] = await Promise.all([
      hosts('door'),
      hosts('door', '--healthy', '--port', '9300'),
      hosts('door', '--healthy', '--role', 'back'),
    ]);
    expect([all, healthy, none]).toEqual([listed('w1', 'w2', 'w3'), listed('w1:9300', 'w3:9300'), NOTHING]);
  });

  it('loses an instance whose check fails, or hangs, and has it again when it is well', async () => {
    for (const [fault, limitMs] of [
      ['/run/sick', 200 + 500],
      ['/run/hangs', 200 + CHECK_TIMEOUT_MS + 500],
    ] as const) {
      const begun = monotonicNow();
      await the(w2).mustSh('touch', fault);
      await untilIds('web', ['w1', 'w3']);
      expect(monotonicNow() - begun, fault).toBeLessThan(limitMs + SLACK_MS);
      await the(w2).mustSh('rm', fault);
      await untilIds('web', ['w1', 'w2', 'w3']);
    }
  });

  it('loses a broker at once when its process dies, and finds it where it moved', async () => {
    const [first = '', second = ''] = await cluster.runsOn('broker.service');
    const third = ['w1', 'w2', 'w3'].find((name) => name !== first && name !== second) ?? '';
    await cluster.killUnit(cluster.lab.host(first), 'broker.service');
    await untilIds('mqtt', [second, third].sort());
    await cluster.lab.host(first).systemctl('reset-failed', 'broker.service');
  });

  it('shows no gap when a daemon is killed or restarted, while its units run on', async () => {
    await untilIds('web', ['w1', 'w2', 'w3']);
    await cluster.inZooKeeper(async (store) => {
      const seen: (string | undefined)[] = [];
      const paths = ['web', 'metrics'].map((label) => registrationPath(label, 'w1'));
      const watches = paths.map((path) => store.watch(path, (node) => void seen.push(node?.owner)));
      await until(() => seen.length === 2, { ...WAIT, what: 'the registrations' });
      const owners = () => new Set(seen).size;
      for (const [how, sessions] of [
        [['kill', '--signal=KILL', '--kill-who=main', 'servicewatcher'], 2],
        [['restart', 'servicewatcher'], 3],
      ] as const) {
        await the(w1).systemctl(...how);
        await until(() => owners() === sessions, { ...WAIT, what: 'registrations of the next process' });
      }
      for (const watch of watches) watch.close();
      expect(seen).not.toContain(undefined);
    });
    expect(await ids('web')).toEqual(['w1', 'w2', 'w3']);
  });

  it('loses all of a host at once when its daemon is stopped in good order', async () => {
    await the(w2).systemctl('stop', 'servicewatcher');
    await untilEqual(() => ids('web'), ['w1', 'w3'], { ...IN_ORDER, what: 'what is registered as web' });
    await the(w2).systemctl('start', 'servicewatcher');
    await untilIds('web', ['w1', 'w2', 'w3']);
  });

  it('streams the list, then each change', async () => {
    const tunnel = await cluster.lab.tunnel(the(w1), 9780);
    const path = '/discovery/web/stream';
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      httpGet({ host: '127.0.0.1', port: tunnel.port, path, agent: false }, resolve).on('error', reject);
    });
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await until(() => text.includes('event: list'), { ...WAIT, what: 'the list' });
    await the(w2).mustSh('touch', '/run/sick');
    await until(() => text.includes('event: remove\ndata: {"id":"w2"}'), { ...WAIT, what: 'the end of w2' });
    await the(w2).mustSh('rm', '/run/sick');
    await until(() => /event: set\ndata: .*"id":"w2"/.test(text), { ...WAIT, what: 'w2 again' });
    // a stream must not hold up the daemon's end
    const begun = monotonicNow();
    await the(w1).systemctl('restart', 'servicewatcher');
    expect(monotonicNow() - begun).toBeLessThan(15_000);
    await tunnel.close();
  });

  it('gives a real Prometheus its targets, those that come and go included', async () => {
    const scraped = async () => {
      const { body } = await cluster.lab.http(the(w3), '/api/v1/query?query=servicewatcher_registrations', 9090);
      const result: { metric: Record<string, string>; value: [number, string] }[] = JSON.parse(body).data.result;
      return result
        .map(({ metric, value }) => `${metric.instance} ${metric.host} ${metric.unit} ${Number(value[1]) > 1}`)
        .sort();
    };
    const target = (host: string) => `${host}:9780 ${host} agent.service true`;
    await untilEqual(scraped, ['w1', 'w2', 'w3'].map(target), { ...WAIT, what: 'what Prometheus has scraped' });
    await the(w1).systemctl('stop', 'servicewatcher');
    await untilEqual(scraped, ['w2', 'w3'].map(target), { ...WAIT, what: 'what Prometheus scrapes' });
    await the(w1).systemctl('start', 'servicewatcher');
    await the(w3).systemctl('stop', 'prometheus-lab');
  });

  it('works as well with thousands of registrations, of which nothing is left when they end', async () => {
    const count = 2_000;
    await cluster.inZooKeeper(async (store) => {
      await store.ensure('/discovery/many');
      const all = Array.from({ length: count }, (_, n): Registration => {
        const [host, id] = [`h${n}`, `h${n}:b`];
        const address = `198.19.${Math.floor(n / 250)}.${n % 250}`;
        return { label: 'many', id, host, address, healthy: true, source: 'watch' };
      });
      await Promise.all(
        all.map((entry) => store.create(registrationPath('many', entry.id), encodeRegistration(entry), 'ephemeral')),
      );
      await until(async () => (await ids('many')).length === count, { ...WAIT, what: 'all to be found' });
      const { stdout } = await hosts('many');
      expect(new Set(stdout.trim().split(','))).toEqual(new Set(all.map(({ address }) => address)));
      const begun = monotonicNow();
      await store.remove(registrationPath('many', 'h7:b'));
      await until(async () => (await ids('many')).length === count - 1, { ...WAIT, what: 'one to be gone' });
      expect(monotonicNow() - begun).toBeLessThan(SLACK_MS);
      expect(await ids('many')).not.toContain('h7:b');
    });
    await untilIds('many', []);
    expect(await hosts('many')).toEqual(NOTHING);
  });

  const watcher = (...argv: string[]) => ['systemd-run', '--unit=watcher', '--collect', 'servicewatcher', ...argv];
  const search = ['--label', 'search', '--service-id', 'node-1', '--monitor-url', 'http://127.0.0.1:8080/'];
  const found = ['w1:node-1'];

  describe('a watcher', () => {
    const start = (...argv: string[]) => the(w1).mustSh(...watcher('watch', ...search, ...argv));

    it('registers what is healthy, with its info, and loses it within one period otherwise', async () => {
      // with the slack it is less than two periods
      const periodMs = 5_000;
      await start('--interval', '5', '--timeout', '4', '--port', '9200', '--service-info', '{"http_port": 9200}');
      await untilIds('search', found);
      const { stdout } = await hosts('search', '--json');
      expect(JSON.parse(stdout)).toEqual([
        expect.objectContaining({ address: 'w1', port: 9200, info: { http_port: 9200 }, source: 'watch' }),
      ]);
      for (const fault of ['/run/sick', '/run/hangs']) {
        const begun = monotonicNow();
        await the(w1).mustSh('touch', fault);
        await untilIds('search', []);
        expect(monotonicNow() - begun, fault).toBeLessThan(periodMs + SLACK_MS);
        await the(w1).mustSh('rm', fault);
        await untilIds('search', found);
      }
    });

    it('is waited for by those who need it', async () => {
      await the(w1).systemctl('stop', 'watcher');
      await untilEqual(() => ids('search'), [], { ...IN_ORDER, what: 'what is registered as search' });
      const short = await hosts('search', '--wait', '0.2');
      expect(short).toEqual(NOTHING);
      const waiting = hosts('search', '--wait', '--port', '9300');
      await start('--service-info', 'zone=a,rack=7');
      expect(await waiting).toEqual(listed('w1:9300'));
      await untilIds('search', found, the(w2));
      const { body } = await cluster.lab.http(the(w2), '/discovery/search');
      expect(JSON.parse(body)).toEqual([expect.objectContaining({ info: { zone: 'a', rack: '7' } })]);
    });

    it('ends the lease of what it sees start', async () => {
      await the(w1).systemctl('stop', 'watcher');
      const lease = (id: string) =>
        command('acquire-lease', '--label', 'search', '--service-id', id, '--acquire-timeout', '15');
      expect((await lease('node-1')).code).toBe(0);
      const next = lease('node-2');
      await start();
      expect((await next).code).toBe(0);
      await untilIds('search', found);
    });

    it('watches many things from one file', async () => {
      const item = (n: number) => `- {label: many-of-one, service-id: n${n}, tcp: "127.0.0.1:${n < 3 ? 8080 : 9}"}\n`;
      await the(w1).write('/etc/watch.yml', [1, 2, 3].map(item).join(''));
      await the(w1).systemctl('stop', 'watcher');
      await the(w1).mustSh(...watcher('watch', '--file', '/etc/watch.yml'));
      await untilIds('many-of-one', ['w1:n1', 'w1:n2']);
      await the(w1).systemctl('stop', 'watcher');
      await untilEqual(() => ids('many-of-one'), [], { ...IN_ORDER, what: 'what is registered as many-of-one' });
    });

    it('refuses what cannot be registered, and says why', async () => {
      const watch = (...argv: string[]) => command('watch', ...argv);
      await the(w3).write('/etc/big.json', JSON.stringify({ big: 'x'.repeat(2 * 1024 * 1024) }));
      await the(w3).write('/etc/wrong.yml', '- {label: web, service-id: a, tcp: "x:1"}\n- {label: web, service: b}\n');
      const bad = ['--label', 'a/b', '--service-id', 'x', '--tcp', 'x:1'];
      for (const [argv, text] of [
        [bad, '--label is "a/b"'],
        [[...search, '--service-info', '@/etc/big.json'], '--service-info takes 2049 KiB, more than the 64 KiB'],
        [['--file', '/etc/wrong.yml'], '/etc/wrong.yml:2:16: service is no key here; did you mean service-id?'],
      ] as const) {
        const { code, stderr } = await watch(...argv);
        expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
      }
    });
  });

  it('loses what is killed, and a host that is powered off, within the session', async () => {
    await the(w1).mustSh(...watcher('watch', ...search));
    await untilIds('search', found);
    const begun = monotonicNow();
    await Promise.all([the(w1).systemctl('kill', '--signal=KILL', 'watcher'), the(w2).powerOff()]);
    await untilIds('search', []);
    await untilIds('web', ['w1', 'w3']);
    expect(monotonicNow() - begun).toBeLessThan(LOST_MS + SLACK_MS);
  });
});
