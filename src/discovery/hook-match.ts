/** Which hosts a hook concerns, and which events; and what an event says beside what it is made of. Pure. */
import { unitsOf } from '../shared/names.ts';
import type { Hook, HostSelector, Service } from '../shared/spec.ts';
import type { ClusterEvent } from './hook-event.ts';
import type { View } from './hook-view.ts';

/** What a selector asks of a host. */
export interface HostFacts {
  readonly labels: Readonly<Record<string, string>>;
  /** Services of which it is to run an instance. */
  readonly services: ReadonlySet<string>;
}

/** The host has all the labels, and is to run an instance of the service: both if both are given. */
export function selects(on: HostSelector, { labels, services }: HostFacts): boolean {
  const has = Object.entries(on.labels ?? {}).every(
    ([name, value]) => Object.hasOwn(labels, name) && labels[name] === value,
  );
  return has && (on.service === undefined || services.has(on.service));
}

/** The hook is for events of this kind, and this one has all that its filter asks for: what it does not say does not match. */
export function wants(hook: Pick<Hook, 'events' | 'filter'>, event: ClusterEvent): boolean {
  const { host, service, label, role } = hook.filter;
  return (
    hook.events.includes(event.event) &&
    (host === undefined || [event.host, event.from, event.to].includes(host)) &&
    (service === undefined || event.service === service) &&
    (label === undefined || event.label === label) &&
    (role === undefined || event.role === role)
  );
}

/** Unit → the service that declares it. */
export type ServiceOfUnit = ReadonlyMap<string, Service>;

export function servicesByUnit(services: readonly Service[]): ServiceOfUnit {
  return new Map(services.flatMap((service) => unitsOf(service).map((unit) => [unit, service] as const)));
}

/** What is known of the cluster when an event is told. */
export interface Surroundings {
  readonly services: ServiceOfUnit;
  /** The states before and after; a host that is gone is in the first only. */
  readonly before: View;
  readonly after: View;
}

/** The event with what its host, its unit's service and its registration add to it. */
export function complete(event: ClusterEvent, { services, before, after }: Surroundings): ClusterEvent {
  const member = after.members.get(event.host) ?? before.members.get(event.host);
  const service = event.unit === undefined ? undefined : services.get(event.unit);
  const address = event.address ?? member?.address;
  const labels = event.labels ?? member?.labels;
  const role = event.role ?? service?.discovery?.role ?? labels?.role;
  const label = event.label ?? service?.discovery?.label;
  const name = event.service ?? service?.name;
  return {
    ...event,
    ...(address !== undefined && { address }),
    ...(labels !== undefined && { labels }),
    ...(role !== undefined && { role }),
    ...(label !== undefined && { label }),
    ...(name !== undefined && { service: name }),
  };
}
