/** `servicewatcher pick`: the least-loaded live server of a label, printed, held, or given to a command. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import type { ClaimOptions } from '../discovery/claim.ts';
import { isClientId } from '../discovery/client-entry.ts';
import { hold } from '../discovery/hold.ts';
import { pickOnce } from '../discovery/pick-once.ts';
import type { Registration } from '../discovery/registration.ts';
import { serverAddress } from '../discovery/server-text.ts';
import type { Command } from '../shared/attachments.ts';
import { systemClock } from '../shared/clock.ts';
import { readDuration } from '../shared/config/scalars.ts';
import { createLogger } from '../shared/log.ts';
import type { Store } from '../shared/store.ts';
import { labelFault, shown } from './label-option.ts';
import { type CommandEnd, ServedCommand } from './served-command.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface PickOptions {
  readonly json: boolean;
  readonly label: string;
  readonly client: string;
  readonly hold: boolean;
  /** How long to wait for the first server, a duration as in the configuration; `true`: as long as it takes. */
  readonly wait?: string | true;
  /** Name of the signal that tells the command of another server. */
  readonly signal?: string;
}

interface Asked {
  readonly options: PickOptions;
  readonly command: Command | undefined;
  /** Sent to the command instead of a restart. */
  readonly signal: NodeJS.Signals | undefined;
  readonly waitMs: number;
}

/** Signals that a command gets as we get them. */
const PASSED = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;
/** Those that end a process which does not expect them: we end as the command did. */
const ENDING: readonly string[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/**
 * Answers 0, or 1 when there is no server (within the time) or another process counts as this client since, and 2 and 3 as
 * all commands do; with a command its code, or 128 and the number of the signal that it died of.
 */
export async function pick(file: string, options: PickOptions, words: readonly string[]): Promise<number> {
  const asked = readOptions(options, words);
  if (!asked) return EXIT.usage;
  const config = await readConfig(file);
  if (!config) return EXIT.usage;
  const log = createLogger({
    write: (line) => void process.stderr.write(`${line}\n`),
    format: options.json ? 'json' : process.env.JOURNAL_STREAM !== undefined ? 'journal' : 'terminal',
    debug: process.env.SERVICEWATCHER_DEBUG === '1',
  });
  const about = (store: Store): ClaimOptions => ({
    store,
    clock: systemClock,
    log,
    label: options.label,
    client: options.client,
    who: randomUUID(),
    by: `${config.host.name}, process ${process.pid}`,
  });
  // whoever reads the log is gone: the server matters more
  process.stderr.on('error', () => {});
  const { command } = asked;
  if (command) return withStore(config, (store) => serve(about(store), command, asked), { log });
  if (options.hold) return withStore(config, (store) => holdAndPrint(about(store), asked), { log });
  return withStore(config, (store) => printOne(about(store), asked));
}

/** What is asked for, or undefined after a sentence for each mistake. */
function readOptions(options: PickOptions, words: readonly string[]): Asked | undefined {
  const { label, client, wait } = options;
  const [program, ...args] = words;
  const command: Command | undefined = program === undefined ? undefined : [program, ...args];
  const staysOn = options.hold || command !== undefined;
  const name = options.signal?.toUpperCase().replace(/^(SIG)?/, 'SIG');
  const signal = name !== undefined && isSignal(name) ? name : undefined;
  const waitMs = wait === undefined ? (staysOn ? Infinity : 0) : wait === true ? Infinity : readDuration(wait);
  const faults = [
    labelFault(label),
    !isClientId(client) && `--client: ${shown(client)} is no client's name: 1 to 100 letters, digits and _ . : @ - are`,
    waitMs === undefined &&
      `--wait: ${JSON.stringify(wait)} is no duration: 500ms, 4s, 1m, 2h or a number of seconds are`,
    options.signal !== undefined &&
      (command === undefined
        ? '--signal is for a command, and none is given: write it behind --'
        : signal === undefined && `--signal: ${shown(options.signal)} is no signal: HUP, USR1 are, for example`),
  ].filter((fault) => typeof fault === 'string');
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  if (faults.length > 0 || waitMs === undefined) return undefined;
  return { options, command, signal, waitMs };
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}

async function printOne(about: ClaimOptions, { options, waitMs }: Asked): Promise<number> {
  const abort = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => abort.abort(signal));
  const server = await pickOnce(about, waitMs, abort.signal).catch((error: unknown) => {
    if (abort.signal.aborted) return undefined;
    throw error;
  });
  if (server) print(server, options);
  else process.stderr.write(noServer(about, abort.signal.aborted ? 'until this was interrupted' : afterWait(waitMs)));
  return server ? EXIT.ok : EXIT.no;
}

