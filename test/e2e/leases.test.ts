/** Starts one after the other: leases by the command line and in unit files, `start` and `after` in the configuration. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service, sleeping } from '../harness/units.ts';
import { monotonicNow, until, untilEqual } from '../harness/until.ts';
import { Cluster } from './cluster.ts';

const WAIT = { deadlineMs: 60_000, everyMs: 100 };
/** Session timeout, one tick of ZooKeeper, and 0.3 s. */
const LOST_MS = 4_000 + 500 + 300;
/** For the programs that look, on a busy machine; a lease that nobody ends, and a wait without end, take far longer. */
const SLACK_MS = 8_000;

/** Starts when it is let. */
const heldBack = service("ExecStartPre=sh -c 'until test -e /run/go; do sleep 0.1; done'\nExecStart=sleep infinity");

describeOnHosts('ordered starts on three hosts', () => {
  let cluster: Cluster;
  let [w1, w2, w3]: Host[] = [];
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      units: {
        'db.service': heldBack,
        'slow.service': heldBack,
        'web.service': sleeping,
        'base.service': sleeping,
        'side.service': sleeping,
        'pair.service': sleeping,
      },
      sessionTimeout: 4,
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
  const lines = async (host: Host) => (await host.mustSh('servicewatcher', 'status')).split('\n');
  const status = () => lines(the(w1));

  it('has one holder of a lease, who keeps it when the command has ended; the next waits, and gets it when it is released', async () => {
    expect(await acquire(w1, 'db', 'a', '--host-ip', '198.18.0.9')).toMatchObject({ code: 0 });
    const begun = monotonicNow();
    const [refused, again, other] = await Promise.all([
      acquire(w2, 'db', 'b', '--acquire-timeout', '500ms'),
      acquire(w1, 'db', 'a', '--acquire-timeout', '500ms'),
      acquire(w2, 'web', 'b'),
    ]);
    expect(refused.code).toBe(1);
    expect(monotonicNow() - begun).toBeGreaterThanOrEqual(500);
    expect(monotonicNow() - begun).toBeLessThan(500 + SLACK_MS);
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

  it('starts a service with `after` once the other is up, on whatever host', async () => {
    await cluster.apply(['{name: db, count: 1, enabled: false}', '{name: web, type: global, after: [db]}']);
    const inVain = /^web\.service on w\d: db runs nowhere, as it is disabled: this is not started until that changes$/;
    await until(async () => (await status()).filter((line) => inVain.test(line)).length === 3, {
      ...WAIT,
      what: 'all three to say that they wait in vain',
    });
    const { stderr } = await the(w1).sh('servicewatcher', 'check');
    expect(stderr).toMatch(
      /^\/etc\/servicewatcher\/config\.yml:\d+:\d+: db runs nowhere as the file stands, .* \(warning\)$/m,
    );
    await cluster.untilJournal(the(w1), 'db runs nowhere as the file stands, as it is disabled: web is not started');

    await cluster.apply(['{name: db, count: 1}', '{name: web, type: global, after: [db]}']);
    const waits = /^web\.service on w\d: it starts after db, which is not up on any host yet$/;
    await until(async () => (await status()).filter((line) => waits.test(line)).length === 3, {
      ...WAIT,
      what: 'all three to say that they wait',
    });
    await Promise.all([w1, w2, w3].map((host) => the(host).mustSh('touch', '/run/go')));
    await cluster.untilCounts({ 'db.service': 1, 'web.service': 3 });
    const at = async (host: Host, unit: string, stamp: string) =>
      Number((await host.mustSh('systemctl', 'show', '--value', `--property=${stamp}`, unit)).trim());
    const [there] = await cluster.runsOn('db.service');
    const up = await at(cluster.lab.host(there ?? ''), 'db.service', 'ActiveEnterTimestampMonotonic');
    expect(up).toBeGreaterThan(0);
    for (const host of [w1, w2, w3])
      expect(await at(the(host), 'web.service', 'InactiveExitTimestampMonotonic')).toBeGreaterThan(up);
  });

  it('starts as many at once as it may, each until it is healthy, and a service after another one on the same host', async () => {
    const check = 'check: {exec: [test, -e, "/run/well-{instance}"], interval: 200ms}';
    const all = [w1, w2, w3].map(the);
    const well = (name: string, host: Host) => host.mustSh('touch', `/run/well-${name}`);
    const startedAt = async (name: string, host: Host) =>
      Number(await host.mustSh('systemctl', 'show', '--value', '--property=InactiveExitTimestampMonotonic', name)) /
      1000;
    await cluster.apply([
      `{name: base, count: 1, ${check}}`,
      '{name: side, type: global, after: [{service: base, where: same-host}]}',
      `{name: pair, type: global, start: {at_once: 2, until: healthy}, ${check}}`,
    ]);
    const turns = /^start of pair: pair\.service on (w\d), pair\.service on (w\d) now; 1 waits: /;
    const found = async () => (await status()).map((each) => turns.exec(each)).find(Boolean);
    const [, first = '', second = ''] = await until(found, { ...WAIT, what: 'two to start, and one to wait' });
    const [third] = all.filter(({ name }) => name !== first && name !== second);
    await cluster.untilRunsOn('pair.service', [first, second].sort());
    const alone = /^side\.service on w\d: it starts after base, which is not up on this host yet$/;
    // where base runs, it is not healthy
    const waiting = async () => (await status()).filter((line) => alone.test(line)).length;
    await untilEqual(waiting, 3, { ...WAIT, what: 'how many say that they wait' });
    const [at = ''] = await cluster.runsOn('base.service');
    const touched = monotonicNow();
    await Promise.all([well('pair', cluster.lab.host(second)), well('base', cluster.lab.host(at))]);
    await cluster.untilRunsOn(
      'pair.service',
      all.map(({ name }) => name),
    );
    expect(await startedAt('pair', the(third))).toBeGreaterThan(touched);
    await cluster.untilRunsOn('side.service', [at]);
    expect(await startedAt('side', cluster.lab.host(at))).toBeGreaterThan(touched);
    await untilEqual(waiting, 2, { ...WAIT, what: 'how many say that they wait' });
  });

  it('goes on when a host loses its power: with the next in its turn, the next who waits, and whose lease has run out', async () => {
    const all = [w1, w2, w3].map(the);
    await Promise.all(all.map((host) => host.mustSh('rm', '-f', '/run/go')));
    await cluster.apply(['{name: slow, type: global, start: serial}']);
    const line = /^start of slow: slow\.service on (w\d) now; 2 wait: /;
    const first = await until(async () => (await status()).map((each) => line.exec(each)?.[1]).find(Boolean), {
      ...WAIT,
      what: 'one to start, and two to wait',
    });
    const lost = cluster.lab.host(first);
    const [other, another] = all.filter((host) => host !== lost);
    const asked = monotonicNow();
    expect(await acquire(lost, 'disk', 'a', '--lease-timeout', '3s')).toMatchObject({ code: 0 });
    expect(await acquire(other, 'door', 'a')).toMatchObject({ code: 0 });
    const dies = acquire(lost, 'door', 'b').catch(() => undefined);
    const waits = async (text: string) => (await lines(the(other))).some((each) => each.endsWith(text));
    await until(() => waits(`1 waits: b on ${lost.name}`), { ...WAIT, what: 'the first to wait' });
    const next = acquire(another, 'door', 'c');
    await until(() => waits(`b on ${lost.name}, c on ${the(another).name}`), { ...WAIT, what: 'the second to wait' });
    await Promise.all([other, another].map((host) => the(host).mustSh('touch', '/run/go')));

    await lost.powerOff();
    const off = monotonicNow();
    expect(await release(other, 'door', 'a')).toMatchObject({ code: 0 });
    const ranOut = await acquire(other, 'disk', 'b', '--acquire-timeout', '20s');
    expect(ranOut.stdout).toContain('its holder had it for longer than it may');
    expect(monotonicNow() - asked).toBeGreaterThan(2_999);
    expect(await next).toMatchObject({ code: 0, stdout: 'c holds the lease door\n' });
    await cluster.untilRunsOn('slow.service', [other, another].map((host) => the(host).name).sort());
    expect(monotonicNow() - off).toBeLessThan(LOST_MS + SLACK_MS);
    await dies;
  });
});
