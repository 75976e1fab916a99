import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab } from './harness/lab.ts';
import { describeOnHosts } from './harness/requirements.ts';
import { addUnits, exiting, failing, hangingOnStart, service, sleeping } from './harness/units.ts';
import { monotonicNow, until, untilEqual } from './harness/until.ts';

describeOnHosts('a lab', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ hosts: 2, zookeeper: 3 });
  });
  afterAll(() => lab?.destroy());

  const ask = (from: string, name: string) =>
    lab.host(from).sh('timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/${name}/2181; printf srvr >&3; cat <&3`);

  it('boots hosts that differ in name, machine id and journal', async () => {
    const ids = await Promise.all(lab.hosts.map((host) => host.mustSh('cat', '/etc/machine-id')));
    expect(new Set([...ids, readFileSync('/etc/machine-id', 'utf8')]).size).toBe(3);
    expect(await lab.host('w2').mustSh('hostname')).toBe('w2\n');
    expect(await lab.host('w2').journal()).toContain('Multi-User System');
    expect(existsSync(lab.host('w1').busAddress.replace('unix:path=', ''))).toBe(true);
  });

  it('boots one more host on demand', async () => {
    const added = await lab.addHost();
    expect(added.name).toBe('w3');
    expect(await added.mustSh('hostname')).toBe('w3\n');
    expect((await ask('w3', 'zk1')).stdout).toContain('Mode:');
  });

  it('shows a host this checkout and this Node', async () => {
    const version = await lab.host('w1').mustSh('node', '-p', 'process.version');
    expect(version.trim()).toBe(process.version);
    expect(await lab.host('w1').mustSh('cat', join(process.cwd(), 'package.json'))).toContain('"servicewatcher"');
  });

  it('keeps what a host writes to itself', async () => {
    await lab.host('w1').write('/etc/only-here', 'w1', 0o600);
    expect(await lab.host('w1').mustSh('stat', '-c', '%a', '/etc/only-here')).toBe('600\n');
    expect((await lab.host('w2').sh('cat', '/etc/only-here')).code).toBe(1);
    expect(existsSync('/etc/only-here')).toBe(false);
  });

  it('stamps units with the clock of monotonicNow', async () => {
    const host = lab.host('w1');
    await addUnits(host, { 'stamp@.service': sleeping });
    expect(await host.activeEnter('stamp@1.service')).toBeUndefined();
    const before = monotonicNow();
    await host.systemctl('start', 'stamp@1.service');
    const entered = await host.activeEnter('stamp@1.service');
    expect(entered).toBeGreaterThan(before);
    expect(entered).toBeLessThan(monotonicNow());
  });

  it('brings units that run, fail, hang and end by themselves', async () => {
    const host = lab.host('w2');
    await addUnits(host, {
      'runs.service': sleeping,
      'fails.service': failing,
      'hangs.service': hangingOnStart(),
      'ends.service': exiting(0),
    });
    const units = ['runs', 'fails', 'hangs', 'ends'].map((name) => `${name}.service`);
    for (const unit of units) await host.systemctl('start', '--no-block', unit);
    await untilEqual(
      () => Promise.all(units.map(async (unit) => (await host.unitState(unit)).active)),
      ['active', 'failed', 'activating', 'inactive'],
      { deadlineMs: 20_000, what: 'their states' },
    );
    expect((await host.unitState('runs.service')).mainPid).toBeGreaterThan(0);
    expect((await host.unitState('nowhere.service')).load).toBe('not-found');
  });

  it('reaches HTTP on a host, and a port of it from the loopback', async () => {
    const host = lab.host('w1');
    const server = "require('http').createServer((q, s) => s.writeHead(404).end('at ' + q.url)).listen(9780)";
    await addUnits(host, { 'web.service': service(`ExecStart=node -e "${server}"`) });
    await host.systemctl('start', 'web.service');
    const answer = await until(() => lab.http('w1', '/path'), { deadlineMs: 10_000, what: 'the answer' });
    expect(answer).toMatchObject({ status: 404, body: 'at /path' });
    const tunnel = await lab.tunnel(host, 9780);
    const direct = await fetch(`http://127.0.0.1:${tunnel.port}/direct`);
    expect(await direct.text()).toBe('at /direct');
    await tunnel.close();
    await expect(lab.http('w2', '/')).rejects.toThrow(`GET http://${lab.host('w2').address}:9780/`);
  });

  it('installs the daemon as its package would, and says why one does not start', async () => {
    const [well, ill] = [lab.host('w1'), lab.host('w2')];
    await well.install({ config: `zookeeper:\n  quorum: ${lab.quorum}\nhttp:\n  listen: :9781\nservices: []\n` });
    expect(await well.unitState('servicewatcher.service')).toMatchObject({ active: 'active' });
    expect(await lab.http(well, '/healthz', 9781)).toMatchObject({ status: 200 });
    const refused = ill.install({ config: 'services: 3\n' });
    await expect(refused).rejects.toThrow(/servicewatcher did not start on w2.*services is 3/s);
    await well.systemctl('stop', 'servicewatcher');
  });

  it('pulls a host’s cable and plugs it in again', async () => {
    await lab.host('w1').cut();
    expect((await ask('w1', 'zk1')).stdout).toBe('');
    expect((await ask('w2', 'zk1')).stdout).toContain('Mode:');
    await lab.host('w1').heal();
    await until(async () => (await ask('w1', 'zk1')).stdout.includes('Mode:'), {
      deadlineMs: 10_000,
      what: 'the link',
    });
  });

  it('cuts a host’s power, and boots it again from the same disk', async () => {
    const host = lab.host('w2');
    const pid = host.pid;
    await addUnits(host, { 'before.service': sleeping });
    await host.systemctl('start', 'before.service');
    await host.powerOff();
    await until(() => !existsSync(`/proc/${pid}`), { deadlineMs: 10_000, what: 'its systemd to be gone' });
    expect(() => host.pid).toThrow('host w2 is off');
    expect(await host.journal()).toContain('before.service');
    await host.write('/etc/while-off', 'yes');
    await host.start();
    expect(await host.read('/etc/while-off')).toBe('yes');
    expect(await host.unitState('before.service')).toMatchObject({ load: 'loaded', active: 'inactive' });
  });

  it('shuts a host down in good order', async () => {
    const host = lab.host('w3');
    await host.shutDown();
    expect(host.running).toBe(false);
    expect(await host.journal()).toContain('Reached target shutdown.target');
  });

  it('has one ZooKeeper leader, another when that one is killed, and takes servers back', async () => {
    const modes = async () => (await Promise.all(lab.servers.map((server) => server.mode()))).sort().join();
    expect(await modes()).toBe('follower,follower,leader');
    const all = await Promise.all(lab.servers.map(async (server) => ({ server, mode: await server.mode() })));
    const leader = all.find(({ mode }) => mode === 'leader')?.server ?? lab.zookeeper('none');
    await leader.kill('SIGKILL');
    await untilEqual(modes, 'down,follower,leader', { deadlineMs: 20_000, what: 'the roles' });
    await leader.start();
    await lab.quorate();
    expect(await leader.mode()).toBe('follower');
    leader.pause();
    await untilEqual(() => leader.mode(), 'down', { deadlineMs: 20_000, what: 'the role of a frozen server' });
    leader.resume();
    await lab.quorate();
    await leader.cut();
    expect(await leader.mode()).toBe('down');
    await leader.heal();
    await lab.quorate();
  });
});
