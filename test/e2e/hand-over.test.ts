/** A leader, or any host, goes: whoever takes over does so before the session of the old one could have expired. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { service, sleeping } from '../harness/units.ts';
import { monotonicNow, until } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';
import { stoppedAt, viewUnits } from './unit-view.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 50 };
const SESSION_MS = 10_000;
const DAEMON = 'servicewatcher.service';
const PROBE = 'probe.service';
const ONCE = 'once.service';
const SLOW = 'slow.service';
const UNITS = ['agent.service', SLOW, 'web.service', PROBE, ONCE];
const SERVICES = [
  '{name: agent, type: global}',
  '{name: slow, type: global}',
  '{name: web, count: 2}',
  '{name: probe, count: 1}',
  '{name: once, count: 1, isolation: stop}',
];

describeOnHosts('of four hosts', () => {
  let cluster: Cluster;
  let running: Record<string, number>;
  let leader: Host;
  beforeAll(async () => {
    const names = ['agent', 'web', 'probe', 'once'];
    const units = Object.fromEntries(names.map((name) => [`${name}.service`, sleeping]));
    // whoever waits for the last unit of a host to stop is seen to have waited
    units[SLOW] = service('ExecStart=sleep infinity\nExecStop=sleep 3');
    // far more than a hand-over takes on a busy machine: what happens within it was not waited for
    cluster = await Cluster.start({ hosts: 4, units, services: SERVICES, sessionTimeout: SESSION_MS / 1000 });
  });
  afterAll(() => cluster?.destroy());
  beforeEach(async () => {
    await untilAllRun(4);
    await cluster.untilSettled();
    running = await cluster.pids(...UNITS);
    leader = await cluster.leader();
    await Promise.all(cluster.lab.hosts.map((host) => cluster.forgetJournal(host)));
  });

  const untilAllRun = (agents: number) =>
    cluster.untilCounts({ 'agent.service': agents, [SLOW]: agents, 'web.service': 2, [PROBE]: 1, [ONCE]: 1 });
  const others = (host: Host) => cluster.lab.hosts.filter(({ name, running: isOn }) => isOn && name !== host.name);
  async function hostOf(unit: string): Promise<Host> {
    const [name] = await cluster.runsOn(unit);
    return cluster.lab.host(name ?? `with ${unit}`);
  }
  /** When the unit, which ran on `from`, became active on another host. */
  async function startedElsewhere(unit: string, from: Host, since: number): Promise<number> {
    const look = async () => {
      const views = await Promise.all(others(from).map((host) => viewUnits(host, [unit])));
      return views.flat().find(({ active, activeEnterMs }) => active === 'active' && activeEnterMs > since)
        ?.activeEnterMs;
    };
    return await until(look, { ...WAIT, what: `${unit} to be active elsewhere` });
  }
  /** The host of the probe, which is moved first if it runs where the leader does. */
  async function hostOfProbeNotLeading(): Promise<Host> {
    const host = await hostOf(PROBE);
    if (host.name !== leader.name) return host;
    const since = monotonicNow();
    await cluster.killUnit(host, PROBE);
    await startedElsewhere(PROBE, host, since);
    await host.systemctl('reset-failed', PROBE);
    await cluster.untilSettled();
    return await hostOf(PROBE);
  }
  /** What ran on other hosts than these, and is not one of these units, has the same processes. */
  async function expectOthersUntouched(hosts: readonly Host[], units: readonly string[] = []): Promise<void> {
    const concerned = (key: string) => {
      const [host, unit] = key.split(' ');
      return hosts.some(({ name }) => name === host) || units.some((each) => each === unit);
    };
    const untouched = Object.fromEntries(Object.entries(running).filter(([key]) => !concerned(key)));
    expect(await cluster.pids(...UNITS)).toMatchObject(untouched);
  }
  /** The leader with an epoch above this one. */
  const nextLeader = (epoch: number) =>
    until(
      async () => {
        const now = await cluster.assignments();
        return now.epoch > epoch && { epoch: now.epoch, host: cluster.lab.host(now.leader) };
      },
      { ...WAIT, what: `an epoch above ${epoch}` },
    );

  it('the one that leads has its daemon killed while a unit fails: the next leader runs it elsewhere', async () => {
    const { epoch } = await cluster.assignments();
    const from = await hostOf(PROBE);
    const killed = monotonicNow();
    await Promise.all([cluster.killUnit(leader, DAEMON), cluster.killUnit(from, PROBE)]);
    const started = await startedElsewhere(PROBE, from, killed);
    const next = await nextLeader(epoch);
    expect(started).toBeGreaterThan(await cluster.loggedAt(next.host, `leading with epoch ${next.epoch}`));
    await cluster.untilSettled();
    // what may run once only may have been stopped on the leader's host: a busy machine may outlast the lease
    await expectOthersUntouched([], [PROBE, ONCE]);
    await from.systemctl('reset-failed', PROBE);
  });

  it('the one that leads is stopped while a unit fails elsewhere: the next one leads at once, and runs it', async () => {
    const { epoch } = await cluster.assignments();
    const from = await hostOfProbeNotLeading();
    const begun = monotonicNow();
    const stopped = leader.systemctl('stop', DAEMON);
    await cluster.killUnit(from, PROBE);
    const started = await startedElsewhere(PROBE, from, begun);
    await stopped;
    const next = await nextLeader(epoch);
    const ended = await cluster.loggedAt(leader, 'no longer the leader');
    const led = await cluster.loggedAt(next.host, `leading with epoch ${next.epoch}`);
    expect(led - ended, 'ms between the terms').toBeLessThan(SESSION_MS / 2);
    const down = await stoppedAt(leader, SLOW);
    expect(led, 'the next one does not wait for the units of the old one').toBeLessThan(down);
    expect(started, 'nor does the unit').toBeLessThan(down);
    await untilAllRun(3);
    await expectOthersUntouched([leader], [PROBE]);
    await from.systemctl('reset-failed', PROBE);
    await leader.systemctl('start', DAEMON);
  });

  it('one is stopped: its instances have stopped there, and run elsewhere at once', async () => {
    const leaving = await hostOf(ONCE);
    const begun = monotonicNow();
    const stopped = leaving.systemctl('stop', DAEMON);
    const started = await startedElsewhere(ONCE, leaving, begun);
    await stopped;
    expect(started - begun, 'ms until the unit runs elsewhere').toBeLessThan(SESSION_MS / 2);
    expect(started, 'without waiting for its other units').toBeLessThan(await stoppedAt(leaving, SLOW));
    const [gone] = await viewUnits(leaving, [ONCE]);
    expect(gone).toMatchObject({ active: 'inactive' });
    expect(await stoppedAt(leaving, ONCE), 'it has ended here before it began there').toBeLessThan(started);
    await untilAllRun(3);
    await expectOthersUntouched([leaving]);
    await leaving.systemctl('start', DAEMON);
  });

  it('one is shut down: that is a stop, too, and its instances run elsewhere without its session having to expire', async () => {
    const leaving = await hostOf(ONCE);
    const begun = monotonicNow();
    await leaving.shutDown();
    const started = await startedElsewhere(ONCE, leaving, begun);
    expect(started - begun, 'ms until the unit runs elsewhere').toBeLessThan(SESSION_MS / 2);
    expect(await leaving.journal(DAEMON)).not.toContain('systemd starts this daemon again');
    await untilAllRun(3);
    await expectOthersUntouched([leaving]);
    await leaving.start();
    await leaving.systemctl('start', DAEMON);
  });

  it('one is stopped with on_stop: keep: its units run on, but what may run once only is stopped and runs elsewhere', async () => {
    const leaving = await hostOf(ONCE);
    await leaving.write(CONFIG_FILE, `on_stop: keep\n${cluster.configuration(leaving.name)}`);
    await cluster.reload(leaving);
    await cluster.untilJournal(leaving, 'is what the cluster has');
    const begun = monotonicNow();
    await leaving.systemctl('stop', DAEMON);
    const started = await startedElsewhere(ONCE, leaving, begun);
    expect(await stoppedAt(leaving, ONCE), 'it has ended here before it began there').toBeLessThan(started);
    await expectOthersUntouched([], [ONCE]);
    await leaving.write(CONFIG_FILE, cluster.configuration(leaving.name));
    await leaving.systemctl('start', DAEMON);
    await untilAllRun(4);
    await cluster.untilSettled();
    await expectOthersUntouched([leaving], [ONCE]);
    const agent = `${leaving.name} agent.service`;
    expect((await cluster.pids('agent.service'))[agent]).toBe(running[agent]);
  });
});
