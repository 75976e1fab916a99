/** Clients share brokers: who gets which, and what becomes of them when a broker dies, by the command and the library. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { clientsAmong } from '../../src/discovery/client-entry.ts';
import { encodeRegistration, registrationPath } from '../../src/discovery/registration.ts';
import type { Host } from '../harness/host.ts';
import { projectRoot } from '../harness/project.ts';
import { describeOnHosts } from '../harness/requirements.ts';
import { sleeping } from '../harness/units.ts';
import { monotonicNow, until, untilEqual } from '../harness/until.ts';
import { Cluster, DEADLINE_MS } from './cluster.ts';

const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 100 };
const SESSION_MS = 4_000;
/** ZooKeeper's grain of expiry, and what the programs that look take on a busy machine. */
const GRAIN_MS = 500 + 2_500;

/** 100 clients at once; says how many each broker has, and how long it took. usage: SERVERS LABEL [shared] */
const BURST = `
const { connect, createPicker } = require('/srv/client.js');
const [servers, label, shared] = process.argv.slice(2);
const start = performance.now();
const connection = shared && connect({ servers });
const pick = (client) => connection ? connection.pick({ label, client }) : createPicker({ servers, label, client });
const pickers = Array.from({ length: 100 }, (_, n) => pick('burst-' + n));
async function first(picker) { for await (const { id } of picker) return id; }
Promise.all(pickers.map(first)).then(async (ids) => {
  const ms = Math.round(performance.now() - start);
  const counts = {};
  for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
  console.log(JSON.stringify({ ms, counts }));
  await Promise.all(pickers.map((picker) => picker.close()));
  await connection?.close();
});
`;

interface Entry {
  readonly id: string;
  readonly clients: number;
}

