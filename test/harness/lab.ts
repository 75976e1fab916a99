/**
 * A laboratory of real hosts on one machine: each host a full systemd, each ZooKeeper server a real one, a real network
 * between them. Several labs can exist at the same time; none touches the machine's own network.
 */
import type { ChildProcess } from 'node:child_process';
import { Host } from './host.ts';
import { claimLab, disposeLab, type LabNames } from './lab-state.ts';
import { createNetwork } from './network.ts';
import { type HttpAnswer, Relay, type Tunnel } from './relay.ts';
import { until } from './until.ts';
import { ZooKeeperNode } from './zookeeper-node.ts';

/** Where the daemon serves HTTP by default. */
const HTTP_PORT = 9780;

export interface LabOptions {
  /** How many hosts, `w1`, `w2`, … */
  readonly hosts: number;
  /** How many ZooKeeper servers, `zk1`, `zk2`, …; default 0. */
  readonly zookeeper?: number;
  /** ZooKeeper's tick in ms: sessions last 2 to 20 of them. Default 500. */
  readonly tickTime?: number;
  /** After so many ticks of silence a ZooKeeper server leaves its leader; default 5. */
  readonly syncLimit?: number;
  /** Called when a host's disk is made, before its first boot: what is mounted below `host.disk` now is seen on the host. */
  readonly prepare?: (host: Host, lab: Lab) => Promise<void>;
}

export class Lab {
  readonly #names: LabNames;
  readonly #guardian: ChildProcess;
  readonly #relay: Relay;
  readonly #hosts: Host[] = [];
  readonly #servers: ZooKeeperNode[] = [];
  readonly #prepare: LabOptions['prepare'];
  #nextHost = 1;

  private constructor(names: LabNames, guardian: ChildProcess, relay: Relay, prepare: LabOptions['prepare']) {
    this.#prepare = prepare;
    this.#names = names;
    this.#guardian = guardian;
    this.#relay = relay;
  }

  /** Resolves when all hosts are booted and the ensemble serves. If it cannot, nothing of it is left behind. */
  static async create(options: LabOptions): Promise<Lab> {
    const { names, guardian } = await claimLab();
    try {
      await createNetwork(names.namespace);
      const lab = new Lab(names, guardian, await Relay.start(names), options.prepare);
      const size = options.zookeeper ?? 0;
      const { tickTime = 500, syncLimit } = options;
      const ensemble = { size, tickTime, ...(syncLimit !== undefined && { syncLimit }) };
      for (let number = 1; number <= size; number++) {
        const node = await ZooKeeperNode.create(names, lab.#relay, number, ensemble);
        lab.#servers.push(node);
      }
      await Promise.all(lab.#servers.map((server) => server.start()));
      await Promise.all(Array.from({ length: options.hosts }, () => lab.addHost()));
      await lab.quorate();
      return lab;
    } catch (error) {
      await disposeLab(names, guardian);
      throw error;
    }
  }

  /** 4 hex digits that tell this lab from others on the machine. */
  get id(): string {
    return this.#names.id;
  }

  /** Holds the disks, logs and data of the lab. */
  get folder(): string {
    return this.#names.folder;
  }

  get hosts(): readonly Host[] {
    return this.#hosts;
  }

  host(name: string): Host {
    const host = this.#hosts.find((h) => h.name === name);
    if (host === undefined) throw new Error(`no host ${name}; there are ${this.#hosts.map((h) => h.name).join(', ')}`);
    return host;
  }

  /** Boots one more host. */
  async addHost(): Promise<Host> {
    const host = await Host.create(this.#names, `w${this.#nextHost++}`);
    await this.#prepare?.(host, this);
    this.#hosts.push(host);
    this.#hosts.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
    await host.start();
    return host;
  }

  get servers(): readonly ZooKeeperNode[] {
    return this.#servers;
  }

  zookeeper(name: string): ZooKeeperNode {
    const server = this.#servers.find((s) => s.name === name);
    if (server === undefined) throw new Error(`no server ${name}`);
    return server;
  }

  /** ZooKeeper's connection string for clients on the hosts. */
  get quorum(): string {
    return this.#servers.map((server) => server.server).join(',');
  }

  /** Resolves when every server that runs serves. */
  async quorate(): Promise<void> {
    const serves = async (server: ZooKeeperNode) => !['none', 'down'].includes(await server.mode());
    const up = this.#servers.filter((server) => server.pid !== undefined);
    await until(async () => (await Promise.all(up.map(serves))).every(Boolean), {
      deadlineMs: 30_000,
      what: 'every ZooKeeper server to serve',
    });
  }

  /** The command line that runs `argv` in the lab's network, on none of its machines. */
  enter(argv: readonly string[]): string[] {
    return ['nsenter', `--net=/run/netns/${this.#names.namespace}`, ...argv];
  }

  /** HTTP GET on a host's daemon; redirects are answered, not followed. Rejects after 5 s. */
  http(host: Host | string, path: string, port = HTTP_PORT): Promise<HttpAnswer> {
    const { address } = typeof host === 'string' ? this.host(host) : host;
    return this.#relay.http(address, port, path);
  }

  /** A loopback port that leads to one in the lab; closed by its `close`, or with the process. */
  tunnel(machine: Host | ZooKeeperNode, port: number): Promise<Tunnel> {
    return this.#relay.tunnel(machine.address, port);
  }

  /** Ends all processes and removes every trace. May be called again. */
  async destroy(): Promise<void> {
    await disposeLab(this.#names, this.#guardian);
  }
}
