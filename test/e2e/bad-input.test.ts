/** Wrong files and spoilt znodes: reported, nothing lost, no unit touched. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { decodeObserved } from '../../src/shared/payloads.ts';
import type { Store } from '../../src/shared/store.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const ALL = ['w1', 'w2', 'w3', 'w4', 'w5'];
const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };
const UNITS = ['agent.service', 'web.service', 'worker@a.service', 'worker@b.service'];
const SERVICES = ['{name: agent, type: global}', '{name: web, count: 3}', '{name: worker, instances: {a: 1, b: 2}}'];
const GARBAGE = Buffer.from('{"version":1,"host":[');

describeOnHosts('the cluster, given', () => {
  let cluster: Cluster;
  let running: Record<string, number>;
  beforeAll(async () => {
    const names = ['agent', 'web', 'worker@', 'later'];
    cluster = await Cluster.start({
      hosts: 5,
      units: Object.fromEntries(names.map((name) => [`${name}.service`, sleeping])),
      services: SERVICES,
    });
    await cluster.untilCounts({ 'agent.service': 5, 'web.service': 3, 'worker@a.service': 1, 'worker@b.service': 2 });
    running = await cluster.pids(...UNITS);
  });
  afterAll(() => cluster?.destroy());
  beforeEach(() => cluster.untilSettled());

  const expectUntouched = async () => expect(await cluster.pids(...UNITS)).toEqual(running);
  const problems = async () => (await cluster.assignments()).problems;
  const untilProblem = (path: string) =>
    until(async () => (await problems()).some((problem) => problem.startsWith(`${path} `)), {
      ...WAIT,
      what: `a problem of ${path}`,
    });
  const spoil = (path: string) => cluster.inZooKeeper(async (store: Store) => store.set(path, GARBAGE));

  const files = [
    { fault: 'a file that is no YAML', lines: ['  - name: [web', '    count: 1'], place: '7:', says: /Flow sequence/ },
    {
      fault: 'an unknown key',
      lines: ['  - name: web', '    cuont: 3'],
      place: '7:5',
      says: /unknown key cuont; did you mean count\?/,
    },
    {
      fault: 'a forced instance with a count of 2',
      lines: ['  - name: worker', '    instances: {a: 2}', '    force: {a: w1}'],
      place: '8:13',
      says: /a is forced to w1, so its count must be 1/,
    },
    {
      fault: 'a reference to a unit that nobody declares',
      lines: ['  - name: web', '    count: 3', '    prestart: echo {instance:nowhere@1}'],
      place: '8:20',
      says: /nowhere@1/,
    },
  ];
  for (const { fault, lines, place, says } of files) {
    it(`${fault}, keeps its configuration and says what is wrong and where`, async () => {
      const host = cluster.lab.host('w2');
      const { spec } = await cluster.assignments();
      const good = cluster.configuration('w2', []).replace('services: []\n', 'services:\n');
      await host.write(CONFIG_FILE, `${good}${lines.join('\n')}\n`);
      await cluster.reload(host);
      await cluster.untilJournal(host, `${CONFIG_FILE}:${place}`);
      await cluster.untilJournal(host, says);
      await cluster.untilJournal(host, `${CONFIG_FILE} was not taken over: the configuration stays as it was`);
      const check = await host.sh('servicewatcher', 'check');
      expect(check.code).toBe(2);
      expect(check.stdout + check.stderr).toContain(`${CONFIG_FILE}:${place}`);
      expect((await cluster.assignments()).spec).toBe(spec);
      await expectUntouched();
      await host.write(CONFIG_FILE, cluster.configuration('w2'));
      await cluster.forgetJournal(host);
    });
  }

  it('a spoilt desired state, has it written anew and touches nothing', async () => {
    await spoil('/desired/w2');
    await cluster.untilJournal(cluster.lab.host('w2'), /\/desired\/w2 .*nothing is changed because of it/);
    const healed = () => cluster.inZooKeeper(async (store) => (await store.get('/desired/w2'))?.data.toString());
    await until(async () => (await healed())?.includes('"units"'), { ...WAIT, what: 'desired/w2 to be healed' });
    await cluster.untilSettled();
    await expectUntouched();
  });

  it('a forged desired state of an old leadership, obeys none of it', async () => {
    await cluster.inZooKeeper(async (store) => {
      const node = await store.get('/desired/w3');
      const genuine = JSON.parse(node?.data.toString() ?? '');
      await store.set('/desired/w3', Buffer.from(JSON.stringify({ ...genuine, epoch: 0, units: [] })));
    });
    await cluster.untilJournal(cluster.lab.host('w3'), /is older than .* which was obeyed before/);
    await cluster.untilSettled();
    await expectUntouched();
  });

  it('a spoilt report, touches nothing, and its host writes it anew', async () => {
    await spoil('/observed/w4');
    const readable = () =>
      cluster.inZooKeeper(async (store) => {
        const node = await store.get('/observed/w4');
        return node !== undefined && decodeObserved(node.data, node.path).ok;
      });
    await until(readable, { ...WAIT, what: 'a readable report' });
    await untilEqual(problems, [], { ...WAIT, what: 'the problems of the cluster' });
    await expectUntouched();
    await cluster.apply([...SERVICES, '{name: later, type: global}']);
    await cluster.untilCounts({ 'later.service': 5 });
    await expectUntouched();
  });

  it('a spoilt member, keeps its units where they are and shows the problem', async () => {
    await spoil('/members/w5');
    await untilProblem('/members/w5');
    await expectUntouched();
    expect((await cluster.assignments()).hosts).toHaveProperty('w5');
    const host = cluster.lab.host('w5');
    await cluster.killUnit(host, 'servicewatcher.service');
    await untilEqual(problems, [], { ...WAIT, what: 'the problems of the cluster' });
    await cluster.untilSettled();
    await expectUntouched();
  });

  it('a member that nobody can read and nobody knows, places nothing there', async () => {
    await cluster.inZooKeeper(async (store) => {
      await store.create('/members/ghost', GARBAGE, 'persistent');
      await untilProblem('/members/ghost');
      expect(Object.keys((await cluster.assignments()).hosts)).toEqual(ALL);
      expect(await store.get('/desired/ghost')).toBeUndefined();
      await store.remove('/members/ghost');
    });
    await untilEqual(problems, [], { ...WAIT, what: 'the problems of the cluster' });
    await cluster.untilSettled();
    await expectUntouched();
  });

  it('a spoilt intent for a host, does not act upon it', async () => {
    await cluster.inZooKeeper(async (store) => {
      await store.create('/hosts/w1', GARBAGE, 'persistent');
      await untilProblem('/hosts/w1');
      expect((await cluster.assignments()).hosts).toMatchObject({ w1: { state: 'ready' } });
      await store.remove('/hosts/w1');
    });
    await untilEqual(problems, [], { ...WAIT, what: 'the problems of the cluster' });
    await expectUntouched();
  });

  it('a spoilt spec, keeps the last readable one until a reload proposes another', async () => {
    await spoil('/spec');
    for (const name of ALL) await cluster.untilJournal(cluster.lab.host(name), '/spec does not hold JSON');
    await expectUntouched();
    await cluster.reloadWith(SERVICES);
    await cluster.untilSettled();
    await expectUntouched();
  });

  it('a spoilt spec and a new leader, places nothing anew and touches nothing', async () => {
    await spoil('/spec');
    const leader = await cluster.leader();
    await cluster.killUnit(leader, 'servicewatcher.service');
    const waiting = async () => {
      const journals = await Promise.all(cluster.lab.hosts.map((host) => host.journal('servicewatcher.service')));
      return journals.some((journal) => journal.includes('no readable spec in ZooKeeper yet: nothing is placed'));
    };
    await until(waiting, { ...WAIT, what: 'a new leader to say that it has no spec' });
    await expectUntouched();
    await cluster.reloadWith(SERVICES);
    await cluster.untilSettled();
    await expectUntouched();
  });

  for (const path of ['/desired/w3', '/observed/w3', '/epoch']) {
    it(`no ${path} any more, makes it anew and touches nothing`, async () => {
      await cluster.inZooKeeper(async (store) => {
        const before = await store.get(path);
        await store.remove(path);
        await cluster.apply([...SERVICES, `{name: ${path.slice(1).replace('/', '-')}, count: 0}`]);
        const anew = async () => {
          const node = await store.get(path);
          return node !== undefined && node.czxid !== before?.czxid;
        };
        await until(anew, { ...WAIT, what: `${path} to be made anew` });
      });
      await cluster.untilSettled();
      await expectUntouched();
    });
  }

  it('a spoilt epoch, elects again and touches nothing', async () => {
    const { epoch } = await cluster.assignments();
    await spoil('/epoch');
    await cluster.apply([...SERVICES, '{name: later, type: global}']);
    await cluster.untilCounts({ 'later.service': 5 });
    expect((await cluster.assignments()).epoch).toBeGreaterThanOrEqual(epoch);
    await expectUntouched();
  });

  it('no entry of a member any more, takes the host for lost until it has joined again', async () => {
    const host = cluster.lab.host('w3');
    await cluster.inZooKeeper((store) => store.remove('/members/w3'));
    await cluster.untilJournal(host, 'the member znode of this host was removed by someone; joining again');
    await untilEqual(async () => Object.keys((await cluster.assignments()).hosts), ALL, {
      ...WAIT,
      what: 'the members',
    });
    await cluster.untilCounts({ 'agent.service': 5, 'web.service': 3, 'worker@a.service': 1, 'worker@b.service': 2 });
    await cluster.untilSettled();
    const { 'w3 web.service': _web, 'w3 worker@a.service': _a, 'w3 worker@b.service': _b, ...others } = running;
    expect(await cluster.pids(...UNITS)).toMatchObject(others);
  });
});
