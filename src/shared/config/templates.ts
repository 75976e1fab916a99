/** `templates:` → the files that are rendered on hosts. */
import { isAbsolute, normalize } from 'node:path/posix';
import * as z from 'zod';
import type { Command } from '../attachments.ts';
import { isServiceName, isUnitName } from '../names.ts';
import type { HostSelector, Template } from '../spec.ts';
import { command, warnOfShell } from './commands.ts';
import { quote } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { type KnownServices, readSelector, selectorShape } from './selector.ts';
import { duration, leaf, map, text } from './values.ts';

const MAX_TEMPLATES = 200;
/** PATH_MAX of Linux, with the zero at its end. */
const MAX_PATH_BYTES = 4095;
const MAX_DEBOUNCE_MS = 60_000;
const RELOAD = 'the name of a unit, such as haproxy.service, or {exec: COMMAND}';
/** Names and numbers of users and groups, as useradd(8) takes them. */
const OWNER = /^([A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|\d{1,10})(:([A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|\d{1,10}))?$/;
/** The daemon itself: reloading it clears failures and proposes its file. */
const ITSELF = 'servicewatcher.service';

const reloadKeys = z.strictObject({ unit: text('the name of a unit').nullish(), exec: command.nullish() }, map(RELOAD));
const reloadShape = z.preprocess((input) => (typeof input === 'string' ? { unit: input } : input), reloadKeys);

const shape = z.strictObject(
  {
    source: text('the path of a template').nullish(),
    destination: text('the path of the file to write').nullish(),
    on: selectorShape.nullish(),
    check: command.nullish(),
    reload: reloadShape.nullish(),
    mode: leaf(readMode, 'write permissions as an octal number, such as 0644').nullish(),
    owner: leaf((value) => (OWNER.test(value) ? value : undefined), 'write user or user:group').nullish(),
    debounce: duration(0, MAX_DEBOUNCE_MS).nullish(),
  },
  map('the keys of a template: source and destination at least'),
);
export const templateShape = shape;
type RawTemplate = z.infer<typeof shape>;

export const TEMPLATE_KEYS = {
  templates: Object.keys(shape.shape),
  'templates.on': Object.keys(selectorShape.shape),
  'templates.reload': ['exec'],
};

/** Templates that could be understood, in the order of the file; whatever could not is reported. */
export function readTemplates(
  raw: readonly (RawTemplate | undefined)[],
  known: KnownServices,
  findings: Findings,
): Template[] {
  if (raw.length > MAX_TEMPLATES)
    findings.problemAtKey(['templates'], `there are ${raw.length} templates; ${MAX_TEMPLATES} are the most`);
  const templates: { readonly template: Template; readonly index: number }[] = [];
  for (const [index, entry] of raw.entries()) {
    const template = entry && readTemplate(entry, known, ['templates', index], findings);
    if (!template) continue;
    const rival = templates.find((other) => collide(other.template, template));
    if (rival !== undefined) {
      const line = findings.lineOf(['templates', rival.index, 'destination']);
      findings.problem(
        ['templates', index, 'destination'],
        `${quote(template.destination)} is written by the template in line ${line} too; choose another file, or give the two on: labels: that differ`,
      );
    }
    templates.push({ template, index });
  }
  return templates.map(({ template }) => template);
}

function readTemplate(raw: RawTemplate, known: KnownServices, path: Path, findings: Findings): Template | undefined {
  const on = readSelector(raw.on ?? {}, known, [...path, 'on'], findings);
  const source = readPath(raw.source, 'source', path, findings);
  const destination = readPath(raw.destination, 'destination', path, findings);
  const reload = raw.reload ? readReload(raw.reload, [...path, 'reload'], findings) : undefined;
  const check = raw.check ?? undefined;
  if (check !== undefined) reviewCheck(check, [...path, 'check'], findings);
  if (source === undefined || destination === undefined) return undefined;
  if (source === destination) {
    findings.problem([...path, 'destination'], 'destination is the template itself; write it to another file');
  }
  return {
    source,
    destination,
    on,
    ...(check && { check }),
    ...(reload && { reload }),
    mode: raw.mode ?? 0o644,
    ...(raw.owner != null && { owner: raw.owner }),
    debounceMs: raw.debounce ?? 50,
  };
}

function readPath(
  written: string | null | undefined,
  key: 'source' | 'destination',
  entry: Path,
  findings: Findings,
): string | undefined {
  const path = [...entry, key];
  if (written == null) {
    if (!findings.present(path)) findings.problem(entry, `this template has no ${key}; add ${key}: with a path`);
    return undefined;
  }
  if (!isAbsolute(written) || normalize(written) !== written || written.endsWith('/')) {
    findings.problem(path, `${key} is ${quote(written)}; write the absolute path of a file, without . and ..`);
  } else if (/\p{Cc}/u.test(written) || Buffer.byteLength(written) > MAX_PATH_BYTES) {
    findings.problem(path, `${key} cannot be a path: it has control characters, or more than ${MAX_PATH_BYTES} bytes`);
  } else return written;
  return undefined;
}

function readReload(raw: z.infer<typeof reloadShape>, path: Path, findings: Findings): Template['reload'] | undefined {
  const { unit, exec } = raw;
  if (exec) {
    warnOfShell(exec, [...path, 'exec'], findings);
    return { kind: 'exec', command: exec };
  }
  if (unit == null) {
    if (!findings.present([...path, 'exec'])) findings.problem(path, `reload is empty; write ${RELOAD}`);
  } else if (!isUnitName(unit)) {
    const near = isServiceName(unit) && !unit.includes('.') ? `did you mean ${unit}.service?` : `write ${RELOAD}`;
    findings.problem(path, `reload is ${quote(unit)}; ${near}`);
  } else if (unit === ITSELF) {
    findings.problem(path, 'reload is the daemon itself, which needs none; write another unit');
  } else return { kind: 'unit', unit };
  return undefined;
}

function reviewCheck(check: Command, path: Path, findings: Findings): void {
  warnOfShell(check, path, findings);
  if (!check.some((word) => word.includes('{file}'))) {
    findings.warning(path, 'check has no {file}, so it does not look at what was rendered; write {file} for its path');
  }
}

/** True when a host may be told to write the same file from both. */
function collide(a: Template, b: Template): boolean {
  return a.destination === b.destination && !disjoint(a.on, b.on);
}

/** True when no host can have the labels of both. */
function disjoint(a: HostSelector, b: HostSelector): boolean {
  const [first, second] = [a.labels ?? {}, b.labels ?? {}];
  return Object.entries(first).some(([key, value]) => Object.hasOwn(second, key) && second[key] !== value);
}

/** `0644`, `644` or `0o644` → permission bits; no set-user-ID and its like. */
function readMode(written: string): number | undefined {
  return /^(0o?)?[0-7]{3}$/.test(written) ? Number.parseInt(written.replace('o', ''), 8) : undefined;
}
