/**
 * Running a real ZooKeeper server from Debian's package: its configuration, its command line, and a child process that
 * never outlives this one. Building the command is apart from running it, so that it can be run elsewhere (in a network
 * namespace, on another host).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { fourLetterWord } from './four-letter-word.ts';

/** One member of an ensemble, as in a `server.ID=` line. */
export interface EnsembleServer {
  /** 1 to 255. */
  readonly id: number;
  readonly address: string;
  /** Followers talk to their leader here (2888 by custom). */
  readonly peerPort: number;
  /** Servers elect their leader here (3888 by custom). */
  readonly electionPort: number;
}

export interface ServerOptions {
  /** Absolute; created if missing; holds `myid`, `zoo.cfg`, snapshots and the transaction log. */
  readonly dataDir: string;
  readonly clientPort: number;
  /** Address to listen on for clients; default 127.0.0.1. */
  readonly clientAddress?: string;
  /** Milliseconds; the grain of session expiry; sessions last 2 to 20 ticks. Default 500. */
  readonly tickTime?: number;
  /** This server's number in `servers`; default 1. */
  readonly id?: number;
  /** All members of the ensemble, this one included; empty or absent: a server on its own. */
  readonly servers?: readonly EnsembleServer[];
  /** Largest Java heap in MiB; default 128. */
  readonly heapMiB?: number;
  /** False: transactions are not flushed to disk before they are answered. Only for data that may be lost. Default true. */
  readonly forceSync?: boolean;
  /** Directory of the package's jars; default /usr/share/java. */
  readonly jarDir?: string;
  /** Further lines of zoo.cfg. */
  readonly extra?: Readonly<Record<string, string | number | boolean>>;
}

/** A program and its arguments, ready for `spawn`. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
}

const JAR_DIR = '/usr/share/java';
const MAIN = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';

/** The text of zoo.cfg. Throws on a data directory that the properties format cannot hold. */
export function renderConfig(options: ServerOptions): string {
  if (/[\\\r\n]/.test(options.dataDir)) {
    throw new Error(`ZooKeeper data directory ${JSON.stringify(options.dataDir)}: no backslash or newline is possible`);
  }
  const servers = options.servers ?? [];
  const settings: [string, string | number | boolean][] = [
    ['tickTime', options.tickTime ?? 500],
    ['initLimit', 10],
    ['syncLimit', 5],
    ['dataDir', options.dataDir],
    ['clientPort', options.clientPort],
    ['clientPortAddress', options.clientAddress ?? '127.0.0.1'],
    ['admin.enableServer', false],
    ['4lw.commands.whitelist', '*'],
    ['maxClientCnxns', 0],
    ['autopurge.snapRetainCount', 3],
    ['autopurge.purgeInterval', 1],
    ...servers.map((s): [string, string] => [`server.${s.id}`, `${s.address}:${s.peerPort}:${s.electionPort}`]),
    ...Object.entries(options.extra ?? {}),
  ];
  return settings.map(([key, value]) => `${key}=${value}\n`).join('');
}

/** Where zoo.cfg lies. */
export function configFile(options: ServerOptions): string {
  return join(options.dataDir, 'zoo.cfg');
}

/** Writes `zoo.cfg` and `myid` into the data directory; answers the path of `zoo.cfg`. */
export async function writeServerFiles(options: ServerOptions): Promise<string> {
  await mkdir(options.dataDir, { recursive: true });
  await writeFile(join(options.dataDir, 'myid'), `${options.id ?? 1}\n`);
  await writeFile(configFile(options), renderConfig(options));
  return configFile(options);
}

/**
 * The command that runs the server on the files of `writeServerFiles`. It stays in the foreground and logs warnings to
 * standard error. Throws an error that names the package to install when the jars are missing.
 */
