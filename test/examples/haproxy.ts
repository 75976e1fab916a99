/** `npm run example -- haproxy`: backends that come and go behind two HAProxy, under a steady load: deploy/examples/haproxy. */
import { mainPidOf } from '../harness/main-pid.ts';
import { monotonicNow, until } from '../harness/until.ts';
import { HaproxyCluster, HOSTS, WAIT } from './haproxy-cluster.ts';
import { inFlight, type Sent, sentWithin, summary } from './requests.ts';

const BACKEND = 'web.service';
const SICK = '/run/web-is-sick';
/** How long the load goes on after each change: a failure that follows from it shows by then. */
const AFTERWARDS_MS = 700;

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

export async function run(stop: AbortSignal, print: (line: string) => void): Promise<void> {
  print(`Booting ${HOSTS} hosts and 3 ZooKeeper servers; the HAProxy start before there is a backend.`);
  const example = await HaproxyExample.create(stop);
  const { cluster } = example;
  try {
    await cluster.begin();
    print(`HAProxy on ${cluster.balancers.join(' and ')} sends requests to ${(await cluster.backends()).join(', ')}.`);
    const chapters: Chapter[] = [];
    for (const step of example.plannedSteps()) {
      const chapter = await step();
      chapters.push(chapter);
      print(`  ${chapter.what}: ${summary(chapter.requests)}`);
    }
    const failed = chapters.reduce((sum, chapter) => sum + chapter.failed.length, 0);
    print(failed === 0 ? 'No request failed.' : `${failed} requests failed.`);
    const quiet = Math.min(...(await cluster.quietBeforeStops()));
    print(`Each backend that was stopped had got its last request ${quiet} ms or longer before.`);
    const losses: Loss[] = [];
    for (const step of [() => example.killBackend(), () => example.losePower()]) {
      const loss = await step();
      losses.push(loss);
      print(`  ${loss.what}: ${summary(loss.requests)}; ${loss.atRisk.length} were in flight at that moment`);
    }
    const excess = losses.filter((loss) => loss.failed.length > loss.atRisk.length).map(({ what }) => what);
    const blame = failed > 0 ? ['requests failed while nothing was wrong', ...excess] : excess;
    if (blame.length > 0) throw new Error(`more requests failed than may: ${blame.join('; ')}`);
    print('Failed were none but such as were in flight when something was lost.');
  } finally {
    await cluster.destroy();
  }
}

export class HaproxyExample {
  private constructor(
    readonly cluster: HaproxyCluster,
    private readonly stop: AbortSignal,
  ) {}

  /** As `HaproxyCluster.create`. */
  static async create(stop: AbortSignal): Promise<HaproxyExample> {
    return new HaproxyExample(await HaproxyCluster.create(), stop);
  }

  /** What is planned, in order; each resolves when it is done and its requests have been answered. */
  plannedSteps(): readonly (() => Promise<Chapter>)[] {
    return [
      () => this.chapter('a backend is added by a reload of the file (count: 4)', () => this.cluster.recount(4)),
      () => this.leaveAndComeBack(),
      () => this.fallSick(),
      () => this.drainAndUncordon(),
      () => this.chapter('a backend is taken away by a reload (count: 3)', () => this.cluster.recount(3)),
    ];
  }

  /** A backend's process dies; systemd starts it again on its host. */
  async killBackend(): Promise<Loss> {
    const host = await this.cluster.backendHost();
    return this.loss(`the backend on ${host.name} is killed (SIGKILL)`, async () => {
      const { mainPid } = await host.unitState(BACKEND);
      const pid = await mainPidOf(host, BACKEND);
      const from = monotonicNow();
      // not by a command on the host: it takes its time, and what was sent meanwhile would be excused
      process.kill(pid, 'SIGKILL');
      const to = await exitOf(from);
      await this.cluster.untilRestarted(host, BACKEND, mainPid);
      await this.cluster.untilBackends(this.cluster.count);
      return { from, to };
    });
    /** When systemd saw the end of the process: the journal may be a moment behind it. */
    async function exitOf(from: number): Promise<number> {
      const exited = async () => {
        const lines = (await host.journal(BACKEND)).split('\n').filter((line) => /Main process exited/.test(line));
        const at = Number(/^\[\s*(\d+\.\d+)\]/.exec(lines.at(-1) ?? '')?.[1]) * 1000;
        return at > from ? at : undefined;
      };
      return await until(exited, { ...WAIT, what: `systemd on ${host.name} to see the end of the backend` });
    }
  }

  /** A host with a backend loses its power; the backend runs elsewhere. */
  async losePower(): Promise<Loss> {
    const host = await this.cluster.backendHost();
    return this.loss(`${host.name} loses its power`, async () => {
      const from = monotonicNow();
      await host.powerOff();
      const to = monotonicNow();
      await this.cluster.untilBackends(this.cluster.count, host.name);
      return { from, to };
    });
  }

  /** An HAProxy's own processes die; systemd starts it again on its host, and it answers. */
  async killBalancer(): Promise<void> {
    const [, name = ''] = this.cluster.balancers;
    await this.cluster.killAndWait(this.cluster.lab.host(name), 'haproxy.service');
    await this.cluster.untilAnswering();
  }

  private async leaveAndComeBack(): Promise<Chapter> {
    const { cluster } = this;
    const host = await cluster.backendHost();
    return this.chapter(
      `the daemon of ${host.name} is stopped, and its backend with it, and started again`,
      async () => {
        await host.systemctl('stop', 'servicewatcher');
        await cluster.untilBackends(cluster.count, host.name);
        await host.systemctl('start', 'servicewatcher');
      },
    );
  }

  private async fallSick(): Promise<Chapter> {
    const { cluster } = this;
    const host = await cluster.backendHost();
    return this.chapter(`the backend on ${host.name} fails its check and is moved`, async () => {
      await host.mustSh('touch', SICK);
      await cluster.untilBackends(cluster.count, host.name);
      await host.mustSh('rm', SICK);
    });
  }

  private async drainAndUncordon(): Promise<Chapter> {
    const { cluster } = this;
    const host = await cluster.backendHost();
    return this.chapter(`${host.name} is drained, and uncordoned`, async () => {
      await cluster.observer.mustSh('servicewatcher', 'drain', host.name);
      await cluster.untilBackends(cluster.count, host.name);
      await cluster.observer.mustSh('servicewatcher', 'uncordon', host.name);
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
      const requests = await this.cluster.requests();
      const last = requests.at(-1);
      return last !== undefined && last.ended > to && (last.oldest ?? to) >= to ? requests : undefined;
    };
    return sentWithin(await until(past, { ...WAIT, what: 'the requests to be answered' }), from, to);
  }
}
