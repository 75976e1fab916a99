/** A whole data platform, from the file that its operators would write, on 3, then 5, then 8 hosts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { projectRoot } from '../harness/project.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { Cluster } from './cluster.ts';

/** How many instances there shall be of each unit, by the number of hosts. */
const EXPECTED = {
  3: { datanode: 3, regionserver: 2, taskmanager: 2 },
  5: { datanode: 5, regionserver: 4, taskmanager: 4 },
  8: { datanode: 5, regionserver: 5, taskmanager: 7 },
} as const;
const UNITS = [
  'haproxy.service',
  'kafka.service',
  'hadoop@namenode.service',
  'hadoop@datanode.service',
  'hbase@master.service',
  'hbase@regionserver.service',
  'flink@jobmanager.service',
  'flink@taskmanager.service',
  'zeppelin.service',
];

describeOnHosts('a data platform', () => {
  let cluster: Cluster;
  let before: Record<string, number> = {};
  beforeAll(async () => {
    const names = ['haproxy', 'kafka', 'hadoop@', 'hbase@', 'flink@', 'zeppelin'];
    cluster = await Cluster.start({
      hosts: 8,
      daemons: 3,
      units: Object.fromEntries(names.map((name) => [`${name}.service`, sleeping])),
      file: readFileSync(join(projectRoot, 'test/fixtures/data-platform.yml'), 'utf8'),
      files: { '/etc/hadoop/core-site.xml.in': '<value>hdfs://NAMENODE:8020</value>\n' },
    });
  });
  afterAll(() => cluster?.destroy());

  for (const size of [3, 5, 8] as const) {
    it(`runs as its rules say on ${size} hosts, and what ran before is left alone`, async () => {
      const isNew = ({ name }: Host) => size > 3 && !(`${name} kafka.service` in before);
      await Promise.all(
        cluster.lab.hosts
          .slice(0, size)
          .filter(isNew)
          .map((host) => cluster.deploy(host)),
      );
      const { datanode, regionserver, taskmanager } = EXPECTED[size];
      await cluster.untilCounts({
        'haproxy.service': size,
        'kafka.service': size,
        'hadoop@namenode.service': 1,
        'hadoop@datanode.service': datanode,
        'hbase@master.service': 1,
        'hbase@regionserver.service': regionserver,
        'flink@jobmanager.service': 1,
        'flink@taskmanager.service': taskmanager,
        'zeppelin.service': 2,
      });
      await cluster.untilSettled();
      const running = await cluster.pids(...UNITS);
      expect(running).toMatchObject(before);
      before = running;
      await expectRules(size);
      await expectValues();
    });
  }

  async function expectRules(size: 3 | 5 | 8): Promise<void> {
    expect(await cluster.runsOn('hadoop@namenode.service')).toEqual(['w1']);
    const hbase = [
      ...(await cluster.runsOn('hbase@master.service')),
      ...(await cluster.runsOn('hbase@regionserver.service')),
    ];
    expect(new Set(hbase).size).toBe(1 + EXPECTED[size].regionserver);
    const flink = [
      ...(await cluster.runsOn('flink@jobmanager.service')),
      ...(await cluster.runsOn('flink@taskmanager.service')),
    ];
    expect(new Set(flink).size).toBe(1 + EXPECTED[size].taskmanager);
  }

  /** The files that the prestart scripts write name the hosts that systemd runs the units on. */
  async function expectValues(): Promise<void> {
    const readers = new Set(
      Object.keys(before)
        .filter((key) => / (hadoop|hbase|zeppelin)/.test(key))
        .map((key) => key.split(' ')[0] ?? ''),
    );
    for (const name of readers) {
      const text = await cluster.lab.host(name).mustSh('cat', '/etc/hadoop/core-site.xml');
      expect(text, name).toBe('<value>hdfs://w1:8020</value>\n');
    }
    const [jobmanager] = await cluster.runsOn('flink@jobmanager.service');
    for (const name of await cluster.runsOn('flink@taskmanager.service')) {
      const text = await cluster.lab.host(name).mustSh('cat', '/run/flink-jobmanager.yaml');
      expect(text, name).toBe(`jobmanager.rpc.address: ${jobmanager}\nfs.default-scheme: hdfs://w1:8020\n`);
    }
  }
});
