/** `start:` and `after:` of a service → how many of its instances start at a time, and what they wait for. */
import * as z from 'zod';
import type { StartAfter, StartOrder } from '../attachments.ts';
import type { Findings, Path } from './findings.ts';
import { duration, list, listed, map, oneOf, positive, text } from './values.ts';

const START = 'settings: at_once, until, timeout; or serial';
const AFTER = 'services, such as [kafka, {service: hdfs, where: same-host}]';

export const startKeys = z.strictObject(
  {
    at_once: positive.nullish(),
    until: oneOf('active', 'healthy').nullish(),
    timeout: duration(1000).nullish(),
  },
  map(START),
);
export const startShape = z.preprocess((input) => (input === 'serial' ? {} : input), startKeys);

export const afterKeys = z.strictObject(
  {
    service: text('the name of a service').nullish(),
    where: oneOf('anywhere', 'same-host').nullish(),
  },
  map('service and where, or the name of a service'),
);
const afterEntry = z.preprocess((input) => (typeof input === 'string' ? { service: input } : input), afterKeys);
export const afterShape = z.preprocess(listed, list(afterEntry, AFTER));

export function readStart(
  raw: z.infer<typeof startShape>,
  service: { readonly name: string; readonly checked: boolean },
  path: Path,
  findings: Findings,
): StartOrder {
  if (raw.until === 'healthy' && !service.checked) {
    findings.problem(
      [...path, 'until'],
      `start.until is healthy, but ${service.name} has no check; add check: or write until: active`,
    );
  }
  return {
    atOnce: raw.at_once ?? 1,
    until: raw.until ?? (service.checked ? 'healthy' : 'active'),
    timeoutMs: raw.timeout ?? 5 * 60_000,
  };
}

/** In the order of the file; that the services exist is checked when all are known. */
export function readAfter(raw: z.infer<typeof afterShape>, path: Path, findings: Findings): readonly StartAfter[] {
  const after: StartAfter[] = [];
  for (const [index, entry] of raw.entries()) {
    // Taken away because it was reported.
    if (entry === undefined) continue;
    const service = serviceNameOf(entry.service);
    if (service !== undefined) after.push({ service, where: entry.where ?? 'anywhere' });
    else if (!findings.present([...path, index, 'service'])) {
      findings.problem([...path, index], 'this entry of after has no service; add service: with the name of one');
    }
  }
  return after;
}

/** The name of a service as others write it, with or without `.service`. */
export function serviceNameOf(written: string | null | undefined): string | undefined {
  return written?.replace(/\.service$/, '');
}
