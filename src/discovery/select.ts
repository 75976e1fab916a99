/** Which registrations are meant, and how they are written for programs that want addresses. Pure. */
import { compare } from '../shared/names.ts';
import type { Registration } from './registration.ts';

export interface Selection {
  /** Only those whose check, if any, says that they are healthy. */
  readonly healthy: boolean;
  readonly role?: string | undefined;
}

export function select(entries: readonly Registration[], { healthy, role }: Selection): readonly Registration[] {
  return entries.filter((entry) => (!healthy || entry.healthy) && (role === undefined || entry.role === role));
}

/** `h1,h2` or, with a port, `h1:80,h2:80`: sorted, each once. */
export function addressList(entries: readonly Registration[], port?: number): string {
  const all = entries.map(({ address }) => (port === undefined ? address : endpoint(address, port)));
  return [...new Set(all)].sort(compare).join(',');
}

/** `host:port`, with an IPv6 address in brackets. */
export function endpoint(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** A target of Prometheus' HTTP service discovery. */
export interface PrometheusTarget {
  readonly targets: readonly [string];
  readonly labels: Readonly<Record<string, string>>;
}

/** One target for each entry, on its own port or else `port`; without any, Prometheus takes its scheme's. */
export function prometheusTargets(entries: readonly Registration[], port?: number): readonly PrometheusTarget[] {
  return entries.map((entry) => {
    const { address, host, unit, role, info = {} } = entry;
    const at = entry.port ?? port;
    const labels: Record<string, string> = { label: entry.label, id: entry.id, host };
    if (unit !== undefined) labels.unit = unit;
    if (role !== undefined) labels.role = role;
    for (const [key, value] of Object.entries(info))
      labels[`info_${key.replace(/[^A-Za-z0-9_]/g, '_')}`] = typeof value === 'string' ? value : JSON.stringify(value);
    return { targets: [at === undefined ? address : endpoint(address, at)], labels };
  });
}

/** What became of a list. */
export interface Changes {
  /** New ones, and those that are other than before. */
  readonly set: readonly Registration[];
  /** Ids that are gone. */
  readonly removed: readonly string[];
}

/** Both lists are sorted by id, as those of a directory are; what is the same object has not changed. */
export function changesBetween(before: readonly Registration[], after: readonly Registration[]): Changes {
  const known = new Map(before.map((entry) => [entry.id, entry]));
  const set: Registration[] = [];
  for (const entry of after) {
    if (known.get(entry.id) !== entry) set.push(entry);
    known.delete(entry.id);
  }
  return { set, removed: [...known.keys()] };
}
