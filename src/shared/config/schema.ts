/**
 * The shape of the file: which keys there are and how each value is written. What a value means beside others is
 * checked afterwards. Everything is optional here, so that one missing key does not hide other mistakes.
 */
import * as z from 'zod';
import { type Quorum, quote, readListen, readQuorum, readServer } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { MAX_SESSION_TIMEOUT_MS } from './isolation.ts';
import { suggestion } from './nearest.ts';
import { formatDuration, MAX_DURATION_MS, readBoolean, readCount, readDuration, readFraction } from './scalars.ts';

/** Scalars reach the schema as the text of the file, whatever YAML would make of them. */
function leaf<T>(read: (text: string) => T | undefined, allowed: string) {
  return z.string({ error: (issue) => refusal(issue.input, allowed) }).transform((text, context): T => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: refusal(text, allowed) });
    return z.NEVER;
  });
}

function oneOf<const T extends string>(...words: readonly T[]) {
  const list = words.join(', ');
  return z.string({ error: (issue) => refusal(issue.input, `write one of ${list}`) }).transform((text, context): T => {
    const word = words.find((candidate) => candidate === text);
    if (word !== undefined) return word;
    context.addIssue({ code: 'custom', message: refusal(text, suggestion(text, words)) });
    return z.NEVER;
  });
}

function duration(min: number, max = MAX_DURATION_MS) {
  return leaf(
    (text) => {
      const value = readDuration(text);
      return value !== undefined && value >= min && value <= max ? value : undefined;
    },
    `write seconds (0.5) or 500ms, 4s, 1m, 2h, from ${formatDuration(min)} to ${formatDuration(max)}`,
  );
}

function refusal(input: unknown, allowed: string): string {
  return `is ${describe(input)}; ${allowed}`;
}

function describe(input: unknown): string {
  if (typeof input === 'string') return input === '' ? 'an empty text' : quote(input);
  if (input === null || input === undefined) return 'empty';
  return Array.isArray(input) ? 'a list' : 'a map';
}

const map = (what: string) => ({
  error: (issue: { input?: unknown }) => refusal(issue.input, `write a map of ${what}`),
});

const text = (what: string) => leaf((value) => (value === '' ? undefined : value), `write ${what}`);
const boolean = leaf(readBoolean, 'write true or false (yes, no, on and off are understood too)');
const count = leaf(readCount, 'write a whole number, 0 or more, without leading zeros');
const positive = leaf(
  (value) => readCount(value) || undefined,
  'write a whole number, 1 or more, without leading zeros',
);
const isolation = oneOf('keep', 'stop');

const quorum = z.unknown().transform((input, context): Quorum | undefined => {
  if (input === null || input === undefined) return undefined;
  if (typeof input === 'string') {
    const read = readQuorum(input);
    if (read.ok) return read.value;
    context.addIssue({ code: 'custom', message: `is not understood: ${read.problem}` });
    return z.NEVER;
  }
  if (!Array.isArray(input) || input.length === 0) {
    context.addIssue({
      code: 'custom',
      message: refusal(input, 'write h1:2181,h2:2181, a list of servers, or embedded'),
    });
    return z.NEVER;
  }
  const servers: string[] = [];
  for (const [index, item] of input.entries()) {
    // Taken away because it was reported.
    if (item === undefined) continue;
    const read = typeof item === 'string' ? readServer(item) : undefined;
    if (read?.ok) servers.push(read.value);
    else {
      const problem = read === undefined ? `${describe(item)} is not a server; write host:port` : read.problem;
      context.addIssue({ code: 'custom', path: [index], message: `is not understood: ${problem}` });
    }
  }
  return { servers };
});

const service = z.strictObject(
  {
    name: text('the name of a systemd service').nullish(),
    enabled: boolean.nullish(),
    type: oneOf('global', 'shared', 'multi').nullish(),
    count: count.nullish(),
    instances: z.record(z.string(), count, map('instance keys and their counts')).nullish(),
    force: z.record(z.string(), text('the name of a host'), map('instance keys and host names')).nullish(),
    exclusive: boolean.nullish(),
    prestart: leaf((value) => value, 'write a script, best as a block that starts with |').nullish(),
    isolation: isolation.nullish(),
    stop_timeout: duration(0).nullish(),
  },
  map('the keys of a service'),
);

