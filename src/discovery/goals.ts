/** What shall be registered of a host's units, from what it shall run and what systemd and the checks say of it. Pure. */
import type { Discovery } from '../shared/attachments.ts';
import { toUnitName } from '../shared/names.ts';
import type { Health, Observed, ObservedUnit, RegistrableUnit } from '../shared/state.ts';
import type { Goal } from './entry.ts';
import { type Registration, registrationId, registrationPath } from './registration.ts';

export interface GoalsInput {
  readonly host: string;
  /** Where others reach this host. */
  readonly address: string;
  readonly desired: readonly RegistrableUnit[];
  readonly observed: Observed;
}

export interface Place {
  readonly label: string;
  readonly id: string;
  readonly unit: string;
  readonly goal: Goal;
}

export interface Goals {
  /** Path of the znode → what shall be there; one for each desired unit with `discovery`, running or not. */
  readonly places: ReadonlyMap<string, Place>;
  /** What cannot be registered at all, one sentence each. */
  readonly problems: readonly string[];
}

const GONE: Goal = { kind: 'gone' };

export function registrationGoals({ host, address, desired, observed }: GoalsInput): Goals {
  const units = new Map(observed.units.map((unit) => [unit.unit, unit]));
  const places = new Map<string, Place>();
  const problems: string[] = [];
  for (const unit of desired) {
    const { discovery } = unit;
    if (!discovery) continue;
    const id = freeId(host, unit, (candidate) => places.has(registrationPath(discovery.label, candidate)));
    if (id === undefined) {
      problems.push(`${unit.unit} cannot be registered under ${discovery.label}: its instance cannot be part of an id`);
      continue;
    }
    const { label } = discovery;
    const register = (healthy: boolean): Registration => ({
      label,
      id,
      host,
      address,
      ...settings(discovery),
      healthy,
      unit: unit.unit,
      source: 'service',
    });
    const leaves = observed.leaving || unit.withdrawn;
    const goal = leaves ? GONE : goalOf(unit, discovery, units.get(unit.unit), register);
    places.set(registrationPath(label, id), { label, id, unit: unit.unit, goal });
  }
  return { places, problems };
}

function goalOf(
  desired: RegistrableUnit,
  { onlyHealthy }: Discovery,
  seen: ObservedUnit | undefined,
  register: (healthy: boolean) => Registration,
): Goal {
  if (seen?.active !== 'active' && seen?.active !== 'reloading') return GONE;
  if (!desired.check) return { kind: 'registered', value: register(true) };
  const state: Health['state'] = seen.health?.state ?? 'starting';
  switch (state) {
    case 'healthy':
      return { kind: 'registered', value: register(true) };
    case 'unhealthy':
      return onlyHealthy ? GONE : { kind: 'registered', value: register(false) };
    case 'starting':
      // a daemon that was started again does not know yet what the one before it knew
      return { kind: 'inherit', otherwise: onlyHealthy ? undefined : register(false) };
  }
}

function settings({ port, role, info }: Discovery): Pick<Registration, 'port' | 'role' | 'info'> {
  return {
    ...(port !== undefined && { port }),
    ...(role !== undefined && { role }),
    ...(info !== undefined && { info: { ...info } }),
  };
}

/** The host's name, with the instance where a host may have several; another service of the same label is told apart by its name. */
function freeId(host: string, { unit, service }: RegistrableUnit, taken: (id: string) => boolean): string | undefined {
  const single = unit === toUnitName(service);
  const key = unit.slice(service.length + 1, -'.service'.length);
  const candidates = single
    ? [registrationId(host), registrationId(host, service)]
    : [registrationId(host, key), registrationId(host, `${service}@${key}`)];
  return candidates.find((id) => id !== undefined && !taken(id));
}
