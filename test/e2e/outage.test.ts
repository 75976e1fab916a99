/** ZooKeeper is gone altogether, for longer than any session lasts, and comes back, with its data or without. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };
/** Outages last longer. A busy machine ends no session of this length by itself. */
const SESSION_MS = 4000;
const DAEMON = 'servicewatcher.service';
const UNITS = ['agent.service', 'web.service', 'worker@a.service', 'worker@b.service'];
const SERVICES = ['{name: agent, type: global}', '{name: web, count: 3}', '{name: worker, instances: {a: 1, b: 2}}'];

describeOnHosts('units with isolation: keep run on, when ZooKeeper', () => {
  let cluster: Cluster;
  let running: Record<string, number>;
  beforeAll(async () => {
    const units = Object.fromEntries(['agent', 'web', 'worker@'].map((name) => [`${name}.service`, sleeping]));
    cluster = await Cluster.start({ hosts: 4, units, services: SERVICES, sessionTimeout: SESSION_MS / 1000 });
  });
  afterAll(() => cluster?.destroy());
  beforeEach(async () => {
    await cluster.untilSettled();
    running = await cluster.pids(...UNITS);
    expect(Object.keys(running)).toHaveLength(4 + 3 + 1 + 2);
  });

  const lose = () => Promise.all(cluster.lab.servers.map((server) => server.kill('SIGKILL')));
  async function restore(): Promise<void> {
    await Promise.all(cluster.lab.servers.map((server) => server.start()));
    await cluster.lab.quorate();
  }
  async function untilAllAreBack(): Promise<void> {
    const ready = async () =>
      (await Promise.all(cluster.lab.hosts.map((host) => cluster.lab.http(host, '/readyz')))).map(
        (answer) => answer.status,
      );
    await untilEqual(ready, [200, 200, 200, 200], { ...WAIT, what: 'the answers of /readyz' });
    await cluster.untilSettled();
    const members = async () => Object.keys((await cluster.assignments()).hosts);
    await untilEqual(members, ['w1', 'w2', 'w3', 'w4'], { ...WAIT, what: 'the members' });
    await cluster.untilSettled();
  }
  /** The time of an outage is real: sessions must be over. */
  async function untilSessionsAreOver(): Promise<void> {
    const since = performance.now();
    await until(() => performance.now() - since > 1.5 * SESSION_MS, {
      ...WAIT,
      what: 'one and a half session timeouts',
    });
  }

  it('is lost for longer than a session and comes back', async () => {
    await lose();
    await untilSessionsAreOver();
    expect(await cluster.pids(...UNITS)).toEqual(running);
    await restore();
    await untilAllAreBack();
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('is lost and daemons are restarted and killed meanwhile', async () => {
    await lose();
    const [restarted, killed] = cluster.lab.hosts;
    if (restarted === undefined || killed === undefined) throw new Error('too few hosts');
    const before = (await restarted.unitState(DAEMON)).mainPid;
    await restarted.systemctl('restart', '--no-block', DAEMON);
    await cluster.killUnit(killed, DAEMON);
    const isNew = async () => {
      const { mainPid, active } = await restarted.unitState(DAEMON);
      return active === 'activating' && mainPid !== 0 && mainPid !== before;
    };
    await until(isNew, { ...WAIT, what: 'a new daemon that waits for ZooKeeper' });
    await untilSessionsAreOver();
    expect(await cluster.pids(...UNITS)).toEqual(running);
    await restore();
    await untilAllAreBack();
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('loses all its data and comes back empty: the hosts’ own file becomes the configuration again', async () => {
    const { spec } = await cluster.assignments();
    await lose();
    for (const server of cluster.lab.servers) {
      await rm(join(cluster.lab.folder, server.name, 'version-2'), { recursive: true });
    }
    await restore();
    await untilAllAreBack();
    expect((await cluster.assignments()).spec).toBe(spec);
    expect(await cluster.pids(...UNITS)).toEqual(running);
    // it is in charge again
    const host = cluster.lab.host('w1');
    await host.systemctl('stop', 'agent.service');
    await cluster.untilCounts({ 'agent.service': 4 });
  });
});
