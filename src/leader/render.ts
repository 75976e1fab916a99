/** From a placement to each host's desired state, and which of them differ from what is written. Pure. */
import type { Attachments } from '../shared/attachments.ts';
import { compare, toUnitName } from '../shared/names.ts';
import { references } from '../shared/prestart-text.ts';
import type { Service, Spec } from '../shared/spec.ts';
import type { Desired, DesiredPrestart, DesiredUnit } from '../shared/state.ts';
import type { Placement } from './placement.ts';

/** Host → its units, sorted; every host of `hosts` has an entry. */
export function renderUnits(placement: Placement, spec: Spec, hosts: readonly string[]): Map<string, DesiredUnit[]> {
  const services = new Map(spec.services.map((service) => [service.name, service]));
  const parts = new Map<string, ServicePart>();
  const rendered = new Map<string, DesiredUnit[]>(hosts.map((host) => [host, []]));
  for (const { unit, service: name, instances } of placement.units.values()) {
    const service = services.get(name);
    if (!service) throw new Error(`the placement has unit ${unit} of a service ${name} that the spec does not declare`);
    const part = parts.get(name) ?? renderService(service, placement);
    parts.set(name, part);
    for (const { host, why } of instances) rendered.get(host)?.push({ unit, ...part, why });
  }
  for (const units of rendered.values()) units.sort((a, b) => compare(a.unit, b.unit));
  return rendered;
}

/** What all units of a service share; so do all hosts its objects, which makes them quick to compare. */
type ServicePart = Omit<DesiredUnit, 'unit' | 'why'>;

function renderService(service: Service, placement: Placement): ServicePart {
  const { name, isolation, check, discovery, start, after } = service;
  const prestart = renderPrestart(service, placement);
  return {
    service: name,
    isolation,
    ...(prestart && { prestart }),
    ...(check && { check }),
    ...(discovery && { discovery }),
    ...(start && { start }),
    ...(after && { after }),
  };
}

function renderPrestart(service: Service, placement: Placement): DesiredPrestart | undefined {
  if (service.prestart === undefined) return undefined;
  const values: Record<string, readonly string[]> = {};
  for (const reference of references(service.prestart)) {
    const placed = placement.units.get(toUnitName(reference));
    values[reference] = placed?.instances.map((instance) => instance.host) ?? [];
  }
  return { script: service.prestart, values };
}

/** True when a host must be written anew: its units or their inputs changed. A reason alone is no change. */
export function differs(written: Desired | undefined, units: readonly DesiredUnit[], spec: string): boolean {
  if (!written || written.spec !== spec || written.units.length !== units.length) return true;
  return written.units.some((unit, index) => !sameContent(unit, units[index]));
}

function sameContent(a: DesiredUnit, b: DesiredUnit | undefined): boolean {
  if (!b || a.unit !== b.unit || a.service !== b.service || a.isolation !== b.isolation) return false;
  if ((a.withdrawn ?? false) !== (b.withdrawn ?? false) || changedAttachments(a, b).length > 0) return false;
  if (!sameData(a.moves, b.moves)) return false;
  if (!sameData(a.waitsFor, b.waitsFor)) return false;
  if (!a.prestart || !b.prestart) return a.prestart === b.prestart;
  if (a.prestart === b.prestart) return true;
  return a.prestart.script === b.prestart.script && sameValues(a.prestart.values, b.prestart.values);
}

/** What a service has beside its placement. */
const ATTACHMENTS = ['check', 'discovery', 'start', 'after'] as const satisfies readonly (keyof Attachments)[];
const NONE: readonly (keyof Attachments)[] = [];

/** Which of them differ. */
export function changedAttachments(a: Attachments, b: Attachments): readonly (keyof Attachments)[] {
  if (ATTACHMENTS.every((key) => sameData(a[key], b[key]))) return NONE;
  return ATTACHMENTS.filter((key) => !sameData(a[key], b[key]));
}

/** Compares plain data. What this leader rendered is the same object; only what was read from ZooKeeper is looked into. */
function sameData(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isRecord(a) || !isRecord(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => sameData(a[key], b[key]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** True when every reference names the same hosts. */
export function sameValues(a: DesiredPrestart['values'], b: DesiredPrestart['values']): boolean {
  const references = Object.keys(a);
  if (references.length !== Object.keys(b).length) return false;
  return references.every((reference) => a[reference]?.join() === b[reference]?.join());
}
