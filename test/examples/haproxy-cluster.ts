/** The hosts of deploy/examples/haproxy: five that run HAProxy and backends as the files say, and the load. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host, UnitState } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { Lab } from '../harness/lab.ts';
import { projectRoot } from '../harness/project.ts';
import { addUnits } from '../harness/units.ts';
import { until, untilEqual } from '../harness/until.ts';
import { parseRequests, type Sent } from './requests.ts';

const FOLDER = join(projectRoot, 'deploy/examples/haproxy');
export const HOSTS = 5;
/** Where the files of the example belong. */
const FILES = {
  'haproxy.service.d/reload.conf': '/etc/systemd/system/haproxy.service.d/reload.conf',
  'haproxy.tpl': '/etc/servicewatcher/haproxy.tpl',
  'web.mjs': '/usr/local/lib/web/web.mjs',
  'load.mjs': '/usr/local/lib/web/load.mjs',
  told: '/usr/local/lib/web/told',
} as const;
const OUTPUT = '/run/load.jsonl';
export const WAIT = { deadlineMs: 30_000, everyMs: 100 };

export class HaproxyCluster {
  /** Hosts with an HAProxy, sorted. */
  balancers: readonly string[] = [];
  /** How many backends there are to be. */
  count = 0;

  private constructor(
    readonly lab: Lab,
    private readonly config: string,
  ) {}

