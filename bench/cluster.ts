/** Five hosts and three ZooKeeper servers, the daemon on each host with the product's defaults: what is measured. */
import type { Host } from '../test/harness/host.ts';
import { CONFIG_FILE } from '../test/harness/install.ts';
import { Lab } from '../test/harness/lab.ts';
import { addUnits } from '../test/harness/units.ts';
import { until } from '../test/harness/until.ts';

const HOSTS = 5;
const SETTLE_DEADLINE_MS = 60_000;
/** Runs until it is stopped. Benchmarks start the same unit more often than systemd's rate limit allows. */
const UNIT = '[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=sleep infinity\n';

export class Cluster {
  private constructor(
    readonly lab: Lab,
    private readonly services: string,
  ) {}

  /**
   * Boots everything; resolves when all that is declared runs. `services` is the text of `services:`, whose names are
   * `unit` or instances of `unit@`; `cli` is the program to measure, default the checkout's.
   */
  static async start(services: string, cli: string | undefined): Promise<Cluster> {
    const lab = await Lab.create({ hosts: HOSTS, zookeeper: 3 });
    const cluster = new Cluster(lab, services);
    try {
      await Promise.all(lab.hosts.map((host) => cluster.deploy(host, cli)));
      await cluster.settled();
      return cluster;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  get hosts(): readonly Host[] {
    return this.lab.hosts;
  }

  /** The configuration file, with further services. No timing is given: the defaults are what is measured. */
  config(more = ''): string {
    return `---\nzookeeper:\n  quorum: ${this.lab.quorum}\nservices:\n${this.services}${more}`;
  }

  /** Writes another configuration on one host; the daemon reads it at its next reload. */
  async rewrite(host: Host, more: string): Promise<void> {
    await host.write(CONFIG_FILE, this.config(more));
  }

  /** The host that leads. */
  async leader(): Promise<Host> {
    return await until(() => this.findLeader(), { deadlineMs: SETTLE_DEADLINE_MS, what: 'a leader' });
  }

  /** Resolves when every host is a member, everything runs where it shall, and nothing has failed anywhere. */
  async settled(): Promise<void> {
    const isSettled = async () => {
      const leader = await this.findLeader();
      if (leader === undefined) return false;
      const answer = await this.lab.http(leader, '/assignments');
      const seen: unknown = answer.status === 200 ? JSON.parse(answer.body) : undefined;
      return isCalm(seen);
    };
    await until(isSettled, { deadlineMs: SETTLE_DEADLINE_MS, what: 'the cluster to settle', everyMs: 200 });
  }

  async destroy(): Promise<void> {
    await this.lab.destroy();
  }

  private async findLeader(): Promise<Host | undefined> {
    const running = this.hosts.filter((host) => host.running);
    const leads = await Promise.all(
      running.map(async (host) => {
        const { body } = await this.lab.http(host, '/status').catch(() => ({ body: '{}' }));
        const status: unknown = JSON.parse(body);
        return typeof status === 'object' && status !== null && Reflect.get(status, 'leading') === true;
      }),
    );
    return running[leads.indexOf(true)];
  }

  private async deploy(host: Host, cli: string | undefined): Promise<void> {
    await addUnits(host, { 'unit.service': UNIT, 'unit@.service': UNIT });
    await host.install({ config: this.config(), ...(cli !== undefined && { cli }) });
    await host.systemctl('enable', '--quiet', 'servicewatcher');
  }
}

/** Whether the leader's answer to /assignments says that all is well. */
function isCalm(answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null) return false;
  const hosts: unknown = Reflect.get(answer, 'hosts');
  const failed: unknown = Reflect.get(answer, 'failed');
  const isComplete = typeof hosts === 'object' && hosts !== null && Object.keys(hosts).length === HOSTS;
  return isComplete && Reflect.get(answer, 'settled') === true && Array.isArray(failed) && failed.length === 0;
}
