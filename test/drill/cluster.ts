/** Hosts that run the daemon, and an ensemble whose servers can be ended: what a drill looks at. */
import type { EnsembleStatus } from '../../src/shared/zookeeper/ensemble.ts';
import type { Host } from '../harness/host.ts';
import { Lab, type LabOptions } from '../harness/lab.ts';
import { addUnits, service, sleeping } from '../harness/units.ts';
import { until } from '../harness/until.ts';
import type { ZooKeeperNode } from '../harness/zookeeper-node.ts';
import { type JournalLine, parseJournal } from './outage.ts';

const DAEMON = 'servicewatcher.service';
export const SESSION_MS = 4000;
const DEADLINE_MS = 30_000;

/** Units that run on while ZooKeeper is away. */
export const KEPT: readonly string[] = ['agent.service', 'web.service', 'worker@a.service'];
/** A unit that may run once only: stopped before its host's session can have expired, and not a moment sooner. */
export const GUARDED = 'single.service';

/** What `servicewatcher ensemble --json` answered, and its exit status. */
export interface EnsembleAnswer {
  readonly code: number;
  readonly status: EnsembleStatus;
}

/** The part of `/status` that matters here. */
export interface HostStatus {
  readonly ready: boolean;
  readonly zookeeper: { readonly state: string; readonly detail: string };
}

export function isConnectedTo({ zookeeper }: HostStatus, server: string): boolean {
  return zookeeper.state === 'connected' && zookeeper.detail.includes(` at ${server},`);
}

export interface DrillOptions extends LabOptions {
  /** Length of the daemons' sessions; default `SESSION_MS`. */
  readonly sessionMs?: number;
}

export class DrillCluster {
  private constructor(
    readonly lab: Lab,
    /** Length of the daemons' sessions. */
    readonly sessionMs: number,
  ) {}

  /** Boots everything; resolves when all units are placed and run. On failure nothing is left behind. */
  static async start({ sessionMs = SESSION_MS, ...options }: DrillOptions): Promise<DrillCluster> {
    const lab = await Lab.create(options);
    try {
      const cluster = new DrillCluster(lab, sessionMs);
      await Promise.all(lab.hosts.map((host) => deploy(host, lab.quorum, sessionMs)));
      await cluster.untilWell();
      return cluster;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  destroy(): Promise<void> {
    return this.lab.destroy();
  }

  /**
   * Resolves when every server that runs serves, every daemon is connected, to none of `ended`, and a leader says that all
   * is settled.
   */
  async untilWell(ended: readonly ZooKeeperNode[] = []): Promise<void> {
    await this.lab.quorate();
    const well = async () => {
      const statuses = await Promise.all(this.lab.hosts.map((host) => this.status(host)));
      const lost = statuses.filter((status) => {
        const { ready, zookeeper } = status;
        return !ready || zookeeper.state !== 'connected' || ended.some(({ server }) => isConnectedTo(status, server));
      });
      if (lost.length > 0) throw new Error(JSON.stringify(lost));
      const answers = await Promise.all(this.lab.hosts.map((host) => this.lab.http(host, '/assignments')));
      const leader = answers.find(({ status }) => status === 200);
      if (leader === undefined) throw new Error(`no host leads: ${answers.map(({ body }) => body).join()}`);
      if (JSON.parse(leader.body).settled === true) return true;
      throw new Error(leader.body);
    };
    await until(well, { deadlineMs: DEADLINE_MS, what: 'all daemons to be connected and the cluster to be settled' });
  }

  /** Resolves when every daemon says on `/status` that there is no quorum, or no server left at all. */
  async untilNoQuorumIsSaid(): Promise<void> {
    const said = async () => {
      const statuses = await Promise.all(this.lab.hosts.map((host) => this.status(host)));
      if (statuses.every(({ zookeeper }) => /; no (quorum: |ZooKeeper server answers )/.test(zookeeper.detail)))
        return true;
      throw new Error(JSON.stringify(statuses.map(({ zookeeper }) => zookeeper)));
    };
    await until(said, { deadlineMs: DEADLINE_MS, what: 'every daemon to say that there is no quorum' });
  }

  /** What the host's daemon says of itself. */
  async status(host: Host): Promise<HostStatus> {
    return JSON.parse((await this.lab.http(host, '/status')).body);
  }

  /** How many daemons are connected to each server, by its name. */
  async clients(): Promise<Map<string, number>> {
    const statuses = await Promise.all(this.lab.hosts.map((host) => this.status(host)));
    const used = ({ server }: ZooKeeperNode) => statuses.filter((status) => isConnectedTo(status, server)).length;
    return new Map(this.lab.servers.map((node) => [node.name, used(node)]));
  }

  /** What `servicewatcher ensemble` on the first host says. */
  async ensemble(): Promise<EnsembleAnswer> {
    const { code, stdout } = await this.#command('ensemble', '--json');
    return { code, status: JSON.parse(stdout) };
  }

  /** Output and exit status of a command on the first host. */
  async say(...argv: string[]): Promise<{ code: number; text: string }> {
    const { code, stdout, stderr } = await this.#command(...argv);
    return { code, text: stdout + stderr };
  }

  /** `HOST UNIT` → systemd's InvocationID and main process: two equal answers, and nothing was started in between. */
  async invocations(units: readonly string[] = KEPT): Promise<Map<string, string>> {
    const views = await Promise.all(this.lab.hosts.map((host) => invocationsOn(host, [...units, DAEMON])));
    return new Map(views.flat());
  }

  /** All lines of the daemons, host by host. */
  journals(): Promise<JournalLine[][]> {
    return Promise.all(
      this.lab.hosts.map(async (host) => {
        const text = await host.mustSh('journalctl', '--no-pager', '-o', 'json', '-u', DAEMON);
        return parseJournal(text);
      }),
    );
  }

  async #command(...argv: string[]) {
    const [host] = this.lab.hosts;
    if (host === undefined) throw new Error('a drill without hosts');
    return await host.sh('servicewatcher', ...argv);
  }
}

async function deploy(host: Host, quorum: string, sessionMs: number): Promise<void> {
  await addUnits(host, {
    'agent.service': sleeping,
    'web.service': sleeping,
    'worker@.service': sleeping,
    [GUARDED]: service('TimeoutStopSec=1\nExecStart=sleep infinity'),
  });
  const config = `zookeeper:
  quorum: ${quorum}
  session_timeout: ${sessionMs}ms
  timings: {loop_tick: 2, failed_loop_tick: 1, partitioner_boundary: 1, partitioner_reaction: 0.01}
services:
  - {name: agent, type: global}
  - {name: web, count: 2}
  - {name: worker, instances: {a: 1}}
  - {name: single, count: 1, isolation: stop}
`;
  await host.install({ config });
}

async function invocationsOn(host: Host, units: readonly string[]): Promise<[string, string][]> {
  const text = await host.systemctl('show', '--property=InvocationID,ExecMainPID,ActiveState', '--', ...units);
  const blocks = text.trim().split('\n\n');
  return blocks.flatMap((block, index) => {
    const lines = block.split('\n').sort();
    return lines.includes('ActiveState=active') ? [[`${host.name} ${units[index]}`, lines.join(' ')]] : [];
  });
}
