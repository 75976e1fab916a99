/** ZooKeeper's own servers die, freeze and come back: who serves is shown, what runs runs on, and the outage is told. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DrillCluster, GUARDED, isConnectedTo, KEPT } from '../drill/cluster.ts';
import { carryOut } from '../drill/drill.ts';
import { parseJournal } from '../drill/outage.ts';
import type { Host } from '../harness/host.ts';
import { Lab } from '../harness/lab.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { monotonicNow, until } from '../harness/until.ts';
import type { ZooKeeperNode } from '../harness/zookeeper-node.ts';

const DEADLINE_MS = 30_000;
/** Whose third a busy machine does not need to find another server. */
const SESSION_MS = 8_000;

/** A cut that lasts longer than this stops units that may run once only. */
const STOP_AFTER_MS = (SESSION_MS * 2) / 3;

const roles = async (cluster: DrillCluster) => {
  const { status } = await cluster.ensemble();
  return status.servers.map(({ report }) => (report.kind === 'serving' ? report.role : report.kind)).sort();
};

/** Takes the way from a host to these machines, or gives it back. */
async function route(
  host: Host,
  verb: 'add' | 'del',
  machines: readonly { readonly address: string }[],
): Promise<void> {
  for (const { address } of machines) await host.mustSh('ip', 'route', verb, 'blackhole', `${address}/32`);
}

/** When the unit became active there, ms of CLOCK_MONOTONIC; undefined if not since then. */
async function enteredAfter(host: Host, sinceMs: number): Promise<number | undefined> {
  const at = await host.activeEnter(GUARDED);
  return at !== undefined && at > sinceMs ? at : undefined;
}

/** When the daemon there next had a connection, by its journal; undefined if it has not had any since then. */
async function connectedAfter(host: Host, sinceMs: number): Promise<number | undefined> {
  const unit = 'servicewatcher.service';
  const journal = parseJournal(await host.mustSh('journalctl', '--no-pager', '-o', 'json', '-u', unit));
  return journal.find(({ atMs, text }) => atMs > sinceMs && text.startsWith('connected to ZooKeeper'))?.atMs;
}

/** When systemd had stopped the unit, by its journal, as it forgets a unit that it has no use for; rejects when it has not. */
async function stoppedAfter(host: Host, sinceMs: number): Promise<number> {
  const journal = parseJournal(await host.mustSh('journalctl', '--no-pager', '-o', 'json', '-u', GUARDED));
  const stopped = journal.find(({ atMs, text }) => atMs > sinceMs && text.startsWith('Stopped '));
  if (stopped === undefined) throw new Error(`${GUARDED} was not stopped on ${host.name}: ${JSON.stringify(journal)}`);
  return stopped.atMs;
}

describeOnHosts('an ensemble', () => {
  it.each([1, 3, 7])('of %i servers comes up from one template: one leads, the others follow', async (size) => {
    const lab = await Lab.create({ hosts: 0, zookeeper: size });
    try {
      const modes = await Promise.all(lab.servers.map((server) => server.mode()));
      expect(modes.sort()).toEqual(
        size === 1 ? ['standalone'] : [...Array.from({ length: size - 1 }, () => 'follower'), 'leader'],
      );
      const configs = await Promise.all(lab.servers.map((server) => server.config()));
      const texts = configs.map((text) => text.replaceAll(/^(dataDir|clientPortAddress)=.*$/gm, '$1='));
      expect(new Set(texts).size, 'configurations that differ in more than their own place').toBe(1);
    } finally {
      await lab.destroy();
    }
  });

  it('of six servers stands the loss of two, not of three', async () => {
    const cluster = await DrillCluster.start({ hosts: 1, zookeeper: 6 });
    try {
      const before = await cluster.invocations(KEPT);
      const [first, second, third] = cluster.lab.servers;
      await Promise.all([first, second].map((server) => server?.kill('SIGKILL')));
      await cluster.untilWell();
      expect(await roles(cluster)).toEqual([
        'follower',
        'follower',
        'follower',
        'leader',
        'unreachable',
        'unreachable',
      ]);
      expect((await cluster.say('ensemble')).text).toContain('quorum: 4 of 6 servers serve');

      await third?.kill('SIGKILL');
      await cluster.untilNoQuorumIsSaid();
      const { code, text } = await cluster.say('ensemble');
      expect(code).toBe(1);
      expect(text).toContain('no quorum: 3 of 6 servers run, 4 are needed');

      await third?.start();
      await cluster.untilWell();
      expect(await cluster.invocations(KEPT)).toEqual(before);
    } finally {
      await cluster.destroy();
    }
  });
});

