/** Scripts that run before each start, with the hosts of other units filled in. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeOnHosts } from '../harness/requirements.ts';
import { service, sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const ALL = ['w1', 'w2', 'w3', 'w4', 'w5'];
const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };
const SCRIPTS = '/var/lib/servicewatcher/prestart';

/** Starts only after its script: it needs the file that the script writes. */
const web = service(`ExecStart=sh -c 'test -s /run/web-values && exec sleep infinity'`);

/** Notes the value and the mode of its own file in the journal, and the value in a file. */
const noting = `#!/bin/bash
echo "rendered {instance:dummy_multi@3}, mode $(stat -c %a "$0") of $0"
echo "{instance:dummy_multi@3}" >> /run/web-values
`;

const withScript = (name: string, script: string, rest: string) =>
  `{name: ${name}, prestart: ${JSON.stringify(script)}, ${rest}}`;

describeOnHosts('a prestart script', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 5,
      units: {
        'agent.service': sleeping,
        'web.service': web,
        'picky.service': sleeping,
        'dummy_multi@.service': sleeping,
        'Data-1.x@.service': sleeping,
      },
    });
  });
  afterAll(() => cluster?.destroy());

  const services = (count: number) => [
    '{name: agent, type: global}',
    withScript('web', noting, 'count: 2'),
    `{name: dummy_multi, instances: {'3': ${count}}}`,
  ];
  const notedOn = async (host: string) =>
    (await cluster.lab.host(host).sh('cat', '/run/web-values')).stdout.split('\n');

  it('waits, and says so, as long as the unit that it names is placed nowhere', async () => {
    await cluster.apply(services(0));
    const table = async () => (await cluster.lab.host('w1').mustSh('servicewatcher', 'status')).split('\n');
    const waiting = /^web.service on w\d: its prestart needs dummy_multi@3, placed nowhere yet$/;
    const hosts = await until(
      async () => {
        const said = (await table()).filter((line) => waiting.test(line));
        return said.length === 2 && said.map((line) => line.slice('web.service on '.length).slice(0, 2));
      },
      { ...WAIT, what: 'two hosts to say that they wait' },
    );
    await cluster.untilCounts({ 'agent.service': 5, 'web.service': 0 });
    for (const host of hosts) expect(await notedOn(host)).toEqual(['']);
  });

  it('gets the hosts of an instance called 3, as a file that only root may run and that is gone afterwards', async () => {
    await cluster.apply(services(3));
    await cluster.untilCounts({ 'dummy_multi@3.service': 3, 'web.service': 2 });
    const value = (await cluster.runsOn('dummy_multi@3.service')).join(',');
    for (const name of await cluster.runsOn('web.service')) {
      const host = cluster.lab.host(name);
      expect(await notedOn(name)).toEqual([value, '']);
      const said = `rendered ${value}, mode 700 of ${SCRIPTS}/web.service\n`;
      await cluster.untilJournal(host, said, 'servicewatcher-prestart-web.service');
      expect(await host.mustSh('ls', SCRIPTS)).toBe('');
      expect(await host.mustSh('stat', '-c', '%a', SCRIPTS)).toBe('700\n');
    }
  });

  it('runs again, and its service is restarted, when the hosts change', async () => {
    const before = await cluster.pids('web.service');
    const healthy = await cluster.pids('agent.service', 'dummy_multi@3.service');
    await cluster.apply(services(2));
    await cluster.untilCounts({ 'dummy_multi@3.service': 2 });
    const value = (await cluster.runsOn('dummy_multi@3.service')).join(',');
    const hosts = Object.keys(before).map((key) => key.slice(0, 2));
    const latest = async () => Promise.all(hosts.map(async (host) => (await notedOn(host)).at(-2)));
    await untilEqual(latest, [value, value], { ...WAIT, what: 'the values of the last start' });
    await cluster.untilCounts({ 'web.service': 2 });
    const after = await cluster.pids('web.service');
    expect(Object.keys(after)).toEqual(Object.keys(before));
    for (const [key, pid] of Object.entries(after)) expect(pid).not.toBe(before[key]);
    expect(healthy).toMatchObject(await cluster.pids('agent.service', 'dummy_multi@3.service'));
  });

  it('runs before a start that nobody of the cluster asked for to end', async () => {
    const [name = 'none'] = await cluster.runsOn('web.service');
    const before = (await notedOn(name)).length;
    await cluster.lab.host(name).systemctl('stop', 'web.service');
    await cluster.untilCounts({ 'web.service': 2 });
    expect(await notedOn(name)).toHaveLength(before + 1);
  });

  it('that fails is a failed start: reported with its reason, and tried elsewhere', async () => {
    const script =
      '#!/bin/sh\necho "no disk on $SERVICEWATCHER_HOST for $SERVICEWATCHER_UNIT"\ntest "$SERVICEWATCHER_HOST" != w1\n';
    const first = withScript('picky', script, 'count: 1');
    await cluster.apply(['{name: agent, type: global}']);
    // a reload of w1 that comes late would clear the failure
    await cluster.propose(['{name: agent, type: global}', first]);
    // of hosts that are equally loaded the first one by name is taken
    await cluster.untilRunsOn('picky.service', ['w2']);
    const { failed } = await cluster.assignments();
    expect(failed).toMatchObject([{ unit: 'picky.service', host: 'w1', kind: 'prestart' }]);
    const said = await cluster.lab.host('w3').mustSh('servicewatcher', 'status');
    expect(said).toContain('picky.service on w1: the prestart script failed: it ended with an error (failed)');
    expect(said).toContain('see journalctl -u servicewatcher-prestart-picky.service');
    const output = 'no disk on w1 for picky.service';
    await cluster.untilJournal(cluster.lab.host('w1'), output, 'servicewatcher-prestart-picky.service');
    expect(await cluster.lab.host('w1').mustSh('ls', SCRIPTS)).toBe('');

    const healthy = await cluster.pids('picky.service');
    await cluster.apply(['{name: agent, type: global}', first]);
    const none = async () => (await cluster.assignments()).failed;
    await untilEqual(none, [], { ...WAIT, what: 'failed instances' });
    await cluster.untilSettled();
    expect(await cluster.pids('picky.service')).toEqual(healthy);
  });

  it('may name units with capitals, dots and dashes, and use variables of its own', async () => {
    const script = `instance=shell\necho "<{instance:Data-1.x@a_B.2}> <{instance:agent.service}> <\${instance:0:2}>" > /run/named\n`;
    await cluster.apply([
      '{name: agent, type: global}',
      withScript('picky', `#!/bin/bash\n${script}`, 'count: 1'),
      '{name: Data-1.x, instances: {a_B.2: 2}}',
    ]);
    await cluster.untilCounts({ 'Data-1.x@a_B.2.service': 2, 'picky.service': 1 });
    const value = (await cluster.runsOn('Data-1.x@a_B.2.service')).join(',');
    const [host = 'none'] = await cluster.runsOn('picky.service');
    const text = () => cluster.lab.host(host).mustSh('cat', '/run/named');
    await untilEqual(text, `<${value}> <${ALL.join(',')}> <sh>\n`, { ...WAIT, what: 'what the script was given' });
  });
});