const afterWait = (waitMs: number) => (waitMs === 0 ? 'at the moment' : `within ${waitMs / 1000} s`);
const noServer = ({ label }: ClaimOptions, when: string) => `no live server is registered as ${label} ${when}\n`;

function print(server: Registration, { json, client }: PickOptions): void {
  process.stdout.write(json ? `${JSON.stringify({ client, ...server })}\n` : `${serverAddress(server)}\n`);
}

async function holdAndPrint(about: ClaimOptions, asked: Asked): Promise<number> {
  const abort = new AbortController();
  const interrupt = () => abort.abort(INTERRUPTED);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, interrupt);
  // whoever reads the addresses is gone
  process.stdout.on('error', interrupt);
  const end = await holdFor(about, asked, abort, (server) => print(server, asked.options));
  return END_CODES[end];
}

type HoldEnd = 'interrupted' | 'no-server' | 'replaced';
const END_CODES = { interrupted: EXIT.ok, 'no-server': EXIT.no, replaced: EXIT.no } as const satisfies Record<
  HoldEnd,
  number
>;
const INTERRUPTED = 'interrupted';
const NO_SERVER = 'no-server';

/** Holds a server until it is aborted, or there is none in time; says why it ends. */
async function holdFor(
  about: ClaimOptions,
  { waitMs }: Asked,
  abort: AbortController,
  use: (server: Registration) => void,
): Promise<HoldEnd> {
  const { clock, log, client } = about;
  const cancel = Number.isFinite(waitMs) ? clock.after(waitMs, () => abort.abort(NO_SERVER)) : () => {};
  const onServer = (server: Registration) => {
    cancel();
    log.info(`${client} has the server ${server.id} at ${serverAddress(server)}`, { label: about.label, client });
    use(server);
  };
  try {
    const { by } = await hold({ ...about, onServer }, abort.signal);
    log.error(`${client} is another process since (${by}), so this one ends; give each client a name of its own`);
    return 'replaced';
  } catch (error) {
    if (abort.signal.reason === INTERRUPTED) return 'interrupted';
    if (abort.signal.reason !== NO_SERVER) throw error;
    process.stderr.write(noServer(about, afterWait(waitMs)));
    return 'no-server';
  } finally {
    cancel();
  }
}

/** Runs the command for as long as it wants, with a server at any time. */
async function serve(about: ClaimOptions, command: Command, asked: Asked): Promise<number> {
  const { log } = about;
  const { signal } = asked;
  const served = new ServedCommand({ command, log, ...(signal !== undefined && { signal }) });
  const abort = new AbortController();
  const handlers = PASSED.map((name) => {
    const handler = () => {
      if (!served.pass(name) && ENDING.includes(name)) abort.abort(INTERRUPTED);
    };
    process.on(name, handler);
    return { name, handler };
  });
  let first: HoldEnd | CommandEnd;
  try {
    const held = holdFor(about, asked, abort, (server) => served.use(server));
    first = await Promise.race([served.ended, held]);
    if (typeof first !== 'string') abort.abort(INTERRUPTED);
    await held;
  } finally {
    served.stop();
    await served.ended;
    for (const { name, handler } of handlers) process.off(name, handler);
  }
  if (typeof first === 'string') return END_CODES[first];
  const died = first.signal;
  // whoever started us shall see the command's own end, as if it had started the command
  if (died !== undefined && ENDING.includes(died)) process.once('exit', () => process.kill(process.pid, died));
  return first.code;
}