const file = z.strictObject({
  zookeeper: z
    .strictObject(
      {
        quorum: quorum.optional(),
        session_timeout: duration(1000, MAX_SESSION_TIMEOUT_MS).nullish(),
        chroot: text('an absolute znode path such as /servicewatcher').nullish(),
        timings: z
          .strictObject(
            {
              loop_tick: duration(10).nullish(),
              failed_loop_tick: duration(10).nullish(),
              partitioner_boundary: duration(0).nullish(),
              partitioner_reaction: duration(0).nullish(),
            },
            map('durations'),
          )
          .nullish(),
      },
      map('settings, quorum at least'),
    )
    .nullish(),
  services: z
    .array(service.optional(), {
      error: (issue) => refusal(issue.input, 'write a list of services, each starting with -'),
    })
    .nullish(),
  http: z
    .strictObject(
      { listen: leaf(readListen, 'write :9780, an address with a port such as 127.0.0.1:9780, or a port').nullish() },
      map('settings: listen'),
    )
    .nullish(),
  host: z
    .strictObject(
      {
        name: text('the name of this host').nullish(),
        address: text('a host name or an IPv4 address').nullish(),
        labels: z
          .record(
            z.string(),
            leaf((value) => value, 'write a text'),
            map('labels and their values'),
          )
          .nullish(),
      },
      map('settings: name, address, labels'),
    )
    .nullish(),
  on_stop: oneOf('stop', 'keep').nullish(),
  isolation: isolation.nullish(),
  brake: z
    .strictObject(
      {
        above: leaf(readFraction, 'write a share of the hosts, from 0% to 100%').nullish(),
        at_least: positive.nullish(),
        hold: duration(0).nullish(),
      },
      map('settings: above, at_least, hold'),
    )
    .nullish(),
  systemd: z
    .strictObject(
      { bus: text('the address of a D-Bus, such as unix:path=/run/dbus/system_bus_socket').nullish() },
      map('settings: bus'),
    )
    .nullish(),
  state_dir: text('an absolute path').nullish(),
});

/** The file as written, each value read on its own. */
export type RawConfig = z.infer<typeof file>;
export type RawService = z.infer<typeof service>;

/** Keys that may stand at each level, by path without list indices. */
const KNOWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(file.shape),
  zookeeper: ['quorum', 'session_timeout', 'chroot', 'timings'],
  'zookeeper.timings': ['loop_tick', 'failed_loop_tick', 'partitioner_boundary', 'partitioner_reaction'],
  services: Object.keys(service.shape),
  http: ['listen'],
  host: ['name', 'address', 'labels'],
  brake: ['above', 'at_least', 'hold'],
  systemd: ['bus'],
};

/**
 * Reports every mistake of shape, and answers what is left when they are taken away; undefined when nothing is.
 * `tree` is changed.
 */
export function readShape(tree: unknown, findings: Findings): RawConfig | undefined {
  const first = file.safeParse(tree);
  if (first.success) return first.data;
  for (const issue of first.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        findings.problemAtKey([...issue.path, key], unknownKey(key, issue.path));
        discard(tree, [...issue.path, key]);
      }
    } else {
      findings.problem(issue.path, `${subject(issue.path)} ${issue.message}`);
      discard(tree, issue.path);
    }
  }
  return file.safeParse(tree).data;
}

/** What a message calls the value at `path`: its keys, without the place of its service in the list. */
export function subject(path: Path): string {
  const named = path[0] === 'services' && path.length > 1 ? path.slice(2) : path;
  return named.length === 0 ? (path.length === 0 ? 'the file' : 'this entry of services') : named.map(String).join('.');
}

function unknownKey(key: string, parent: Path): string {
  const level = parent.filter((step) => typeof step === 'string').join('.');
  return `unknown key ${quote(key)}; ${suggestion(key, KNOWN_KEYS[level] ?? [])}`;
}

function discard(tree: unknown, path: Path): void {
  let here: unknown = tree;
  for (const step of path.slice(0, -1)) here = member(here, step);
  const last = path.at(-1);
  if (Array.isArray(here) && typeof last === 'number') here[last] = undefined;
  else if (isRecord(here) && typeof last === 'string') delete here[last];
}

function member(parent: unknown, step: PropertyKey): unknown {
  if (Array.isArray(parent)) return typeof step === 'number' ? parent[step] : undefined;
  return isRecord(parent) ? parent[String(step)] : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
