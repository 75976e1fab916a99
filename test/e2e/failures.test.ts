/** Units that fail, hang, end, are missing, or are touched by people: what is done about them, and what is left alone. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { addUnits, hangingOnStart, service, sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const ALL = ['w1', 'w2', 'w3', 'w4', 'w5'];
const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };

/** Notes in /run/starts-NAME when it is started, and ends in good order 0.2 s later. */
const endingAndNoting = service(`ExecStart=sh -c 'cut -d" " -f1 /proc/uptime >> /run/starts-%n; sleep 0.2'`);

/** Ends with status 143 when it is told to stop, as the Java machine does. */
const endingWith143 = service(`ExecStart=sh -c 'trap "exit 143" TERM; while :; do sleep 0.1; done'`);

describeOnHosts('units on five hosts', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 5,
      units: {
        'agent.service': sleeping,
        'web.service': sleeping,
        'tool.service': sleeping,
        'hangs.service': hangingOnStart(),
        'ends.service': endingAndNoting,
        'java.service': endingWith143,
        'part@.service': sleeping,
        'other.service': sleeping,
      },
    });
  });
  afterAll(() => cluster?.destroy());

  const hostOf = (name: string | undefined) => cluster.lab.host(name ?? 'none');
  const failedHosts = async () => (await cluster.assignments()).failed.map(({ host, unit }) => `${host} ${unit}`);

  it('that failed run elsewhere, and the healthy copy stays there after reset-failed', async () => {
    await cluster.apply(['{name: agent, type: global}', '{name: web, count: 2}']);
    await cluster.untilCounts({ 'agent.service': 5, 'web.service': 2 });
    const [first, second] = await cluster.runsOn('web.service');
    const before = await cluster.pids('agent.service', 'web.service');
    await cluster.killUnit(hostOf(first), 'web.service');
    const moved = async () => {
      const hosts = await cluster.runsOn('web.service');
      return hosts.length === 2 && !hosts.includes(first ?? '');
    };
    await until(moved, { ...WAIT, what: `web.service to run on two hosts without ${first}` });
    expect((await hostOf(first).unitState('web.service')).active).toBe('failed');
    const after = await cluster.pids('agent.service', 'web.service');
    const { [`${first} web.service`]: _gone, ...untouched } = before;
    expect(after).toMatchObject(untouched);
    expect(after).toHaveProperty([`${second} web.service`]);
    expect(await failedHosts()).toEqual([`${first} web.service`]);

    await hostOf(first).systemctl('reset-failed', 'web.service');
    await untilEqual(failedHosts, [], { ...WAIT, what: 'failed instances' });
    await cluster.untilSettled();
    expect(await cluster.pids('agent.service', 'web.service')).toEqual(after);
  });

  it('that failed stay away from their host until reset-failed', async () => {
    await cluster.apply(['{name: web, count: 5}']);
    await cluster.untilRunsOn('web.service', ALL);
    const before = await cluster.pids('web.service');
    await cluster.killUnit(hostOf('w2'), 'web.service');
    await untilEqual(failedHosts, ['w2 web.service'], { ...WAIT, what: 'failed instances' });
    await cluster.untilSettled();
    const four = ['w1', 'w3', 'w4', 'w5'];
    expect(await cluster.runsOn('web.service')).toEqual(four);
    expect((await cluster.assignments()).unplaced).toMatchObject([
      {
        unit: 'web.service',
        wanted: 5,
        placed: 4,
        why: [
          { reason: 'already-has-one', hosts: 4 },
          { reason: 'failed', hosts: 1 },
        ],
      },
    ]);
    await hostOf('w2').systemctl('reset-failed', 'web.service');
    await cluster.untilRunsOn('web.service', ALL);
    const { 'w2 web.service': _restarted, ...healthy } = before;
    expect(await cluster.pids('web.service')).toMatchObject(healthy);
  });

  it('that failed come back with a reload, which restarts no healthy one', async () => {
    await cluster.apply(['{name: web, count: 5}', '{name: agent, type: global}']);
    await cluster.untilCounts({ 'web.service': 5, 'agent.service': 5 });
    await cluster.killUnit(hostOf('w4'), 'web.service');
    await cluster.killUnit(hostOf('w4'), 'agent.service');
    await untilEqual(failedHosts, ['w4 agent.service', 'w4 web.service'], { ...WAIT, what: 'failed instances' });
    await cluster.untilSettled();
    const healthy = await cluster.pids('web.service', 'agent.service');
    expect(Object.keys(healthy).filter((key) => key.startsWith('w4 '))).toEqual([]);
    await cluster.reload(hostOf('w4'));
    await cluster.untilCounts({ 'web.service': 5, 'agent.service': 5 });
    expect(await cluster.pids('web.service', 'agent.service')).toMatchObject(healthy);
  });

  it('that are not installed or masked on a host run on the others, and nowhere when on none', async () => {
    const [bare, masked] = [hostOf('w1'), hostOf('w2')];
    await bare.mustSh('rm', '/etc/systemd/system/tool.service');
    await bare.systemctl('daemon-reload');
    await masked.mustSh('rm', '/etc/systemd/system/tool.service');
    await masked.systemctl('mask', '--quiet', 'tool.service');
    await cluster.apply(['{name: tool, count: 4}', '{name: missing, count: 2}', '{name: agent, type: global}']);
    await cluster.untilRunsOn('tool.service', ['w3', 'w4', 'w5']);
    await cluster.untilCounts({ 'agent.service': 5 });
    await cluster.untilSettled();
    expect((await cluster.assignments()).unplaced).toEqual([
      {
        unit: 'missing.service',
        service: 'missing',
        wanted: 2,
        placed: 0,
        why: [{ reason: 'not-installed', hosts: 5 }],
      },
      {
        unit: 'tool.service',
        service: 'tool',
        wanted: 4,
        placed: 3,
        why: [
          { reason: 'already-has-one', hosts: 3 },
          { reason: 'masked', hosts: 1 },
          { reason: 'not-installed', hosts: 1 },
        ],
      },
    ]);
    const table = await bare.mustSh('servicewatcher', 'status');
    expect(table).toContain('tool.service on w1: there is no unit file tool.service on this host');
    expect(table).toContain('tool.service on w2: it is masked on this host: systemctl unmask tool.service');

    await masked.systemctl('unmask', '--quiet', 'tool.service');
    for (const host of [bare, masked]) await addUnits(host, { 'tool.service': sleeping });
    await cluster.untilCounts({ 'tool.service': 4 });
  });

  it('that hang in their start keep no other one waiting', async () => {
    await cluster.apply(['{name: hangs, type: global}', '{name: agent, type: global}']);
    await cluster.untilCounts({ 'agent.service': 5 });
    const hanging = () => Promise.all(ALL.map(async (name) => (await hostOf(name).unitState('hangs.service')).active));
    await untilEqual(
      hanging,
      ALL.map(() => 'activating'),
      { ...WAIT, what: 'the state of hangs.service' },
    );
    await cluster.apply(['{name: hangs, type: global}', '{name: agent, type: global}', '{name: web, type: global}']);
    await cluster.untilCounts({ 'web.service': 5 });
    expect(await hanging()).toEqual(ALL.map(() => 'activating'));
    await cluster.apply(['{name: agent, type: global}']);
    await untilEqual(
      hanging,
      ALL.map(() => 'inactive'),
      { ...WAIT, what: 'the state of hangs.service' },
    );
  });

  it('that end by themselves are started again after pauses that grow', async () => {
    // a reload would clear the pauses
    await cluster.propose(['{name: ends, count: 1}', '{name: agent, type: global}']);
    const starts = async () => {
      const texts = await Promise.all(
        ALL.map(async (name) => (await hostOf(name).sh('cat', '/run/starts-ends.service')).stdout),
      );
      const noted = texts.filter((text) => text !== '');
      expect(noted.length).toBeLessThan(2);
      return (noted[0] ?? '').trim().split('\n').map(Number);
    };
    const five = await until(
      async () => {
        const noted = await starts();
        return noted.length >= 5 && noted.slice(0, 5);
      },
      { ...WAIT, what: 'five starts of ends.service' },
    );
    // 0.1, 0.3, 0.9 and 2.7 s between runs of 0.2 s. A busy machine notes a start late, and the next pause looks shorter:
    // all together are held to, of which the first start alone could take something
    const [first = Number.NaN, ...others] = five;
    expect((others.at(-1) ?? Number.NaN) - first, 's from the first start to the fifth').toBeGreaterThan(3);
    expect(await failedHosts()).toEqual([]);
    await cluster.apply(['{name: agent, type: global}']);
  });

  it('that are stopped with status 143 have not failed', async () => {
    await cluster.apply(['{name: java, count: 2}', '{name: agent, type: global}']);
    await cluster.untilCounts({ 'java.service': 2 });
    const hosts = await cluster.runsOn('java.service');
    await cluster.apply(['{name: java, count: 2, enabled: false}', '{name: agent, type: global}']);
    const states = () => Promise.all(hosts.map(async (name) => (await hostOf(name).unitState('java.service')).active));
    await untilEqual(states, ['inactive', 'inactive'], { ...WAIT, what: 'the state of java.service' });
    const result = await hostOf(hosts[0]).systemctl('show', '--property=Result', 'java.service');
    expect(await failedHosts()).toEqual([]);
    expect(result).toBe('Result=success\n');
    await cluster.apply(['{name: java, type: global}', '{name: agent, type: global}']);
    await cluster.untilCounts({ 'java.service': 5 });
  });

  it('that people start or stop are put right and counted, and others are never touched', async () => {
    await cluster.apply(['{name: web, count: 2}', '{name: part, instances: {a: 1}}', '{name: agent, type: global}']);
    await cluster.untilCounts({ 'web.service': 2, 'part@a.service': 1, 'agent.service': 5, 'java.service': 0 });
    await cluster.untilSettled();
    const placed = await cluster.runsOn('web.service');
    const there = hostOf(placed[0]);
    const elsewhere = hostOf(ALL.find((name) => !placed.includes(name)));
    const drift = (host: Host) => cluster.metric(host, 'servicewatcher_drift_total');
    const before = { there: await drift(there), elsewhere: await drift(elsewhere) };
    for (const name of ALL) await hostOf(name).systemctl('start', 'other.service', 'part@undeclared.service');
    const strangers = await cluster.pids('other.service', 'part@undeclared.service');
    expect(Object.keys(strangers)).toHaveLength(10);

    const stopped = (await there.unitState('web.service')).mainPid;
    await there.systemctl('stop', 'web.service');
    await cluster.untilRunsOn('web.service', placed);
    expect((await there.unitState('web.service')).mainPid).not.toBe(stopped);
    expect(await drift(there)).toBe(before.there + 1);

    await elsewhere.systemctl('start', 'web.service');
    await cluster.untilRunsOn('web.service', placed);
    await untilEqual(() => drift(elsewhere), before.elsewhere + 1, { ...WAIT, what: `drift on ${elsewhere.name}` });
    expect(await cluster.pids('other.service', 'part@undeclared.service')).toEqual(strangers);
  });
});
