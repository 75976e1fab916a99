/** A short ZooKeeper session for one-shot commands: connect, do one thing, leave. */
import { systemClock } from '../shared/clock.ts';
import { type Config, renderProblem } from '../shared/config/config.ts';
import { loadConfig } from '../shared/config/load-config.ts';
import { createLogger } from '../shared/log.ts';
import { type Store, StoreError } from '../shared/store.ts';
import { connect } from '../shared/zookeeper/store.ts';

/** Exit codes of all commands. */
export const EXIT = { ok: 0, no: 1, usage: 2, unreachable: 3 } as const;
/** How long a command waits for ZooKeeper, ms. */
const CONNECT_DEADLINE_MS = 5_000;
/** The daemon's own server, when `zookeeper.quorum` is `embedded`. */
export const EMBEDDED_SERVER = '127.0.0.1:2181';

/** Reads the configuration; prints its problems and answers undefined when it is bad. */
export async function readConfig(file: string): Promise<Config | undefined> {
  const parsed = await loadConfig(file);
  if (parsed.ok) return parsed.config;
  for (const problem of parsed.problems) process.stderr.write(`${renderProblem(file, problem)}\n`);
  return undefined;
}

/** Runs `work` in a session of its own; answers its exit code, 3 when ZooKeeper cannot be reached, saying which servers. */
export async function withStore(config: Config, work: (store: Store) => Promise<number>): Promise<number> {
  const { servers, chroot, sessionTimeoutMs } = config.zookeeper;
  const addresses = servers === 'embedded' ? [EMBEDDED_SERVER] : servers;
  const complaints: string[] = [];
  const log = createLogger({ write: (line) => complaints.push(line), format: 'terminal', debug: false });
  const store = connect({ servers: addresses, chroot, sessionTimeoutMs, clock: systemClock, log });
  try {
    if (!(await connected(store))) {
      process.stderr.write(
        `ZooKeeper cannot be reached at ${addresses.join(', ')} (waited ${CONNECT_DEADLINE_MS / 1000} s): is it running, and is zookeeper.quorum in ${config.file} right?\n`,
      );
      for (const line of new Set(complaints)) process.stderr.write(`  ${line}\n`);
      return EXIT.unreachable;
    }
    return await work(store);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    process.stderr.write(`ZooKeeper did not answer (${error.path}): ${error.message}\n`);
    return EXIT.unreachable;
  } finally {
    await store.close();
  }
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
