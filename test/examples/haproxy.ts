/** `npm run example -- haproxy`: backends that come and go behind two HAProxy, under a steady load: deploy/examples/haproxy. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { Lab } from '../harness/lab.ts';
import { projectRoot } from '../harness/project.ts';
import { addUnits } from '../harness/units.ts';
import { monotonicNow, until, untilEqual } from '../harness/until.ts';
import { inFlight, parseRequests, type Sent, sentWithin, summary } from './requests.ts';

const FOLDER = join(projectRoot, 'deploy/examples/haproxy');
const HOSTS = 5;
/** Where the files of the example belong. */
const FILES = {
  'haproxy.tpl': '/etc/servicewatcher/haproxy.tpl',
  'web.mjs': '/usr/local/lib/web/web.mjs',
  'load.mjs': '/usr/local/lib/web/load.mjs',
} as const;
const OUTPUT = '/run/load.jsonl';
const SICK = '/run/web-is-sick';
const WAIT = { deadlineMs: 30_000, everyMs: 100 };
/** How long the load goes on after each change: a failure that follows from it shows by then. */
const AFTERWARDS_MS = 700;

type Print = (line: string) => void;

/** What came of the requests of one part of the story. */
export interface Chapter {
  readonly what: string;
  readonly requests: readonly Sent[];
  readonly failed: readonly Sent[];
}

/** What came of a loss that nobody could announce. */
export interface Loss extends Chapter {
  /** Requests that were under way when it happened. */
  readonly atRisk: readonly Sent[];
}

export async function run(stop: AbortSignal, print: Print): Promise<void> {
  print(`Booting ${HOSTS} hosts and 3 ZooKeeper servers; the HAProxy start before there is a backend.`);
  const example = await HaproxyExample.create(stop);
  try {
    await example.begin();
    print(`HAProxy on ${example.balancers.join(' and ')} sends requests to ${(await example.backends()).join(', ')}.`);
    const chapters: Chapter[] = [];
    for (const step of example.plannedSteps()) {
      const chapter = await step();
      chapters.push(chapter);
      print(`  ${chapter.what}: ${summary(chapter.requests)}`);
    }
    const failed = chapters.reduce((sum, chapter) => sum + chapter.failed.length, 0);
    print(failed === 0 ? 'No request failed.' : `${failed} requests failed.`);
    const losses: Loss[] = [];
    for (const step of [() => example.killBackend(), () => example.losePower()]) {
      const loss = await step();
      losses.push(loss);
      print(`  ${loss.what}: ${summary(loss.requests)}; ${loss.atRisk.length} were in flight at that moment`);
    }
    const excess = losses.filter((loss) => loss.failed.length > loss.atRisk.length);
    const blame = [
      ...(failed > 0 ? ['requests failed while nothing was wrong'] : []),
      ...excess.map(({ what }) => what),
    ];
    if (blame.length > 0) throw new Error(`more requests failed than may: ${blame.join('; ')}`);
    print('Failed were none but such as were in flight on what was lost.');
  } finally {
    await example.destroy();
  }
}

export class HaproxyExample {
  /** Hosts with an HAProxy, sorted. */
  balancers: readonly string[] = [];
  private count = 3;

  private constructor(
    readonly lab: Lab,
    private readonly stop: AbortSignal,
    private readonly config: string,
  ) {}

