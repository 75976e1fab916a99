/**
 * deploy/examples/mosquitto on real hosts: three of four run a broker, bridged with the others; five clients on the fourth.
 * What is done with them, and what is seen of it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { build } from 'esbuild';
import { Cluster, DEADLINE_MS } from '../e2e/cluster.ts';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { projectRoot } from '../harness/project.ts';
import { monotonicNow, until, untilEqual } from '../harness/until.ts';
import { brokerAt, type Count, count, type Gap, gapsOf, type Ledger, movedAt, parseLines } from './mqtt-ledger.ts';

const FOLDER = join(projectRoot, 'deploy/examples/mosquitto');
export const BROKER = 'mosquitto.service';
/** Where the files of the example belong. */
const FILES = {
  'broker.conf': '/etc/mosquitto/conf.d/broker.conf',
  'mosquitto.service.conf': '/etc/systemd/system/mosquitto.service.d/servicewatcher.conf',
  'mosquitto-mesh.service': '/etc/systemd/system/mosquitto-mesh.service',
  'mesh.tpl': '/etc/servicewatcher/mesh.tpl',
} as const;
export const CLIENTS = ['c1', 'c2', 'c3', 'c4', 'c5'] as const;
const WAIT = { deadlineMs: DEADLINE_MS, everyMs: 50 };
/** How many messages each client sends while nothing happens. */
const QUIET_MESSAGES = 8;

/** What followed when a broker was gone. */
export interface Loss {
  readonly broker: string;
  /** Client that it had → ms until it was connected to another broker. */
  readonly without: Readonly<Record<string, number>>;
  /** Broker → clients, as soon as all had one again. */
  readonly loads: Readonly<Record<string, number>>;
}

interface Registered {
  readonly id: string;
  readonly clients: number;
}

export class MosquittoExample {
  /** The host of the clients. */
  private home: Host | undefined;
  /** When all clients were connected first. */
  private began = 0;
  /** When clients had no broker, from its loss on, whenever they noticed. */
  private readonly gaps: Gap[] = [];

  private constructor(readonly cluster: Cluster) {}

