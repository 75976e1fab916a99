/** What happened and why, asked for on real hosts: in ZooKeeper by the command, on the host itself by its journal. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HistoryEvent } from '../../src/shared/history.ts';
import { sortedByTime } from '../../src/shared/history-reader.ts';
import type { Host } from '../harness/host.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 150 };

describeOnHosts('the history of three hosts', () => {
  let cluster: Cluster;
  /** The host where web.service failed, the one it moved to, and one of the others. */
  let [failed, taker, other]: (Host | undefined)[] = [];
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      units: { 'agent.service': sleeping, 'web.service': sleeping },
      services: ['{name: agent, type: global}', '{name: web, count: 1}'],
    });
  });
  afterAll(() => cluster?.destroy());

  const the = (host: Host | undefined): Host => {
    if (host === undefined) throw new Error('an earlier test has not found its host');
    return host;
  };
  const events = async (host: Host, ...argv: string[]): Promise<HistoryEvent[]> => {
    const { stdout } = await host.sh('servicewatcher', 'events', '--json', ...argv);
    return stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
  };
  /** `KIND REASON HOST`, of the instances and units of web. */
  const story = (all: readonly HistoryEvent[]) => all.map(({ kind, reason, host }) => `${kind} ${reason} ${host}`);
  const untilTold = (host: Host, what: string, ...argv: string[]) =>
    until(
      async () => {
        const seen = story(await events(host, ...argv));
        if (seen.includes(what)) return true;
        throw new Error(seen.join('; '));
      },
      { ...WAIT, what: `the event "${what}"` },
    );

  it('tells on any host that a unit failed and where it moved, in this order, with reasons', async () => {
    const [first] = await cluster.runsOn('web.service');
    failed = cluster.lab.host(first ?? 'none');
    other = cluster.lab.hosts.find((host) => host !== failed);
    const follow = ['servicewatcher', 'events', '--follow', '--json', '--service', 'web'];
    const output = '--property=StandardOutput=append:/run/followed';
    await the(other).mustSh('systemd-run', '--unit=follow', '--remain-after-exit', output, ...follow);
    await until(async () => (await the(other).read('/run/followed')).includes('"started"'), {
      ...WAIT,
      what: 'the past in what is followed',
    });

    await cluster.killUnit(the(failed), 'web.service');
    const moved = async () => (await cluster.runsOn('web.service')).find((host) => host !== first);
    taker = cluster.lab.host(String(await until(moved, { ...WAIT, what: 'web.service to run elsewhere' })));
    // hosts tell what happened some tenths of a second later: what happened last may be told first
    const expected = [
      `placed least-loaded ${first}`,
      `started placed ${first}`,
      `failed failed ${first}`,
      `moved failed ${the(taker).name}`,
      `started placed ${the(taker).name}`,
    ];
    const told = async () => story(await events(the(other), '--service', 'web'));
    await untilEqual(told, expected, { ...WAIT, what: 'the story of web.service' });
    const found = await events(the(other), '--service', 'web');
    expect(found.find(({ kind }) => kind === 'moved')).toMatchObject({
      unit: 'web.service',
      service: 'web',
      from: first,
      to: the(taker).name,
      why: 'failed there',
      epoch: expect.any(Number),
      generation: expect.any(Number),
    });
    expect(found.find(({ kind }) => kind === 'failed')?.why).toContain('systemctl reset-failed web.service');
    for (const { at } of found) expect(at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('is followed as it happens, until interrupted', async () => {
    const followed = async () =>
      (await the(other).read('/run/followed'))
        .trim()
        .split('\n')
        .map((line): HistoryEvent => JSON.parse(line));
    // hosts tell what happened some tenths of a second later: in another order, if the machine is busy
    const all = await events(the(other), '--service', 'web');
    const inOrder = async () => [...sortedByTime(await followed())];
    await untilEqual(inOrder, all, { ...WAIT, what: 'all of it in what is followed' });
    await the(other).systemctl('kill', '--signal=INT', 'follow.service');
    const over = async () => (await the(other).unitState('follow.service')).sub === 'exited';
    await until(over, { ...WAIT, what: 'the follower to end with status 0' });
  });

  it('can be asked of the journal by its fields, and the daemon’s own journal has it', async () => {
    const select = (...fields: string[]) => ['journalctl', '--quiet', '--output=cat', ...fields];
    const fields = ['UNIT=web.service', 'EVENT=failed', 'REASON=failed'].map((field) => `SERVICEWATCHER_${field}`);
    const told = async () => (await the(failed).mustSh(...select(...fields))).trim();
    const line = await until(async () => (await told()) || undefined, { ...WAIT, what: 'the failure in the journal' });
    expect(line).toMatch(/^web\.service failed: systemd reports it failed/);
    expect(await the(failed).journal('servicewatcher')).toContain('web.service failed: systemd reports it failed');
    const leader = await cluster.leader();
    const move = await leader.mustSh(...select('SERVICEWATCHER_EVENT=moved', `SERVICEWATCHER_TO=${the(taker).name}`));
    expect(move.trim()).toBe(`web.service moves from ${the(failed).name} to ${the(taker).name}: failed there`);
  });

  it('survives a change of the leader, which is told, too', async () => {
    const before = await events(the(other), '--service', 'web');
    const { epoch } = await cluster.assignments();
    const leader = await cluster.leader();
    await leader.systemctl('kill', '--signal=KILL', '--kill-who=main', 'servicewatcher');
    const changed = async () => {
      const all = await events(the(other));
      return all.find((event) => event.kind === 'leader-changed' && (event.epoch ?? 0) > epoch);
    };
    const change = await until(changed, { ...WAIT, what: 'the change to be told' });
    expect(change).toMatchObject({ reason: 'elected', why: `elected with epoch ${change.epoch}` });
    expect((await events(the(other), '--service', 'web')).slice(0, before.length)).toEqual(before);
  });

  it('tells of a host that is stopped in good order what stopped, and that the host left', async () => {
    // the daemon that was killed may be the one that leaves
    const runs = async () =>
      (await Promise.all(cluster.lab.hosts.map((host) => host.unitState('servicewatcher')))).every(
        ({ active }) => active === 'active',
      );
    await until(runs, { ...WAIT, what: 'all daemons to be active' });
    await cluster.untilSettled();
    const leader = await cluster.leader();
    const leaver = cluster.lab.hosts.find((host) => host !== leader && host !== other);
    const { name } = the(leaver);
    await the(leaver).systemctl('stop', 'servicewatcher');
    await untilTold(the(other), `member-left left ${name}`, '--host', name);
    await untilTold(the(other), `stopped leaving ${name}`, '--service', 'agent', '--host', name);
  });

  it('is a table for people, and says by its exit status whether there was anything', async () => {
    const table = await the(other).sh('servicewatcher', 'events', '--host', the(failed).name);
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(/^\S+Z +w\d +web\.service +moved from w\d +failed there$/m);
    const none = await the(other).sh('servicewatcher', 'events', '--service', 'nothing');
    expect(none).toMatchObject({ code: 1, stdout: '', stderr: 'no such event is remembered\n' });
    expect((await events(the(other))).filter(({ kind }) => kind === 'spec-replaced')).toHaveLength(1);
    const joined = (await events(the(other))).filter(({ kind }) => kind === 'member-joined').map(({ host }) => host);
    expect(joined.sort()).toEqual(['w1', 'w2', 'w3']);
  });
});
