/**
 * The shape of the file: which keys there are and how each value is written. What a value means beside others is
 * checked afterwards. Everything is optional here, so that one missing key does not hide other mistakes.
 */
import * as z from 'zod';
import { ATTACHMENT_KEYS, attachmentShapes } from './attachments.ts';
import { type Quorum, quote, readListen, readQuorum, readServer } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { HOOK_KEYS, hookShape } from './hooks.ts';
import { MAX_SESSION_TIMEOUT_MS } from './isolation.ts';
import { suggestion } from './nearest.ts';
import { readFraction } from './scalars.ts';
import { TEMPLATE_KEYS, templateShape } from './templates.ts';
import {
  boolean,
  count,
  describe,
  duration,
  leaf,
  list,
  map,
  oneOf,
  positive,
  refusal,
  text,
  texts,
} from './values.ts';

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
    ...attachmentShapes,
  },
  map('the keys of a service'),
);

const timings = z.strictObject(
  {
    loop_tick: duration(10).nullish(),
    failed_loop_tick: duration(10).nullish(),
    partitioner_boundary: duration(0).nullish(),
    partitioner_reaction: duration(0).nullish(),
  },
  map('durations'),
);

const zookeeper = z.strictObject(
  {
    quorum: quorum.optional(),
    session_timeout: duration(1000, MAX_SESSION_TIMEOUT_MS).nullish(),
    chroot: text('an absolute znode path such as /servicewatcher').nullish(),
    timings: timings.nullish(),
  },
  map('settings, quorum at least'),
);

const http = z.strictObject(
  { listen: leaf(readListen, 'write :9780, an address with a port such as 127.0.0.1:9780, or a port').nullish() },
  map('settings: listen'),
);

const host = z.strictObject(
  {
    name: text('the name of this host').nullish(),
    address: text('a host name or an IPv4 address').nullish(),
    labels: texts('labels and their values').nullish(),
  },
  map('settings: name, address, labels'),
);

const brake = z.strictObject(
  {
    above: leaf(readFraction, 'write a share of the hosts, from 0% to 100%').nullish(),
    at_least: positive.nullish(),
    hold: duration(0).nullish(),
  },
  map('settings: above, at_least, hold'),
);

const systemd = z.strictObject(
  { bus: text('the address of a D-Bus, such as unix:path=/run/dbus/system_bus_socket').nullish() },
  map('settings: bus'),
);

const file = z.strictObject({
  zookeeper: zookeeper.nullish(),
  services: list(service, 'services, each starting with -').nullish(),
  templates: list(templateShape, 'templates, each starting with -').nullish(),
  hooks: list(hookShape, 'hooks, each starting with -').nullish(),
  http: http.nullish(),
  host: host.nullish(),
  on_stop: oneOf('stop', 'keep').nullish(),
  isolation: isolation.nullish(),
  brake: brake.nullish(),
  systemd: systemd.nullish(),
  state_dir: text('an absolute path').nullish(),
});

/** The file as written, each value read on its own. */
export type RawConfig = z.infer<typeof file>;
export type RawService = z.infer<typeof service>;

/** Keys that may stand at each level, by path without list indices. */
export const KNOWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(file.shape),
  zookeeper: Object.keys(zookeeper.shape),
  'zookeeper.timings': Object.keys(timings.shape),
  services: Object.keys(service.shape),
  http: Object.keys(http.shape),
  host: Object.keys(host.shape),
  brake: Object.keys(brake.shape),
  systemd: Object.keys(systemd.shape),
  ...ATTACHMENT_KEYS,
  ...TEMPLATE_KEYS,
  ...HOOK_KEYS,
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

/** Lists whose entries are told apart by their line, not by their number. */
const LISTS: readonly PropertyKey[] = ['services', 'templates', 'hooks'];

/** What a message calls the value at `path`: its keys, without the place of its entry in the list. */
export function subject(path: Path): string {
  const [first, index] = path;
  if (first === undefined) return 'the file';
  if (index === undefined || !LISTS.includes(first)) return path.map(String).join('.');
  return path.length === 2 ? `this entry of ${String(first)}` : path.slice(2).map(String).join('.');
}

function unknownKey(key: string, parent: Path): string {
  const level = parent.filter((step) => typeof step === 'string').join('.');
  return `unknown key ${quote(key)}; ${suggestion(key, KNOWN_KEYS[level] ?? [])}`;
}

/** Takes away the value at `path`, or the nearest one above it that the file has as such. */
function discard(tree: unknown, path: Path): void {
  const last = path.at(-1);
  if (last === undefined) return;
  let here: unknown = tree;
  for (const step of path.slice(0, -1)) here = member(here, step);
  if (Array.isArray(here) && typeof last === 'number') here[last] = undefined;
  else if (isRecord(here)) delete here[String(last)];
  else discard(tree, path.slice(0, -1));
}

function member(parent: unknown, step: PropertyKey): unknown {
  if (Array.isArray(parent)) return typeof step === 'number' ? parent[step] : undefined;
  return isRecord(parent) ? parent[String(step)] : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
