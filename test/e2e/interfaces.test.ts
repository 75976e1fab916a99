/** What operators and their tools are shown: the status table, HTTP, metrics, exit statuses. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CONFIG_FILE } from '../harness/install.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { failing, sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };
const DOTTED = 'rack-1.db-2.example.org';
const SERVICES = [
  '{name: agent, type: global}',
  '{name: web, count: 3}',
  '{name: worker, instances: {a: 1, b: 2}, force: {a: w9}}',
  '{name: fails, count: 1}',
  '{name: off, count: 1, enabled: false}',
];

describeOnHosts('operators of three hosts', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const names = ['agent', 'web', 'worker@', 'off'];
    const units = Object.fromEntries(names.map((name) => [`${name}.service`, sleeping]));
    cluster = await Cluster.start({ hosts: 2, units: { ...units, 'fails.service': failing } });
    const third = await cluster.lab.addHost();
    await cluster.deploy(third, `host: {name: ${DOTTED}, address: ${third.address}}\n`);
    await cluster.apply(SERVICES);
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 3, 'worker@b.service': 2 });
    const failed = async () => (await cluster.assignments()).failed.map(({ host }) => host).sort();
    await untilEqual(failed, [DOTTED, 'w1', 'w2'], { deadlineMs: DEADLINE_MS, what: 'failed instances' });
    await cluster.untilSettled();
  });
  afterAll(() => cluster?.destroy());

  const command = (...argv: string[]) => cluster.lab.host('w2').sh('servicewatcher', ...argv);

  it('see a table of services, hosts by state, and health; host names may have dots and dashes', async () => {
    const { code, stdout } = await command('status');
    expect(code).toBe(0);
    const { leader, epoch } = await cluster.assignments();
    expect(stdout).toContain(`leader ${leader}, epoch ${epoch}; 3 host(s): ${DOTTED}, w1, w2\n`);
    const cells = stdout
      .split('\n')
      .filter((line) => line.startsWith('│'))
      .map((line) =>
        line
          .split('│')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    const all = `${DOTTED}, w1, w2`;
    const workers = (await cluster.runsOn('worker@b.service')).map((host) => (host === 'w3' ? DOTTED : host)).sort();
    expect(cells).toEqual([
      ['name', 'type', 'instance', 'active', 'inactive', 'failed', 'activating', 'deactivating', 'health'],
      ['agent', 'global', '', all, '', '', '', '', '3 / 3 ok'],
      ['web', 'shared', '', all, '', '', '', '', '3 / 3 ok'],
      ['worker', 'multi', 'a', '', '', '', '', '', '0 / 1 ok'],
      ['worker', 'multi', 'b', workers.join(', '), '', '', '', '', '2 / 2 ok'],
      ['fails', 'shared', '', '', '', all, '', '', '0 / 1 ok'],
      ['off', 'shared', '', '', '', '', '', '', 'disabled'],
    ]);
    expect(stdout).toContain(
      `fails.service on ${DOTTED}: systemd reports it failed: see systemctl status fails.service`,
    );
  });

  it('get the same as JSON', async () => {
    const { code, stdout } = await command('status', '--json');
    expect(code).toBe(0);
    const { leader, epoch, spec } = await cluster.assignments();
    const status = JSON.parse(stdout);
    expect(status).toMatchObject({
      leader,
      epoch,
      spec,
      hosts: [DOTTED, 'w1', 'w2'].map((name) => ({ name, state: 'ready', stale: false })),
      problems: [],
    });
    expect(status.units).toHaveLength(6);
    expect(status.units[4]).toMatchObject({
      name: 'fails',
      type: 'shared',
      unit: 'fails.service',
      hosts: { active: [], failed: [DOTTED, 'w1', 'w2'] },
      healthy: 0,
      wanted: 1,
    });
  });

  it('get exit status 3 and the addresses when ZooKeeper cannot be reached', async () => {
    const host = cluster.lab.host('w2');
    await host.write('/etc/nowhere.yml', 'zookeeper: {quorum: "198.18.0.250:2181,127.0.0.1:1"}\nservices: []\n');
    const { code, stdout, stderr } = await command('status', '--config', '/etc/nowhere.yml');
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain('ZooKeeper cannot be reached at 198.18.0.250:2181, 127.0.0.1:1');
    expect(stderr).toContain('is zookeeper.quorum in /etc/nowhere.yml right?');
  });

  it('get exit status 2 for a wrong file, no file, and a wrong command line', async () => {
    await cluster.lab
      .host('w2')
      .write('/etc/wrong.yml', 'zookeeper: {quorum: "zk1"}\nservices: [{name: a, count: -1}]\n');
    for (const argv of [
      ['status', '--config', '/etc/wrong.yml'],
      ['controller', '--config', '/etc/wrong.yml'],
    ]) {
      const { code, stderr } = await command(...argv);
      expect(code, argv.join(' ')).toBe(2);
      expect(stderr).toContain('/etc/wrong.yml:2:29: ');
    }
    const missing = await command('status', '--config', '/etc/missing.yml');
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain('/etc/missing.yml: cannot be read: there is no such file');
    expect((await command('stauts')).code).toBe(2);
    expect((await command('status', '--jsno')).code).toBe(2);
  });

  it('read the whole placement from the leader', async () => {
    const leader = await cluster.leader();
    const { status, headers, body } = await cluster.lab.http(leader, '/assignments');
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('application/json');
    const answer = JSON.parse(body);
    expect(answer).toMatchObject({ settled: true, leader: leader.name === 'w3' ? DOTTED : leader.name });
    expect(answer.epoch).toBeGreaterThan(0);
    expect(answer.generation).toBeGreaterThan(0);
    expect(answer.spec).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(Object.keys(answer.hosts)).toEqual([DOTTED, 'w1', 'w2']);
    for (const host of Object.values(answer.hosts)) {
      expect(host).toMatchObject({
        state: 'ready',
        units: expect.arrayContaining([
          {
            unit: 'agent.service',
            service: 'agent',
            state: 'active',
            why: expect.stringMatching(/^(kept|every host)$/),
          },
        ]),
      });
    }
    expect(answer.unplaced).toEqual([
      { unit: 'fails.service', service: 'fails', wanted: 1, placed: 0, why: [{ reason: 'failed', hosts: 3 }] },
      {
        unit: 'worker@a.service',
        service: 'worker',
        wanted: 1,
        placed: 0,
        why: [{ reason: 'forced-host-absent', hosts: 3 }],
      },
    ]);
  });

  it('are sent to the leader by the others', async () => {
    const leader = await cluster.leader();
    for (const host of cluster.lab.hosts.filter(({ name }) => name !== leader.name)) {
      const { status, headers, body } = await cluster.lab.http(host, '/assignments');
      expect(status).toBe(307);
      const url = `http://${leader.name === 'w3' ? leader.address : leader.name}:9780/assignments`;
      expect(headers.location).toBe(url);
      expect(JSON.parse(body)).toEqual({ leader: leader.name === 'w3' ? DOTTED : leader.name, url });
    }
  });

  it('learn from every host whether it is alive, ready, and how it stands', async () => {
    const { spec } = await cluster.assignments();
    for (const host of cluster.lab.hosts) {
      expect(await cluster.lab.http(host, '/healthz')).toMatchObject({ status: 200 });
      expect(await cluster.lab.http(host, '/readyz')).toMatchObject({ status: 200 });
      const status = JSON.parse((await cluster.lab.http(host, '/status')).body);
      expect(status).toMatchObject({
        host: host.name === 'w3' ? DOTTED : host.name,
        ready: true,
        zookeeper: { state: 'connected' },
        systemd: { connected: true },
        spec: { file: spec, cluster: spec, stale: false },
      });
      expect(await cluster.lab.http(host, '/nothing')).toMatchObject({ status: 404 });
    }
  });

  it('have metrics on every host', async () => {
    const leader = await cluster.leader();
    for (const host of cluster.lab.hosts) {
      const metric = (name: string) => cluster.metric(host, `servicewatcher_${name}`);
      const isLeader = host.name === leader.name;
      expect(await metric('leader')).toBe(isLeader ? 1 : 0);
      expect(await metric('zookeeper_connected')).toBe(1);
      expect(await metric('spec_stale')).toBe(0);
      expect(await metric('units{state="active"}')).toBeGreaterThanOrEqual(2);
      expect(await metric('drift_total')).toBe(0);
      expect(await metric('reconcile_duration_seconds_count')).toBeGreaterThan(0);
      if (!isLeader) continue;
      expect(await metric('epoch')).toBe((await cluster.assignments()).epoch);
      expect(await metric('members')).toBe(3);
      expect(await metric('brake_engaged')).toBe(0);
      expect(await metric('unplaced_instances{service="fails"}')).toBe(1);
      expect(await metric('unplaced_instances{service="worker"}')).toBe(1);
      expect(await metric('failed_instances{service="fails"}')).toBe(3);
      expect(await metric('placement_duration_seconds_count')).toBeGreaterThan(0);
      expect(await metric('convergence_seconds_count')).toBeGreaterThan(0);
      expect(await metric('moves_total{reason="failed"}')).toBeGreaterThanOrEqual(2);
    }
  });

  it('are told of a host that starts with a file that was replaced before, and nothing follows from it', async () => {
    const host = cluster.lab.host('w2');
    const running = await cluster.pids('agent.service', 'web.service', 'worker@b.service');
    await host.write(CONFIG_FILE, cluster.configuration('w2', []));
    await cluster.killUnit(host, 'servicewatcher.service');
    await cluster.untilJournal(
      host,
      /config.yml was the cluster's configuration, or was refused, before the present one \(sha256:.*\) and is not proposed/,
    );
    const stale = () => cluster.metric(host, 'servicewatcher_spec_stale');
    await untilEqual(stale, 1, { deadlineMs: DEADLINE_MS, what: 'spec_stale' });
    const isShown = async () =>
      (await command('status', '--config', CONFIG_FILE)).stdout.includes(
        "w2: its configuration file is not the cluster's",
      );
    await until(isShown, { ...WAIT, what: 'the table to show it' });
    await cluster.untilSettled();
    expect(await cluster.pids('agent.service', 'web.service', 'worker@b.service')).toEqual(running);
  });

  it('give all hosts a file that was never seen before by starting one host with it', async () => {
    const host = cluster.lab.host('w2');
    await host.write(CONFIG_FILE, cluster.configuration('w2', [...SERVICES.slice(0, 1), '{name: web, count: 2}']));
    await cluster.forgetJournal(host);
    await cluster.killUnit(host, 'servicewatcher.service');
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 2, 'worker@b.service': 0 });
    await cluster.untilJournal(host, "config.yml is the cluster's configuration now");
    await cluster.apply(SERVICES);
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 3, 'worker@b.service': 2 });
  });

  it('see each ZooKeeper server, one leading, and one that died', async () => {
    const servers = async () => {
      const { stdout } = await command('ensemble', '--json');
      const reports: { report: { kind: string; role?: string } }[] = JSON.parse(stdout).servers;
      return reports.map(({ report }) => report.role ?? report.kind).sort();
    };
    await untilEqual(servers, ['follower', 'follower', 'leader'], { deadlineMs: DEADLINE_MS, what: 'the servers' });
    const victim = cluster.lab.zookeeper('zk2');
    await victim.kill('SIGKILL');
    await untilEqual(servers, ['follower', 'leader', 'unreachable'], { deadlineMs: DEADLINE_MS, what: 'the servers' });
    expect((await command('ensemble')).stdout).toContain('quorum: 2 of 3 servers serve');
    await victim.start();
    await untilEqual(servers, ['follower', 'follower', 'leader'], { deadlineMs: DEADLINE_MS, what: 'the servers' });
  });

  it('are told what a file would change before they apply it, and are asked twice before most of it stops', async () => {
    await cluster.untilSettled();
    const host = cluster.lab.host('w2');
    const running = await cluster.pids('agent.service', 'web.service', 'worker@b.service');
    await host.write('/etc/same.yml', cluster.configuration('w2', SERVICES));
    expect(await command('plan', '/etc/same.yml')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('nothing changes'),
    });
    const { code, stdout } = await command('plan', '/etc/same.yml', '--without', 'w1', 'w2');
    expect(code).toBe(2);
    for (const lost of ['w1', 'w2']) expect(stdout).toContain(`agent.service on ${lost}: host lost`);

    await host.write('/etc/empty.yml', cluster.configuration('w2', []));
    const planned = await command('plan', '/etc/empty.yml');
    expect(planned.code).toBe(2);
    expect(planned.stdout).toContain('stop      agent.service on w1: no longer wanted');
    const refused = await command('apply', '/etc/empty.yml');
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it would stop 8 of the 8 instances that run'),
    });
    expect(await cluster.pids('agent.service', 'web.service', 'worker@b.service')).toEqual(running);

    await host.write('/etc/fewer.yml', cluster.configuration('w2', SERVICES.slice(0, 2)));
    expect((await command('apply', '/etc/fewer.yml')).code).toBe(0);
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 3, 'worker@b.service': 0 });
    expect((await command('apply', '/etc/empty.yml', '--force')).code).toBe(0);
    await cluster.untilCounts({ 'agent.service': 0, 'web.service': 0 });
    await cluster.apply(SERVICES);
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 3, 'worker@b.service': 2 });
  });

  it('may try it on one host that needs no ensemble', async () => {
    const host = await cluster.lab.addHost();
    await host.write('/etc/systemd/system/web.service', sleeping);
    await host.install({ config: 'zookeeper: {quorum: embedded}\nservices: [{name: web, count: 1}]\n' });
    await cluster.untilRunsOn('web.service', ['w1', 'w2', 'w3', host.name]);
    const stdout = await until(
      async () => {
        const status = await host.sh('servicewatcher', 'status');
        return status.code === 0 && status.stdout.includes('1 / 1 ok') && status.stdout;
      },
      { ...WAIT, what: 'the table to show that it runs' },
    );
    expect(stdout).toContain(`leader ${host.name}, epoch 1; 1 host(s): ${host.name}\n`);
    const pid = (await host.unitState('web.service')).mainPid;
    await cluster.killUnit(host, 'servicewatcher.service');
    await cluster.untilJournal(host, /servicewatcher.service: Scheduled restart job/);
    const ready = async () => (await cluster.lab.http(host, '/readyz')).status;
    await untilEqual(ready, 200, { deadlineMs: DEADLINE_MS, what: 'the daemon to be ready again' });
    expect(await host.unitState('web.service')).toMatchObject({ active: 'active', mainPid: pid });
    await host.systemctl('restart', 'servicewatcher.service');
    await untilEqual(ready, 200, { deadlineMs: DEADLINE_MS, what: 'the daemon to be ready again' });
    expect(await host.unitState('web.service')).toMatchObject({ active: 'active', mainPid: pid });
  });
});
