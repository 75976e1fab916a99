/** Starts one after the other: leases by the command line and in unit files, `start` and `after` in the configuration. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service, sleeping } from '../harness/units.ts';
import { monotonicNow, until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: 60_000, everyMs: 100 };
const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10'];

/** As its users have it: a lease before the start, who is there already, and a watcher that ends the lease. */
const es = `[Unit]
Wants=es-watch@%i.service
[Service]
TimeoutStartSec=infinity
ExecStartPre=servicewatcher acquire-lease --label es --service-id es-%i --acquire-timeout 2m --host-ip 10.0.0.%i
ExecStartPre=-sh -c 'servicewatcher hosts --label es > /srv/es-%i'
ExecStart=sh -c 'touch /run/es-%i; exec sleep infinity'
`;
const esWatch = `[Unit]
BindsTo=es@%i.service
[Service]
ExecStart=servicewatcher watch --label es --service-id es-%i --host-ip 10.0.0.%i --exec 'test -e /run/es-%i' --interval 200ms
`;
/** Notes before its start what is registered by then. */
const node = service(
  "ExecStartPre=sh -c 'curl -s --fail http://localhost:9780/discovery/node > /srv/node-%i || echo [] > /srv/node-%i'\nExecStart=sleep infinity",
);
/** Starts when it is let. */
const db = service("ExecStartPre=sh -c 'until test -e /run/go; do sleep 0.1; done'\nExecStart=sleep infinity");

