/** `services:` → the services of the spec: types worked out, names checked, contradictions reported. */
import { instanceUnit, isHostName, isInstanceKey, isServiceName, isUnitName, unitsOf } from '../names.ts';
import type { Isolation, MultiService, Service } from '../spec.ts';
import { readAttachments } from './attachments.ts';
import { quote } from './endpoints.ts';
import type { Findings } from './findings.ts';
import type { RawService } from './schema.ts';

/** A service and its place in the list. */
export interface DeclaredService {
  readonly service: Service;
  readonly index: number;
}

/** The unit of the daemon, as `deploy/servicewatcher.service` names it. */
const ITSELF = 'servicewatcher';
/** Kinds of systemd units that cannot be managed: systemd.unit(5). */
const OTHER_SUFFIX = /\.(socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;
const NAME_RULE = 'letters, digits and : - _ . \\, at most 255 characters together with .service';

/** Services that could be understood; whatever could not is reported. */
export function readServices(
  raw: readonly (RawService | undefined)[],
  isolation: Isolation,
  findings: Findings,
): DeclaredService[] {
  const declared: DeclaredService[] = [];
  for (const [index, entry] of raw.entries()) {
    if (entry === undefined) continue;
    const service = readService(entry, index, isolation, findings);
    if (service !== undefined) declared.push({ service, index });
  }
  reportDuplicates(declared, findings);
  return declared;
}

function readService(raw: RawService, index: number, isolation: Isolation, findings: Findings): Service | undefined {
  const service = readPlacement(raw, index, isolation, findings);
  return service && { ...service, ...readAttachments(raw, service, index, findings) };
}

/** The service without what it has beside its placement. */
function readPlacement(raw: RawService, index: number, isolation: Isolation, findings: Findings): Service | undefined {
  const path = ['services', index] as const;
  const type = typeOf(raw, index, findings);
  const name = readName(raw.name ?? undefined, type, index, findings);
  if (type === undefined || name === undefined) return undefined;
  const base = {
    name,
    enabled: raw.enabled ?? true,
    isolation: raw.isolation ?? isolation,
    ...(raw.prestart ? { prestart: raw.prestart } : {}),
  };
  warnOfIdleKeys(raw, type, index, findings);
  switch (type) {
    case 'global':
      return { ...base, type };
    case 'shared':
      if (!findings.present([...path, 'count'])) {
        findings.problem(
          [...path, 'type'],
          `${name} is shared but has no count; add count: with the wanted number of instances`,
        );
      }
      return { ...base, type, count: raw.count ?? 0 };
    case 'multi':
      if (!findings.present([...path, 'instances'])) {
        findings.problem(
          [...path, 'type'],
          `${name} is multi but has no instances; add instances: with a count for each key`,
        );
      }
      return readMulti(
        { ...base, type, exclusive: raw.exclusive ?? false, instances: raw.instances ?? {}, force: raw.force ?? {} },
        index,
        findings,
      );
  }
}

/** As the original does: without a type, `count` makes it shared and `instances` makes it multi. */
function typeOf(raw: RawService, index: number, findings: Findings): Service['type'] | undefined {
  const path = ['services', index] as const;
  if (raw.type) return raw.type;
  if (findings.present([...path, 'type'])) return undefined;
  const count = findings.present([...path, 'count']);
  const instances = findings.present([...path, 'instances']);
  if (count && instances) {
    findings.problemAtKey(
      [...path, 'instances'],
      'both count and instances are given without a type; write type: shared or type: multi, and remove the other key',
    );
    return undefined;
  }
  if (count) return 'shared';
  if (instances) return 'multi';
  const place = findings.present([...path, 'name']) ? [...path, 'name'] : path;
  findings.problemAtKey(
    place,
    'the type of this service is unknown; write type: global, or give count (shared) or instances (multi)',
  );
  return undefined;
}

function readName(
  text: string | undefined,
  type: Service['type'] | undefined,
  index: number,
  findings: Findings,
): string | undefined {
  const path = ['services', index, 'name'] as const;
  if (text === undefined) {
    if (!findings.present(path))
      findings.problem(path.slice(0, 2), 'this service has no name; add name: with the name of its systemd unit');
    return undefined;
  }
  const name = text.endsWith('.service') ? text.slice(0, -'.service'.length) : text;
  const other = name === text ? OTHER_SUFFIX.exec(name)?.[1] : undefined;
  const at = name.indexOf('@');
  if (other !== undefined) {
    findings.problem(path, `${quote(text)} is a ${other} unit; only services can be declared here`);
  } else if (at >= 0 && type === 'multi') {
    findings.problem(
      path,
      `${quote(text)} has an @, but a multi service is named by what stands before it; write ${name.slice(0, at) || 'that name'}, and the rest as a key of instances`,
    );
  } else if (at === name.length - 1 && at > 0) {
    findings.problem(
      path,
      `${quote(text)} is a template without an instance; write type: multi with instances, or name one instance such as ${name}1`,
    );
  } else if (name === ITSELF) {
    findings.problem(
      path,
      `${quote(text)} is the daemon itself, which cannot start or stop itself; leave it to systemctl enable`,
    );
  } else if (isReserved(name) || !(isServiceName(name) || isUnitName(`${name}.service`))) {
    findings.problem(path, `${quote(text)} is not the name of a systemd service: ${NAME_RULE}`);
  } else {
    return name;
  }
  return undefined;
}

function readMulti(service: MultiService, index: number, findings: Findings): MultiService {
  const path = ['services', index] as const;
  for (const key of Object.keys(service.instances)) {
    if (isReserved(key) || !isInstanceKey(key) || !isUnitName(instanceUnit(service.name, key))) {
      findings.problemAtKey(
        [...path, 'instances', key],
        `${quote(key)} cannot be the instance of a unit: ${NAME_RULE}`,
      );
    }
  }
  const owners = new Map<string, string>();
  for (const [key, host] of Object.entries(service.force)) {
    const here = [...path, 'force', key];
    const count = Object.hasOwn(service.instances, key) ? service.instances[key] : undefined;
    if (!isHostName(host)) findings.problem(here, `${quote(host)} is not the name of a host`);
    if (count === undefined) {
      // A key whose count could not be read was reported there.
      if (!findings.present([...path, 'instances', key])) {
        findings.problemAtKey(
          here,
          `force names ${quote(key)}, which is not a key of instances; ${knownKeys(service)}`,
        );
      }
    } else if (count !== 1) {
      findings.problemAtKey(here, `${quote(key)} is forced to ${host}, so its count must be 1, but it is ${count}`);
    }
    const owner = owners.get(host);
    if (service.exclusive && service.enabled && owner !== undefined) {
      findings.warningAtKey(
        here,
        `${quote(owner)} and ${quote(key)} are both forced to ${host}, but ${service.name} is exclusive: only one of them can run`,
      );
    }
    owners.set(host, key);
  }
  return service;
}

function knownKeys(service: MultiService): string {
  const keys = Object.keys(service.instances);
  return keys.length === 0 ? 'there are none' : `its keys: ${keys.join(', ')}`;
}

function warnOfIdleKeys(raw: RawService, type: Service['type'], index: number, findings: Findings): void {
  const idle = {
    count: type !== 'shared' && raw.count != null,
    instances: type !== 'multi' && raw.instances != null,
    force: type !== 'multi' && raw.force != null,
    exclusive: type !== 'multi' && raw.exclusive === true,
  };
  for (const [key, given] of Object.entries(idle)) {
    if (given)
      findings.warningAtKey(['services', index, key], `${key} means nothing for a ${type} service and is ignored`);
  }
}

function reportDuplicates(declared: readonly DeclaredService[], findings: Findings): void {
  const names = new Map<string, number>();
  const units = new Map<string, DeclaredService>();
  for (const { service, index } of declared) {
    const path = ['services', index, 'name'];
    const first = names.get(service.name);
    if (first !== undefined) {
      findings.problem(
        path,
        `${service.name} is declared twice, first in line ${findings.lineOf(['services', first, 'name'])}; keep one of them`,
      );
      continue;
    }
    names.set(service.name, index);
    for (const unit of unitsOf(service)) {
      const owner = units.get(unit);
      if (owner !== undefined) {
        findings.problem(
          path,
          `${unit} is declared twice, first by ${owner.service.name} in line ${findings.lineOf(['services', owner.index, 'name'])}; keep one of them`,
        );
      }
      units.set(unit, { service, index });
    }
  }
}

/** Names that every JavaScript object answers to: refused, so that no lookup can ever find one of those instead. */
function isReserved(name: string): boolean {
  return name in Object.prototype;
}