export function serverCommand(options: ServerOptions): ServerCommand {
  const jarDir = options.jarDir ?? JAR_DIR;
  // The manifest of zookeeper.jar names the jars it needs; only the logger's back end is left to us.
  const jars = ['zookeeper.jar', 'slf4j-simple.jar'].map((jar) => join(jarDir, jar));
  const missing = jars.find((jar) => !existsSync(jar));
  if (missing !== undefined) {
    throw new Error(`ZooKeeper server not found: no ${missing}. Install Debian's package: apt-get install zookeeper`);
  }
  return {
    command: 'java',
    args: [
      `-Xmx${options.heapMiB ?? 128}m`,
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Dzookeeper.jmx.log4j.disable=true',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
      ...(options.forceSync === false ? ['-Dzookeeper.forceSync=no'] : []),
      '-cp',
      jars.join(delimiter),
      MAIN,
      configFile(options),
    ],
  };
}

export interface StartOptions extends ServerOptions {
  /** Gets the server's output: appended to this file, or line by line to this function; absent: kept only for errors. */
  readonly log?: string | ((line: string) => void);
  /** How long the server may take to serve, in ms; default 20 000. */
  readonly startDeadlineMs?: number;
}

/** A server that runs as a child of this process. */
export interface RunningServer {
  /** `host:port` for clients. */
  readonly server: string;
  readonly pid: number;
  /** Resolves when the process is gone, for whatever reason, with what `exit` told. Never rejects. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Sends a signal (SIGSTOP and SIGCONT freeze and thaw it, SIGKILL is a crash). */
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, after 3 s SIGKILL; resolves when the process is gone. May be called again. */
  stop(): Promise<void>;
}

/**
 * Writes the files, starts the server, and resolves when it serves requests (in an ensemble: when there is a quorum, so
 * start its members together). The kernel ends it when this process dies. Rejects, with the end of the server's output,
 * when it exits or does not serve in time; nothing is left running then.
 */
export async function startServer(options: StartOptions): Promise<RunningServer> {
  const host = options.clientAddress ?? '127.0.0.1';
  const { command, args } = serverCommand(options);
  if (await isListening(host, options.clientPort)) {
    throw new Error(`ZooKeeper server: ${host}:${options.clientPort} is in use already. Choose another port`);
  }
  await writeServerFiles(options);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const running = supervise(child, `${host}:${options.clientPort}`);
  const output = collectOutput(child, options.log);

  const deadlineMs = options.startDeadlineMs ?? 20_000;
  const deadline = performance.now() + deadlineMs;
  let gone: string | undefined;
  void running.exited.then(({ code, signal }) => {
    gone =
      code === 127 ? 'java is not installed (apt-get install default-jre-headless)' : `it ended (${signal ?? code})`;
  });
  while (performance.now() < deadline && gone === undefined) {
    const answer = await fourLetterWord(host, options.clientPort, 'srvr', 1000).catch(() => '');
    if (answer.includes('Mode:')) return running;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await running.stop();
  const why = gone ?? `it does not serve after ${deadlineMs} ms`;
  throw new Error(`ZooKeeper server ${running.server} did not start: ${why}. Its last words:\n${output.tail()}`);
}

function supervise(child: ChildProcess, server: string): RunningServer {
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('exit', (code, signal) => resolve({ code, signal }));
    child.on('error', () => resolve({ code: 127, signal: null }));
  });
  return {
    server,
    pid: child.pid ?? 0,
    exited,
    signal: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await exited;
      clearTimeout(timer);
    },
  };
}

function collectOutput(child: ChildProcess, log: StartOptions['log']): { tail(): string } {
  const fileStream = typeof log === 'string' ? createWriteStream(log, { flags: 'a' }) : undefined;
  const last: string[] = [];
  // A log that cannot be written (disk full, no such directory) must not take the process down.
  fileStream?.on('error', (error) => last.push(`log file: ${error.message}`));
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text: string) => {
      fileStream?.write(text);
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        last.push(line);
        if (last.length > 20) last.shift();
        if (typeof log === 'function') log(line);
      }
    });
  }
  child.on('close', () => fileStream?.end());
  return { tail: () => last.join('\n') };
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const answer = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.setTimeout(1000, () => answer(false));
    socket.on('connect', () => answer(true));
    socket.on('error', () => answer(false));
  });
}