describeOnHosts('ordered starts on three hosts', () => {
  let cluster: Cluster;
  let [w1, w2, w3]: Host[] = [];
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      units: {
        'es@.service': es,
        'es-watch@.service': esWatch,
        'node@.service': node,
        'db.service': db,
        'web.service': sleeping,
      },
    });
    [w1, w2, w3] = cluster.lab.hosts;
  });
  afterAll(() => cluster?.destroy());

  const the = (host: Host | undefined): Host => {
    if (host === undefined) throw new Error('there is no such host');
    return host;
  };
  const acquire = (host: Host | undefined, label: string, id: string, ...argv: string[]) =>
    the(host).sh('servicewatcher', 'acquire-lease', '--label', label, '--service-id', id, ...argv);
  const release = (host: Host | undefined, label: string, id: string) =>
    the(host).sh('servicewatcher', 'release-lease', '--label', label, '--service-id', id);
  const status = async () => (await the(w1).mustSh('servicewatcher', 'status')).split('\n');

  it('has one holder of a lease, who keeps it when the command has ended; the next waits, and gets it when it is released', async () => {
    expect(await acquire(w1, 'db', 'a', '--host-ip', '198.18.0.9')).toMatchObject({ code: 0 });
    const [refused, again, other] = await Promise.all([
      acquire(w2, 'db', 'b', '--acquire-timeout', '500ms'),
      acquire(w1, 'db', 'a', '--acquire-timeout', '500ms'),
      acquire(w2, 'web', 'b'),
    ]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /^the lease db was not to be had within 500ms: it is held by a on w1 \(198\.18\.0\.9\) since 20\S+, for 300 s at most/,
    );
    expect([again.code, other.code]).toEqual([0, 0]);

    const waiting = acquire(w3, 'db', 'c');
    const line = /^lease db: held by a on w1 \(198\.18\.0\.9\) since \S+, for 300 s at most; 1 waits: c on w3$/;
    await until(async () => (await status()).some((each) => line.test(each)), {
      ...WAIT,
      what: 'the waiter to be shown',
    });
    const wrong = await release(w2, 'db', 'b');
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('it is not held by b, but by a on w1');
    expect(await release(w2, 'db', 'a')).toMatchObject({ code: 0 });
    expect(await waiting).toMatchObject({ code: 0, stdout: 'c holds the lease db\n' });
    expect((await acquire(w1, 'a/b', 'a')).code).toBe(2);
  });

  it('starts ten nodes that are started at once one after the other by ExecStartPre=, each seeing all before it', async () => {
    const hosts = [w1, w2, w3].map(the);
    const began = monotonicNow();
    await Promise.all(
      hosts.map((host, index) => {
        const units = KEYS.filter((_, at) => at % 3 === index).map((key) => `es@${key}.service`);
        return host.systemctl('start', '--no-block', ...units);
      }),
    );
    const seen = async () => {
      const lists = await Promise.all(
        hosts.map(async (host) => (await host.sh('sh', '-c', 'cd /srv && grep -H "" es-* /dev/null')).stdout),
      );
      const all = lists.join('').split('\n');
      return all.flatMap((each) => {
        const [, key, list] = /^es-(\d+):(.*)$/.exec(each) ?? [];
        return key === undefined || list === undefined ? [] : [{ address: `10.0.0.${key}`, before: list.split(',') }];
      });
    };
    const registered = async () =>
      (await the(w1).sh('servicewatcher', 'hosts', '--label', 'es')).stdout.trim().split(',').length;
    await untilEqual(registered, 10, { ...WAIT, everyMs: 500, what: 'ten to be registered' });
    console.log(`ten nodes by ExecStartPre=: ${Math.round(monotonicNow() - began)} ms`);
    // the first saw nobody, and wrote nothing
    const order = (await seen()).sort((a, b) => a.before.length - b.before.length);
    expect(order.map(({ before }) => before.length)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const [index, { before }] of order.entries()) {
      const earlier = order.slice(0, index).map(({ address }) => address);
      expect(before).toEqual(expect.arrayContaining(earlier));
    }
    // the first healthy check has ended the last lease
    const free = async () => !(await status()).some((each) => each.startsWith('lease es:'));
    await until(free, { ...WAIT, what: 'the lease to be free' });
    await Promise.all(hosts.map((host) => host.systemctl('stop', 'es@*.service', 'es-watch@*.service')));
  }, 90_000);

  it('starts ten instances of a service with `start: serial` one after the other, each seeing all before it', async () => {
    const began = monotonicNow();
    const instances = KEYS.map((key) => `'${key}': 1`).join(', ');
    await cluster.apply([
      `{name: node, instances: {${instances}}, start: serial, discovery: {label: node, port: 9300}}`,
    ]);
    await cluster.untilSettled();
    console.log(`ten instances by start: serial: ${Math.round(monotonicNow() - began)} ms`);
    const lists = await Promise.all(
      [w1, w2, w3].map(async (host) => {
        const { stdout } = await the(host).sh('sh', '-c', 'cd /srv && grep -H "" node-* /dev/null');
        return stdout.trim().split('\n');
      }),
    );
    const seen = lists.flat().map((line) => {
      const [, key = '', text = ''] = /^node-(\d+):(.*)$/.exec(line) ?? [];
      const before: { readonly id: string }[] = JSON.parse(text);
      return { key, before: before.map(({ id }) => id.replace(/^.*:/, '')) };
    });
    const order = seen.sort((a, b) => a.before.length - b.before.length);
    for (const [index, { before }] of order.entries()) {
      const earlier = order.slice(0, index).map(({ key }) => key);
      expect(before.sort()).toEqual(earlier.sort());
    }
    expect(order).toHaveLength(10);
  });

  it('starts a service with `after` once the other is up, on whatever host', async () => {
    await cluster.apply(['{name: db, count: 1}', '{name: web, type: global, after: [db]}']);
    const waits = /^web\.service on w\d: it starts after db, which is not up on any host yet$/;
    await until(async () => (await status()).filter((line) => waits.test(line)).length === 3, {
      ...WAIT,
      what: 'all three to say that they wait',
    });
    await Promise.all([w1, w2, w3].map((host) => the(host).mustSh('touch', '/run/go')));
    await cluster.untilSettled();
    const at = async (host: Host, unit: string, stamp: string) =>
      Number((await host.mustSh('systemctl', 'show', '--value', `--property=${stamp}`, unit)).trim());
    const [there] = await cluster.runsOn('db.service');
    const up = await at(cluster.lab.host(there ?? ''), 'db.service', 'ActiveEnterTimestampMonotonic');
    expect(up).toBeGreaterThan(0);
    for (const host of [w1, w2, w3])
      expect(await at(the(host), 'web.service', 'InactiveExitTimestampMonotonic')).toBeGreaterThan(up);
  });

  it('ends a lease when its time is over, though the power of its holder went', async () => {
    expect(await acquire(w3, 'disk', 'a', '--lease-timeout', '3s')).toMatchObject({ code: 0 });
    const acquired = monotonicNow();
    await the(w3).powerOff();
    const next = await acquire(w1, 'disk', 'b', '--acquire-timeout', '20s');
    expect(next.code).toBe(0);
    expect(next.stdout).toContain('its holder had it for longer than it may');
    expect(monotonicNow() - acquired).toBeGreaterThan(2_000);
    expect(monotonicNow() - acquired).toBeLessThan(DEADLINE_MS / 3);
  });
});
