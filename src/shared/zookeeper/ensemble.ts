/** What the servers of a configuration are together: whether they serve requests, and, if not, why not, in one sentence. */
import { askServer, type ServerReport } from './srvr.ts';

/** One server of the configuration, and what it said. */
export interface AskedServer {
  /** `host:port` */
  readonly server: string;
  readonly report: ServerReport;
  /** Milliseconds until it had answered, the connection included; for one that is unreachable, until that was known. */
  readonly answeredInMs: number;
}

/**
 * `quorum`: requests are served. `no-leader`: some servers still serve reads, but none that answers leads, and some do not
 * answer. `no-quorum`: servers run, and none serves. `divided`: servers that serve do not belong to one ensemble.
 * `unreachable`: no server answers.
 */
export type EnsembleState = 'quorum' | 'no-leader' | 'no-quorum' | 'divided' | 'unreachable';

export interface EnsembleStatus {
  readonly state: EnsembleState;
  /** Whether requests are served: `state` is `quorum`. */
  readonly quorum: boolean;
  /** Servers that serve requests. */
  readonly serving: number;
  /** Servers that answer, whether or not they serve. */
  readonly running: number;
  /** More than half of the servers listed: so many must run. */
  readonly needed: number;
  /** In the order of the configuration. */
  readonly servers: readonly AskedServer[];
}

/** Asks all servers at the same time; one that does not answer within `deadlineMs` is unreachable. Never rejects. */
export async function askEnsemble(servers: readonly string[], deadlineMs: number): Promise<EnsembleStatus> {
  return assess(
    await Promise.all(
      servers.map(async (server) => {
        const start = performance.now();
        const report = await askServer(server, deadlineMs);
        return { server, report, answeredInMs: performance.now() - start };
      }),
    ),
  );
}

/** Draws the conclusion. `servers`: all that are listed; that these are the whole ensemble is taken for granted. */
export function assess(servers: readonly AskedServer[]): EnsembleStatus {
  const serving = servers.filter(({ report }) => report.kind === 'serving').length;
  const running = servers.filter(({ report }) => report.kind !== 'unreachable').length;
  const needed = Math.floor(servers.length / 2) + 1;
  const state = stateOf(servers, serving, running);
  return { state, quorum: state === 'quorum', serving, running, needed, servers };
}

function stateOf(servers: readonly AskedServer[], serving: number, running: number): EnsembleState {
  if (running === 0) return 'unreachable';
  if (serving === 0) return 'no-quorum';
  if (named(servers, 'leader').length > 1) return 'divided';
  if (servers.length > 1 && named(servers, 'standalone').length > 0) return 'divided';
  // a follower serves for as long as it takes its leader to be alive, which may be some seconds too long
  const leads = named(servers, 'leader').length + named(servers, 'standalone').length > 0;
  return leads || serving === servers.length ? 'quorum' : 'no-leader';
}

/** One sentence for people: what the state is, by which numbers, and what follows from it. */
export function describeEnsemble(status: EnsembleStatus): string {
  const { servers, serving, running, needed } = status;
  const total = servers.length;
  switch (status.state) {
    case 'quorum': {
      const [leader] = named(servers, 'leader');
      const leads = leader === undefined ? '' : `, ${leader} leads`;
      return `quorum: ${serving} of ${total} ${plural(total, 'server serves', 'servers serve')}${leads}; ${reserve(serving - needed)}`;
    }
    case 'no-leader':
      return `no leader: ${serving} of ${total} servers still ${plural(serving, 'serves', 'serve')} reads, and none of those that answer leads; nothing is placed or moved until they have elected one`;
    case 'no-quorum':
      return running < needed
        ? `no quorum: ${running} of ${total} servers ${plural(running, 'runs', 'run')}, ${needed} are needed; ${CONSEQUENCE} until ${needed - running} more ${plural(needed - running, 'returns', 'return')}`
        : `no quorum: ${running} of ${total} servers ${plural(running, 'runs', 'run')} and ${needed} ${plural(needed, 'is', 'are')} needed, but none serves: they are electing a leader, or do not reach each other; ${CONSEQUENCE}`;
    case 'divided':
      return `not one ensemble: ${whoElse(servers)}: hosts that use different servers would not see each other; if it stays so, give all servers the same server.N lines and a myid of their own`;
    case 'unreachable':
      return `no ZooKeeper server answers (${total} asked): all are down, or this host is cut off; ${CONSEQUENCE}`;
  }
}

const CONSEQUENCE = 'units run on (those with isolation: stop are stopped), and nothing is placed or moved';

function reserve(spare: number): string {
  if (spare > 0) return `${spare} more may be lost`;
  return spare === 0 ? 'no further one may be lost' : 'fewer than a quorum: the others are not reached from here';
}

function named(servers: readonly AskedServer[], role: 'leader' | 'standalone'): string[] {
  return servers.flatMap(({ server, report }) => (report.kind === 'serving' && report.role === role ? [server] : []));
}

function whoElse(servers: readonly AskedServer[]): string {
  const [alone, leaders] = [named(servers, 'standalone'), named(servers, 'leader')];
  const parts = [
    ...(alone.length === 0 ? [] : [`${alone.join(', ')} ${plural(alone.length, 'stands alone', 'stand alone')}`]),
    ...(leaders.length === 0 ? [] : [`${leaders.join(', ')} ${plural(leaders.length, 'leads', 'lead')}`]),
  ];
  return parts.join(', ');
}

function plural(count: number, one: string, several: string): string {
  return count === 1 ? one : several;
}
