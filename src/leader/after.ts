/**
 * What a unit with `after: … anywhere` is told of the services before it: those that are up on no host. The leader knows the
 * reports of all hosts; executors know only their own. Pure.
 */
import type { HealthCheck } from '../shared/attachments.ts';
import { unitsOf } from '../shared/names.ts';
import type { Spec } from '../shared/spec.ts';
import type { DesiredUnit, Observed } from '../shared/state.ts';

/** The units of all hosts, each told which of the services that it waits for are up nowhere. `observed`: of live hosts. */
export function withWaits(
  rendered: ReadonlyMap<string, readonly DesiredUnit[]>,
  spec: Spec,
  observed: readonly Observed[],
): ReadonlyMap<string, readonly DesiredUnit[]> {
  const predecessors = new Map<string, readonly string[]>();
  for (const { name, after = [] } of spec.services) {
    const anywhere = after.flatMap(({ where, service }) => (where === 'anywhere' ? [service] : []));
    if (anywhere.length > 0) predecessors.set(name, anywhere);
  }
  if (predecessors.size === 0) return rendered;
  const down = servicesDown(new Set([...predecessors.values()].flat()), spec, observed);
  const waits = new Map([...predecessors].map(([name, services]) => [name, services.filter((each) => down.has(each))]));
  const told = (entry: DesiredUnit): DesiredUnit => {
    const waitsFor = waits.get(entry.service) ?? [];
    return waitsFor.length === 0 ? entry : { ...entry, waitsFor };
  };
  return new Map([...rendered].map(([host, units]) => [host, units.map(told)]));
}

/** Of these services those of which no unit runs, and is healthy if it has a check, on any host. */
function servicesDown(services: ReadonlySet<string>, spec: Spec, observed: readonly Observed[]): Set<string> {
  const down = new Set(services);
  const units = new Map<string, { readonly service: string; readonly check: HealthCheck | undefined }>();
  for (const service of spec.services) {
    if (!services.has(service.name)) continue;
    for (const unit of unitsOf(service)) units.set(unit, { service: service.name, check: service.check });
  }
  for (const report of observed) {
    for (const { unit, active, health } of report.units) {
      const known = units.get(unit);
      const isUp = active === 'active' || active === 'reloading';
      if (known && isUp && (!known.check || health?.state === 'healthy')) down.delete(known.service);
    }
  }
  return down;
}
