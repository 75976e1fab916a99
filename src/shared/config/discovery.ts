/** `discovery:` of a service → what each of its instances is registered under. */
import * as z from 'zod';
import type { Discovery } from '../attachments.ts';
import { canonicalJson } from '../digest.ts';
import { isLabel } from '../names.ts';
import { MAX_INFO_BYTES } from '../payload-parts.ts';
import { quote } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { readPort } from './scalars.ts';
import { boolean, duration, leaf, map, text, texts } from './values.ts';

/** A stop that takes longer is a host that nobody can update. */
const MAX_DEREGISTRATION_DELAY_MS = 60 * 60_000;
export const LABEL_RULE = 'a letter or a digit, then letters, digits and _ . -, at most 100 characters';

export const discoveryShape = z.strictObject(
  {
    label: text('the label to be found under').nullish(),
    port: leaf(readPort, 'write a port from 1 to 65535').nullish(),
    role: text('one word, such as primary').nullish(),
    info: texts('names and texts').nullish(),
    only_healthy: boolean.nullish(),
    deregistration_delay: duration(0, MAX_DEREGISTRATION_DELAY_MS).nullish(),
  },
  map('settings: label, port, role, info, only_healthy, deregistration_delay; {} for the defaults'),
);
export type RawDiscovery = z.infer<typeof discoveryShape>;

/** Undefined when there is no label; whatever is wrong is reported. */
export function readDiscovery(
  raw: RawDiscovery,
  service: { readonly name: string; readonly checked: boolean },
  path: Path,
  findings: Findings,
): Discovery | undefined {
  const label = readLabel(raw, service.name, path, findings);
  const role = raw.role ?? undefined;
  if (role !== undefined && !isLabel(role)) {
    findings.problem([...path, 'role'], `discovery.role is ${quote(role)}, which cannot be a role: ${LABEL_RULE}`);
  }
  const info = raw.info ?? {};
  const bytes = Buffer.byteLength(canonicalJson(info));
  if (bytes > MAX_INFO_BYTES) {
    findings.problemAtKey(
      [...path, 'info'],
      `discovery.info takes ${Math.ceil(bytes / 1024)} KiB, more than the ${MAX_INFO_BYTES / 1024} KiB that are published; name a place to read it from instead`,
    );
  }
  if (raw.only_healthy === false && !service.checked) {
    findings.warningAtKey(
      [...path, 'only_healthy'],
      'only_healthy means nothing for a service without a check and is ignored',
    );
  }
  if (label === undefined) return undefined;
  return {
    label,
    ...(raw.port != null && { port: raw.port }),
    ...(role !== undefined && { role }),
    ...(Object.keys(info).length > 0 && { info }),
    onlyHealthy: raw.only_healthy ?? true,
    // none is written as none: the digest of a file stays as it was
    ...(raw.deregistration_delay && { deregistrationDelayMs: raw.deregistration_delay }),
  };
}

function readLabel(raw: RawDiscovery, name: string, path: Path, findings: Findings): string | undefined {
  const label = raw.label ?? name;
  if (isLabel(label)) return label;
  if (raw.label != null) {
    findings.problem([...path, 'label'], `discovery.label is ${quote(label)}, which cannot be a label: ${LABEL_RULE}`);
  } else if (!findings.present([...path, 'label'])) {
    findings.problemAtKey(path, `${name} cannot be a label (${LABEL_RULE}); add label: with one to be found under`);
  }
  return undefined;
}
