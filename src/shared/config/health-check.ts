/** `check:` of a service → how the health of its instances is found out. */
import { isIPv6 } from 'node:net';
import * as z from 'zod';
import type { HealthCheck, Probe } from '../attachments.ts';
import { isHostName, isUnitName, unitsOf } from '../names.ts';
import type { Service } from '../spec.ts';
import { command, warnOfShell } from './commands.ts';
import { quote } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { nearest, suggestion } from './nearest.ts';
import { readPort } from './scalars.ts';
import { duration, map, oneOf, text, wholeNumber } from './values.ts';

/** A probe that takes longer tells nothing in time, and holds one of the few places for probes. */
const MAX_TIMEOUT_MS = 60_000;
const LEAST_INTERVAL_MS = 100;
const MAX_TIMES = 1000;
const MAX_URL = 2000;

const KINDS = ['http', 'tcp', 'exec'] as const;
const PLACEHOLDERS = ['{host}', '{address}', '{instance}'];

export const healthCheckShape = z.strictObject(
  {
    http: text('a URL such as http://{address}:8080/health').nullish(),
    tcp: text('HOST:PORT, such as {address}:5432').nullish(),
    exec: command.nullish(),
    interval: duration(LEAST_INTERVAL_MS).nullish(),
    timeout: duration(10, MAX_TIMEOUT_MS).nullish(),
    healthy_after: wholeNumber(MAX_TIMES).nullish(),
    unhealthy_after: wholeNumber(MAX_TIMES).nullish(),
    start_period: duration(0).nullish(),
    on_unhealthy: oneOf('report', 'restart', 'move').nullish(),
    limit_per_hour: wholeNumber(MAX_TIMES).nullish(),
  },
  map('settings: one of http, tcp, exec, and interval, timeout and others'),
);
export type RawHealthCheck = z.infer<typeof healthCheckShape>;

/** Undefined when there is no probe that could be understood; whatever is wrong is reported. */
export function readHealthCheck(
  raw: RawHealthCheck,
  service: Service,
  path: Path,
  findings: Findings,
): HealthCheck | undefined {
  const probe = readProbe(raw, service, path, findings);
  const onUnhealthy = raw.on_unhealthy ?? 'report';
  if (onUnhealthy === 'report' && raw.limit_per_hour != null) {
    findings.warningAtKey(
      [...path, 'limit_per_hour'],
      'limit_per_hour means nothing without on_unhealthy: restart or move and is ignored',
    );
  }
  if (onUnhealthy === 'move' && service.type === 'global') {
    findings.problem(
      [...path, 'on_unhealthy'],
      `check.on_unhealthy is move, but ${service.name} is global: every host has an instance already; write restart or report`,
    );
  }
  if (onUnhealthy === 'move' && service.type === 'multi' && Object.keys(service.force).length > 0) {
    findings.warning(
      [...path, 'on_unhealthy'],
      `${Object.keys(service.force).join(', ')} cannot move, as force says: unhealthy or not, it stays where it is`,
    );
  }
  if (probe === undefined) return undefined;
  return {
    probe,
    intervalMs: raw.interval ?? 2_000,
    timeoutMs: raw.timeout ?? 1_000,
    healthyAfter: raw.healthy_after ?? 1,
    unhealthyAfter: raw.unhealthy_after ?? 3,
    startPeriodMs: raw.start_period ?? 0,
    onUnhealthy,
    limitPerHour: raw.limit_per_hour ?? 3,
  };
}

function readProbe(raw: RawHealthCheck, service: Service, path: Path, findings: Findings): Probe | undefined {
  const [kind, second] = KINDS.filter((each) => findings.present([...path, each]));
  if (kind === undefined) {
    findings.problemAtKey(path, 'check says not how to check; add one of http: URL, tcp: HOST:PORT, exec: COMMAND');
    return undefined;
  }
  if (second !== undefined) {
    findings.problemAtKey([...path, second], `check has both ${kind} and ${second}; keep one of them`);
    return undefined;
  }
  const here = [...path, kind];
  switch (kind) {
    case 'http':
      return raw.http && filled(raw.http, here, service, findings, urlProblem) ? { kind, url: raw.http } : undefined;
    case 'tcp':
      return raw.tcp && filled(raw.tcp, here, service, findings, addressProblem)
        ? { kind, address: raw.tcp }
        : undefined;
    case 'exec':
      if (!raw.exec) return undefined;
      warnOfShell(raw.exec, here, findings);
      warnOfPlaceholders(raw.exec, here, findings);
      return { kind, command: raw.exec };
  }
}

/** True when the text is right for each instance of the service, once its placeholders are filled in. */
function filled(
  written: string,
  path: Path,
  service: Service,
  findings: Findings,
  problem: (text: string) => string | undefined,
): boolean {
  const stranger = inBraces(written).find((each) => !PLACEHOLDERS.includes(each));
  if (stranger !== undefined) {
    findings.problem(
      path,
      `check.${String(path.at(-1))} has ${quote(stranger)}; ${suggestion(stranger, PLACEHOLDERS)}`,
    );
    return false;
  }
  for (const instance of instancesOf(service)) {
    const key = encodeURIComponent(instance);
    const text = written.replaceAll('{host}', 'h').replaceAll('{address}', 'h').replaceAll('{instance}', key);
    const wrong = problem(text);
    if (wrong === undefined) continue;
    const where = written.includes('{instance}') ? ` for the instance ${quote(instance)}` : '';
    findings.problem(path, `check.${String(path.at(-1))} is ${quote(written)}, ${wrong}${where}`);
    return false;
  }
  return true;
}

function urlProblem(url: string): string | undefined {
  const example = 'write one such as http://{address}:8080/health';
  if (url.length > MAX_URL) return `longer than ${MAX_URL} characters`;
  if (!/^https?:\/\/[^\s\p{Cc}]+$/iu.test(url) || !URL.canParse(url)) return `which is no URL of HTTP; ${example}`;
  const { username, password, port } = new URL(url);
  if (port === '0') return `which has no port from 1 to 65535; ${example}`;
  if (username === '' && password === '') return undefined;
  return 'which has a name and a password that everybody could read; write exec: with a program that takes them from a file';
}

function addressProblem(address: string): string | undefined {
  const parts = /^(?:\[(?<v6>[^\]]*)\]|(?<host>[^:]*)):(?<port>.*)$/.exec(address)?.groups;
  const { v6, host = '', port = '' } = parts ?? {};
  if (!(v6 === undefined ? isHostName(host) : isIPv6(v6))) return 'which is not HOST:PORT; write {address}:5432, say';
  return readPort(port) === undefined ? 'which has no port from 1 to 65535 after its colon' : undefined;
}

function warnOfPlaceholders(words: readonly string[], path: Path, findings: Findings): void {
  for (const stranger of words.flatMap(inBraces)) {
    if (PLACEHOLDERS.includes(stranger)) continue;
    const near = nearest(stranger, PLACEHOLDERS);
    if (near !== undefined) findings.warning(path, `${quote(stranger)} is passed on as it is; did you mean ${near}?`);
  }
}

/** `{a}` of every such in the text; `${a}` and `%{a}` are other programs' business. */
function inBraces(text: string): string[] {
  return Array.from(text.matchAll(/(?<![$%])\{[^{}]*\}/g), ([whole]) => whole);
}

/** What `{instance}` stands for, of each unit: what is between `@` and `.service`, else the unit's name without that. */
function instancesOf(service: Service): string[] {
  return unitsOf(service)
    .filter(isUnitName)
    .map((unit) => unit.slice(unit.indexOf('@') + 1, -'.service'.length));
}
