/** Where services run, by the kind that they are declared as. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exampleFile } from '../fixtures/original-file.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { Cluster } from './cluster.ts';

const ALL = ['w1', 'w2', 'w3', 'w4', 'w5'];

describeOnHosts('services on five hosts', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const units = ['agent', 'web', 'worker@', 'db@', 'dummy_global', 'dummy_shared', 'dummy_multi@'];
    cluster = await Cluster.start({
      hosts: 5,
      units: Object.fromEntries(units.map((name) => [`${name}.service`, sleeping])),
    });
  });
  afterAll(() => cluster?.destroy());

  it('run everywhere when they are global', async () => {
    await cluster.apply(['{name: agent, type: global}']);
    await cluster.untilRunsOn('agent.service', ALL);
  });

  it('run as often as their count says, never more often than there are hosts, and stay where they are', async () => {
    await cluster.apply(['{name: web, count: 3}']);
    await cluster.untilCounts({ 'web.service': 3, 'agent.service': 0 });
    const three = await cluster.pids('web.service');
    await cluster.apply(['{name: web, count: 7}']);
    await cluster.untilRunsOn('web.service', ALL);
    expect(await cluster.pids('web.service')).toMatchObject(three);
    const { unplaced } = await cluster.assignments();
    expect(unplaced).toMatchObject([
      { unit: 'web.service', wanted: 7, placed: 5, why: [{ reason: 'already-has-one' }] },
    ]);
    const five = await cluster.pids('web.service');
    await cluster.apply(['{name: web, count: 2}']);
    await cluster.untilCounts({ 'web.service': 2 });
    expect(five).toMatchObject(await cluster.pids('web.service'));
  });

  it('have a count for each instance of a template, evenly spread', async () => {
    await cluster.apply(["{name: worker, instances: {'1': 1, '2': 2, '3': 3, 'x-y.z': 4}}"]);
    const units = { 'worker@1.service': 1, 'worker@2.service': 2, 'worker@3.service': 3, 'worker@x-y.z.service': 4 };
    await cluster.untilCounts({ ...units, 'web.service': 0 });
    const active = Object.keys(await cluster.pids(...Object.keys(units)));
    const perHost = ALL.map((host) => active.filter((key) => key.startsWith(`${host} `)).length);
    expect(perHost).toEqual([2, 2, 2, 2, 2]);
  });

  it('stop where they run when they are disabled', async () => {
    await cluster.apply(['{name: agent, type: global}', '{name: web, count: 3}', '{name: worker, instances: {a: 2}}']);
    await cluster.untilCounts({ 'agent.service': 5, 'web.service': 3, 'worker@a.service': 2 });
    const healthy = await cluster.pids('agent.service');
    await cluster.apply([
      '{name: agent, type: global}',
      '{name: web, count: 3, enabled: false}',
      '{name: worker, instances: {a: 2}, enabled: false}',
    ]);
    await cluster.untilCounts({ 'agent.service': 5, 'web.service': 0, 'worker@a.service': 0 });
    expect(await cluster.pids('agent.service')).toEqual(healthy);
  });

  it('are at most one of a template on a host when they are exclusive, single ones first', async () => {
    await cluster.apply(['{name: db, exclusive: true, instances: {replica: 3, primary: 1}}']);
    await cluster.untilCounts({ 'db@primary.service': 1, 'db@replica.service': 3 });
    const hosts = [...(await cluster.runsOn('db@primary.service')), ...(await cluster.runsOn('db@replica.service'))];
    expect(new Set(hosts).size).toBe(4);
    const before = await cluster.pids('db@primary.service', 'db@replica.service');
    await cluster.apply(['{name: db, exclusive: true, instances: {replica: 9, primary: 1}}']);
    await cluster.untilCounts({ 'db@primary.service': 1, 'db@replica.service': 4 });
    expect(await cluster.pids('db@primary.service', 'db@replica.service')).toMatchObject(before);
    const { unplaced } = await cluster.assignments();
    expect(unplaced).toMatchObject([{ unit: 'db@replica.service', wanted: 9, placed: 4 }]);
  });

  it('come to a host that joins later, forced ones only to the host that they name', async () => {
    await cluster.apply([
      '{name: agent, type: global}',
      '{name: worker, instances: {here: 1, late: 1}, force: {here: w4, late: w6}}',
    ]);
    await cluster.untilCounts({ 'agent.service': 5, 'worker@here.service': 1, 'worker@late.service': 0 });
    expect(await cluster.runsOn('worker@here.service')).toEqual(['w4']);
    expect((await cluster.assignments()).unplaced).toEqual([
      {
        unit: 'worker@late.service',
        service: 'worker',
        wanted: 1,
        placed: 0,
        why: [{ reason: 'forced-host-absent', hosts: 5 }],
      },
    ]);
    const before = await cluster.pids('agent.service', 'worker@here.service');
    const added = await cluster.lab.addHost();
    await cluster.deploy(added);
    await cluster.untilRunsOn('worker@late.service', ['w6']);
    await cluster.untilRunsOn('agent.service', [...ALL, 'w6']);
    expect(await cluster.pids('agent.service', 'worker@here.service')).toMatchObject(before);

    await added.systemctl('stop', 'servicewatcher');
    await cluster.untilSettled();
    await cluster.untilCounts({ 'worker@late.service': 0, 'agent.service': 5 });
    expect(await cluster.pids('agent.service', 'worker@here.service')).toEqual(before);
  });

  it('run as the example file of the original says, whose forced host comes later', async () => {
    const hosts = ALL.map((name) => cluster.lab.host(name));
    const write = (name: string) => {
      const settings = name === 'w5' ? '\nhost: {name: worker2}\n' : '';
      return cluster.lab.host(name).write(CONFIG_FILE, exampleFile(cluster.lab.quorum) + settings);
    };
    await Promise.all(ALL.slice(0, 4).map(write));
    await Promise.all(hosts.map((host) => host.systemctl('stop', 'servicewatcher')));
    await Promise.all(hosts.slice(0, 4).map((host) => host.systemctl('start', 'servicewatcher')));
    await cluster.untilCounts({
      'dummy_global.service': 0,
      'dummy_shared.service': 2,
      'dummy_multi@1.service': 0,
      'dummy_multi@2.service': 2,
      'dummy_multi@3.service': 3,
      'agent.service': 0,
    });
    const three = (await cluster.runsOn('dummy_multi@3.service')).join(',');
    for (const name of await cluster.runsOn('dummy_shared.service')) {
      const said = `dummy_multi@3 is running on ${three}\n`;
      await cluster.untilJournal(cluster.lab.host(name), said, 'servicewatcher-prestart-dummy_shared.service');
    }
    await write('w5');
    await cluster.lab.host('w5').systemctl('start', 'servicewatcher');
    await cluster.untilRunsOn('dummy_multi@1.service', ['w5']);
    await cluster.untilCounts({ 'dummy_shared.service': 2, 'dummy_multi@2.service': 2, 'dummy_multi@3.service': 3 });
  });
});
