/** What templates are rendered from: the cluster as plain, sorted lists. Pure. */
import type { Member } from '../shared/cluster.ts';
import { compare } from '../shared/names.ts';
import type { Desired } from '../shared/state.ts';
import type { LeaseHolder, LeaseWaiter } from './lease.ts';
import type { Registration } from './registration.ts';

/** One lease that somebody has or waits for. Those who wait: in the order in which they came. */
export interface LeaseFact {
  readonly label: string;
  readonly holder?: LeaseHolder;
  readonly waiters: readonly LeaseWaiter[];
}

/** What this host has read of the cluster, all of it. */
export interface ClusterFacts {
  /** This host. */
  readonly host: string;
  /** Where others reach it: a host name or an IP address. */
  readonly address: string;
  readonly members: Iterable<Pick<Member, 'host' | 'address' | 'labels'>>;
  readonly registrations: Iterable<Registration>;
  readonly desired: Iterable<Pick<Desired, 'host' | 'units'>>;
  readonly leases: Iterable<LeaseFact>;
}

export interface TemplateMember {
  readonly host: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type TemplateLease = Omit<LeaseFact, 'label'>;

/** The names that a template may use (docs/templates.md). */
export interface TemplateData {
  /** Name of the host that the file is for. */
  readonly host: string;
  /** The same, and this host's address, in the words of templates that were written for Serf. */
  readonly name: string;
  readonly ip: string;
  readonly members: readonly TemplateMember[];
  /** Members with the label `role: backend`, in the words of templates that were written for Serf. */
  readonly addresses: readonly { readonly host: string; readonly ip: string }[];
  /** Label → what is registered under it. A label without any is missing, which templates take for an empty list. */
  readonly discovery: Readonly<Record<string, readonly Registration[]>>;
  /** All of `discovery`, in one list. */
  readonly services: readonly Registration[];
  /** Unit → the hosts that shall run it. */
  readonly placements: Readonly<Record<string, readonly string[]>>;
  /** Label → who has the startup lease, and who waits for it. One that nobody has or waits for is missing. */
  readonly leases: Readonly<Record<string, TemplateLease>>;
}

/** Lists and maps within one another: what is deeper is left out. */
const MAX_DEPTH = 16;
/** Control characters, and what some programs take for the end of a line. */
const BREAKS = /[\p{Cc}\u2028\u2029]/gu;

/**
 * The same facts give the same data, in the same order. What anybody wrote to ZooKeeper holds no control characters
 * afterwards, in texts and names alike: no value can begin a line of its own in a file.
 */
export function templateData(facts: ClusterFacts): TemplateData {
  const { host, address, members, registrations, desired, leases } = facts;
  const services = [...registrations]
    .map((entry) => cleanRegistration(entry))
    .sort((a, b) => compare(a.label, b.label) || compare(a.id, b.id));
  const discovery = new Map<string, Registration[]>();
  for (const entry of services) {
    const entries = discovery.get(entry.label);
    if (entries) entries.push(entry);
    else discovery.set(entry.label, [entry]);
  }
  const cleanMembers = [...members].map(cleanMember).sort((a, b) => compare(a.host, b.host));
  return {
    host,
    name: host,
    ip: address,
    members: cleanMembers,
    addresses: cleanMembers.flatMap(({ host, address, labels }) =>
      labels.role === 'backend' ? [{ host, ip: address }] : [],
    ),
    discovery: Object.fromEntries(discovery),
    services,
    placements: placementsOf(desired),
    leases: Object.fromEntries(
      [...leases].sort((a, b) => compare(a.label, b.label)).map((lease) => [lease.label, cleanLease(lease)]),
    ),
  };
}

function placementsOf(desired: ClusterFacts['desired']): Record<string, readonly string[]> {
  const hosts = new Map<string, string[]>();
  for (const { host, units } of [...desired].sort((a, b) => compare(a.host, b.host)))
    for (const { unit, withdrawn } of units) {
      if (withdrawn) continue;
      const found = hosts.get(unit);
      if (found) found.push(host);
      else hosts.set(unit, [host]);
    }
  return Object.fromEntries([...hosts].sort(([a], [b]) => compare(a, b)));
}

function cleanMember({ host, address, labels }: TemplateMember): TemplateMember {
  const entries = Object.entries(labels).map(([name, value]) => [clean(name), clean(value)] as const);
  return { host: clean(host), address: clean(address), labels: Object.fromEntries(entries) };
}

/** What has not changed since it was read is cleaned once. */
const CLEANED = new WeakMap<Registration, Registration>();

function cleanRegistration(entry: Registration): Registration {
  const cleaned = CLEANED.get(entry) ?? cleanedRegistration(entry);
  CLEANED.set(entry, cleaned);
  return cleaned;
}

function cleanedRegistration(entry: Registration): Registration {
  const { info, role } = entry;
  return {
    ...entry,
    id: clean(entry.id),
    host: clean(entry.host),
    address: clean(entry.address),
    ...(role !== undefined && { role: clean(role) }),
    ...(info !== undefined && {
      info: Object.fromEntries(Object.entries(info).map(([key, value]) => [clean(key), cleanJson(value, 1)])),
    }),
  };
}

function cleanLease({ holder, waiters }: LeaseFact): TemplateLease {
  return {
    ...(holder && { holder: cleanHolder(holder) }),
    waiters: waiters.map(({ id, host }) => ({ id: clean(id), host: clean(host) })),
  };
}

function cleanHolder({ id, host, address, since, timeoutMs }: LeaseHolder): LeaseHolder {
  return {
    id: clean(id),
    host: clean(host),
    ...(address !== undefined && { address: clean(address) }),
    since: clean(since),
    timeoutMs,
  };
}

type Json = NonNullable<Registration['info']>[string];

function cleanJson(value: Json, depth: number): Json {
  if (typeof value === 'string') return clean(value);
  if (value === null || typeof value !== 'object') return value;
  if (depth >= MAX_DEPTH) return null;
  if (Array.isArray(value)) return value.map((each) => cleanJson(each, depth + 1));
  const entries = Object.entries(value).map(([key, each]) => [clean(key), cleanJson(each, depth + 1)] as const);
  return Object.fromEntries(entries);
}

function clean(text: string): string {
  return text.replace(BREAKS, '');
}
