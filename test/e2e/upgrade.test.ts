/** The daemon is restarted and replaced by another version, host after host: no unit notices. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { GUARD_PREFIX } from '../../src/executor/systemd.ts';
import type { Host } from '../harness/host.ts';
import { INSTALLED_CLI } from '../harness/install.ts';
import { mustRun } from '../harness/process.ts';
import { projectRoot } from '../harness/project.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { until } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';
import { viewUnits } from './unit-view.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };
const DAEMON = 'servicewatcher.service';
const UNITS = ['agent.service', 'web.service', 'worker@a.service', 'once.service'];
const SERVICES = [
  '{name: agent, type: global}',
  '{name: web, count: 2}',
  '{name: worker, instances: {a: 1}}',
  '{name: once, count: 1, isolation: stop}',
];
const NEXT_VERSION = '99.0.0-next';

describeOnHosts('units that run on three hosts, when', () => {
  let cluster: Cluster;
  let running: Record<string, number>;
  beforeAll(async () => {
    const names = ['agent', 'web', 'worker@', 'once'];
    const units = Object.fromEntries(names.map((name) => [`${name}.service`, sleeping]));
    // the longest that the servers allow: time enough for a new process to join on a busy machine
    cluster = await Cluster.start({ hosts: 3, units, services: SERVICES, sessionTimeout: 10 });
  });
  afterAll(() => cluster?.destroy());
  beforeEach(async () => {
    await cluster.untilSettled();
    running = await cluster.pids(...UNITS);
    expect(Object.keys(running)).toHaveLength(3 + 2 + 1 + 1);
  });

  const versionOf = async (host: Host): Promise<string> =>
    JSON.parse((await cluster.lab.http(host, '/status')).body).software;
  const memberOf = async (host: Host): Promise<{ software: string; machineId: string; session: string | undefined }> =>
    cluster.inZooKeeper(async (store) => {
      const node = await store.get(`/members/${host.name}`);
      return { ...JSON.parse(node?.data.toString() ?? '{}'), session: node?.owner };
    });
  /** Those that wait for their time: a guard is `activating` as long as it runs. */
  const guardsOn = async (host: Host): Promise<string[]> => {
    const units = await host.systemctl(
      'list-units',
      '--plain',
      '--no-legend',
      '--state=activating',
      `${GUARD_PREFIX}*`,
    );
    return units.split('\n').flatMap((line) => (line === '' ? [] : line.split(' ').slice(0, 1)));
  };
  /** The leader last: whatever it does is seen by hosts that were upgraded already. */
  async function leaderLast(): Promise<Host[]> {
    const leader = await cluster.leader();
    return [...cluster.lab.hosts.filter(({ name }) => name !== leader.name), leader];
  }
  it('every daemon is replaced by another version, the leader’s last, run on with the same processes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'servicewatcher-next-'));
    try {
      const next = join(folder, 'cli.js');
      await mustRun(['node', join(projectRoot, 'scripts/build.mjs'), '--outfile', next, '--version', NEXT_VERSION]);
      for (const host of await leaderLast()) {
        expect(await versionOf(host)).not.toBe(NEXT_VERSION);
        const before = await memberOf(host);
        await host.write(INSTALLED_CLI, await readFile(next, 'utf8'), 0o755);
        await host.systemctl('restart', DAEMON);
        expect(await versionOf(host)).toBe(NEXT_VERSION);
        const after = await memberOf(host);
        expect(after).toMatchObject({ software: NEXT_VERSION, machineId: before.machineId });
        expect(after.session).not.toBe(before.session);
        expect(await cluster.pids(...UNITS), `after the upgrade of ${host.name}`).toEqual(running);
        await cluster.untilSettled();
        expect(await cluster.pids(...UNITS), `once settled after the upgrade of ${host.name}`).toEqual(running);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('the leader’s daemon is restarted, run on, and another host leads before it is back', async () => {
    const { epoch } = await cluster.assignments();
    const leader = await cluster.leader();
    await cluster.forgetJournal(leader);
    await leader.systemctl('restart', DAEMON);
    const next = await until(
      async () => {
        const now = await cluster.assignments();
        return now.epoch > epoch && now;
      },
      { ...WAIT, what: `an epoch above ${epoch}` },
    );
    expect(next.leader).not.toBe(leader.name);
    const successor = cluster.lab.host(next.leader);
    const led = await cluster.loggedAt(successor, `leading with epoch ${next.epoch}`);
    const back = await cluster.loggedAt(leader, 'connected to ZooKeeper');
    expect(led, 'the new term begins before the new process has a session').toBeLessThan(back);
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('another daemon is restarted, run on, and the leader leads on without a new placement', async () => {
    const { epoch, generation, leader } = await cluster.assignments();
    const host = cluster.lab.hosts.find(({ name }) => name !== leader);
    if (host === undefined) throw new Error('no host but the leader');
    await host.systemctl('restart', DAEMON);
    await cluster.untilSettled();
    expect(await cluster.assignments()).toMatchObject({ epoch, generation, leader });
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it('all daemons are restarted at once, run on', async () => {
    await Promise.all(cluster.lab.hosts.map((host) => host.systemctl('restart', DAEMON)));
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toEqual(running);
  });

  it.each(['TERM', 'KILL'])(
    'a daemon is ended by SIG%s from hand, run on, as systemd starts it again',
    async (signal) => {
      // with what may run once only: its guard goes on without the daemon
      const [name] = await cluster.runsOn('once.service');
      const host = cluster.lab.host(name ?? '');
      const before = (await host.unitState(DAEMON)).mainPid;
      await host.systemctl('kill', `--signal=${signal}`, '--kill-who=main', DAEMON);
      const left = await guardsOn(host);
      const again = async () => {
        const { active, mainPid } = await host.unitState(DAEMON);
        return active === 'active' && mainPid !== before;
      };
      await until(again, { ...WAIT, what: 'a new daemon' });
      const relieved = async () => {
        const guards = await guardsOn(host);
        return guards.length > 0 && !guards.some((guard) => left.includes(guard));
      };
      await until(relieved, { ...WAIT, what: 'a guard of the new daemon in the place of those that were left' });
      await cluster.untilSettled();
      expect(await cluster.pids(...UNITS)).toEqual(running);
    },
  );

  it('a daemon is stopped, do not run on: they run elsewhere', async () => {
    const [name] = await cluster.runsOn('once.service');
    const host = cluster.lab.host(name ?? '');
    await host.systemctl('stop', DAEMON);
    expect(await viewUnits(host, UNITS)).toEqual(UNITS.map(() => expect.objectContaining({ active: 'inactive' })));
    await cluster.untilCounts({ 'agent.service': 2, 'web.service': 2, 'worker@a.service': 1, 'once.service': 1 });
    await host.systemctl('start', DAEMON);
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 2, 'worker@a.service': 1, 'once.service': 1 });
  });
});
