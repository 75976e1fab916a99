/** What `servicewatcher watch` is asked to watch: from texts, as its options or a file's keys hold them. Pure. */
import { isIP } from 'node:net';
import * as z from 'zod';
import type { Command, Probe } from '../shared/attachments.ts';
import { splitCommand } from '../shared/config/commands.ts';
import { readCount, readDuration, readPort } from '../shared/config/scalars.ts';
import { isHostName, isLabel } from '../shared/names.ts';
import { MAX_INFO_BYTES } from '../shared/payload-parts.ts';
import { type Registration, registrationId } from './registration.ts';

/** The options by their names without `--`, the keys of a file's items. */
export const watchText = z.strictObject({
  label: z.string().optional(),
  'service-id': z.string().optional(),
  'monitor-url': z.string().optional(),
  tcp: z.string().optional(),
  exec: z.union([z.string(), z.array(z.string())]).optional(),
  interval: z.string().optional(),
  timeout: z.string().optional(),
  'healthy-after': z.string().optional(),
  'unhealthy-after': z.string().optional(),
  'host-ip': z.string().optional(),
  'service-info': z.union([z.string(), z.record(z.string(), z.json())]).optional(),
  port: z.string().optional(),
  role: z.string().optional(),
});
export type WatchText = z.infer<typeof watchText>;
export type WatchKey = keyof WatchText;

/** One thing to watch. */
export interface WatchCheck {
  /** As it was given: the holder of a startup lease. */
  readonly serviceId: string;
  readonly probe: Probe;
  /** From the end of one probe to the next one's start. */
  readonly pauseMs: number;
  readonly timeoutMs: number;
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
  /** What is registered while it is healthy. */
  readonly registration: Registration;
}

export interface WatchFault {
  readonly key: WatchKey;
  /** What is wrong and what is allowed, one clause. */
  readonly what: string;
}

export type WatchRead =
  | { readonly ok: true; readonly check: WatchCheck }
  | { readonly ok: false; readonly faults: readonly WatchFault[] };

const SHORTEST_PAUSE_MS = 100;
const MAX_TIMES = 1_000;
const DEFAULT_INTERVAL_MS = 5_000;
const DEFAULT_TIMEOUT_MS = 2_000;
const PROBES = ['monitor-url', 'tcp', 'exec'] as const;

/** `here`: the host that watches, and where others reach it unless `host-ip` says otherwise. */
export function readWatch(text: WatchText, here: { readonly host: string; readonly address: string }): WatchRead {
  const faults: WatchFault[] = [];
  const take = <T>(key: WatchKey, read: Read<T>): T | undefined => {
    if (read.ok) return read.value;
    faults.push({ key, what: read.what });
    return undefined;
  };
  const probe = take(PROBES.find((key) => text[key] !== undefined) ?? 'monitor-url', readProbe(text));
  const label = take('label', readLabel(text.label));
  const serviceId = take('service-id', readId(text['service-id'], here.host));
  const address = take('host-ip', readAddress(text['host-ip'] ?? here.address));
  const info = take('service-info', readInfo(text['service-info']));
  const port =
    text.port === undefined
      ? undefined
      : take('port', orFault(readPort(text.port), text.port, 'a port from 1 to 65535'));
  const role = text.role === undefined ? undefined : take('role', readRole(text.role));
  const intervalMs = take('interval', readTime(text.interval, DEFAULT_INTERVAL_MS));
  const standard = Math.min(DEFAULT_TIMEOUT_MS, Math.floor((intervalMs ?? DEFAULT_INTERVAL_MS) / 2));
  const timeoutMs = take('timeout', readTime(text.timeout, standard));
  const healthyAfter = take('healthy-after', readTimes(text['healthy-after']));
  const unhealthyAfter = take('unhealthy-after', readTimes(text['unhealthy-after']));
  if (intervalMs !== undefined && timeoutMs !== undefined && intervalMs - timeoutMs < SHORTEST_PAUSE_MS)
    faults.push({
      key: 'interval',
      what: `is ${intervalMs} ms; it must be ${SHORTEST_PAUSE_MS} ms longer than the timeout (${timeoutMs} ms), so that a failure shows within one interval`,
    });
  if (
    faults.length > 0 ||
    probe === undefined ||
    label === undefined ||
    serviceId === undefined ||
    address === undefined ||
    intervalMs === undefined ||
    timeoutMs === undefined ||
    healthyAfter === undefined ||
    unhealthyAfter === undefined
  )
    return { ok: false, faults };
  const registration: Registration = {
    label,
    id: registrationId(here.host, serviceId) ?? here.host,
    host: here.host,
    address,
    ...(port !== undefined && { port }),
    ...(role !== undefined && { role }),
    ...(info !== undefined && { info }),
    healthy: true,
    source: 'watch',
  };
  const pauseMs = intervalMs - timeoutMs;
  return { ok: true, check: { serviceId, probe, pauseMs, timeoutMs, healthyAfter, unhealthyAfter, registration } };
}

type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly what: string };

