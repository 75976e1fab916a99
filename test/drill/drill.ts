/** Carries out the steps of a drill, and measures what each of them cost. */

import { monotonicNow, pause, until } from '../harness/until.ts';
import type { ZooKeeperNode } from '../harness/zookeeper-node.ts';
import { type DrillCluster, GUARDED, KEPT } from './cluster.ts';
import { disconnectedMs, undecidedMs } from './outage.ts';
import type { Method, Step } from './plan.ts';

/** What one step did, and what came of it. Times in ms from the moment of the command. */
export interface Result {
  /** `SIGKILL zk2 (leader)`, `start zk2, zk5` */
  readonly what: string;
  readonly servers: readonly string[];
  /** Servers that are down afterwards. */
  readonly down: number;
  readonly quorum: boolean;
  /** The ensemble's leader afterwards; undefined without a quorum. */
  readonly leader: string | undefined;
  /** When one leader was there, and all servers that run served; undefined without a quorum. */
  readonly electedMs: number | undefined;
  /** The longest time that a daemon was not connected. */
  readonly disconnectedMs: number;
  /** How many daemons lost their connection. */
  readonly disconnected: number;
  /** How long nothing could be placed. */
  readonly undecidedMs: number;
  /** `HOST UNIT` of what runs under another process than before, daemons included, but for those below. */
  readonly restarted: readonly string[];
  /** The same for units with `isolation: stop`: one that its host was not sure of for two thirds of a session had to stop. */
  readonly stoppedForSafety: readonly string[];
  /** The sentence of `servicewatcher ensemble` at the end of the step. */
  readonly said: string;
}

/** How long the cluster is left without a quorum, in sessions: an expiry would show. */
const SESSIONS_WITHOUT_QUORUM = 1.25;
const ELECTION = { deadlineMs: 30_000, everyMs: 10 };

/** Carries out one step; resolves when its effects are over. Rejects when the cluster does not get well again. */
export async function carryOut(cluster: DrillCluster, step: Step): Promise<Result> {
  const watched = [...KEPT, GUARDED];
  const servers = await chooseServers(cluster, step);
  const before = await cluster.invocations(watched);
  const running = cluster.lab.servers.filter(({ pid }) => pid !== undefined);
  const start = monotonicNow();
  const acting = act(step, servers);
  const ended = step.kind === 'end' ? servers : [];
  const up = step.kind === 'return' ? [...running, ...servers] : running.filter((server) => !servers.includes(server));
  const electing = step.quorum ? untilElected(up, start) : undefined;
  const [electedMs] = await Promise.all([electing, acting]);
  if (step.quorum) await cluster.untilWell(ended);
  else await cluster.untilNoQuorumIsSaid();
  const said = (await cluster.say('ensemble')).text.trimEnd().split('\n').at(-1) ?? '';
  if (!step.quorum) await pause(SESSIONS_WITHOUT_QUORUM * cluster.sessionMs - (monotonicNow() - start));
  const journals = await cluster.journals();
  const span = { fromMs: start, untilMs: monotonicNow() };
  const outages = journals.map((lines) => disconnectedMs(lines, span));
  const after = await cluster.invocations(watched);
  const changed = [...before].flatMap(([unit, invocation]) => (after.get(unit) === invocation ? [] : [unit]));
  const isGuarded = (key: string) => key.endsWith(` ${GUARDED}`);
  return {
    what: describe(step, servers),
    servers: servers.map(({ name }) => name),
    down: step.down,
    quorum: step.quorum,
    leader: step.quorum ? (await withRole(cluster, ['leader', 'standalone']))[0]?.name : undefined,
    electedMs,
    disconnectedMs: Math.max(...outages),
    disconnected: outages.filter((ms) => ms > 0).length,
    undecidedMs: undecidedMs(journals.flat(), span),
    restarted: changed.filter((key) => !isGuarded(key)),
    stoppedForSafety: changed.filter(isGuarded),
    said,
  };
}

/** Whom it is done to: roles are as `servicewatcher ensemble --json` tells them. */
async function chooseServers(cluster: DrillCluster, step: Step): Promise<ZooKeeperNode[]> {
  if (step.kind === 'return') {
    const down = cluster.lab.servers.filter(({ pid }) => pid === undefined);
    return step.which === 'all' ? down : down.slice(0, 1);
  }
  const wanted = step.role === 'leader' ? ['leader', 'standalone'] : ['follower'];
  // where there is a choice, one that is used: the loss of another is nobody's loss
  const clients = await cluster.clients();
  const byUse = (a: ZooKeeperNode, b: ZooKeeperNode) => (clients.get(b.name) ?? 0) - (clients.get(a.name) ?? 0);
  const [server] = (await withRole(cluster, wanted)).sort(byUse);
  if (server === undefined) throw new Error(`no ZooKeeper server is a ${step.role}`);
  return [server];
}

async function withRole(cluster: DrillCluster, roles: readonly string[]): Promise<ZooKeeperNode[]> {
  const { status } = await cluster.ensemble();
  return status.servers.flatMap(({ server, report }) =>
    report.kind === 'serving' && roles.includes(report.role)
      ? cluster.lab.servers.filter((node) => node.server === server)
      : [],
  );
}

async function act(step: Step, servers: readonly ZooKeeperNode[]): Promise<void> {
  await Promise.all(
    servers.map((server) => {
      if (step.kind === 'return') return server.start();
      return step.method === 'orderly' ? server.stop() : server.kill(step.method);
    }),
  );
}

/** Resolves when all of these servers serve, one of them as leader; answers the time since `start`, ms. */
async function untilElected(up: readonly ZooKeeperNode[], start: number): Promise<number> {
  const elected = async () => {
    const modes = await Promise.all(up.map((server) => server.mode()));
    const leaders = modes.filter((mode) => mode === 'leader' || mode === 'standalone');
    if (leaders.length === 1 && !modes.includes('none') && !modes.includes('down')) return monotonicNow() - start;
    throw new Error(modes.join());
  };
  return await until(elected, { ...ELECTION, what: 'one ZooKeeper server to lead and the others to follow' });
}

const WORDS: Readonly<Record<Method, string>> = { orderly: 'zkServer.sh stop', SIGTERM: 'SIGTERM', SIGKILL: 'SIGKILL' };

function describe(step: Step, servers: readonly ZooKeeperNode[]): string {
  const names = servers.map(({ name }) => name).join(', ');
  return step.kind === 'return' ? `start ${names}` : `${WORDS[step.method]} ${names} (${step.role})`;
}
