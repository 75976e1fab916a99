/**
 * The client library, `servicewatcher/client`: for programs that want a server of a label, or the list of them, from
 * ServiceWatcher's registrations in ZooKeeper. It needs no daemon on its host. What is exported names no other module's types.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { isClientId } from './discovery/client-entry.ts';
import { Directory } from './discovery/directory.ts';
import { hold } from './discovery/hold.ts';
import type { Registration } from './discovery/registration.ts';
import { systemClock } from './shared/clock.ts';
import { readQuorum } from './shared/config/endpoints.ts';
import { Latest } from './shared/latest.ts';
import type { Logger } from './shared/log.ts';
import { isLabel } from './shared/names.ts';
import type { Store } from './shared/store.ts';
import { connect } from './shared/zookeeper/store.ts';

/** Where ZooKeeper is, and which label is meant. */
export interface LabelOptions {
  /** `zk1:2181,zk2:2181`, or each by itself. */
  readonly servers: string | readonly string[];
  /** As `zookeeper.chroot` in the configuration; default `/servicewatcher`. */
  readonly chroot?: string;
  readonly label: string;
  /** How long ZooKeeper waits for a silent client before it counts no more, ms; default 4000. */
  readonly sessionTimeoutMs?: number;
  /** Aborted: as `close`. */
  readonly signal?: AbortSignal;
  /** What happens, a sentence each; default: nobody is told. */
  readonly onLog?: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
}

export interface PickerOptions extends LabelOptions {
  /**
   * Who counts: 1 to 100 letters, digits and `_ . : @ -`, different for each client that is alive. A newer one with the same
   * name takes the place of the earlier one.
   */
  readonly client: string;
}

/** A live server, as it is registered. */
export interface Server {
  /** Unique for its label: the host's name, or `host:key`. */
  readonly id: string;
  readonly host: string;
  /** A name or an IP address. */
  readonly address: string;
  readonly port?: number;
  readonly role?: string;
  readonly info?: Readonly<Record<string, unknown>>;
}

/**
 * Has the least-loaded live server and counts as its client until it is closed, or the process is gone. An iteration
 * begins with the present server as soon as there is one, and goes on with each that takes its place; servers that came
 * and went while the last one was dealt with are skipped. It ends when the picker is closed, and throws when it cannot go
 * on: a `PickerReplacedError`, or ZooKeeper's refusal. Leaving an iteration does not close the picker.
 */
export interface Picker extends AsyncIterable<Server> {
  /** The server that the client has; undefined before the first. The last one stands while another one is chosen. */
  readonly current: Server | undefined;
  /** Counts no more; resolves when ZooKeeper knows, or after 2 s. */
  close(): Promise<void>;
}

/** Another process counts as this client since. */
export class PickerReplacedError extends Error {
  constructor(client: string, by: string) {
    super(`the client ${client} is another process since (${by}); give each client a name of its own`);
    this.name = 'PickerReplacedError';
  }
}

/** Begins to connect and to choose at once. Throws a TypeError on options that cannot be used. */
export function createPicker(options: PickerOptions): Picker {
  const { label, client } = options;
  if (!isClientId(client)) {
    throw new TypeError(`${JSON.stringify(client)} is no client's name: 1 to 100 letters, digits and _ . : @ - are`);
  }
  const log = loggerOf(options);
  const store = open(options, log);
  const latest = new Latest<Server>();
  const abort = new AbortController();
  const by = `${hostname()}, process ${process.pid}`;
  const onServer = (server: Registration) => latest.set(toServer(server));
  const about = { store, clock: systemClock, log, label, client, who: randomUUID(), by, onServer };
  const held = hold(about, abort.signal).then(
    ({ by }) => latest.end(new PickerReplacedError(client, by)),
    (error: unknown) => latest.end(abort.signal.aborted ? undefined : error),
  );
  const end = once(async () => {
    abort.abort(CLOSED);
    await held;
    await store.close();
  });
  void held.then(end);
  endWith(options.signal, end);
  return {
    get current() {
      return latest.value;
    },
    close: end,
    [Symbol.asyncIterator]: () => latest[Symbol.asyncIterator](),
  };
}

/**
 * The live servers of the label at this moment, by id. Rejects when ZooKeeper cannot be reached within `timeoutMs`, default
 * 5000, or the signal is aborted, and with a TypeError on options that cannot be used.
 */
export async function hosts(options: LabelOptions & { readonly timeoutMs?: number }): Promise<readonly Server[]> {
  const { timeoutMs = 5_000, signal } = options;
  const late = AbortSignal.timeout(timeoutMs);
  const list = watchLabel({ ...options, signal: signal ? AbortSignal.any([signal, late]) : late });
  for await (const servers of list) return servers;
  signal?.throwIfAborted();
  throw new Error(`ZooKeeper did not answer within ${timeoutMs} ms at ${String(options.servers)}`);
}

/**
 * The live servers of the label, by id, as they are and then whenever they change, until the iteration is left or the signal
 * is aborted. While ZooKeeper is silent the last list stands. The first step rejects with a TypeError on options that
 * cannot be used.
 */
export async function* watchLabel(options: LabelOptions): AsyncGenerator<readonly Server[], void, void> {
  const log = loggerOf(options);
  const store = open(options, log);
  const latest = new Latest<readonly Server[]>();
  const { label, signal } = options;
  const directory = new Directory({
    store,
    log,
    onChange: () => {
      if (!directory.ready) return;
      const live = directory.entries(label).flatMap((each) => (each.healthy ? [toServer(each)] : []));
      if (JSON.stringify(live) !== JSON.stringify(latest.value)) latest.set(live);
    },
  });
  directory.follow(label);
  const unsubscribe = endWith(signal, () => latest.end());
  try {
    yield* latest;
  } finally {
    unsubscribe();
    directory.close();
    await store.close();
  }
}

const CLOSED = new Error('the picker was closed');

function open(
  { servers, chroot = '/servicewatcher', label, sessionTimeoutMs = 4_000 }: LabelOptions,
  log: Logger,
): Store {
  if (!isLabel(label)) {
    throw new TypeError(
      `${JSON.stringify(label)} is no label: 1 to 100 letters, digits and _ . - are, beginning with a letter or digit`,
    );
  }
  const quorum = readQuorum(typeof servers === 'string' ? servers : servers.join(','));
  if (!quorum.ok) throw new TypeError(quorum.problem);
  if (quorum.value.servers === 'embedded')
    throw new TypeError('servers: name them; the embedded one is 127.0.0.1:2181');
  if (!(sessionTimeoutMs > 0))
    throw new TypeError(`sessionTimeoutMs: ${sessionTimeoutMs} is no number of milliseconds`);
  return connect({
    servers: quorum.value.servers,
    chroot: quorum.value.chroot ?? chroot,
    sessionTimeoutMs,
    clock: systemClock,
    log,
  });
}

function toServer({ id, host, address, port, role, info }: Registration): Server {
  return {
    id,
    host,
    address,
    ...(port !== undefined && { port }),
    ...(role !== undefined && { role }),
    ...(info !== undefined && { info }),
  };
}

function loggerOf({ onLog = () => {} }: LabelOptions): Logger {
  return {
    debug: (message) => onLog('debug', message),
    info: (message) => onLog('info', message),
    warn: (message) => onLog('warn', message),
    error: (message) => onLog('error', message),
  };
}

/** Calls `end` when the signal is aborted, or at once if it is; the answer ends that. */
function endWith(signal: AbortSignal | undefined, end: () => unknown): () => void {
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end, { once: true });
  return () => signal?.removeEventListener('abort', end);
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= work();
    return running;
  };
}
