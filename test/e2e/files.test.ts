/** The files of the hosts differ: the cluster has one configuration, and it is not replaced by accident. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };
const DAEMON = 'servicewatcher.service';
const UNITS = ['agent.service', 'web.service', 'later.service'];
const AGENT = '{name: agent, type: global}';
const WEB = '{name: web, count: 3}';
/** Stops 3 of 6. */
const HALF = [AGENT, '{name: later, count: 0}'];
/** Stops 6 of 6. */
const NOTHING = ['{name: later, count: 0}'];
const TOO_MUCH = /it would stop 6 of the 6 instances that run; see servicewatcher plan (\S+), .* apply --force \1/;

describeOnHosts('a host whose file is not the cluster’s', () => {
  let cluster: Cluster;
  let host: Host;
  let running: Record<string, number>;
  beforeAll(async () => {
    const names = ['agent', 'web', 'later'];
    const units = Object.fromEntries(names.map((name) => [`${name}.service`, sleeping]));
    cluster = await Cluster.start({ hosts: 3, units, services: [AGENT, WEB] });
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 3 });
    running = await cluster.pids(...UNITS);
    host = cluster.lab.host('w2');
  });
  afterAll(() => cluster?.destroy());

  const status = () => host.mustSh('servicewatcher', 'status', '--config', CONFIG_FILE);
  const stale = () => cluster.metric(host, 'servicewatcher_spec_stale');
  const write = (services: readonly string[]) => host.write(CONFIG_FILE, cluster.configuration(host.name, services));
  /** The host shows that its file differs, and everything is as it was before. */
  async function expectStaleAndUntouched(spec: string): Promise<void> {
    await untilEqual(stale, 1, { ...WAIT, what: 'spec_stale' });
    const isShown = async () => (await status()).includes("w2: its configuration file is not the cluster's");
    await until(isShown, { ...WAIT, what: 'the table to show it' });
    const seen = JSON.parse((await cluster.lab.http(host, '/status')).body).spec;
    expect(seen).toMatchObject({ cluster: spec, stale: true });
    expect(seen.file).not.toBe(spec);
    await cluster.untilSettled();
    expect((await cluster.assignments()).spec).toBe(spec);
    expect(await cluster.pids(...UNITS)).toEqual(running);
  }

  it('is told why a reload that would stop most of what runs is refused, and nothing follows from it', async () => {
    const { spec } = await cluster.assignments();
    await write(NOTHING);
    await cluster.reload(host);
    await cluster.untilJournal(host, TOO_MUCH);
    await expectStaleAndUntouched(spec);
  });

  it('does not propose what was refused when its daemon starts with it, however little runs then', async () => {
    const { spec } = await cluster.assignments();
    // nothing else runs that could be stopped: without the memory of the refusal the file would pass
    const others = cluster.lab.hosts.filter(({ name }) => name !== host.name);
    await cluster.forgetJournal(host);
    await Promise.all(others.map((other) => other.systemctl('stop', DAEMON)));
    await host.systemctl('stop', DAEMON);
    await host.systemctl('start', DAEMON);
    await cluster.untilJournal(host, /config.yml was .* refused, before the present one .* and is not proposed/);
    await Promise.all(others.map((other) => other.systemctl('start', DAEMON)));
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 3 });
    expect((await cluster.assignments()).spec).toBe(spec);
    running = await cluster.pids(...UNITS);
    await expectStaleAndUntouched(spec);
  });

  it('does not replace the cluster’s by starting with one never seen before that would stop most of what runs', async () => {
    const { spec } = await cluster.assignments();
    await write([...NOTHING, '{name: web, count: 0}']);
    await cluster.forgetJournal(host);
    await host.systemctl('restart', DAEMON);
    await cluster.untilJournal(host, TOO_MUCH);
    await expectStaleAndUntouched(spec);
  });

  it('replaces it by a reload that stops no more than half', async () => {
    await write(HALF);
    await cluster.reload(host);
    await cluster.untilCounts({ 'agent.service': 3, 'web.service': 0 });
    const agents = Object.fromEntries(Object.entries(running).filter(([key]) => key.endsWith(' agent.service')));
    expect(await cluster.pids(...UNITS)).toEqual(agents);
    await untilEqual(stale, 0, { ...WAIT, what: 'spec_stale' });
    const staleOnW1 = () => cluster.metric(cluster.lab.host('w1'), 'servicewatcher_spec_stale');
    await untilEqual(staleOnW1, 1, { ...WAIT, what: 'spec_stale on w1' });
  });

  it('becomes the cluster’s, whatever stops, when its operator forces it', async () => {
    await write(NOTHING);
    expect((await host.sh('servicewatcher', 'apply', CONFIG_FILE)).code).toBe(1);
    await host.mustSh('servicewatcher', 'apply', '--force', CONFIG_FILE);
    await cluster.untilCounts({ 'agent.service': 0, 'web.service': 0 });
    await cluster.reload(host);
    await untilEqual(stale, 0, { ...WAIT, what: 'spec_stale' });
  });
});
