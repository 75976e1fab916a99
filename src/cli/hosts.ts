/** `servicewatcher hosts`: the addresses of what is registered under a label. */
import { readLoads } from '../discovery/client-loads.ts';
import { Directory } from '../discovery/directory.ts';
import type { Registration } from '../discovery/registration.ts';
import { addressList, type Selection, select } from '../discovery/select.ts';
import { delay, systemClock } from '../shared/clock.ts';
import { readDuration, readPort } from '../shared/config/scalars.ts';
import { createLogger } from '../shared/log.ts';
import type { Store } from '../shared/store.ts';
import { labelFault } from './label-option.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface HostsOptions {
  readonly json: boolean;
  readonly label: string;
  readonly port?: string;
  readonly healthy: boolean;
  readonly role?: string;
  /** True: until there is one; a text: so long at most. */
  readonly wait?: true | string;
}

/** How long a label may take to be read. */
const READ_DEADLINE_MS = 5_000;

/** Prints `h1,h2` and answers 0; prints nothing and answers 1 when there is none; 2 and 3 as all commands do. */
export async function hosts(file: string, options: HostsOptions): Promise<number> {
  const { label, wait } = options;
  const port = options.port === undefined ? undefined : readPort(options.port);
  const waitMs = typeof wait === 'string' ? readDuration(wait) : undefined;
  const faults = [
    labelFault(label),
    options.port !== undefined && port === undefined && `--port: ${options.port} is no port from 1 to 65535`,
    typeof wait === 'string' && waitMs === undefined && `--wait: ${wait} is no number of seconds, nor 500ms, 4s, 1m`,
  ].filter((fault) => typeof fault === 'string');
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  if (faults.length > 0) return EXIT.usage;
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  const abort = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => abort.abort(new Error('interrupted')));
  return withStore(config, async (store) => {
    const found = await look(store, options, waitMs, abort.signal);
    if (found === undefined) {
      process.stderr.write(`what is registered under ${label} could not be read: ZooKeeper did not answer in time\n`);
      return EXIT.unreachable;
    }
    if (options.json) {
      const clients = await readLoads(store, label);
      const entries = found.map((entry) => ({
        ...entry,
        ...(port !== undefined && { port }),
        clients: clients.get(entry.id) ?? 0,
      }));
      process.stdout.write(`${JSON.stringify(entries)}\n`);
    } else if (found.length > 0) process.stdout.write(`${addressList(found, port)}\n`);
    return found.length > 0 ? EXIT.ok : EXIT.no;
  });
}

/** What is registered as it is now or, to be waited for, as soon as there is something; undefined: it could not be read. */
async function look(
  store: Store,
  { label, wait, ...selection }: Selection & Pick<HostsOptions, 'label' | 'wait'>,
  waitMs: number | undefined,
  signal: AbortSignal,
): Promise<readonly Registration[] | undefined> {
  const done = new AbortController();
  const log = createLogger({
    write: (line) => process.stderr.write(`${line}\n`),
    format: 'terminal',
    debug: false,
  });
  const found = () => select(directory.entries(label), selection);
  const onChange = () => {
    if (directory.ready && (wait === undefined || found().length > 0)) done.abort(new Error('found'));
  };
  const directory = new Directory({ store, log, onChange });
  directory.follow(label);
  const either = AbortSignal.any([signal, done.signal]);
  const limitMs = wait === undefined ? READ_DEADLINE_MS : (waitMs ?? LONG_MS);
  do await delay(systemClock, limitMs, either).catch(() => undefined);
  while (wait === true && !either.aborted);
  directory.close();
  return directory.ready ? found() : undefined;
}

/** Without a limit it is looked again and again: timers cannot be longer than some days. */
const LONG_MS = 86_400_000;