  /** Boots hosts that have the files; no daemon runs yet. On failure nothing is left behind. */
  static async create(): Promise<HaproxyCluster> {
    const config = await file('config.yml');
    const lab = await Lab.create({ hosts: HOSTS, zookeeper: 3 });
    const cluster = new HaproxyCluster(lab, config);
    try {
      await Promise.all(lab.hosts.map((host) => cluster.prepare(host)));
      return cluster;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  /** Starts the daemons, the last host's first, then backends behind HAProxy that have none, and the load in the end. */
  async begin(): Promise<void> {
    for (const host of [...this.lab.hosts].reverse()) await host.install({ config: this.configuration() });
    const balancers = async () => {
      const found = await this.runsOn('haproxy.service');
      return found.length === 2 && found;
    };
    this.balancers = await until(balancers, { ...WAIT, what: 'two HAProxy' });
    await this.untilBackends(0);
    await this.recount(3);
    await this.untilAnswering();
    const urls = this.balancers.map((name) => `http://${name}/`);
    const unit = ['--quiet', '--unit=load', `--property=StandardOutput=truncate:${OUTPUT}`];
    await this.observer.mustSh('systemd-run', ...unit, 'node', FILES['load.mjs'], ...urls);
    await until(async () => (await this.requests()).length > 20, { ...WAIT, what: 'the load' });
  }

  /** The host that the load is on: it has an HAProxy, and nothing is done to it. */
  get observer(): Host {
    return this.lab.host(this.balancers[0] ?? 'w1');
  }

  /** Another number of backends, by the file of each host and a reload; resolves when they are there. */
  async recount(count: number): Promise<void> {
    this.count = count;
    const hosts = this.lab.hosts.filter((host) => host.running);
    await Promise.all(hosts.map((host) => host.write(CONFIG_FILE, this.configuration())));
    for (const host of hosts) await host.systemctl('reload', 'servicewatcher');
    await this.untilBackends(count);
  }

  /** All requests that have ended so far. */
  async requests(): Promise<readonly Sent[]> {
    return parseRequests(await this.observer.read(OUTPUT));
  }

  /** Hosts whose backend is registered, sorted. */
  async backends(): Promise<readonly string[]> {
    const { body } = await this.lab.http(this.observer, '/discovery/web');
    const entries: readonly { readonly host: string }[] = JSON.parse(body);
    return entries.map(({ host }) => host).sort();
  }

  /** A host with a backend and no HAProxy. */
  async backendHost(): Promise<Host> {
    const name = (await this.runsOn('web.service')).find((each) => !this.balancers.includes(each));
    if (name === undefined) throw new Error('each backend is beside an HAProxy');
    return this.lab.host(name);
  }

  /** So many backends are registered, none on `except`, and each HAProxy has them in its file. */
  async untilBackends(count: number, except?: string): Promise<void> {
    const registered = async () => {
      const hosts = await this.backends();
      if (hosts.length === count && !hosts.includes(except ?? '')) return hosts;
      throw new Error(hosts.join());
    };
    const hosts = await until(registered, { ...WAIT, what: `${count} backends to be registered` }).catch(
      async (error: unknown) => {
        throw new Error(`${String(error)}\n${await this.said()}`, { cause: error });
      },
    );
    await Promise.all(this.balancers.map((name) => this.untilServers(name, hosts)));
  }

  /** Kills all processes of the unit; resolves when systemd has started it again. */
  async killAndWait(host: Host, unit: string): Promise<void> {
    const { mainPid } = await host.unitState(unit);
    await host.systemctl('kill', '--signal=KILL', unit);
    await this.untilRestarted(host, unit, mainPid);
  }

  /** Resolves when systemd has started the unit again, with another main process than this, by the pids of the host. */
  async untilRestarted(host: Host, unit: string, mainPid: number): Promise<void> {
    const restarted = async () => ![0, mainPid].includes((await host.unitState(unit)).mainPid);
    await until(restarted, { ...WAIT, what: `systemd to start ${unit} on ${host.name} again` }).catch(
      async (error: unknown) => {
        throw new Error(`${String(error)}\n${await this.said()}\n${await host.journal(unit)}`, { cause: error });
      },
    );
  }

  /** Each HAProxy answers. */
  async untilAnswering(): Promise<void> {
    for (const name of this.balancers)
      await until(async () => (await this.lab.http(name, '/', 80)).status === 200, {
        ...WAIT,
        what: `${name} to answer`,
      });
  }

  /** `registered w3`, `unregistered w3`, …: what the hook was told on the host that watches, in order. */
  async told(): Promise<readonly string[]> {
    const journal = await this.observer.mustSh('journalctl', '--identifier=backends', '--output=cat', '--no-pager');
    return journal.trim().split('\n');
  }

  /** Of each stop of a backend so far: how long before it the last request came, ms. */
  async quietBeforeStops(): Promise<readonly number[]> {
    const journals = await Promise.all(this.lab.hosts.map((host) => host.journal('web.service')));
    return journals.flatMap((text) => [...text.matchAll(/told to end (\d+) ms after/g)].map(([, ms]) => Number(ms)));
  }

  async destroy(): Promise<void> {
    await this.lab.destroy();
  }

  private async prepare(host: Host): Promise<void> {
    for (const [name, path] of Object.entries(FILES)) await host.write(path, await file(name));
    await addUnits(host, { 'web.service': await file('web.service') });
  }

  /** The file of the example, with as many backends as there are to be at the moment. */
  private configuration(): string {
    return this.config.replace('count: 3', `count: ${this.count}`);
  }

  /** What the cluster says of itself, for the error of a wait. */
  private async said(): Promise<string> {
    const [status, events] = await Promise.all(
      ['status', 'events'].map((command) => this.observer.sh('servicewatcher', command)),
    );
    return `${status?.stdout}${events?.stdout.split('\n').slice(-40).join('\n')}`;
  }

  /** Names of the hosts that are on and where the unit runs: HAProxy is reloading each time that its file was written. */
  private async runsOn(unit: string): Promise<string[]> {
    const hosts = this.lab.hosts.filter((host) => host.running);
    const states = await Promise.all(hosts.map((host) => host.unitState(unit)));
    const isUp = (state: UnitState | undefined) => state?.active === 'active' || state?.active === 'reloading';
    return hosts.filter((_, at) => isUp(states[at])).map(({ name }) => name);
  }

  private untilServers(on: string, servers: readonly string[]): Promise<void> {
    const look = async () =>
      [...(await this.lab.host(on).read('/etc/haproxy/haproxy.cfg')).matchAll(/^ {2}server (\S+) /gm)].map(
        ([, id]) => id,
      );
    return untilEqual(look, [...servers], { ...WAIT, what: `the servers in the file on ${on}` });
  }
}

function file(name: string): Promise<string> {
  return readFile(join(FOLDER, name), 'utf8');
}
