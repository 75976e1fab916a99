/**
 * A cluster of real hosts that run the daemon, for end-to-end tests: what it is told comes by the configuration file and
 * `systemctl reload`, what it does is read from systemd on the hosts.
 */
import type { Assignments } from '../../src/leader/assignments.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { parseConfig } from '../../src/shared/config/parse-config.ts';
import type { Store } from '../../src/shared/store.ts';
import { connect } from '../../src/shared/zookeeper/store.ts';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { Lab } from '../harness/lab.ts';
import { addUnits } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { viewUnits } from './unit-view.ts';

/** Longest wait for the cluster to do what it shall: some seconds are real, the rest is for a busy machine. */
export const DEADLINE_MS = 30_000;
/** Between two looks at all hosts: each costs a process on every host. */
const LOOK_EVERY_MS = 150;
const DAEMON = 'servicewatcher.service';

export interface ClusterOptions {
  readonly hosts: number;
  /** Unit files that every host has, by their names. */
  readonly units: Readonly<Record<string, string>>;
  /** Other files that every host has, by their absolute paths. */
  readonly files?: Readonly<Record<string, string>>;
  /** The first `services:`, one YAML list item each. */
  readonly services?: readonly string[];
  /** The text of the whole file, instead of one with quick timings and `services`. */
  readonly file?: string;
  /** How many of the hosts run the daemon at first; default all. The others are for `deploy`. */
  readonly daemons?: number;
  /** More top-level lines of every configuration file. */
  readonly settings?: string;
  /** More top-level lines of the configuration of single hosts that run the daemon at first. */
  readonly settingsOf?: Readonly<Record<string, string>>;
  /** `zookeeper.session_timeout`, seconds; default 10, as a busy machine ends no such session by itself. */
  readonly sessionTimeout?: number;
  /** Settings that a drop-in adds to the daemon's unit. */
  readonly dropIn?: string;
}

export class Cluster {
  readonly lab: Lab;
  readonly #options: ClusterOptions;
  /** More top-level lines of the configuration of single hosts. */
  readonly #settings = new Map<string, string>();
  #services: readonly string[];
  #leader = 'w1';

  private constructor(lab: Lab, options: ClusterOptions) {
    this.lab = lab;
    this.#options = options;
    this.#services = options.services ?? [];
  }

  /** Boots the hosts and an ensemble of 3, and starts the daemons. On failure nothing is left behind. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const lab = await Lab.create({ hosts: options.hosts, zookeeper: 3 });
    try {
      const cluster = new Cluster(lab, options);
      const first = lab.hosts.slice(0, options.daemons);
      await Promise.all(first.map((host) => cluster.deploy(host, options.settingsOf?.[host.name])));
      await cluster.untilSettled();
      return cluster;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  /** Installs units and daemon on a host of the lab, and starts it. `settings`: more top-level lines for this host. */
  async deploy(host: Host, settings = ''): Promise<void> {
    this.#settings.set(host.name, settings);
    const { units, files = {}, dropIn } = this.#options;
    for (const [path, text] of Object.entries(files)) await host.write(path, text);
    await addUnits(host, units);
    await host.install({ config: this.configuration(host.name), ...(dropIn !== undefined && { dropIn }) });
  }