describeOnHosts('clients of brokers on three hosts', () => {
  let cluster: Cluster;
  let hosts: readonly Host[] = [];
  beforeAll(async () => {
    cluster = await Cluster.start({
      hosts: 3,
      units: { 'broker.service': sleeping },
      files: { '/srv/client.js': await readFile(join(projectRoot, 'dist/client.js'), 'utf8'), '/srv/burst.js': BURST },
      services: ['{name: broker, type: global, discovery: {label: mqtt, port: 1883}}'],
      sessionTimeout: SESSION_MS / 1000,
    });
    hosts = cluster.lab.hosts;
    await untilEqual(async () => Object.keys(await loads()), ['w1', 'w2', 'w3'], { ...WAIT, what: 'the brokers' });
  });
  afterAll(() => cluster?.destroy());

  const host = (number: number): Host => {
    const found = hosts[number - 1];
    if (found === undefined) throw new Error(`there is no w${number}`);
    return found;
  };

  /** Broker → clients, as the command tells. */
  async function loads(label = 'mqtt'): Promise<Record<string, number>> {
    const { stdout } = await host(1).sh('servicewatcher', 'hosts', '--label', label, '--json');
    const entries: Entry[] = JSON.parse(stdout);
    return Object.fromEntries(entries.map(({ id, clients }) => [id, clients]));
  }

  const untilLoads = (expected: Record<string, number>) =>
    untilEqual(() => loads(), expected, { ...WAIT, what: 'the clients of each broker' });

  /** Starts a client as a unit of its own; what it prints goes to `/run/CLIENT`. */
  async function start(on: Host, client: string, ...words: string[]): Promise<void> {
    const output = [`--property=StandardOutput=append:/run/${client}`, '--property=StandardError=journal'];
    const unit = ['systemd-run', `--unit=${client}`, '--property=KillMode=mixed', '--quiet', '--remain-after-exit'];
    await on.mustSh(...unit, ...output, 'servicewatcher', 'pick', '--client', client, ...words);
  }

  const lines = async (on: Host, client: string): Promise<string[]> =>
    (await on.read(`/run/${client}`).catch(() => '')).split('\n').filter((line) => line !== '');

  const untilLines = (on: Host, client: string, count: number) =>
    until(
      async () => {
        const seen = await lines(on, client);
        return seen.length >= count && seen;
      },
      { ...WAIT, what: `${count} lines of ${client}` },
    );

  /** Broker → clients, of 100 that come at the same moment, from one process. */
  async function burst(label: string, ...options: string[]): Promise<Record<string, number>> {
    const argv = ['node', '/srv/burst.js', cluster.lab.quorum, label, ...options];
    const run = await host(2).run(argv, { deadlineMs: DEADLINE_MS });
    expect(run.stderr).toBe('');
    const { ms, counts } = JSON.parse(run.stdout);
    process.stdout.write(`100 pickers on a host ${options.join(' ')}: ${ms} ms\n`);
    return counts;
  }

  it('that come at the same moment are spread evenly: 100 with the library, from one process', async () => {
    expect(Object.values(await burst('mqtt')).sort()).toEqual([33, 33, 34]);
    // it has closed them all; the server that is asked may be a moment behind
    await untilLoads({ w1: 0, w2: 0, w3: 0 });
  });

  it('that come at the same moment are spread evenly: 6 processes on three hosts, one of them a command', async () => {
    const held = [1, 2, 3, 4, 5].map((n) => start(host((n % 3) + 1), `c${n}`, '--label', 'mqtt', '--hold'));
    const script = 'echo "$0:$1 $SERVICEWATCHER_HOST"; exec sleep infinity';
    const command = start(host(1), 'cmd', '--label', 'mqtt', '--', 'sh', '-c', script, '{address}', '{port}');
    await Promise.all([...held, command]);
    await untilLoads({ w1: 2, w2: 2, w3: 2 });
    expect((await untilLines(host(2), 'c1', 1))[0]).toMatch(/^w[123]:1883$/);
    expect((await untilLines(host(1), 'cmd', 1))[0]).toMatch(/^(w[123]):1883 \1$/);
    const isShown = async () =>
      (await host(3).sh('servicewatcher', 'status')).stdout.includes('clients of mqtt: w1 2, w2 2, w3 2');
    await until(isShown, { ...WAIT, what: 'the table to show them' });
  });

  it('get another broker as soon as theirs dies, which is logged, and a command is started anew with it', async () => {
    const [mine = ''] = await untilLines(host(1), 'cmd', 1);
    const broker = hosts.find(({ name }) => name === mine.slice(0, 2)) ?? host(1);
    const pid = (await host(1).unitState('cmd.service')).mainPid;
    const killed = monotonicNow();
    await cluster.killUnit(broker, 'broker.service');
    const [, second = ''] = await untilLines(host(1), 'cmd', 2);
    process.stdout.write(`a killed broker to a restarted command: ${Math.round(monotonicNow() - killed)} ms\n`);
    expect(second).not.toBe(mine);
    const others = Object.fromEntries(hosts.flatMap(({ name }) => (name === broker.name ? [] : [[name, 3]])));
    await untilLoads(others);
    await cluster.untilJournal(host(1), `${broker.name} is not registered as mqtt any more; choosing`, 'cmd');
    await cluster.untilJournal(host(1), `restarting the command: its server is ${second.slice(0, 7)} now`, 'cmd');
    // the process that chooses is the same
    expect((await host(1).unitState('cmd.service')).mainPid).toBe(pid);
    // the other client of that broker printed the new address, and nobody else anything
    const hasMoved = async () => {
      const seen = await Promise.all([1, 2, 3, 4, 5].map((n) => lines(host((n % 3) + 1), `c${n}`)));
      const found = seen.filter((each) => each.length > 1);
      return found.length > 0 && found;
    };
    const moved = await until(hasMoved, { ...WAIT, what: 'the other client to print the new address' });
    expect(moved).toHaveLength(1);
    expect(moved[0]).toEqual([`${broker.name}:1883`, expect.not.stringContaining(broker.name)]);
    // the broker comes back: new clients go there, those that live stay
    await broker.systemctl('reset-failed', 'broker.service');
    await untilLoads({ ...others, [broker.name]: 0 });
    const once = await host(2).sh('servicewatcher', 'pick', '--label', 'mqtt', '--client', 'new');
    expect([once.code, once.stdout]).toEqual([0, `${broker.name}:1883\n`]);
    await untilLoads({ ...others, [broker.name]: 0 });
  });

  it('are sent a signal instead of a restart, if they wish so', async () => {
    const script = 'trap "echo told" USR1; echo "$SERVICEWATCHER_HOST"; while :; do sleep 1 & wait $!; done';
    await start(host(2), 'sig', '--label', 'mqtt', '--signal', 'usr1', '--', 'sh', '-c', script);
    const [mine = ''] = await untilLines(host(2), 'sig', 1);
    const broker = hosts.find(({ name }) => name === mine) ?? host(1);
    await cluster.killUnit(broker, 'broker.service');
    expect(await untilLines(host(2), 'sig', 2)).toEqual([mine, 'told']);
    // it counts for another one, and so does whoever had the same: the six from before, and this one
    await until(
      async () => {
        const { [mine]: none, ...others } = await loads();
        return none === undefined && Object.values(others).reduce((sum, count) => sum + count, 0) === 7;
      },
      { ...WAIT, what: 'all clients to have another broker' },
    );
    await host(2).systemctl('stop', 'sig');
    await broker.systemctl('reset-failed', 'broker.service');
    await until(async () => (await loads())[mine] === 0, { ...WAIT, what: 'the broker again' });
  });

  it('count no more when they are gone: at once after SIGTERM, within the session timeout after SIGKILL', async () => {
    await cluster.inZooKeeper(async (store) => {
      const total = async () => clientsAmong((await store.children('/clients/mqtt')) ?? []).length;
      const before = await total();
      // only the process that chooses is told; it ends as its command does
      const told = monotonicNow();
      await host(1).systemctl('kill', '--signal=TERM', '--kill-who=main', 'cmd');
      await until(async () => (await total()) === before - 1, { ...WAIT, what: 'the client that ended to be gone' });
      expect(monotonicNow() - told).toBeLessThan(SESSION_MS / 2);
      const end = () => host(1).systemctl('show', '--property=Result,ExecMainCode,ExecMainStatus', 'cmd');
      const bySigterm = 'Result=success\nExecMainCode=2\nExecMainStatus=15\n';
      await untilEqual(end, bySigterm, { ...WAIT, what: 'the end of the command' });
      await host(2).systemctl('kill', '--signal=KILL', 'c1');
      const killed = monotonicNow();
      await until(async () => (await total()) === before - 2, { ...WAIT, what: 'the killed client to be gone' });
      expect(monotonicNow() - killed).toBeLessThan(SESSION_MS + GRAIN_MS);
    });
  });

  it('that have the same id count once: the newer process takes the place of the earlier one, which ends', async () => {
    const before = await loads();
    await start(host(1), 'newer', '--label', 'mqtt', '--hold', '--client', 'c2');
    const earlier = () => host(3).systemctl('show', '--property=ExecMainStatus,Result', 'c2');
    await untilEqual(earlier, 'Result=exit-code\nExecMainStatus=1\n', { ...WAIT, what: 'the end of the earlier one' });
    await cluster.untilJournal(host(3), /c2 is another process since \(w1, process \d+\), so this one ends/, 'c2');
    const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, count) => sum + count, 0);
    await untilEqual(async () => total(await loads()), total(before), { ...WAIT, what: 'the number of clients' });
  });

  it('that find no broker wait for the first one, or say so at once', async () => {
    const none = await host(1).sh('servicewatcher', 'pick', '--label', 'late', '--client', 'l0');
    const sentence = 'no live server is registered as late at the moment\n';
    expect(none).toMatchObject({ code: 1, stdout: '', stderr: sentence });
    const soon = await host(1).sh('servicewatcher', 'pick', '--label', 'late', '--client', 'l0', '--wait', '200ms');
    expect(soon).toMatchObject({ code: 1, stderr: 'no live server is registered as late within 0.2 s\n' });
    const bounded = ['--label', 'late', '--client', 'l0', '--wait', '0.1'];
    const held = await host(1).sh('servicewatcher', 'pick', ...bounded, '--hold');
    expect([held.code, held.stdout]).toEqual([1, '']);
    const command = await host(1).sh('servicewatcher', 'pick', ...bounded, '--', 'echo', '{address}');
    expect([command.code, command.stdout]).toEqual([1, '']);
    await start(host(1), 'l1', '--label', 'late', '--hold', '--json');
    await cluster.untilJournal(host(1), 'no server is live as late; l1 waits for the first one', 'l1');
    const watch = ['servicewatcher', 'watch', '--label', 'late', '--service-id', 'x', '--exec', 'true', '--port', '7'];
    await host(2).mustSh('systemd-run', '--unit=late', '--quiet', ...watch);
    const [first = ''] = await untilLines(host(1), 'l1', 1);
    expect(JSON.parse(first)).toMatchObject({ client: 'l1', label: 'late', host: 'w2', address: 'w2', port: 7 });
    await host(2).systemctl('stop', 'late');
    await host(1).systemctl('stop', 'l1');
  });

  it('are spread as evenly after thousands of registrations and choices, over brokers whose names have two digits', async () => {
    const ids = Array.from({ length: 12 }, (_, n) => `n${n + 1}`);
    await cluster.inZooKeeper(async (store) => {
      for (const parent of ['/discovery/many', '/clients/many']) {
        await store.ensure(parent);
        // what ZooKeeper numbers goes on where these end
        const earlier = Array.from({ length: 2_000 }, () =>
          store.create(`${parent}/x`, Buffer.alloc(0), 'ephemeral-sequential'),
        );
        await Promise.all((await Promise.all(earlier)).map((path) => store.remove(path)));
      }
      for (const id of ids) {
        const entry = { label: 'many', id, host: id, address: id, healthy: true, source: 'watch' } as const;
        await store.create(registrationPath('many', id), encodeRegistration(entry), 'ephemeral');
      }
      const counts = await burst('many', 'shared');
      expect(Object.keys(counts).sort()).toEqual(ids.sort());
      expect(Object.values(counts).sort()).toEqual([8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9]);
      const path = await store.create('/clients/many/x', Buffer.alloc(0), 'ephemeral-sequential');
      expect(Number(path.slice(-10))).toBeGreaterThan(2_100);
    });
  });

  it('are told what is wrong with how they are asked for', async () => {
    const bad = await host(1).sh('servicewatcher', 'pick', '--label', 'a/b', '--client', 'c d', '--signal', 'HUP');
    expect(bad.code).toBe(2);
    expect(bad.stderr.split('\n')).toEqual([
      expect.stringContaining('--label: "a/b" is no label'),
      expect.stringContaining('--client: "c d" is no client'),
      expect.stringContaining('--signal is for a command'),
      '',
    ]);
  });
});
