/** Which hosts a template or a hook concerns, and the names of services in both. */
import * as z from 'zod';
import type { HostSelector } from '../spec.ts';
import { quote } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { suggestion } from './nearest.ts';
import { serviceNameOf } from './start-order.ts';
import { map, text, texts } from './values.ts';

const LABEL_KEY = /^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$/;
export const LABEL_KEY_RULE = 'letters, digits and _ . / -, at most 63 characters';

export const selectorShape = z.strictObject(
  {
    labels: texts('labels of hosts and their values').nullish(),
    service: text('the name of a service').nullish(),
  },
  map('settings: labels, service'),
);

/** Names of the services of the file, and of those among them that have mistakes of their own. */
export interface KnownServices {
  readonly names: readonly string[];
  readonly broken: ReadonlySet<string>;
}

/** True for what may stand before the colon in `host.labels`. */
export function isLabelKey(key: string): boolean {
  return LABEL_KEY.test(key) && !(key in Object.prototype);
}

export function readSelector(
  raw: z.infer<typeof selectorShape>,
  known: KnownServices,
  path: Path,
  findings: Findings,
): HostSelector {
  const labels = raw.labels ?? {};
  for (const key of Object.keys(labels)) {
    if (!isLabelKey(key))
      findings.problemAtKey([...path, 'labels', key], `${quote(key)} cannot be a label of a host: ${LABEL_KEY_RULE}`);
  }
  const service = readServiceName(raw.service, known, [...path, 'service'], findings);
  return { ...(Object.keys(labels).length > 0 && { labels }), ...(service !== undefined && { service }) };
}

/** The name of a service that the file declares; whatever else is there is reported. */
export function readServiceName(
  written: string | null | undefined,
  { names, broken }: KnownServices,
  path: Path,
  findings: Findings,
): string | undefined {
  const name = serviceNameOf(written);
  if (name !== undefined && !names.includes(name) && !broken.has(name)) {
    const hint = names.length === 0 ? 'it has none' : suggestion(name, names);
    findings.problem(path, `${quote(name)} is no service of the file; ${hint}`);
  }
  return name;
}
