/** One ZooKeeper server of a lab, in a network namespace of its own. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configFile, type ServerOptions, serverCommand, writeServerFiles } from '../../src/shared/zookeeper/server.ts';
import { freshControlGroup, killControlGroup, spawnInControlGroup } from './control-group.ts';
import type { LabNames } from './lab-state.ts';
import { addressOf, heed, ignore, plugIn, pullCable, replugCable } from './network.ts';
import { mustRun } from './process.ts';
import type { Relay } from './relay.ts';

const CLIENT_PORT = 2181;
/** Of Debian's package zookeeper. */
const ZK_SERVER_SCRIPT = '/usr/share/zookeeper/bin/zkServer.sh';

/** What a server says it is; `none` when it serves nobody for want of a quorum, `down` when it does not answer. */
export type ServerMode = 'standalone' | 'leader' | 'follower' | 'none' | 'down';

/** A host or a server. */
export interface Machine {
  readonly address: string;
}

/** What all servers of an ensemble have in common. */
export interface EnsembleOptions {
  readonly size: number;
  /** Milliseconds. */
  readonly tickTime: number;
  /** After so many ticks of silence a follower leaves its leader; default 5. */
  readonly syncLimit?: number;
}

export class ZooKeeperNode {
  readonly name: string;
  readonly address: string;
  /** `address:port` for clients. */
  readonly server: string;
  readonly #lab: LabNames;
  readonly #relay: Relay;
  readonly #options: ServerOptions;
  readonly #group: string;
  readonly #cable: string;
  #process: ChildProcess | undefined;

  private constructor(lab: LabNames, relay: Relay, number: number, { size, tickTime, syncLimit }: EnsembleOptions) {
    this.name = `zk${number}`;
    this.address = addressOf(this.name);
    this.server = `${this.address}:${CLIENT_PORT}`;
    this.#lab = lab;
    this.#relay = relay;
    this.#group = join(lab.controlGroup, this.name);
    this.#cable = `z-${this.name}`;
    const ids = Array.from({ length: size }, (_, i) => i + 1);
    this.#options = {
      dataDir: join(lab.folder, this.name),
      clientAddress: this.address,
      clientPort: CLIENT_PORT,
      tickTime,
      id: number,
      servers:
        size === 1 ? [] : ids.map((id) => ({ id, address: addressOf(`zk${id}`), peerPort: 2888, electionPort: 3888 })),
      ...(syncLimit !== undefined && { extra: { syncLimit } }),
    };
  }

  /** Makes the server's network and files; it does not run yet. */
  static async create(lab: LabNames, relay: Relay, number: number, options: EnsembleOptions): Promise<ZooKeeperNode> {
    const node = new ZooKeeperNode(lab, relay, number, options);
    await plugIn(lab.namespace, node.#namespace, node.name, node.#cable);
    await writeServerFiles(node.#options);
    return node;
  }

  /** Starts the server's process; it serves when `srvr` answers a mode. Its data is as it was left. */
  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error(`${this.name} runs already`);
    await freshControlGroup(this.#group);
    const { command, args } = serverCommand(this.#options);
    const inside = ['ip', 'netns', 'exec', this.#namespace, command, ...args];
    this.#process = await spawnInControlGroup(this.#group, inside, join(this.#options.dataDir, 'server.log'));
  }

  /** Ends the process: SIGKILL is a crash. Resolves when it is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await this.#end((child) => void child.kill(signal));
  }

  /** Ends it as operators do: `zkServer.sh stop`, which finds the process by the pid file among its data. */
  async stop(): Promise<void> {
    await this.#end(async (child) => {
      await writeFile(join(this.#options.dataDir, 'zookeeper_server.pid'), String(child.pid));
      await mustRun([ZK_SERVER_SCRIPT, 'stop', configFile(this.#options)], {
        env: { ...process.env, ZOO_LOG_DIR: this.#options.dataDir },
      });
    });
  }

  async #end(how: (child: ChildProcess) => Promise<void> | void): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
    const ended = how(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(timer);
    await killControlGroup(this.#group);
    this.#process = undefined;
    await ended;
  }

  /** Freezes the process (SIGSTOP): connections stay, nothing answers. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  /** Thaws it. */
  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  async cut(): Promise<void> {
    await pullCable(this.#lab.namespace, this.#cable);
  }

  async heal(): Promise<void> {
    await replugCable(this.#lab.namespace, this.#cable);
  }

  /** Loses what it sends to these machines, until `heed`. */
  async ignore(machines: readonly Machine[]): Promise<void> {
    await ignore(
      this.#namespace,
      machines.map(({ address }) => address),
    );
  }

  async heed(machines: readonly Machine[]): Promise<void> {
    await heed(
      this.#namespace,
      machines.map(({ address }) => address),
    );
  }

  /** The pid of the server's process; undefined while it is down. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The text of its configuration file. */
  config(): Promise<string> {
    return readFile(configFile(this.#options), 'utf8');
  }

  /** What the server answers to the four-letter word `srvr` within a second; empty when it does not. */
  async srvr(): Promise<string> {
    return await this.#relay.ask(this.address, CLIENT_PORT, 'srvr', 1000).catch(() => '');
  }

  async mode(): Promise<ServerMode> {
    const answer = await this.srvr();
    if (answer.includes('not currently serving')) return 'none';
    switch (/^Mode: (\w+)/m.exec(answer)?.[1]) {
      case 'leader':
        return 'leader';
      case 'follower':
        return 'follower';
      case 'standalone':
        return 'standalone';
      default:
        return 'down';
    }
  }

  get #namespace(): string {
    return `${this.#lab.namespace}-${this.name}`;
  }
}
