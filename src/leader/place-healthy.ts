/**
 * A placement that grants wishes: an unhealthy instance goes elsewhere if, and only if, every instance that could be placed
 * without the wish can be placed with it, and no other one has to make room. What cannot be granted is as if it was never
 * asked for: an unhealthy instance runs on rather than nowhere. Pure.
 */
import type { ExclusionReason } from '../shared/state.ts';
import { place } from './place.ts';
import type { Placement, PlacementInput } from './placement.ts';
import type { HostsByUnit, Relocation } from './relocation.ts';

export interface HealthyPlacement {
  readonly placement: Placement;
  /** What it was computed from, wishes that were granted included: what it is to be verified against. */
  readonly input: PlacementInput;
}

/** Each round computes a placement anew; wishes that are not granted after so many are not granted at all. */
const MAX_ROUNDS = 6;

interface Wishes {
  readonly leave: HostsByUnit;
  readonly avoid: HostsByUnit;
}

export function placeHealthy(input: PlacementInput, wishes: Pick<Relocation, 'leave' | 'avoid'>): HealthyPlacement {
  let left: Wishes = wishes;
  for (let round = 0; round < MAX_ROUNDS && left.leave.size + left.avoid.size > 0; round += 1) {
    const asked = excluding(input, left);
    const placement = place(asked);
    const next = without(left, refused(asked, placement, left));
    if (next === undefined) return { placement, input: asked };
    left = next;
  }
  return { placement: place(input), input };
}

/** Wishes as exclusions; a host that cannot have the unit anyway says so with its own reason. */
function excluding(input: PlacementInput, { leave, avoid }: Wishes): PlacementInput {
  const unitsOn = new Map<string, string[]>();
  for (const [unit, hosts] of [...leave, ...avoid]) {
    for (const host of hosts) unitsOn.set(host, [...(unitsOn.get(host) ?? []), unit]);
  }
  const hosts = input.hosts.map((view) => {
    const units = unitsOn.get(view.name);
    if (units === undefined) return view;
    const wished = units.map((unit): [string, ExclusionReason] => [unit, 'unhealthy']);
    return { ...view, excluded: new Map([...wished, ...view.excluded]) };
  });
  return { ...input, hosts };
}

/** Units whose wishes cost an instance its place, or another one of its template. */
function refused({ spec }: PlacementInput, placement: Placement, wishes: Wishes): ReadonlySet<string> {
  const exclusive = new Set(
    spec.services.flatMap((service) => (service.type === 'multi' && service.exclusive ? [service.name] : [])),
  );
  const everywhere = new Set(spec.services.flatMap(({ name, type }) => (type === 'global' ? [name] : [])));
  const lacking = new Set<string>();
  const cramped = new Set<string>();
  for (const { unit, service } of placement.unplaced) {
    lacking.add(unit);
    cramped.add(service);
  }
  for (const { unit, because } of placement.moves) {
    const service = placement.units.get(unit)?.service;
    if (because.kind === 'displaced' && service !== undefined) cramped.add(service);
  }
  const isRefused = (unit: string) => {
    const service = placement.units.get(unit)?.service;
    if (service === undefined || lacking.has(unit) || everywhere.has(service)) return true;
    return exclusive.has(service) && cramped.has(service);
  };
  return new Set([...wishes.leave.keys(), ...wishes.avoid.keys()].filter(isRefused));
}

/** The wishes without those; that a host is avoided is given up only by a unit that has no other wish. */
function without({ leave, avoid }: Wishes, units: ReadonlySet<string>): Wishes | undefined {
  if (units.size === 0) return undefined;
  return {
    leave: new Map([...leave].filter(([unit]) => !units.has(unit))),
    avoid: new Map([...avoid].filter(([unit]) => !units.has(unit) || leave.has(unit))),
  };
}