  /** Boots four hosts with the example's files; resolves when three brokers are registered. On failure nothing is left. */
  static async start(): Promise<MosquittoExample> {
    const texts = Object.entries(FILES).map(async ([name, path]) => [path, await text(name)] as const);
    const files = { ...Object.fromEntries(await Promise.all(texts)), '/srv/client.cjs': await bundledClient() };
    const cluster = await Cluster.start({ hosts: 4, units: {}, files, file: await text('config.yml') });
    const example = new MosquittoExample(cluster);
    try {
      await example.untilBrokers(3);
      return example;
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
  }

  /** Broker → its clients, by the word of `servicewatcher hosts`. */
  async loads(): Promise<Readonly<Record<string, number>>> {
    const { stdout } = await this.live().sh('servicewatcher', 'hosts', '--label', 'mqtt', '--json');
    const entries: Registered[] = stdout === '' ? [] : JSON.parse(stdout);
    return Object.fromEntries(entries.map(({ id, clients }) => [id, clients]));
  }

  /** Resolves with their names when so many brokers are registered. */
  async untilBrokers(number: number): Promise<string[]> {
    return until(
      async () => {
        const brokers = Object.keys(await this.loads());
        return brokers.length === number && brokers;
      },
      { ...WAIT, what: `${number} brokers` },
    );
  }

  /** Starts five clients at the same moment, on the host that has no broker; resolves when all are connected to one. */
  async startClients(): Promise<void> {
    const brokers = await this.untilBrokers(3);
    const home = this.cluster.lab.hosts.find(({ name }) => !brokers.includes(name));
    if (home === undefined) throw new Error('every host has a broker');
    this.home = home;
    const { quorum } = this.cluster.lab;
    const unit = (client: string) => [`--unit=${client}`, `--property=StandardOutput=append:/run/${client}.log`];
    const start = (client: string) =>
      home.mustSh('systemd-run', '--quiet', ...unit(client), 'node', '/srv/client.cjs', client, quorum);
    await Promise.all(CLIENTS.map(start));
    const connected = async () => [...(await this.ledger()).values()].every((lines) => brokerAt(lines) !== undefined);
    await until(connected, { ...WAIT, what: 'all clients to be connected' });
    this.began = monotonicNow();
  }

  /** Ends the clients in good order; resolves when no broker counts any. */
  async stopClients(): Promise<void> {
    await this.home?.systemctl('stop', ...CLIENTS);
    const total = async () => Object.values(await this.loads()).reduce((sum, clients) => sum + clients, 0);
    await until(async () => (await total()) === 0, { ...WAIT, what: 'no client to count' });
  }

  /** What the clients have said until now. */
  async ledger(): Promise<Ledger> {
    const read = async (client: string) => [client, parseLines((await this.home?.read(logOf(client))) ?? '')] as const;
    return new Map(await Promise.all(CLIENTS.map(read)));
  }

  /** Resolves when all brokers know each other, and all that was sent since, of late, has reached all clients. */
  async untilWhole(): Promise<void> {
    await until(() => this.isMesh(), { ...WAIT, what: 'all brokers to be told of the others' });
    const since = monotonicNow();
    const whole = async () => {
      const now = monotonicNow();
      const recent = count(await this.ledger(), Math.max(since, now - 1_000), now - 200);
      if (recent.sent >= CLIENTS.length * 5 && recent.missing === 0) return true;
      throw new Error(JSON.stringify(recent));
    };
    await until(whole, { ...WAIT, what: 'messages to reach every client' });
  }

  /** Whether each broker's host has a connection to each other broker, and to none besides. */
  private async isMesh(): Promise<boolean> {
    const brokers = Object.keys(await this.loads());
    const peers = async (broker: string) => {
      const config = await this.cluster.lab.host(broker).read('/etc/mosquitto/mesh.conf');
      return [...config.matchAll(/^connection (.+)$/gm)].flatMap(([, name]) => (name === 'here' ? [] : [name]));
    };
    const all = await Promise.all(brokers.map(peers));
    return brokers.every((broker, at) =>
      isDeepStrictEqual(
        all[at],
        brokers.filter((other) => other !== broker),
      ),
    );
  }

  /** Counts some messages of each client that are sent from now on, when all have been received by all. */
  async quiet(): Promise<Count> {
    const from = monotonicNow();
    const enough = async () => count(await this.ledger(), from).confirmed >= CLIENTS.length * QUIET_MESSAGES;
    await until(enough, { ...WAIT, what: 'messages' });
    const to = monotonicNow();
    const missing = async () => count(await this.ledger(), from, to).missing;
    await untilEqual(missing, 0, { ...WAIT, deadlineMs: 5_000, what: 'messages that did not reach a client' });
    return count(await this.ledger(), from, to);
  }

  /** All messages since all clients were connected first. */
  async total(): Promise<Count> {
    const ledger = await this.ledger();
    return count(ledger, this.began, Infinity, [...this.gaps, ...gapsOf(ledger)]);
  }

  /** The broker with the most clients that is not on the clients' own host, the first by name. */
  async busiest(): Promise<string> {
    const loads = Object.entries(await this.loads()).filter(([broker]) => broker !== this.home?.name);
    const [most] = loads.sort(([, a], [, b]) => b - a);
    if (most === undefined) throw new Error('there is no broker on another host');
    return most[0];
  }

  /** Lets the broker be lost in some way; resolves when all of its clients are connected to others. */
  async lose(broker: string, fault: (host: Host) => Promise<void>): Promise<Loss> {
    const before = await this.ledger();
    const mine = CLIENTS.filter((client) => brokerAt(before.get(client) ?? []) === broker);
    const at = monotonicNow();
    await fault(this.cluster.lab.host(broker));
    const without = await until(
      async () => {
        const ledger = await this.ledger();
        const moved = mine.map((client) => [client, movedAt(ledger.get(client) ?? [], broker, at)] as const);
        const done = moved.flatMap(([client, to]) =>
          to === undefined ? [] : [[client, Math.round(to - at)] as const],
        );
        return done.length === mine.length && Object.fromEntries(done);
      },
      { ...WAIT, what: `the clients of ${broker} to be connected to others` },
    );
    for (const [client, ms] of Object.entries(without)) this.gaps.push({ client, from: at, to: at + ms });
    return { broker, without, loads: await this.loads() };
  }

  kill(broker: string): Promise<Loss> {
    return this.lose(broker, (host) => this.cluster.killUnit(host, BROKER));
  }

  powerOff(broker: string): Promise<Loss> {
    return this.lose(broker, (host) => host.powerOff());
  }

  /** A broker that died may run there again. */
  async forgive(host: string): Promise<void> {
    await this.cluster.lab.host(host).systemctl('reset-failed', BROKER);
  }

  /** Writes another number of brokers into the file of every host, and reloads. */
  async setNumber(number: number): Promise<void> {
    const config = (await text('config.yml')).replace(/count: \d+/, `count: ${number}`);
    const hosts = this.cluster.lab.hosts.filter((host) => host.running);
    await Promise.all(hosts.map((host) => host.write(CONFIG_FILE, config)));
    await Promise.all(hosts.map((host) => this.cluster.reload(host)));
  }

  /** The clients' notes of what happened, which are no messages. */
  async notes(client: string): Promise<string> {
    const lines = ((await this.home?.read(logOf(client))) ?? '').split('\n');
    return lines.filter((line) => line.includes(' note ')).join('\n');
  }

  async destroy(): Promise<void> {
    await this.cluster.destroy();
  }

  private live(): Host {
    const host = this.cluster.lab.hosts.find((each) => each.running);
    if (host === undefined) throw new Error('no host is on');
    return host;
  }
}

const logOf = (client: string) => `/run/${client}.log`;
const text = (name: string) => readFile(join(FOLDER, name), 'utf8');

/** The example's client, in one file that needs nothing but Node. */
async function bundledClient(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: FOLDER,
    entryPoints: ['client.ts'],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    write: false,
    logLevel: 'warning',
    alias: { 'servicewatcher/client': join(projectRoot, 'dist/client.js') },
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error('esbuild made no file of client.ts');
  return file.text;
}