  /** Boots hosts that have the files; no daemon runs yet. On failure nothing is left behind. */
  static async create(stop: AbortSignal): Promise<HaproxyExample> {
    const config = await file('config.yml');
    const lab = await Lab.create({ hosts: HOSTS, zookeeper: 3 });
    const example = new HaproxyExample(lab, stop, config);
    try {
      await Promise.all(lab.hosts.map((host) => example.prepare(host)));
      return example;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  /** Starts the daemons, the last host's first, then backends behind HAProxy that have none, and the load in the end. */
  async begin(): Promise<void> {
    this.count = 0;
    for (const host of [...this.lab.hosts].reverse()) await host.install({ config: this.configuration() });
    await untilEqual(async () => (await this.runsOn('haproxy.service')).length, 2, { ...WAIT, what: 'two HAProxy' });
    this.balancers = await this.runsOn('haproxy.service');
    await this.untilBackends(0);
    await this.recount(3);
    await this.untilAnswering();
    const urls = this.balancers.map((name) => `http://${name}/`);
    const unit = ['--quiet', '--unit=load', `--property=StandardOutput=truncate:${OUTPUT}`];
    await this.client.mustSh('systemd-run', ...unit, 'node', FILES['load.mjs'], ...urls);
    await until(async () => (await this.requests()).length > 20, { ...WAIT, what: 'the load' });
  }

  /** What is planned, in order; each resolves when it is done and its requests have been answered. */
  plannedSteps(): readonly (() => Promise<Chapter>)[] {
    return [
      () => this.chapter('a backend is added by a reload of the file (count: 4)', () => this.recount(4)),
      () => this.leaveAndComeBack(),
      () => this.fallSick(),
      () => this.drainAndUncordon(),
      () => this.chapter('backends are taken away by a reload (count: 3)', () => this.recount(3)),
    ];
  }

  /** A backend's process dies; systemd starts it again on its host. */
  async killBackend(): Promise<Loss> {
    const host = await this.backendHost();
    return this.loss(`the backend on ${host.name} is killed (SIGKILL)`, async () => {
      const from = monotonicNow();
      const { mainPid } = await host.unitState('web.service');
      await host.systemctl('kill', '--signal=KILL', '--kill-who=main', 'web.service');
      const to = monotonicNow();
      const restarted = async () => ![0, mainPid].includes((await host.unitState('web.service')).mainPid);
      await until(restarted, { ...WAIT, what: 'systemd to start the backend again' });
      await this.untilBackends(3);
      return { from, to };
    });
  }

  /** A host with a backend loses its power; the backend runs elsewhere. */
  async losePower(): Promise<Loss> {
    const host = await this.backendHost();
    return this.loss(`${host.name} loses its power`, async () => {
      const from = monotonicNow();
      await host.powerOff();
      const to = monotonicNow();
      await this.untilBackends(3, host.name);
      return { from, to };
    });
  }

  /** An HAProxy's own process dies; systemd starts it again on its host, and nothing else is touched. */
  async killBalancer(): Promise<void> {
    const host = this.lab.host(this.balancers[1] ?? '');
    const { mainPid } = await host.unitState('haproxy.service');
    await host.systemctl('kill', '--signal=KILL', 'haproxy.service');
    const restarted = async () => ![0, mainPid].includes((await host.unitState('haproxy.service')).mainPid);
    await until(restarted, { ...WAIT, what: 'systemd to start HAProxy again' });
    await this.untilAnswering();
  }

  /** Hosts whose backend is registered, sorted. */
  async backends(): Promise<readonly string[]> {
    const { body } = await this.lab.http(this.client, '/discovery/web');
    const entries: readonly { readonly host: string }[] = JSON.parse(body);
    return entries.map(({ host }) => host).sort();
  }

  async destroy(): Promise<void> {
    await this.lab.destroy();
  }

  private get client(): Host {
    return this.lab.host(this.balancers[0] ?? 'w1');
  }

  private async prepare(host: Host): Promise<void> {
    for (const name of ['haproxy.tpl', 'web.mjs', 'load.mjs'] as const) await host.write(FILES[name], await file(name));
    await addUnits(host, { 'web.service': await file('web.service') });
  }

  /** The file of the example, with as many backends as there are to be at the moment. */
  private configuration(): string {
    return this.config.replace('count: 3', `count: ${this.count}`);
  }

  private async reload(): Promise<void> {
    const hosts = this.lab.hosts.filter((host) => host.running);
    await Promise.all(hosts.map((host) => host.write(CONFIG_FILE, this.configuration())));
    for (const host of hosts) await host.systemctl('reload', 'servicewatcher');
  }

  private async recount(count: number): Promise<void> {
    this.count = count;
    await this.reload();
    await this.untilBackends(count);
  }

  private async leaveAndComeBack(): Promise<Chapter> {
    const host = await this.backendHost();
    return this.chapter(
      `the daemon of ${host.name} is stopped, and its backend with it, and started again`,
      async () => {
        await host.systemctl('stop', 'servicewatcher');
        await this.untilBackends(this.count, host.name);
        await host.systemctl('start', 'servicewatcher');
      },
    );
  }

  private async fallSick(): Promise<Chapter> {
    const host = await this.backendHost();
    return this.chapter(`the backend on ${host.name} fails its check and is moved`, async () => {
      await host.mustSh('touch', SICK);
      await this.untilBackends(this.count, host.name);
      await host.mustSh('rm', SICK);
    });
  }

  private async drainAndUncordon(): Promise<Chapter> {
    const host = await this.backendHost();
    return this.chapter(`${host.name} is drained, and uncordoned`, async () => {
      await this.client.mustSh('servicewatcher', 'drain', host.name);
      await this.untilBackends(this.count, host.name);
      await this.client.mustSh('servicewatcher', 'uncordon', host.name);
    });
  }

  private async chapter(what: string, act: () => Promise<void>): Promise<Chapter> {
    const from = monotonicNow();
    await act();
    const requests = await this.requestsOf(from, monotonicNow() + AFTERWARDS_MS);
    return { what, requests, failed: requests.filter(({ ok }) => !ok) };
  }

  private async loss(what: string, act: () => Promise<{ readonly from: number; readonly to: number }>): Promise<Loss> {
    const begun = monotonicNow();
    const { from, to } = await act();
    const requests = await this.requestsOf(begun - AFTERWARDS_MS, monotonicNow() + AFTERWARDS_MS);
    return { what, requests, failed: requests.filter(({ ok }) => !ok), atRisk: inFlight(requests, from, to) };
  }

  /** Waits until what was sent until `to` has been answered. */
  private async requestsOf(from: number, to: number): Promise<readonly Sent[]> {
    if (this.stop.aborted) throw new Error('interrupted');
    const past = async () => {
      const requests = await this.requests();
      const last = requests.at(-1);
      return last !== undefined && last.ended > to && (last.oldest ?? to) >= to ? requests : undefined;
    };
    return sentWithin(await until(past, { ...WAIT, what: 'the requests to be answered' }), from, to);
  }

  private async requests(): Promise<readonly Sent[]> {
    return parseRequests(await this.client.read(OUTPUT));
  }

  /** A host with a backend and no HAProxy. */
  private async backendHost(): Promise<Host> {
    const name = (await this.runsOn('web.service')).find((each) => !this.balancers.includes(each));
    if (name === undefined) throw new Error('each backend is beside an HAProxy');
    return this.lab.host(name);
  }

  /** Names of the hosts that are on and where the unit is active. */
  private async runsOn(unit: string): Promise<string[]> {
    const hosts = this.lab.hosts.filter((host) => host.running);
    const states = await Promise.all(hosts.map((host) => host.unitState(unit)));
    return hosts.filter((_, at) => states[at]?.active === 'active').map(({ name }) => name);
  }

  /** So many backends are registered, none on `except`, and each HAProxy has them in its file. */
  private async untilBackends(count: number, except?: string): Promise<void> {
    const registered = async () => {
      const hosts = await this.backends();
      if (hosts.length === count && !hosts.includes(except ?? '')) return hosts;
      throw new Error(hosts.join());
    };
    const hosts = await until(registered, { ...WAIT, what: `${count} backends to be registered` }).catch(
      async (error: unknown) => {
        throw new Error(`${String(error)}\n${await this.client.mustSh('servicewatcher', 'status')}`, { cause: error });
      },
    );
    await Promise.all(this.balancers.map((name) => this.untilServers(name, hosts)));
  }

  private untilServers(on: string, servers: readonly string[]): Promise<void> {
    const look = async () =>
      [...(await this.lab.host(on).read('/etc/haproxy/haproxy.cfg')).matchAll(/^ {2}server (\S+) /gm)].map(
        ([, id]) => id,
      );
    return untilEqual(look, [...servers], { ...WAIT, what: `the servers in the file on ${on}` });
  }

  /** Each HAProxy answers. */
  private async untilAnswering(): Promise<void> {
    for (const name of this.balancers)
      await until(async () => (await this.lab.http(name, '/', 80)).status === 200, {
        ...WAIT,
        what: `${name} to answer`,
      });
  }
}

function file(name: string): Promise<string> {
  return readFile(join(FOLDER, name), 'utf8');
}
