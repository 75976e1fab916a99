/**
 * The client library, `servicewatcher/client`: for programs that want a server of a label, or the list of them, from
 * ServiceWatcher's registrations in ZooKeeper. It needs no daemon on its host. What is exported names no other module's types.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { checkLabel, checkPick, loggerOf, openStore } from './discovery/client-options.ts';
import { Directory } from './discovery/directory.ts';
import { hold } from './discovery/hold.ts';
import type { Registration } from './discovery/registration.ts';
import { withdraw } from './discovery/withdraw.ts';
import { delay, systemClock } from './shared/clock.ts';
import { messageOf } from './shared/error-text.ts';
import { Latest } from './shared/latest.ts';
import type { Logger } from './shared/log.ts';
import type { Store } from './shared/store.ts';

/** Where ZooKeeper is, and who is told what happens. */
export interface ConnectionOptions {
  /** `zk1:2181,zk2:2181`, or each by itself. */
  readonly servers: string | readonly string[];
  /** As `zookeeper.chroot` in the configuration; default `/servicewatcher`. */
  readonly chroot?: string;
  /** How long ZooKeeper waits for a silent client before it counts no more, ms; default 4000. */
  readonly sessionTimeoutMs?: number;
  /** Aborted: as `close`. */
  readonly signal?: AbortSignal;
  /** What happens, a sentence each; default: nobody is told. */
  readonly onLog?: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
}

/** Where ZooKeeper is, and which label is meant. */
export interface LabelOptions extends ConnectionOptions {
  readonly label: string;
}

/** Which label's server a client has. */
export interface PickOptions {
  readonly label: string;
  /**
   * Who counts: 1 to 100 letters, digits and `_ . : @ -`, different for each client that is alive. A newer one with the same
   * name takes the place of the earlier one.
   */
  readonly client: string;
  /** Aborted: as `close`. */
  readonly signal?: AbortSignal;
}

/** A picker with a connection of its own. */
export interface PickerOptions extends ConnectionOptions, PickOptions {}

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

/** One session with ZooKeeper for many pickers. */
export interface Connection {
  /**
   * As `createPicker`, in this session: the clients of a connection that is lost count no more together. Throws a TypeError
   * on options that cannot be used, one being a client of the label that this connection picks for already, and when it
   * has 1,000 pickers.
   */
  pick(options: PickOptions): Picker;
  /** Closes all of its pickers; resolves when ZooKeeper knows, or after 2 s. */
  close(): Promise<void>;
}

/**
 * What one session has made is removed in one transaction when it ends, which holds all the paths. ZooKeeper writes one of more
 * than 2 MiB, and cannot read it when it is started again ("Unreasonable length", seen with 3.8). A path has 700 bytes at most.
 */
const MAX_PICKERS = 1_000;

/** Begins to connect at once. Throws a TypeError on options that cannot be used. */
export function connect(options: ConnectionOptions): Connection {
  const log = loggerOf(options);
  const store = openStore(options, log);
  const pickers = new Map<string, Picker>();
  const closing = new AbortController();
  // each picker that is being closed listens
  setMaxListeners(0, closing.signal);
  const close = once(async () => {
    closing.abort(CLOSED);
    await Promise.all([...pickers.values()].map((picker) => picker.close()));
    await store.close();
  });
  endWith(options.signal, close);
  return {
    pick({ label, client, signal }) {
      const key = `${label} ${client}`;
      if (closing.signal.aborted) throw new TypeError('the connection is closed');
      if (pickers.has(key)) throw new TypeError(`${client} has a server of ${label} by this connection already`);
      if (pickers.size >= MAX_PICKERS)
        throw new TypeError(`a connection has ${MAX_PICKERS} pickers at most: make another one`);
      const picker = startPicker(store, log, { label, client }, async (who) => {
        const settled = new AbortController();
        withdraw({ store, clock: systemClock, label, client, who }, closing.signal)
          .catch((error: unknown) => {
            if (!closing.signal.aborted) log.warn(`${client} still counts: ${messageOf(error)}`);
          })
          .finally(() => {
            pickers.delete(key);
            settled.abort();
          });
        await delay(systemClock, CLOSE_MS, settled.signal).catch(() => {});
      });
      pickers.set(key, picker);
      endWith(signal, picker.close);
      return picker;
    },
    close,
  };
}

/** Begins to connect and to choose at once. Throws a TypeError on options that cannot be used. */
export function createPicker(options: PickerOptions): Picker {
  const log = loggerOf(options);
  checkPick(options);
  const store = openStore(options, log);
  const picker = startPicker(store, log, options, () => store.close());
  endWith(options.signal, picker.close);
  return picker;
}

/** `leave`: called once, when it holds no more; the session still counts the client until then. */
function startPicker(store: Store, log: Logger, about: PickOptions, leave: (who: string) => Promise<void>): Picker {
  checkPick(about);
  const { label, client } = about;
  const latest = new Latest<Server>();
  const abort = new AbortController();
  const who = randomUUID();
  const by = `${hostname()}, process ${process.pid}`;
  const onServer = (server: Registration) => latest.set(toServer(server));
  const held = hold({ store, clock: systemClock, log, label, client, who, by, onServer }, abort.signal).then(
    ({ by }) => latest.end(new PickerReplacedError(client, by)),
    (error: unknown) => latest.end(abort.signal.aborted ? undefined : error),
  );
  const close = once(async () => {
    abort.abort(CLOSED);
    await held;
    await leave(who);
  });
  void held.then(close);
  return {
    get current() {
      return latest.value;
    },
    close,
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
  const { label, signal } = options;
  checkLabel(label);
  const log = loggerOf(options);
  const store = openStore(options, log);
  const latest = new Latest<readonly Server[]>();
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

const CLOSED = new Error('it was closed');
/** The longest that a picker's end waits for ZooKeeper. */
const CLOSE_MS = 2_000;

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
