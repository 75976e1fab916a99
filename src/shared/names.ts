/**
 * Names of units and hosts: what is allowed, and how a service's units are called. Every name that reaches systemd,
 * a znode path or a file path passed one of these checks first.
 */
import type { Service } from './spec.ts';

/** systemd.unit(5): letters, digits and `:-_.\`, at most 255 characters with the suffix; `@` parts template and instance. */
const PREFIX = /^[A-Za-z0-9:_.\\-]+$/;
const INSTANCE = /^[A-Za-z0-9:_.\\@-]+$/;
const HOST = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$/;
const LABEL = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const SUFFIX = '.service';
const MAX_UNIT_LENGTH = 255;

/** True for a service name: what stands before `@` or `.service` in a unit name. */
export function isServiceName(name: string): boolean {
  return PREFIX.test(name) && name.length + SUFFIX.length <= MAX_UNIT_LENGTH;
}

/** True for what may stand between `@` and `.service`. */
export function isInstanceKey(key: string): boolean {
  return INSTANCE.test(key);
}

/** True for a full unit name of type service, `a.service` or `a@b.service`; not for a bare template `a@.service`. */
export function isUnitName(unit: string): boolean {
  if (unit.length > MAX_UNIT_LENGTH || !unit.endsWith(SUFFIX)) return false;
  const stem = unit.slice(0, -SUFFIX.length);
  const at = stem.indexOf('@');
  return at < 0 ? PREFIX.test(stem) : PREFIX.test(stem.slice(0, at)) && INSTANCE.test(stem.slice(at + 1));
}

/** True for a host name (RFC 1123, underscores tolerated): safe as the last part of a znode path. */
export function isHostName(host: string): boolean {
  return HOST.test(host);
}

/** True for a label under which instances are registered: safe as a part of a znode path, of a URL and of a file name. */
export function isLabel(label: string): boolean {
  return LABEL.test(label);
}

/** `hadoop@namenode` and `hadoop@namenode.service` → `hadoop@namenode.service`. */
export function toUnitName(name: string): string {
  return name.endsWith(SUFFIX) ? name : name + SUFFIX;
}

/** The unit of an instance of a `multi` service. */
export function instanceUnit(service: string, key: string): string {
  return `${service}@${key}${SUFFIX}`;
}

/** All units that a service declares, enabled or not, in the order of the configuration. */
export function unitsOf(service: Service): string[] {
  if (service.type !== 'multi') return [service.name + SUFFIX];
  return Object.keys(service.instances).map((key) => instanceUnit(service.name, key));
}

/**
 * Order of strings by UTF-16 code unit: total, and the same on every machine, whatever its locale. Every sorted list
 * in a payload or a decision uses it.
 */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
