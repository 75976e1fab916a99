/** The configuration of one daemon, validated, with every default filled in. */
import type { Spec } from '../spec.ts';

/** How this daemon reaches ZooKeeper. */
export interface ZookeeperConfig {
  /** `host:port` each, in the order of the file; `embedded`: the daemon runs a server of its own. */
  readonly servers: readonly string[] | 'embedded';
  /** Absolute znode path, without a slash at its end, below which everything is kept. */
  readonly chroot: string;
  readonly sessionTimeoutMs: number;
  readonly timings: Timings;
}

/** Milliseconds, the names of `zookeeper.timings`. */
export interface Timings {
  /** `loop_tick`: longest wait between two passes. */
  readonly loopTickMs: number;
  /** `failed_loop_tick`: how often a failed unit is looked at again. */
  readonly failedLoopTickMs: number;
  /** `partitioner_boundary`: how long a joining host waits for others to join before new instances are placed. */
  readonly boundaryMs: number;
  /** `partitioner_reaction`: how long events are gathered into one pass. */
  readonly reactionMs: number;
}

/** Where the HTTP interface listens; without `host`: on every address. */
export interface HttpConfig {
  readonly host: string | undefined;
  readonly port: number;
}

/** Who this host is for the others. */
export interface HostConfig {
  readonly name: string;
  /** Address other hosts reach this one at; without it: the name. */
  readonly address?: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Config {
  /** Path of the file as it was given. */
  readonly file: string;
  /** `sha256:…` of the file's text: differs as soon as one byte does. */
  readonly fileDigest: string;
  readonly zookeeper: ZookeeperConfig;
  readonly http: HttpConfig;
  readonly host: HostConfig;
  /** What an orderly stop of the daemon does with its units. */
  readonly onStop: 'stop' | 'keep';
  /** D-Bus address of systemd; without it: the system bus. */
  readonly systemdBus?: string;
  /** Absolute path of the directory in which the daemon remembers which units it started. */
  readonly stateDir: string;
  readonly spec: Spec;
  /** `sha256:…` of the canonical JSON of `spec`: the same for files that differ in form only. */
  readonly specDigest: string;
}

/** Something wrong (or doubtful) at one place of the file. */
export interface ConfigProblem {
  /** From 1; 0 when it concerns the file as a whole. */
  readonly line: number;
  /** From 1, in UTF-16 code units; 0 when it concerns the file as a whole. */
  readonly column: number;
  /** What is wrong and what is allowed, one line. */
  readonly message: string;
}

/** `problems` and `warnings` are sorted by position; there is at least one problem when `ok` is false. */
export type ParsedConfig =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly ConfigProblem[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** `config.yml:5:15: what is wrong`, the form that editors and terminals turn into a link. */
export function renderProblem(file: string, problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${file}:${problem.line}:${problem.column}` : file;
  return `${place}: ${problem.message}`;
}

/** A warning for the terminal: it looks like a problem, and says that it is none. */
export function renderWarning(file: string, warning: ConfigProblem): string {
  return `${renderProblem(file, warning)} (warning)`;
}

/** Order of problems: by line, then by column. */
export function byPosition(a: ConfigProblem, b: ConfigProblem): number {
  return a.line - b.line || a.column - b.column;
}
