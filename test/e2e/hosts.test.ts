/** Hosts stop, lose their power or their cable, and come back; ZooKeeper servers die: only what must move moves. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { monotonicNow, until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';
import { viewUnits } from './unit-view.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };
const SESSION_MS = 4000;
/** ZooKeeper's, to which it rounds up the end of a session. */
const TICK_MS = 500;
/** What a busy machine is allowed for the decision and the start, which take some tenths of a second where none is (docs/benchmarks.md). */
const BUSY_MS = 2000;
const DAEMON = 'servicewatcher.service';
const UNITS = ['agent.service', 'web.service', 'worker@a.service', 'worker@b.service'];
const SERVICES = ['{name: agent, type: global}', '{name: web, count: 3}', '{name: worker, instances: {a: 1, b: 2}}'];

describeOnHosts('five hosts, of which', () => {
  let cluster: Cluster;
  let running: Record<string, number>;
  beforeAll(async () => {
    const names = ['agent', 'web', 'worker@'];
    cluster = await Cluster.start({
      hosts: 5,
      units: Object.fromEntries(names.map((name) => [`${name}.service`, sleeping])),
      services: SERVICES,
      settings: 'brake: {hold: 5s}\n',
      sessionTimeout: SESSION_MS / 1000,
    });
  });
  afterAll(() => cluster?.destroy());
  beforeEach(async () => {
    await untilAllRun(5);
    await cluster.untilSettled();
    running = await cluster.pids(...UNITS);
  });

  const untilAllRun = (hosts: number) =>
    cluster.untilCounts({ 'agent.service': hosts, 'web.service': 3, 'worker@a.service': 1, 'worker@b.service': 2 });
  /** What ran on the hosts other than this one. */
  const elsewhere = (host: Host, pids = running) =>
    Object.fromEntries(Object.entries(pids).filter(([key]) => !key.startsWith(`${host.name} `)));
  const at = (host: Host, pids = running) =>
    Object.fromEntries(Object.entries(pids).filter(([key]) => key.startsWith(`${host.name} `)));
  /** A host that runs an instance which can move. */
  async function host(): Promise<Host> {
    const leader = await cluster.leader();
    const name = (await cluster.runsOn('web.service')).find((candidate) => candidate !== leader.name);
    return cluster.lab.host(name ?? leader.name);
  }

  it('one stops its daemon: its units stop, and run elsewhere at once', async () => {
    const leaving = await host();
    const others = cluster.lab.hosts.filter(({ name }) => name !== leaving.name);
    const start = monotonicNow();
    await leaving.systemctl('stop', DAEMON);
    for (const { active } of await viewUnits(leaving, UNITS)) expect(active).toBe('inactive');
    await untilAllRun(4);
    expect(await cluster.pids(...UNITS)).toMatchObject(elsewhere(leaving));
    const entered = await Promise.all(others.map(async (other) => (await viewUnits(other, ['web.service']))[0]));
    const latest = Math.max(...entered.map((view) => view?.activeEnterMs ?? 0));
    expect(latest).toBeGreaterThan(start);
    expect(latest - start, 'ms from the stop to the start elsewhere').toBeLessThan(SESSION_MS);

    const before = await cluster.pids(...UNITS);
    await leaving.systemctl('start', DAEMON);
    await untilAllRun(5);
    expect(await cluster.pids(...UNITS)).toMatchObject(before);
  });

  it('one stops its daemon with on_stop: keep: its units run on and are adopted by the next one', async () => {
    const leaving = await host();
    await leaving.write(CONFIG_FILE, `on_stop: keep\n${cluster.configuration(leaving.name)}`);
    await cluster.forgetJournal(leaving);
    await cluster.reload(leaving);
    await cluster.untilJournal(leaving, 'is what the cluster has');
    await leaving.systemctl('stop', DAEMON);
    expect(await cluster.pids(...UNITS)).toMatchObject(running);
    await leaving.write(CONFIG_FILE, cluster.configuration(leaving.name));
    await leaving.systemctl('start', DAEMON);
    await untilAllRun(5);
    await cluster.untilSettled();
    const agents = Object.entries(running).filter(([key]) => key.endsWith(' agent.service'));
    expect(await cluster.pids(...UNITS)).toMatchObject(Object.fromEntries(agents));
  });

  it('one loses its power: exactly its instances run elsewhere, and none moves back', async () => {
    const lost = await host();
    const off = monotonicNow();
    await lost.powerOff();
    await untilAllRun(4);
    const before = await cluster.pids(...UNITS);
    expect(before).toMatchObject(elsewhere(lost));
    const others = cluster.lab.hosts.filter((other) => other !== lost);
    const entered = (await Promise.all(others.map((other) => viewUnits(other, UNITS)))).flat();
    const latest = Math.max(...entered.map(({ activeEnterMs }) => activeEnterMs));
    expect(latest).toBeGreaterThan(off);
    expect(latest - off, 'ms from the loss to the start elsewhere').toBeLessThan(SESSION_MS + TICK_MS + BUSY_MS);
    await lost.start();
    await lost.systemctl('start', DAEMON);
    await untilAllRun(5);
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toMatchObject(before);
    expect(Object.keys(at(lost, await cluster.pids(...UNITS)))).toEqual([`${lost.name} agent.service`]);
  });

  it('one loses its cable: its units run on, its instances run elsewhere too, and the surplus is stopped afterwards', async () => {
    const cut = await host();
    await cut.cut();
    const moved = async () => {
      const webs = (await cluster.runsOn('web.service')).filter((name) => name !== cut.name);
      return webs.length === 3;
    };
    await until(moved, { ...WAIT, what: `web.service to run on 3 hosts other than ${cut.name}` });
    expect(await cluster.pids(...UNITS)).toMatchObject(running);
    await cut.heal();
    await untilAllRun(5);
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toMatchObject(elsewhere(cut));
    expect(at(cut, await cluster.pids('agent.service'))).toEqual(at(cut, await cluster.pids(...UNITS)));
    const agent = `${cut.name} agent.service`;
    expect((await cluster.pids('agent.service'))[agent]).toBe(running[agent]);
  });

  it('the one that leads loses its power: another one leads, and exactly its instances run elsewhere', async () => {
    const { epoch } = await cluster.assignments();
    const lost = await cluster.leader();
    await lost.powerOff();
    await untilAllRun(4);
    const now = await until(() => cluster.assignments(), { ...WAIT, what: 'another leader' });
    expect(now.epoch).toBeGreaterThan(epoch);
    expect(await cluster.pids(...UNITS)).toMatchObject(elsewhere(lost));
    await lost.start();
    await lost.systemctl('start', DAEMON);
  });

  it('all use a ZooKeeper server that dies: they use another, and nothing restarts', async () => {
    for (const server of cluster.lab.servers) {
      await server.kill('SIGKILL');
      const connected = async () => {
        const answers = await Promise.all(cluster.lab.hosts.map((one) => cluster.lab.http(one, '/status')));
        const details = answers.map(({ body }) => JSON.parse(body).zookeeper);
        return details.every(({ state, detail }) => state === 'connected' && !detail.includes(`${server.server},`));
      };
      await until(connected, { ...WAIT, what: `all hosts to be connected to another server than ${server.name}` });
      await cluster.untilSettled();
      expect(await cluster.pids(...UNITS)).toEqual(running);
      await server.start();
      await cluster.lab.quorate();
    }
  });

  it('none gives its name to a sixth host, which says who holds it and waits for another name', async () => {
    const sixth = await cluster.lab.addHost();
    const own = cluster.configuration(sixth.name);
    await sixth.install({ config: `host: {name: w2}\n${own}`, start: false });
    await sixth.systemctl('start', '--no-block', DAEMON);
    const machine = (await cluster.lab.host('w2').mustSh('cat', '/etc/machine-id')).trim();
    const told = `the host name w2 is in use by another daemon (machine ${machine}, address w2, http://w2:9780)`;
    await cluster.untilJournal(sixth, told);
    await cluster.untilJournal(sixth, 'servicewatcher.service: Scheduled restart job');
    await cluster.untilSettled();
    expect(await cluster.pids(...UNITS)).toEqual(running);
    await sixth.write(CONFIG_FILE, own);
    const members = async () => Object.keys((await cluster.assignments()).hosts);
    await untilEqual(members, ['w1', 'w2', 'w3', 'w4', 'w5', 'w6'], { ...WAIT, what: 'the members' });
    await sixth.shutDown();
  });

  it('three lose their power at once: the brake holds what has not moved yet, and lets it go after its time', async () => {
    const keys = ['x1', 'x2', 'x3', 'x4', 'x5'];
    await cluster.apply([`{name: worker, instances: {${keys.map((key) => `${key}: 1`).join(', ')}}}`]);
    const units = keys.map((key) => `worker@${key}.service`);
    const allRun = Object.fromEntries(units.map((unit) => [unit, 1]));
    await cluster.untilCounts({ ...allRun, 'agent.service': 0 });
    const leader = await cluster.leader();
    const lost = cluster.lab.hosts.filter(({ name }) => name !== leader.name && name !== 'w6').slice(0, 3);
    const before = await cluster.pids(...units);
    const survived = Object.entries(before).filter(([key]) => !lost.some(({ name }) => key.startsWith(`${name} `)));
    expect(survived).toHaveLength(2);

    await Promise.all(lost.map((one) => one.powerOff()));
    const engaged = () => cluster.metric(leader, 'servicewatcher_brake_engaged');
    await untilEqual(engaged, 1, { ...WAIT, what: 'brake_engaged' });
    const isSaid = async () => (await leader.sh('servicewatcher', 'status')).stdout.includes('the brake is engaged');
    await until(isSaid, { ...WAIT, what: 'status to say so' });
    await cluster.untilJournal(leader, /many hosts were lost at once \(.*\): nothing is moved for 5 s/);
    const seen: number[] = [];
    const released = async () => {
      const running = Object.keys(await cluster.pids(...units)).length;
      if ((await engaged()) === 0) return true;
      seen.push(running);
      return false;
    };
    await until(released, { ...WAIT, what: 'the brake to be released' });
    // as the leader tells it: whoever looks from outside sees it late
    const times = async () => {
      const { stdout } = await leader.sh('servicewatcher', 'events', '--json');
      const events: { kind: string; at: string }[] = stdout
        .split('\n')
        .flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
      const at = (kind: string) => Date.parse(events.find((event) => event.kind === kind)?.at ?? '');
      const held = at('brake-released') - at('brake-engaged');
      return Number.isNaN(held) ? undefined : held;
    };
    const heldMs = await until(times, { ...WAIT, what: 'the brake to be told of' });
    expect(heldMs, 'ms that the brake held').toBeGreaterThan(4_900);
    // ZooKeeper ends the sessions one after the other: those before the third are failovers like any other.
    expect(Math.max(...seen)).toBeLessThan(5);
    await cluster.untilCounts(allRun);
    expect(await cluster.pids(...units)).toMatchObject(Object.fromEntries(survived));
  }, 120_000);
});
