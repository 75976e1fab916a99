/** Does each kind of fault to real machines, and undoes it. */
import type { Host } from '../harness/host.ts';
import { monotonicNow, until } from '../harness/until.ts';
import type { ZooKeeperNode } from '../harness/zookeeper-node.ts';
import { type ChaosCluster, resetFailed } from './cluster.ts';
import { FAULTS, type FaultKind, type PlannedFault, type Target } from './faults.ts';
import { DAEMON } from './journal.ts';
import {
  boot,
  type Effect,
  fail,
  lowerFlags,
  raiseFlag,
  replaceFiles,
  signalDaemon,
  stopByHand,
  systemctl,
  untilOtherDaemon,
  untilReturned,
  WAIT,
} from './steps.ts';
import { CHANGED_UNIT } from './world.ts';

/** Fills the state directory's disk. */
const FILL = '/var/lib/servicewatcher/fill';
/** How many of the hosts where it runs `unit-fails-on-hosts` strikes at most, so that others are left. */
const FAILING_HOSTS = 2;

/** What a fault strikes. */
export interface Struck {
  readonly hosts: readonly Host[];
  readonly servers: readonly ZooKeeperNode[];
  /** With its ending. */
  readonly unit?: string;
}

/** Chooses what a fault strikes; hosts in `taken` are spared. Undefined: there is no such thing at this moment. */
export async function chooseTarget(
  cluster: ChaosCluster,
  fault: PlannedFault,
  taken: readonly Host[],
): Promise<Struck | undefined> {
  const free = cluster.on.filter((host) => !taken.includes(host));
  const target: Target = FAULTS[fault.kind].target;
  switch (target) {
    case 'host': {
      const leader = fault.atLeader ? await cluster.leader() : undefined;
      const shared = fault.sameHost ? taken[0] : undefined;
      const host = shared ?? free.find(({ name }) => name === leader) ?? at(free, fault.rank);
      return host && { hosts: [host], servers: [] };
    }
    case 'cluster': {
      const host = at(free, fault.rank);
      return host && { hosts: [host], servers: [], unit: CHANGED_UNIT };
    }
    case 'server':
    case 'quorum':
      return { hosts: [], servers: await chooseServers(cluster, fault) };
    case 'unit':
      return chooseUnit(cluster, fault, free);
    default:
      return target satisfies never;
  }
}

/** Servers that a fault of this moment has: another one takes the next. */
const struck = new WeakSet<ZooKeeperNode>();

/** One server, or just so many that those left are no majority. */
async function chooseServers(cluster: ChaosCluster, fault: PlannedFault): Promise<ZooKeeperNode[]> {
  const { servers } = cluster.lab;
  const modes = await Promise.all(servers.map((server) => server.mode()));
  const leader = modes.indexOf('leader');
  const first = fault.atLeader && leader >= 0 ? leader : Math.floor(fault.rank * servers.length);
  const number = FAULTS[fault.kind].target === 'quorum' ? Math.ceil(servers.length / 2) : 1;
  const chosen = servers
    .map((_, index) => servers[(first + index) % servers.length])
    .flatMap((server) => (server && !struck.has(server) ? [server] : []))
    .slice(0, number);
  for (const server of chosen) struck.add(server);
  return chosen;
}

async function chooseUnit(
  cluster: ChaosCluster,
  fault: PlannedFault,
  free: readonly Host[],
): Promise<Struck | undefined> {
  const unit = `${fault.unit}.service`;
  const running = await cluster.runsOn(unit);
  const isThere = (host: Host) => running.includes(host.name) !== (fault.kind === 'unit-started-by-hand');
  const candidates = free.filter(isThere);
  const host = at(candidates, fault.rank);
  if (host === undefined) return undefined;
  const hosts = fault.kind === 'unit-fails-on-hosts' ? candidates.slice(0, FAILING_HOSTS) : [host];
  return { hosts, servers: [], unit };
}

type Handler = (struck: Struck, cluster: ChaosCluster) => Promise<Effect>;

/** Begins a fault. */
export function begin(kind: FaultKind, struck: Struck, cluster: ChaosCluster): Promise<Effect> {
  return handlers[kind](struck, cluster);
}

const onHost =
  (work: (host: Host) => Promise<Effect>): Handler =>
  ({ hosts: [host] }) => {
    if (host === undefined) throw new Error('no host was chosen');
    return work(host);
  };

const onUnit =
  (work: (host: Host, unit: string) => Promise<Effect>): Handler =>
  ({ hosts: [host], unit }) => {
    if (host === undefined || unit === undefined) throw new Error('no unit was chosen');
    return work(host, unit);
  };

/** Over as soon as it is done. */
const atOnce = (work: (host: Host) => Promise<unknown>): Handler =>
  onHost(async (host) => {
    await work(host);
    return { undo: async () => {} };
  });

