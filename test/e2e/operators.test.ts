/** What operators do with hosts: a host is emptied in good order, kept free, kept as it is, and why is told. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service, sleeping } from '../harness/units.ts';
import { until } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';
import { stoppedAt, viewUnits } from './unit-view.ts';

const SERVICES = ['{name: agent, type: global}', '{name: web, count: 2}', '{name: once, count: 1, isolation: stop}'];
const UNITS = ['agent.service', 'web.service', 'once.service'];
const EXTRA = 'extra.service';

describeOnHosts('operators of three hosts', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const units = {
      ...Object.fromEntries([...UNITS, EXTRA].map((name) => [name, sleeping])),
      // whoever says that a host is drained is seen to have waited for it
      'agent.service': service('ExecStart=sleep infinity\nExecStop=sleep 2'),
    };
    cluster = await Cluster.start({ hosts: 3, units, services: SERVICES });
  });
  afterAll(() => cluster?.destroy());
  beforeEach(() => cluster.untilCounts({ 'agent.service': 3, 'web.service': 2, 'once.service': 1 }));
  afterEach(async () => {
    await Promise.all(cluster.lab.hosts.map(({ name }) => command('uncordon', name)));
  });

  /** On a host that none of these tests takes out of service. */
  const command = (...words: string[]) => operator().sh('servicewatcher', ...words);
  const operator = (): Host => cluster.lab.host('w1');
  const activeOn = async (host: Host): Promise<string[]> => {
    const views = await viewUnits(host, [...UNITS, EXTRA]);
    return [...UNITS, EXTRA].filter((_unit, index) => views[index]?.active !== 'inactive');
  };
  const hostOf = async (unit: string): Promise<Host> => {
    const [name] = await cluster.runsOn(unit);
    return cluster.lab.host(name ?? `with ${unit}`);
  };

  it('drain one: all has stopped there when the command ends, and runs elsewhere; nothing comes back before uncordon', async () => {
    const drained = await hostOf('once.service');
    const before = await cluster.pids(...UNITS);
    const { code, stdout } = await command('drain', drained.name, '--wait', '--why', 'new disks');
    expect(await activeOn(drained), 'what runs there when the command ends').toEqual([]);
    expect(code).toBe(0);
    expect(stdout).toContain(`${drained.name} is draining (new disks)`);
    expect(stdout).toContain('agent.service → nowhere: each host has its own');
    expect(stdout).toContain(`${drained.name} is drained: none of its units runs there any more\n`);

    await cluster.untilCounts({ 'agent.service': 2, 'web.service': 2, 'once.service': 1 });
    const [now] = await viewUnits(await hostOf('once.service'), ['once.service']);
    expect(await stoppedAt(drained, 'once.service'), 'it has ended here before it began there').toBeLessThan(
      now?.activeEnterMs ?? 0,
    );
    const elsewhere = Object.entries(before).filter(([key]) => !key.startsWith(`${drained.name} `));
    expect(await cluster.pids(...UNITS), 'what ran elsewhere runs on').toMatchObject(Object.fromEntries(elsewhere));

    await cluster.propose([...SERVICES, '{name: extra, count: 3}']);
    await cluster.untilCounts({ [EXTRA]: 2 });
    await cluster.untilSettled();
    expect(await activeOn(drained), 'a drained host gets nothing').toEqual([]);
    const told = await command('explain', 'extra');
    expect(told.code).toBe(0);
    expect(told.stdout).toContain('extra.service (shared): 2 of 3 placed');
    expect(told.stdout).toMatch(new RegExp(`not on ${drained.name}: draining since 20\\S+Z \\(new disks\\)`));
    expect((await command('status')).stdout).toMatch(
      new RegExp(`${drained.name}: draining since \\S+ \\(new disks\\)`),
    );
    expect((await command('events', '--host', drained.name)).stdout).toMatch(/host-draining +new disks/);

    expect(await command('uncordon', drained.name)).toMatchObject({ code: 0 });
    await cluster.untilCounts({ 'agent.service': 3, [EXTRA]: 3 });
    await cluster.propose(SERVICES);
  });

  it('cordon one: it keeps what it has and gets nothing new, not even what fails elsewhere', async () => {
    const names = await cluster.runsOn('web.service');
    const free = cluster.lab.hosts.find(({ name }) => !names.includes(name));
    const from = cluster.lab.host(names[0] ?? 'with web.service');
    if (free === undefined) throw new Error('web.service runs on every host');
    const before = await cluster.pids('agent.service');
    expect(await command('cordon', free.name)).toMatchObject({ code: 0 });
    await cluster.killUnit(from, 'web.service');
    const why = async () => {
      const { stdout } = await command('explain', 'web.service', '--json');
      const [unit] = JSON.parse(stdout).units;
      const reasons = unit.elsewhere.map((each: { host: string; reason: string }) => `${each.host} ${each.reason}`);
      if (unit.placed === 1) return reasons.sort();
      throw new Error(stdout);
    };
    const reasons = await until(why, { deadlineMs: DEADLINE_MS, what: 'the failure to be explained' });
    expect(reasons).toEqual([`${free.name} cordoned`, `${from.name} failed`].sort());
    expect(await cluster.pids('agent.service'), 'what a cordoned host has runs on').toEqual(before);
    expect(await command('uncordon', free.name)).toMatchObject({ code: 0 });
    await cluster.untilRunsOn('web.service', [names[1] ?? '', free.name].sort());
    await from.systemctl('reset-failed', 'web.service');
  });

  it('are told what is wrong with what they ask for', async () => {
    const said = async (...words: string[]) => {
      const { code, stderr } = await command(...words);
      return `${code}: ${stderr.trim()}`;
    };
    const answers = await Promise.all([
      said('drain', 'w9'),
      said('drain', 'w 9'),
      said('drain', 'w2', '--wait', 'soon'),
      said('explain', 'wep'),
    ]);
    expect(answers).toEqual([
      expect.stringMatching(/^1: w9 is no host of this cluster; did you mean w\d\? \(--force: /),
      '2: "w 9" cannot be the name of a host',
      '2: --wait: "soon" is no number of seconds, nor 500ms, 4s, 1m',
      "1: wep is no service and no unit of the cluster's configuration; did you mean web?",
    ]);
    expect(await said('drain', 'w9', '--force', '--wait')).toContain('1: w9 is not a member of the cluster now');
    const { code, stdout } = await command('uncordon', 'w9', '--json');
    expect({ code, ...JSON.parse(stdout) }).toEqual({ code: 0, host: 'w9', changed: true, state: 'ready' });
    expect(await said('uncordon', 'w9')).toContain('1: w9 is no host of this cluster');
    await cluster.untilSettled();
    expect(await cluster.runsOn('agent.service'), 'nothing has become of all this').toHaveLength(3);
  });
});