describeOnHosts('an ensemble of five servers with three hosts', () => {
  let cluster: DrillCluster;
  let units: Map<string, string>;
  beforeAll(async () => {
    // a leader of the ensemble that is frozen is left by its followers after 1 s: an eighth of the session
    cluster = await DrillCluster.start({ hosts: 3, zookeeper: 5, syncLimit: 2, sessionMs: SESSION_MS });
    units = await cluster.invocations(KEPT);
  });
  afterAll(() => cluster?.destroy());

  const untilAllSay = (words: string) =>
    until(async () => (await cluster.journals()).every((lines) => lines.some(({ text }) => text.startsWith(words))), {
      deadlineMs: DEADLINE_MS,
      what: `every daemon to say: ${words}`,
    });

  /** The host that runs what may run once only. */
  async function guardedHost(): Promise<Host> {
    const keys = [...(await cluster.invocations([GUARDED])).keys()];
    return cluster.lab.host(keys.find((key) => key.endsWith(` ${GUARDED}`))?.split(' ')[0] ?? 'none');
  }

  /** Has the host's daemon use a server of this role: a restart while there is a way to no other one. */
  async function connectTo(host: Host, role: 'leader' | 'follower'): Promise<ZooKeeperNode> {
    const { status } = await cluster.ensemble();
    const found = status.servers.find(({ report }) => report.kind === 'serving' && report.role === role);
    const server = cluster.lab.servers.find((node) => node.server === found?.server);
    if (server === undefined) throw new Error(`no server is a ${role}`);
    const others = cluster.lab.servers.filter((node) => node !== server);
    await route(host, 'add', others);
    await host.systemctl('restart', 'servicewatcher.service');
    const connected = async () => isConnectedTo(await cluster.status(host), server.server);
    await until(connected, { deadlineMs: DEADLINE_MS, what: `${host.name} to use ${server.name}` });
    await route(host, 'del', others);
    await cluster.untilWell();
    return server;
  }

  /** The host that runs what may run once only, once its daemon uses a server of this role: a restart that took too long moves the unit. */
  const guardedBy = (role: 'leader' | 'follower') =>
    until(
      async () => {
        const host = await guardedHost();
        const server = await connectTo(host, role);
        return (await guardedHost()) === host && { host, server };
      },
      { deadlineMs: 2 * DEADLINE_MS, what: `the daemon with ${GUARDED} to use a ${role}` },
    );

  it('is shown with one leader and four followers, their latency and connections, and exit status 0', async () => {
    const { code, status } = await cluster.ensemble();
    expect(code).toBe(0);
    expect(status).toMatchObject({ state: 'quorum', quorum: true, serving: 5, running: 5, needed: 3, warnings: [] });
    expect(status).toMatchObject({ tickTimes: status.servers.map(({ server }) => ({ server, tickTimeMs: 500 })) });
    expect(await roles(cluster)).toEqual(['follower', 'follower', 'follower', 'follower', 'leader']);
    for (const { report } of status.servers) {
      expect(report).toMatchObject({ kind: 'serving', latency: { min: expect.any(Number), max: expect.any(Number) } });
    }
    const connections = status.servers.map(({ report }) => (report.kind === 'serving' ? report.connections : 0));
    // one for each daemon, and one for each that asks
    expect(connections.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(3 + 5);
    const { text } = await cluster.say('ensemble');
    expect(text).toMatch(/quorum: 5 of 5 servers serve, 198\.18\.0\.20\d:2181 leads; 2 more may be lost/);
  });

  describe('loses the very server that the daemon with an isolation: stop unit is connected to', () => {
    const kill = (server: ZooKeeperNode) => server.kill('SIGKILL');
    const start = (server: ZooKeeperNode) => server.start();
    const freeze = async (server: ZooKeeperNode) => server.pause();
    const thaw = async (server: ZooKeeperNode) => server.resume();
    it.each([
      ['a follower', 'killed', kill, start],
      ['a follower', 'frozen', freeze, thaw],
      ['the leader', 'frozen', freeze, thaw],
    ])('%s, %s: no unit is stopped, that one neither', async (which, how, lose, giveBack) => {
      const role = which === 'the leader' ? 'leader' : 'follower';
      const { host, server } = await guardedBy(role);
      const before = await cluster.invocations([...KEPT, GUARDED]);
      const began = monotonicNow();
      await lose(server);
      try {
        const elsewhere = async () => {
          const status = await cluster.status(host);
          return status.zookeeper.state === 'connected' && !isConnectedTo(status, server.server);
        };
        await until(elsewhere, { deadlineMs: DEADLINE_MS, everyMs: 20, what: 'the daemon to use another server' });
        const connectedAt = await until(() => connectedAfter(host, began), {
          deadlineMs: DEADLINE_MS,
          what: 'the daemon to say so',
        });
        expect(connectedAt - began, 'ms until it was connected to another').toBeLessThan(STOP_AFTER_MS);
        const { status } = await cluster.ensemble();
        const silent = status.servers.filter(({ report }) => report.kind === 'unreachable');
        expect(silent.map(({ server: address }) => address)).toEqual([server.server]);
        expect(silent[0]?.answeredInMs, `ms until one that is ${how} was known to be`).toBeLessThan(3000);
        expect(await cluster.invocations([...KEPT, GUARDED])).toEqual(before);
      } finally {
        await giveBack(server);
      }
      await cluster.untilWell();
      expect(await cluster.invocations([...KEPT, GUARDED])).toEqual(before);
    });
  });

  it('is split, a host with a follower on one side: its isolation: stop unit has stopped there before it starts elsewhere', async () => {
    const { host, server: near } = await guardedBy('follower');
    const farServers = cluster.lab.servers.filter((server) => server !== near);
    const farHosts = cluster.lab.hosts.filter((other) => other !== host);
    const began = monotonicNow();
    await Promise.all([
      near.ignore([...farServers, ...farHosts]),
      ...farServers.map((server) => server.ignore([near, host])),
      route(host, 'add', [...farServers, ...farHosts]),
      ...farHosts.map((other) => route(other, 'add', [near, host])),
    ]);
    try {
      const runsElsewhere = async () => {
        const entered = await Promise.all(farHosts.map((other) => enteredAfter(other, began)));
        return entered.find((at) => at !== undefined);
      };
      const startedAt = await until(runsElsewhere, {
        deadlineMs: DEADLINE_MS,
        what: `${GUARDED} to run on the other side`,
      });
      const stoppedAt = await stoppedAfter(host, began);
      expect(stoppedAt, `ms after the split it was stopped; it was started after ${startedAt - began}`).toBeLessThan(
        startedAt,
      );
    } finally {
      await Promise.all([
        near.heed([...farServers, ...farHosts]),
        ...farServers.map((server) => server.heed([near, host])),
        route(host, 'del', [...farServers, ...farHosts]),
        ...farHosts.map((other) => route(other, 'del', [near, host])),
      ]);
    }
    await cluster.untilWell();
  });

  describe.each([
    ['zkServer.sh stop', 'orderly'],
    ['SIGTERM', 'SIGTERM'],
    ['SIGKILL', 'SIGKILL'],
  ] as const)('loses servers by %s', (_name, method) => {
    beforeAll(async () => {
      units = await cluster.invocations(KEPT);
    });

    it('its leader: another one leads, all daemons go on, no unit restarts, and the outage is told', async () => {
      const result = await carryOut(cluster, { kind: 'end', method, role: 'leader', down: 1, quorum: true });
      expect(result.restarted).toEqual([]);
      expect(result.servers).not.toContain(result.leader);
      expect(result.electedMs).toBeGreaterThan(0);
      // without its leader no server of an ensemble serves anybody
      expect(result.disconnected).toBe(3);
      expect(result.disconnectedMs).toBeGreaterThan(0);
      // and a session lives on for its whole timeout once there is a leader
      expect(result.disconnectedMs).toBeLessThan((result.electedMs ?? 0) + SESSION_MS);
      expect(result.undecidedMs).toBeGreaterThan(0);
    });

    it('a follower, two being down now: only its own clients look for another server, and nothing restarts', async () => {
      const before = (await cluster.ensemble()).status;
      const result = await carryOut(cluster, { kind: 'end', method, role: 'follower', down: 2, quorum: true });
      expect(result).toMatchObject({ restarted: [], quorum: true });
      expect(result.said).toContain('quorum: 3 of 5 servers serve');
      expect(result.said).toContain('no further one may be lost');
      expect(before).toMatchObject({ serving: 4 });
      expect(await cluster.invocations(KEPT)).toEqual(units);
    });

    it('and they come back: they are used again, so that two others may be lost', async () => {
      const back = cluster.lab.servers.filter(({ pid }) => pid === undefined);
      const result = await carryOut(cluster, { kind: 'return', which: 'all', down: 0, quorum: true });
      expect(result).toMatchObject({ restarted: [], servers: back.map(({ name }) => name) });
      expect(await roles(cluster)).toEqual(['follower', 'follower', 'follower', 'follower', 'leader']);
      expect(result.said).toContain('2 more may be lost');
    });
  });

  it('loses three: all units run on, and no quorum is said by every daemon, by ensemble and by status', async () => {
    const kill = { kind: 'end', method: 'SIGKILL', role: 'follower' } as const;
    await carryOut(cluster, { ...kill, role: 'leader', down: 1, quorum: true });
    await carryOut(cluster, { ...kill, down: 2, quorum: true });
    const result = await carryOut(cluster, { ...kill, down: 3, quorum: false });
    const words = 'no quorum: 2 of 5 servers run, 3 are needed';
    expect(result).toMatchObject({ restarted: [], leader: undefined, said: expect.stringContaining(words) });
    expect(result.disconnectedMs).toBeGreaterThan(SESSION_MS);
    expect(result.stoppedForSafety).toEqual([expect.stringMatching(new RegExp(` ${GUARDED}$`))]);
    expect(await cluster.invocations(KEPT)).toEqual(units);

    const { code, status } = await cluster.ensemble();
    expect(code).toBe(1);
    expect(status).toMatchObject({ state: 'no-quorum', quorum: false, serving: 0, running: 2 });
    expect(status.servers.filter(({ report }) => report.kind === 'not-serving')).toHaveLength(2);
    expect(await cluster.say('status')).toMatchObject({ code: 3, text: expect.stringContaining(words) });
    await untilAllSay(words);
    for (const lines of await cluster.journals()) {
      expect(lines.filter(({ text }) => text.startsWith(words))).toHaveLength(1);
    }
  });

  it('gets one of the three back: there is a quorum, all is well again, and no unit was restarted', async () => {
    const result = await carryOut(cluster, { kind: 'return', which: 'one', down: 2, quorum: true });
    expect(result).toMatchObject({ restarted: [], disconnected: 3 });
    expect(result.said).toContain('quorum: 3 of 5 servers serve');
    expect(await cluster.invocations(KEPT)).toEqual(units);
    expect(await cluster.say('status')).toMatchObject({ code: 0, text: expect.stringContaining('1 / 1 ok') });
    await untilAllSay('ZooKeeper serves this host again after ');
  });
});