const onServers =
  (
    work: (server: ZooKeeperNode) => Promise<void> | void,
    undo: (server: ZooKeeperNode) => Promise<void> | void,
  ): Handler =>
  async ({ servers }, cluster) => {
    await Promise.all(servers.map(work));
    return {
      undo: async () => {
        await Promise.all(servers.map(undo));
        for (const server of servers) struck.delete(server);
        await until(() => cluster.hasQuorum(), { ...WAIT, what: 'a quorum' });
      },
    };
  };

const killServers = onServers(
  (server) => server.kill('SIGKILL'),
  (server) => server.start(),
);
const freezeServers = onServers(
  (server) => server.pause(),
  (server) => server.resume(),
);
const cutServers = onServers(
  (server) => server.cut(),
  (server) => server.heal(),
);

const handlers: Readonly<Record<FaultKind, Handler>> = {
  'host-power': onHost(async (host) => {
    await host.powerOff();
    return { offAt: monotonicNow(), undo: async (told) => told(await boot(host)) };
  }),
  'host-reboot': onHost(async (host) => {
    await host.shutDown();
    return { offAt: monotonicNow(), undo: async (told) => told(await boot(host)) };
  }),
  'host-cable': onHost(async (host) => {
    await host.cut();
    return { undo: () => host.heal() };
  }),
  'daemon-kill': onHost(async (host) => {
    const { mainPid } = await host.unitState(DAEMON);
    await signalDaemon(host, 'KILL');
    const killedAt = monotonicNow();
    return {
      undo: (told) => {
        told(killedAt);
        return untilOtherDaemon(host, mainPid);
      },
    };
  }),
  'daemon-freeze': onHost(async (host) => {
    await signalDaemon(host, 'STOP');
    return { undo: () => signalDaemon(host, 'CONT') };
  }),
  'daemon-stop': onHost(async (host) => {
    await systemctl(host, 'stop', DAEMON);
    return {
      undo: (told) => {
        told(monotonicNow());
        return systemctl(host, 'start', DAEMON);
      },
    };
  }),
  'daemon-restart': onHost(async (host) => {
    const askedAt = monotonicNow();
    await systemctl(host, 'restart', DAEMON);
    return { undo: async (told) => told(askedAt) };
  }),
  reload: atOnce((host) => systemctl(host, 'reload', DAEMON)),
  'reload-changed': async ({ hosts: [host] }, cluster) => {
    if (host === undefined) throw new Error('no host was chosen');
    await replaceFiles(cluster, host, true);
    return { undo: () => replaceFiles(cluster, host, false) };
  },
  'dbus-restart': atOnce((host) => systemctl(host, 'restart', 'dbus')),
  'systemd-reload': atOnce((host) => systemctl(host, 'daemon-reload')),
  'systemd-reexec': atOnce((host) => systemctl(host, 'daemon-reexec')),
  'disk-full': onHost(async (host) => {
    // it ends with an error, when nothing is left to be written to
    await host.sh('sh', '-c', `cat /dev/zero > ${FILL}`);
    return {
      undo: async () => {
        await host.mustSh('rm', FILL);
      },
    };
  }),
  'server-kill': killServers,
  'server-freeze': freezeServers,
  'server-stop': onServers(
    (server) => server.kill('SIGTERM'),
    (server) => server.start(),
  ),
  'server-cable': cutServers,
  'quorum-kill': killServers,
  'quorum-freeze': freezeServers,
  'quorum-cable': cutServers,
  'unit-fail': onUnit(async (host, unit) => {
    await fail(host, unit);
    return { undo: () => resetFailed(host, unit) };
  }),
  'unit-exit': onUnit(async (host, unit) => {
    await systemctl(host, 'kill', '--signal=USR1', '--kill-who=main', unit);
    return { undo: async () => {} };
  }),
  'unit-killed': onUnit(async (host, unit) => {
    const { mainPid } = await host.unitState(unit);
    await systemctl(host, 'kill', '--signal=KILL', '--kill-who=main', unit);
    return { undo: () => untilReturned(host, unit, mainPid) };
  }),
  'unit-hangs-at-stop': onUnit(stopByHand),
  'unit-hangs-at-start': async ({ hosts, unit }, cluster) => {
    if (unit === undefined) throw new Error('no unit was chosen');
    const flagged = cluster.on;
    await Promise.allSettled(flagged.map((host) => raiseFlag(host, unit)));
    await Promise.all(hosts.map((host) => fail(host, unit)));
    return { undo: () => lowerFlags(flagged, hosts, unit) };
  },
  'unit-fails-on-hosts': async ({ hosts, unit }) => {
    if (unit === undefined) throw new Error('no unit was chosen');
    await Promise.all(hosts.map((host) => raiseFlag(host, unit)));
    await Promise.all(hosts.map((host) => fail(host, unit)));
    return { undo: () => lowerFlags(hosts, hosts, unit) };
  },
  'unit-stopped-by-hand': onUnit(stopByHand),
  'unit-started-by-hand': onUnit(async (host, unit) => {
    await systemctl(host, 'start', unit);
    return { undo: async () => {} };
  }),
};

function at<T>(items: readonly T[], rank: number): T | undefined {
  return items[Math.floor(rank * items.length)];
}
