/** `hooks:` → the programs that are run when something happens. */
import * as z from 'zod';
import { isHostName, isLabel } from '../names.ts';
import { HOOK_EVENTS, type Hook, type Service } from '../spec.ts';
import { command, warnOfShell } from './commands.ts';
import { LABEL_RULE } from './discovery.ts';
import { quote } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { warnOfIdleFilter } from './hook-filters.ts';
import { type KnownServices, readSelector, readServiceName, selectorShape } from './selector.ts';
import { duration, list, listed, map, oneOf, text } from './values.ts';

const MAX_HOOKS = 200;
/** A hook that runs for longer holds up the events behind it. */
const MAX_TIMEOUT_MS = 60 * 60_000;

const filterShape = z.strictObject(
  {
    host: text('the name of a host').nullish(),
    service: text('the name of a service').nullish(),
    label: text('a label that instances are registered under').nullish(),
    role: text('a role that instances are registered with').nullish(),
  },
  map('settings: host, service, label, role'),
);

export const hookShape = z.strictObject(
  {
    on: z.preprocess(listed, list(oneOf(...HOOK_EVENTS), 'events, such as [unit-failed, unit-moved]')).nullish(),
    hosts: selectorShape.nullish(),
    filter: filterShape.nullish(),
    run: command.nullish(),
    timeout: duration(100, MAX_TIMEOUT_MS).nullish(),
  },
  map('the keys of a hook: on and run at least'),
);
type RawHook = z.infer<typeof hookShape>;

export const HOOK_KEYS = {
  hooks: Object.keys(hookShape.shape),
  'hooks.hosts': Object.keys(selectorShape.shape),
  'hooks.filter': Object.keys(filterShape.shape),
};

/** Hooks that could be understood, in the order of the file; whatever could not is reported. `services`: all of the file. */
export function readHooks(
  raw: readonly (RawHook | undefined)[],
  known: KnownServices,
  services: readonly Service[],
  findings: Findings,
): Hook[] {
  if (raw.length > MAX_HOOKS)
    findings.problemAtKey(['hooks'], `there are ${raw.length} hooks; ${MAX_HOOKS} are the most`);
  return raw.flatMap((entry, index) => {
    const hook = entry && readHook(entry, known, ['hooks', index], findings);
    if (hook) warnOfIdleFilter(hook, services, ['hooks', index], findings);
    return hook ? [hook] : [];
  });
}

function readHook(raw: RawHook, known: KnownServices, path: Path, findings: Findings): Hook | undefined {
  const on = readSelector(raw.hosts ?? {}, known, [...path, 'hosts'], findings);
  const filter = readFilter(raw.filter ?? {}, known, [...path, 'filter'], findings);
  const events = [...new Set(raw.on?.filter((event) => event !== undefined))];
  if (events.length === 0 && !broken(raw.on) && !(raw.on == null && findings.present([...path, 'on']))) {
    findings.problem(path, `this hook has no events; add on: with some of ${HOOK_EVENTS.join(', ')}`);
  }
  if (!raw.run) {
    if (!findings.present([...path, 'run'])) findings.problem(path, 'this hook has no program; add run: COMMAND');
    return undefined;
  }
  warnOfShell(raw.run, [...path, 'run'], findings);
  return { events, on, filter, run: raw.run, timeoutMs: raw.timeout ?? 30_000 };
}

/** True when events were taken away because they were reported. */
function broken(events: RawHook['on']): boolean {
  return events?.includes(undefined) ?? false;
}

function readFilter(
  raw: z.infer<typeof filterShape>,
  known: KnownServices,
  path: Path,
  findings: Findings,
): Hook['filter'] {
  const { host, label, role } = raw;
  if (host != null && !isHostName(host))
    findings.problem([...path, 'host'], `filter.host is ${quote(host)}, which cannot be the name of a host`);
  if (label != null && !isLabel(label))
    findings.problem([...path, 'label'], `filter.label is ${quote(label)}, which cannot be a label: ${LABEL_RULE}`);
  const service = readServiceName(raw.service, known, [...path, 'service'], findings);
  return {
    ...(host != null && { host }),
    ...(service !== undefined && { service }),
    ...(label != null && { label }),
    ...(role != null && { role }),
  };
}
