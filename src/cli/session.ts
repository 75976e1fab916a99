/** A short ZooKeeper session for one-shot commands: connect, do one thing, leave. */
import { systemClock } from '../shared/clock.ts';
import { type Config, renderProblem, renderWarning, type ZookeeperConfig } from '../shared/config/config.ts';
import { loadConfig } from '../shared/config/load-config.ts';
import { createLogger, type Logger } from '../shared/log.ts';
import { type Store, StoreError } from '../shared/store.ts';
import { askEnsemble, describeEnsemble } from '../shared/zookeeper/ensemble.ts';
import { connect } from '../shared/zookeeper/store.ts';
import { EXIT } from './exit.ts';

export { EXIT };

/** How long a command waits for ZooKeeper, ms. */
const CONNECT_DEADLINE_MS = 5_000;
/** How long each server may then take to say what is wrong, ms. */
const DIAGNOSIS_DEADLINE_MS = 1_000;
/** The daemon's own server, when `zookeeper.quorum` is `embedded`. */
export const EMBEDDED_SERVER = '127.0.0.1:2181';

/** What a command must know to reach the cluster. */
export interface ClusterAccess {
  /** The configuration file, for messages. */
  readonly file: string;
  readonly zookeeper: Omit<ZookeeperConfig, 'timings'>;
}

/** Reads the configuration; prints its problems and answers undefined when it is bad. `warn`: prints its warnings, too. */
export async function readConfig(file: string, { warn = false } = {}): Promise<Config | undefined> {
  const parsed = await loadConfig(file);
  if (parsed.ok) {
    if (warn) for (const warning of parsed.warnings) process.stderr.write(`${renderWarning(file, warning)}\n`);
    return parsed.config;
  }
  for (const problem of parsed.problems) process.stderr.write(`${renderProblem(file, problem)}\n`);
  return undefined;
}

/** The ZooKeeper servers that this host uses. */
export function serversOf(config: ClusterAccess): readonly string[] {
  const { servers } = config.zookeeper;
  return servers === 'embedded' ? [EMBEDDED_SERVER] : servers;
}

/**
 * Runs `work` in a session of its own; answers its exit code, 3 when ZooKeeper cannot be reached, saying which servers.
 * `log`: told of the session's ups and downs, for work that goes on; without, they are said if it comes to nothing.
 */
export async function withStore(
  config: ClusterAccess,
  work: (store: Store) => Promise<number>,
  options: { readonly log?: Logger } = {},
): Promise<number> {
  const { chroot, sessionTimeoutMs } = config.zookeeper;
  const addresses = serversOf(config);
  const complaints: string[] = [];
  const collect = (line: string) => void complaints.push(line);
  const log = options.log ?? createLogger({ write: collect, format: 'terminal', debug: false });
  const store = connect({ servers: addresses, chroot, sessionTimeoutMs, clock: systemClock, log });
  try {
    if (!(await connected(store))) {
      await tellWhy(config, `within ${CONNECT_DEADLINE_MS / 1000} s`);
      for (const line of new Set(complaints)) process.stderr.write(`  ${line}\n`);
      return EXIT.unreachable;
    }
    return await work(store);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    process.stderr.write(`ZooKeeper did not answer (${error.path}): ${error.message}\n`);
    await tellWhy(config, 'in time');
    return EXIT.unreachable;
  } finally {
    await store.close();
  }
}

/** Which of the possible reasons it is: a quorum that is missing is not a host that is cut off. */
async function tellWhy(config: ClusterAccess, limit: string): Promise<void> {
  const servers = serversOf(config);
  const status = await askEnsemble(servers, DIAGNOSIS_DEADLINE_MS);
  process.stderr.write(
    status.state === 'unreachable'
      ? `ZooKeeper cannot be reached at ${servers.join(', ')} ${limit}: is it running, and is zookeeper.quorum in ${config.file} right?\n`
      : `ZooKeeper did not serve this command ${limit}: ${describeEnsemble(status)}\n`,
  );
}

function connected(store: Store): Promise<boolean> {
  return new Promise((resolve) => {
    if (store.state.kind === 'connected') return resolve(true);
    const cancel = systemClock.after(CONNECT_DEADLINE_MS, () => done(false));
    const unsubscribe = store.onState((state) => {
      if (state.kind === 'connected') done(true);
    });
    const done = (result: boolean) => {
      cancel();
      unsubscribe();
      resolve(result);
    };
  });
}
