/** The daemon is killed, frozen, reloaded, cut off from its buses and servers: the units that run are never touched. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };
const DAEMON = 'servicewatcher.service';
const UNITS = ['agent.service', 'web.service', 'worker@a.service', 'worker@b.service', 'named.service'];

const SERVICES = [
  '{name: agent, type: global}',
  '{name: probe, type: global}',
  '{name: web, count: 3}',
  '{name: worker, instances: {a: 1, b: 2}}',
  '{name: named, count: 2, prestart: "echo {instance:web}\\n"}',
];

describeOnHosts('units that run, when the daemon', () => {
  let cluster: Cluster;
  let running: Record<string, number>;
  beforeAll(async () => {
    const names = ['agent', 'probe', 'web', 'worker@', 'named'];
    cluster = await Cluster.start({
      hosts: 5,
      units: Object.fromEntries(names.map((name) => [`${name}.service`, sleeping])),
      services: SERVICES,
      // A frozen daemon is back before its host counts as lost.
      dropIn: '[Service]\nWatchdogSec=3s\n',
      sessionTimeout: 9,
    });
  });
  afterAll(() => cluster?.destroy());
  beforeEach(async () => {
    await cluster.untilSettled();
    running = await cluster.pids(...UNITS);
    expect(Object.keys(running)).toHaveLength(5 + 3 + 1 + 2 + 2);
  });

  const pidOf = async (host: Host) => (await host.unitState(DAEMON)).mainPid;

  /** Resolves when a new process of the daemon has joined. */
  async function untilRestarted(host: Host, before: number): Promise<void> {
    const restarted = async () => {
      const { active, mainPid } = await host.unitState(DAEMON);
      return active === 'active' && mainPid !== before && mainPid !== 0;
    };
    await until(restarted, { ...WAIT, what: `a new daemon on ${host.name}` });
  }

  /** The daemon acts: a unit that is stopped by hand is started again. */
  async function expectActing(host: Host): Promise<void> {
    const before = (await host.unitState('probe.service')).mainPid;
    await host.systemctl('stop', 'probe.service');
    const again = async () => {
      const { active, mainPid } = await host.unitState('probe.service');
      return active === 'active' && mainPid !== before;
    };
    await until(again, { ...WAIT, what: `probe.service to be started again on ${host.name}` });
  }

  it('is killed, run on and are adopted', async () => {
    const leader = await cluster.leader();
    const host = cluster.lab.hosts.find(({ name }) => name !== leader.name) ?? leader;
    const before = await pidOf(host);
    await cluster.killUnit(host, DAEMON);
    await untilRestarted(host, before);
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toEqual(running);
    await expectActing(host);
  });

  it('is killed where it leads, run on while another one takes the lead', async () => {
    const { epoch } = await cluster.assignments();
    const leader = await cluster.leader();
    const before = await pidOf(leader);
    await cluster.killUnit(leader, DAEMON);
    await untilRestarted(leader, before);
    const next = await until(
      async () => {
        const now = await cluster.assignments();
        return now.epoch > epoch && now;
      },
      { ...WAIT, what: `an epoch above ${epoch}` },
    );
    expect(next.leader).not.toBe(leader.name);
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('is killed on all hosts at once, run on', async () => {
    const before = await Promise.all(cluster.lab.hosts.map(pidOf));
    await Promise.all(cluster.lab.hosts.map((host) => cluster.killUnit(host, DAEMON)));
    await Promise.all(cluster.lab.hosts.map((host, index) => untilRestarted(host, before[index] ?? 0)));
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('is reloaded, run on', async () => {
    await Promise.all(cluster.lab.hosts.map((host) => cluster.forgetJournal(host)));
    for (let round = 0; round < 3; round++) await Promise.all(cluster.lab.hosts.map((host) => cluster.reload(host)));
    await cluster.untilSettled();
    for (const host of cluster.lab.hosts) await cluster.untilJournal(host, 'is what the cluster has');
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('is frozen, run on, and systemd’s watchdog makes a new daemon', async () => {
    const leader = await cluster.leader();
    const host = cluster.lab.hosts.find(({ name }) => name !== leader.name) ?? leader;
    const before = await pidOf(host);
    await host.systemctl('kill', '--signal=STOP', '--kill-who=main', DAEMON);
    await untilRestarted(host, before);
    await cluster.untilJournal(host, 'Watchdog timeout');
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('loses its bus, or systemd reads its units anew or executes itself anew, run on', async () => {
    const host = cluster.lab.host('w3');
    const daemon = await pidOf(host);
    for (const argv of [['restart', 'dbus'], ['daemon-reload'], ['daemon-reexec']]) {
      await host.systemctl(...argv);
      await expectActing(host);
    }
    await cluster.untilSettled();
    expect(await pidOf(host)).toBe(daemon);
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('loses ZooKeeper, run on, and it says that it is not ready until ZooKeeper is back', async () => {
    const ready = async () => {
      const answers = await Promise.all(cluster.lab.hosts.map((host) => cluster.lab.http(host, '/readyz')));
      return answers.map(({ status }) => status);
    };
    await untilEqual(ready, [200, 200, 200, 200, 200], { ...WAIT, what: 'the answers of /readyz' });
    for (const server of cluster.lab.servers) server.pause();
    await untilEqual(ready, [503, 503, 503, 503, 503], { ...WAIT, what: 'the answers of /readyz' });
    const status = JSON.parse((await cluster.lab.http('w1', '/status')).body);
    expect(status).toMatchObject({ ready: false, systemd: { connected: true } });
    expect(await cluster.lab.http('w1', '/healthz')).toMatchObject({ status: 200 });
    expect(await cluster.metric(cluster.lab.host('w1'), 'servicewatcher_zookeeper_connected')).toBe(0);
    for (const server of cluster.lab.servers) server.resume();
    await untilEqual(ready, [200, 200, 200, 200, 200], { ...WAIT, what: 'the answers of /readyz' });
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('starts before its ZooKeeper server answers, wait until it does', async () => {
    const [host, server] = [cluster.lab.host('w5'), cluster.lab.zookeeper('zk1')];
    const onlyOne = cluster.configuration('w5').replace(cluster.lab.quorum, server.server);
    await host.systemctl('stop', DAEMON);
    expect(await host.unitState('agent.service')).toMatchObject({ active: 'inactive' });
    await host.write(CONFIG_FILE, onlyOne);
    await server.cut();
    await cluster.forgetJournal(host);
    await host.systemctl('start', '--no-block', DAEMON);
    await cluster.untilJournal(host, `ZooKeeper server cannot be used server=${server.server} `);
    expect(await host.unitState(DAEMON)).toMatchObject({ active: 'activating' });
    const ready = async () => (await cluster.lab.http(host, '/readyz')).status;
    await untilEqual(ready, 503, { ...WAIT, what: 'the answer of /readyz' });
    expect(await host.unitState('agent.service')).toMatchObject({ active: 'inactive' });
    await server.heal();
    await cluster.untilCounts({ 'agent.service': 5, 'web.service': 3 });
    expect(await host.unitState(DAEMON)).toMatchObject({ active: 'active' });
  });
});