  /** The text of a host's configuration file. */
  configuration(host: string, services: readonly string[] = this.#services): string {
    if (this.#options.file !== undefined) return this.#options.file;
    const list = services.length === 0 ? ' []\n' : `\n${services.map((service) => `  - ${service}\n`).join('')}`;
    return `zookeeper:
  quorum: ${this.lab.quorum}
  session_timeout: ${this.#options.sessionTimeout ?? 10}
  timings: {loop_tick: 2, failed_loop_tick: 1, partitioner_boundary: 1, partitioner_reaction: 0.01}
${this.#options.settings ?? ''}${this.#settings.get(host) ?? ''}services:${list}`;
  }

  /**
   * Makes these the services of the cluster, as operators do who mean it: `apply --force`, as most tests stop what the
   * one before them ran, then the same file on every host, and a reload.
   */
  async apply(services: readonly string[]): Promise<void> {
    await this.propose(services);
    await this.reloadWith(services);
  }

  /** A new file on every host that is on, and a reload: as `apply`, but for services that do not stop most of what runs. */
  async reloadWith(services: readonly string[]): Promise<void> {
    this.#services = services;
    const hosts = this.lab.hosts.filter((host) => host.running);
    await Promise.all(hosts.map((host) => host.write(CONFIG_FILE, this.configuration(host.name))));
    await Promise.all(hosts.map((host) => this.reload(host)));
    await this.#untilApplied();
    // a reload that is still under way would clear the failures that a test is about to make
    await Promise.all(hosts.map((host) => this.#untilReloaded(host)));
  }

  async #untilReloaded(host: Host): Promise<void> {
    const file = async () => JSON.parse((await this.lab.http(host, '/status')).body).spec.file;
    await untilEqual(file, this.#digest(), { deadlineMs: DEADLINE_MS, what: `${host.name} to have read its file` });
  }

  /** The same by the command line, and no daemon is reloaded: no failure is cleared. */
  async propose(services: readonly string[]): Promise<void> {
    this.#services = services;
    const [host] = this.lab.hosts.filter((each) => each.running);
    if (host === undefined) throw new Error('no host is on');
    await host.write('/etc/proposed.yml', this.configuration(host.name));
    await host.mustSh('servicewatcher', 'apply', '--force', '/etc/proposed.yml');
    await this.#untilApplied();
  }

  async #untilApplied(): Promise<void> {
    const digest = this.#digest();
    const applied = async () => (await this.assignments()).spec === digest;
    await until(applied, { deadlineMs: DEADLINE_MS, what: 'the new services to be placed', everyMs: LOOK_EVERY_MS });
  }

  async reload(host: Host): Promise<void> {
    await host.systemctl('reload', DAEMON);
  }

  /** Resolves when the leader says that all hosts do what was decided for the newest services. */
  async untilSettled(): Promise<void> {
    const digest = this.#digest();
    const settled = async () => {
      const { spec, settled, ...rest } = await this.assignments();
      if (spec === digest && settled) return true;
      throw new Error(JSON.stringify({ spec, settled, ...rest }));
    };
    await until(settled, { deadlineMs: DEADLINE_MS, what: 'the cluster to settle', everyMs: LOOK_EVERY_MS });
  }

  /** What the leader answers at this moment. Rejects while there is none. */
  async assignments(): Promise<Assignments> {
    return JSON.parse((await this.lab.http(await this.leader(), '/assignments')).body);
  }

  /** The host that leads, by its own word. Rejects while there is none. */
  async leader(): Promise<Host> {
    const hosts = this.lab.hosts.filter((host) => host.running);
    const likely = [...hosts].sort((a, b) => Number(b.name === this.#leader) - Number(a.name === this.#leader));
    for (const host of likely) {
      const answer = await this.lab.http(host, '/assignments').catch(() => undefined);
      if (answer?.status !== 200) continue;
      this.#leader = host.name;
      return host;
    }
    throw new Error('no host leads');
  }

  /** Names of the hosts that are on and where systemd says the unit is active, in order. */
  async runsOn(unit: string): Promise<string[]> {
    return (await this.#active([unit])).map(({ host }) => host);
  }

  /** Resolves when the unit is active on exactly these hosts. */
  async untilRunsOn(unit: string, hosts: readonly string[]): Promise<void> {
    await this.#untilEqual(() => this.runsOn(unit), hosts, `the hosts of ${unit}`);
  }

  /** Resolves when each unit is active on exactly so many hosts. */
  async untilCounts(counts: Readonly<Record<string, number>>): Promise<void> {
    const units = Object.keys(counts);
    const look = async () => {
      const active = await this.#active(units);
      return Object.fromEntries(units.map((unit) => [unit, active.filter((found) => found.unit === unit).length]));
    };
    await this.#untilEqual(look, counts, 'the numbers of active units');
  }

  /** `HOST UNIT` → MainPID of the units that are active: two equal answers, and nothing was restarted in between. */
  async pids(...units: string[]): Promise<Record<string, number>> {
    const active = await this.#active(units);
    return Object.fromEntries(active.map(({ host, unit, mainPid }) => [`${host} ${unit}`, mainPid]));
  }

  /** SIGKILL to the unit's main process. */
  async killUnit(host: Host, unit: string): Promise<void> {
    await host.systemctl('kill', '--signal=KILL', '--kill-who=main', unit);
  }

  /** Resolves when the daemon's journal on the host holds the text. */
  async untilJournal(host: Host, text: string | RegExp, unit = DAEMON): Promise<void> {
    const found = async () => {
      const journal = await host.journal(unit);
      const isThere = typeof text === 'string' ? journal.includes(text) : text.test(journal);
      if (!isThere) throw new Error(journal.slice(-2000));
      return true;
    };
    const what = `${text} in the journal of ${unit} on ${host.name}`;
    await until(found, { deadlineMs: DEADLINE_MS, what, everyMs: LOOK_EVERY_MS });
  }

  /** When the daemon on the host first said this, ms of `monotonicNow`'s clock; waits until its journal has it. */
  async loggedAt(host: Host, text: string): Promise<number> {
    const said = async () => {
      const line = (await host.journal(DAEMON)).split('\n').find((candidate) => candidate.includes(text));
      const at = /^\[\s*(\d+\.\d+)\]/.exec(line ?? '')?.[1];
      return at === undefined ? undefined : Number(at) * 1000;
    };
    return await until(said, { deadlineMs: DEADLINE_MS, what: `${host.name} to say: ${text}`, everyMs: LOOK_EVERY_MS });
  }

  /** Empties the host's journal, so that what is found there afterwards is new. */
  async forgetJournal(host: Host): Promise<void> {
    await host.mustSh('journalctl', '--rotate', '--vacuum-time=1ms', '--quiet');
  }

  /** Does `work` in a ZooKeeper session of its own, below the cluster's chroot. */
  async inZooKeeper<T>(work: (store: Store) => Promise<T>): Promise<T> {
    const [server] = this.lab.servers;
    if (server === undefined) throw new Error('this lab has no ZooKeeper server');
    const tunnel = await this.lab.tunnel(server, 2181);
    const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const servers = [`127.0.0.1:${tunnel.port}`];
    const store = connect({
      servers,
      chroot: '/servicewatcher',
      sessionTimeoutMs: 10_000,
      clock: systemClock,
      log: quiet,
    });
    try {
      await until(() => store.state.kind === 'connected', { deadlineMs: DEADLINE_MS, what: 'a ZooKeeper session' });
      return await work(store);
    } finally {
      await store.close();
      await tunnel.close();
    }
  }

  /** The value of a metric on a host, labels included in the name as Prometheus writes them. */
  async metric(host: Host, name: string): Promise<number> {
    const { body } = await this.lab.http(host, '/metrics');
    const line = body.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    if (line === undefined) throw new Error(`no metric ${name} on ${host.name}`);
    return Number(line.slice(name.length + 1));
  }

  async destroy(): Promise<void> {
    await this.lab.destroy();
  }

  async #active(units: readonly string[]): Promise<{ host: string; unit: string; mainPid: number }[]> {
    const hosts = this.lab.hosts.filter((host) => host.running);
    const views = await Promise.all(hosts.map((host) => viewUnits(host, units)));
    return hosts.flatMap(({ name }, at) =>
      (views[at] ?? []).flatMap(({ active, mainPid }, index) => {
        const unit = units[index];
        return active === 'active' && unit !== undefined ? [{ host: name, unit, mainPid }] : [];
      }),
    );
  }

  async #untilEqual<T>(look: () => Promise<T>, expected: T, what: string): Promise<void> {
    await untilEqual(look, expected, { deadlineMs: DEADLINE_MS, what, everyMs: LOOK_EVERY_MS });
  }

  #digest(): string {
    const parsed = parseConfig(this.configuration('w1'), CONFIG_FILE, 'w1');
    if (!parsed.ok) throw new Error(`a test's services are wrong: ${JSON.stringify(parsed.problems)}`);
    return parsed.config.specDigest;
  }
}
