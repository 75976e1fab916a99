/** Whether desired states satisfy the rules of the spec that they were computed from. Independent of the product's verifier. */
import type { Service, Spec } from '../../src/shared/spec.ts';
import type { Desired } from '../../src/shared/state.ts';

/** Units of a service, and how many instances of each there may be; undefined: one on every host. */
export function wantedOf(service: Service): Map<string, number | undefined> {
  if (!service.enabled) return new Map();
  switch (service.type) {
    case 'global':
      return new Map([[`${service.name}.service`, undefined]]);
    case 'shared':
      return new Map([[`${service.name}.service`, service.count]]);
    case 'multi':
      return new Map(
        Object.entries(service.instances).map(([key, count]) => [`${service.name}@${key}.service`, count]),
      );
  }
}

/** The service that a unit belongs to, enabled or not. */
export function serviceOf(spec: Spec, unit: string): Service | undefined {
  const name = unit.replace(/\.service$/, '');
  const key = name.slice(name.indexOf('@') + 1);
  return spec.services.find((service) =>
    service.type === 'multi'
      ? name.startsWith(`${service.name}@`) && Object.hasOwn(service.instances, key)
      : service.name === name,
  );
}

/** The unit is one of the service's. */
export function isOf(unit: string, service: string): boolean {
  return unit === `${service}.service` || unit.startsWith(`${service}@`);
}

/** What is wrong, one sentence each. `states` are those that were computed from `spec`. */
export function breaches(states: readonly Desired[], spec: Spec): string[] {
  const found: string[] = [];
  const wanted = new Map(spec.services.flatMap((service) => [...wantedOf(service)]));
  const hosts = new Map<string, string[]>();
  for (const { host, units } of states) {
    // what is withdrawn is to be stopped
    for (const { unit, withdrawn } of units) if (!withdrawn) hosts.set(unit, [...(hosts.get(unit) ?? []), host]);
  }
  for (const [unit, on] of hosts) {
    const service = serviceOf(spec, unit);
    if (!service || !wanted.has(unit)) {
      found.push(`${unit} is placed on ${on.join(', ')}, but not wanted at all`);
      continue;
    }
    const count = wanted.get(unit);
    if (count !== undefined && on.length > count)
      found.push(`${unit} is placed ${on.length} times (${on.join(', ')}), wanted ${count}`);
    if (new Set(on).size < on.length) found.push(`${unit} is placed twice on a host: ${on.join(', ')}`);
    if (service.type !== 'multi') continue;
    const forced = service.force[unit.slice(unit.indexOf('@') + 1, -'.service'.length)];
    if (forced !== undefined && on.some((host) => host !== forced))
      found.push(`${unit} is on ${on.join()}, not ${forced}`);
  }
  for (const service of spec.services) {
    if (service.type !== 'multi' || !service.exclusive) continue;
    for (const { host, units } of states) {
      const own = units.filter((unit) => unit.service === service.name && !unit.withdrawn);
      if (own.length > 1) found.push(`${host} has ${own.length} instances of the exclusive ${service.name}`);
    }
  }
  return found;
}