function orFault<T>(value: T | undefined, written: string, allowed: string): Read<T> {
  if (value !== undefined) return { ok: true, value };
  return { ok: false, what: `is ${shown(written)}; write ${allowed}` };
}

const shown = (text: string) => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);

function readLabel(label: string | undefined): Read<string> {
  if (label === undefined) return { ok: false, what: 'is missing; name what others look for' };
  const allowed = '1 to 100 letters, digits and _ . -, beginning with a letter or digit';
  return orFault(isLabel(label) ? label : undefined, label, allowed);
}

function readId(id: string | undefined, host: string): Read<string> {
  if (id === undefined) return { ok: false, what: 'is missing; name this one among those of its label on this host' };
  const fits = registrationId(host, id) !== undefined;
  return orFault(fits ? id : undefined, id, '1 to 200 letters, digits and _ . @ -');
}

function readProbe(text: WatchText): Read<Probe> {
  const given = PROBES.filter((key) => text[key] !== undefined);
  const [kind, second] = given;
  if (kind === undefined) return { ok: false, what: 'is missing; write one of monitor-url, tcp and exec' };
  if (second !== undefined) return { ok: false, what: `stands beside ${second}; keep one of them` };
  switch (kind) {
    case 'monitor-url':
      return readUrl(text[kind] ?? '');
    case 'tcp':
      return readTcp(text[kind] ?? '');
    case 'exec':
      return readExec(text[kind] ?? '');
  }
}

function readUrl(url: string): Read<Probe> {
  const isHttp = url.length <= 2_000 && /^https?:\/\/[^\s\p{Cc}]+$/iu.test(url) && URL.canParse(url);
  const probe: Probe | undefined = isHttp && new URL(url).port !== '0' ? { kind: 'http', url } : undefined;
  return orFault(probe, url, 'a URL such as http://127.0.0.1:9200/');
}

function readTcp(address: string): Read<Probe> {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(address) ?? [];
  const fits = bracketed === undefined ? isHostName(plain ?? '') : isIP(bracketed) === 6;
  const probe: Probe | undefined = fits && readPort(port) !== undefined ? { kind: 'tcp', address } : undefined;
  return orFault(probe, address, 'HOST:PORT, such as 127.0.0.1:1883');
}

function readExec(written: string | readonly string[]): Read<Probe> {
  const [only, ...others] = typeof written === 'string' ? [written] : written;
  if (only === undefined) return { ok: false, what: 'names no program' };
  if (others.length > 0 && only !== '') return commandProbe([only, ...others]);
  const split = splitCommand(only);
  return split.ok ? commandProbe(split.value) : { ok: false, what: split.problem };
}

const commandProbe = (command: Command): Read<Probe> => ({ ok: true, value: { kind: 'exec', command } });

function readAddress(address: string): Read<string> {
  return orFault(
    isHostName(address) || isIP(address) > 0 ? address : undefined,
    address,
    'a host name or an IP address',
  );
}

function readRole(role: string): Read<string> {
  return orFault(isLabel(role) ? role : undefined, role, '1 to 100 letters, digits and _ . -');
}

function readTime(text: string | undefined, standard: number): Read<number> {
  if (text === undefined) return { ok: true, value: standard };
  return orFault(readDuration(text) || undefined, text, 'seconds (0.5) or 500ms, 4s, 1m');
}

function readTimes(text: string | undefined): Read<number> {
  if (text === undefined) return { ok: true, value: 1 };
  const count = readCount(text);
  return orFault(count && count <= MAX_TIMES ? count : undefined, text, `a whole number from 1 to ${MAX_TIMES}`);
}

/** A JSON object, or `key=value,key=value`. */
function readInfo(written: WatchText['service-info']): Read<Registration['info']> {
  if (written === undefined) return { ok: true, value: undefined };
  const info = typeof written === 'string' ? parseInfo(written) : { ok: true as const, value: written };
  if (!info.ok) return info;
  const bytes = Buffer.byteLength(JSON.stringify(info.value));
  if (bytes <= MAX_INFO_BYTES) return info;
  const kib = Math.ceil(bytes / 1024);
  return {
    ok: false,
    what: `takes ${kib} KiB, more than the ${MAX_INFO_BYTES / 1024} KiB that are published; name a place to read it from instead`,
  };
}

function parseInfo(text: string): Read<Record<string, z.core.util.JSONType>> {
  if (text.trimStart().startsWith('{')) {
    try {
      return { ok: true, value: z.record(z.string(), z.json()).parse(JSON.parse(text)) };
    } catch {
      return { ok: false, what: `is ${shown(text)}, which begins like JSON and is none` };
    }
  }
  const pairs = text.split(',').map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return at < 0 ? ['', pair] : [pair.slice(0, at).trim(), pair.slice(at + 1)];
  });
  const bad = pairs.find(([key]) => key === '');
  if (bad) return { ok: false, what: `has ${shown(bad[1])}; write a JSON object, or key=value,key=value` };
  return { ok: true, value: Object.fromEntries(pairs) };
}
