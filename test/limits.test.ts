/** docs/limits.md says what the code does: every figure of the page is compared with the constant that it tells of. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isLabel } from '../src/shared/names.ts';
import { projectRoot } from './harness/project.ts';

/** The product of the numbers that a constant of a file is written as; `key`: of an object. */
function constant(file: string, name: string, key?: string): number {
  const text = readFileSync(join(projectRoot, 'src', file), 'utf8');
  const written = new RegExp(`^(?:export )?const ${name} = (.+?);`, 'm').exec(text)?.[1];
  const value = key === undefined ? written : new RegExp(`\\b${key}: ([\\d_ *]+)`).exec(written ?? '')?.[1];
  if (value === undefined || !/^[\d_ *]+$/.test(value)) throw new Error(`${file} has no number ${name}: ${value}`);
  return value.split('*').reduce((product, factor) => product * Number(factor.replaceAll('_', '')), 1);
}

const kib = (bytes: number) => `${bytes / 1024} KiB`;
const mib = (bytes: number) => `${bytes / 1024 / 1024} MiB`;
const seconds = (ms: number) => `${ms / 1000} s`;
const count = (number: number) => number.toLocaleString('en');
const characters = (number: number) => `${count(number)} characters`;
const longestLabel = Array.from({ length: 500 }, (_, n) => n).findLast((n) => isLabel('a'.repeat(n))) ?? 0;

/** By the sections of the page: what a row begins with, and what its figure begins with. */
const PAGE: Readonly<Record<string, readonly (readonly [row: string, figure: string])[]>> = {
  Registrations: [
    ['a label, or a role', characters(longestLabel)],
    ['`info` of a registration', kib(constant('shared/payload-parts.ts', 'MAX_INFO_BYTES'))],
    ['a registration as a whole', kib(constant('shared/payload-parts.ts', 'MAX_INFO_BYTES') + 8 * 1024)],
    ['labels of a host', kib(constant('shared/payload-parts.ts', 'MAX_LABELS_BYTES'))],
    ['registrations under one label', count(constant('discovery/directory.ts', 'MAX_ENTRIES'))],
    ['labels that are read', count(constant('discovery/directory.ts', 'MAX_LABELS'))],
    ['problems below one znode', count(constant('shared/collection.ts', 'MAX_TOLD'))],
    ['checks of one', count(constant('cli/watch-file.ts', 'MAX_CHECKS'))],
  ],
  HTTP: [
    ['connections at once', count(constant('http/server.ts', 'MAX_CONNECTIONS'))],
    ['streams', count(constant('http/event-streams.ts', 'MAX_STREAMS'))],
    ['answers that clients have not read', mib(constant('http/backlog.ts', 'MAX_BACKLOG_BYTES'))],
    ["a client's time", seconds(constant('http/server.ts', 'REQUEST_TIMEOUT_MS'))],
    ['a connection on which nothing moves', seconds(constant('http/server.ts', 'IDLE_MS'))],
    ['labels that are kept up to date', count(constant('discovery/label-views.ts', 'MAX_LABELS'))],
    ['entries of all labels', seconds(constant('discovery/label-views.ts', 'COUNT_EVERY_MS'))],
  ],
  'Health checks': [
    ['probes at once', count(constant('health/monitor.ts', 'AT_ONCE'))],
    ['between two probes', `${constant('health/checker.ts', 'SHORTEST_MS')} ms`],
    ['`timeout`', seconds(constant('shared/config/health-check.ts', 'MAX_TIMEOUT_MS'))],
    ['an `exec` check', seconds(constant('shared/run-command.ts', 'GRACE_MS'))],
    ["of an answer's body", kib(constant('health/probe.ts', 'MAX_BODY_BYTES'))],
    ['of what a probe said', kib(constant('health/probe.ts', 'MAX_OUTPUT_BYTES'))],
  ],
  'Leases and picks': [
    ['`--lease-timeout`', `${constant('discovery/lease.ts', 'MAX_LEASE_MS') / 3_600_000} h`],
    ['a lease whose holder cannot be read', `${constant('discovery/lease.ts', 'DEFAULT_LEASE_MS') / 60_000} min`],
    ['who waits for a lease', count(constant('discovery/lease-list.ts', 'MAX_READ'))],
    ['pickers of one', count(constant('client.ts', 'MAX_PICKERS'))],
    ['a client that hangs', seconds(constant('discovery/turn.ts', 'TURN_MS'))],
    ['a command that is restarted', seconds(constant('cli/served-command.ts', 'STOP_MS'))],
  ],
  Templates: [
    ['templates', count(constant('shared/config/templates.ts', 'MAX_TEMPLATES'))],
    ['a template', mib(constant('discovery/template-runner.ts', 'MAX_SOURCE_BYTES'))],
    ['what it renders to', mib(constant('discovery/template-render.ts', 'MAX_RENDERED_BYTES'))],
    ['steps', count(constant('discovery/template-budget.ts', 'MAX_STEPS'))],
    ['a check', seconds(constant('discovery/template-file.ts', 'CHECK_MS'))],
    ['a reload', seconds(constant('discovery/template-file.ts', 'RELOAD_MS'))],
    ['processes', count(constant('executor/template-programs.ts', 'LIMITS', 'tasks'))],
    ['memory', mib(constant('executor/template-programs.ts', 'LIMITS', 'memoryBytes'))],
    ['a file that one of them', mib(constant('executor/template-programs.ts', 'LIMITS', 'fileBytes'))],
    ['of its output', kib(constant('discovery/template-file.ts', 'MAX_OUTPUT_BYTES'))],
    ['leases that are read', count(constant('discovery/template-leases.ts', 'MAX_LEASES'))],
    ['of each, its holder', count(constant('discovery/template-leases.ts', 'MAX_PARTS'))],
  ],
  Hooks: [
    ['hooks', count(constant('shared/config/hooks.ts', 'MAX_HOOKS'))],
    ['`timeout`', `${constant('shared/config/hooks.ts', 'MAX_TIMEOUT_MS') / 3_600_000} h`],
    ['hooks that run at once', count(constant('discovery/hooks.ts', 'MAX_AT_ONCE'))],
    ['processes of a run', count(constant('executor/hook-programs.ts', 'LIMITS', 'tasks'))],
    ['memory of a run', mib(constant('executor/hook-programs.ts', 'LIMITS', 'memoryBytes'))],
    ['lines in one run', count(constant('discovery/hook-text.ts', 'MAX_LINES'))],
    ['bytes of lines', kib(constant('discovery/hook-text.ts', 'MAX_BYTES'))],
    ['a value', characters(constant('discovery/hook-text.ts', 'MAX_VALUE'))],
    ['labels of a host', characters(constant('discovery/hook-labels.ts', 'MAX_LABELS'))],
    ['events that wait', count(constant('discovery/hook-queue.ts', 'MAX_QUEUED'))],
  ],
  'Files and ZooKeeper': [
    ['the configuration file', characters(constant('shared/config/parse-config.ts', 'MAX_SOURCE_CHARACTERS'))],
    ['any znode', kib(constant('shared/store.ts', 'MAX_PAYLOAD_BYTES'))],
  ],
};

/** Section → its rows, without the head of the table. */
function sections(): Map<string, [row: string, figure: string][]> {
  const [, ...parts] = readFileSync(join(projectRoot, 'docs/limits.md'), 'utf8').split(/^## /m);
  return new Map(
    parts.map((part) => {
      const rows = [...part.matchAll(/^\| (.+?) \| (.+) \|$/gm)].flatMap(([, row = '', figure = '']) =>
        row === '---' ? [] : [[row, figure] as [string, string]],
      );
      return [part.split('\n')[0] ?? '', rows];
    }),
  );
}

describe('the page of limits', () => {
  it('has these sections and no others', () => {
    expect([...sections().keys()]).toEqual(Object.keys(PAGE));
  });

  it.each(Object.keys(PAGE))('has the figures of the code: %s', (name) => {
    // 1 s is not the beginning of 1 sheep, nor 100 that of 1000 or 100,000
    const begins = (text: string, start: string) =>
      text.startsWith(start) && !/^(\w|[.,]\d)/.test(text.slice(start.length));
    const expected = PAGE[name] ?? [];
    const rows = sections().get(name) ?? [];
    expect(rows).toHaveLength(expected.length);
    for (const [index, [row, figure]] of expected.entries()) {
      const found = rows[index] ?? ['', ''];
      expect(found[0].startsWith(row), `${found[0]} begins with ${row}`).toBe(true);
      expect(begins(found[1], figure), `${row}: ${found[1]} begins with ${figure}`).toBe(true);
    }
  });
});
