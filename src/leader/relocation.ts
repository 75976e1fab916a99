/**
 * Which instances shall leave their host because their check fails there (`on_unhealthy: move`), and which hosts a unit shall
 * not come back to for a while: wishes, that `place-healthy.ts` grants where there is another host. The moves of the last
 * hour are told by the desired states themselves, so that another leader counts them, too. Pure.
 */
import type { HealthCheck } from '../shared/attachments.ts';
import { HOUR_MS, pauseAfter } from '../shared/back-off.ts';
import { compare, instanceUnit, unitsOf } from '../shared/names.ts';
import type { Spec } from '../shared/spec.ts';
import type { Desired, DesiredUnit, HealthMove, Observed } from '../shared/state.ts';
import type { HostView, Move, Placement } from './placement.ts';

export interface RelocationInput {
  readonly spec: Spec;
  readonly written: ReadonlyMap<string, Desired>;
  readonly observed: ReadonlyMap<string, Observed>;
  /** One for each live or held host. */
  readonly hosts: readonly HostView[];
  /** Nothing is to be moved at present: many hosts were lost at once. */
  readonly braking: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Unit → hosts, sorted. */
export type HostsByUnit = ReadonlyMap<string, readonly string[]>;

export interface Relocation {
  /** Instances that shall go elsewhere. */
  readonly leave: HostsByUnit;
  /** Hosts that an instance left for its health, and shall not be given again. */
  readonly avoid: HostsByUnit;
  /** Unhealthy instances that may not move any more, or not yet, and why, one sentence. */
  readonly spent: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** When the first of those may move that may not yet, ms since 1970; undefined: there is none. */
  readonly pauseEnds: number | undefined;
}

const NOTHING: Relocation = { leave: new Map(), avoid: new Map(), spent: new Map(), pauseEnds: undefined };

/** What is to be wished for now. */
export function relocations(input: RelocationInput): Relocation {
  const checks = movable(input.spec);
  if (checks.size === 0) return NOTHING;
  const recent = recentMoves(input.written, input.now);
  const leave = new Map<string, readonly string[]>();
  const spent = new Map<string, ReadonlyMap<string, string>>();
  const ends: number[] = [];
  for (const [unit, hosts] of input.braking ? [] : unhealthyOn(checks, input)) {
    const limit = checks.get(unit)?.limitPerHour ?? 0;
    const moves = recent.get(unit) ?? [];
    const left = Math.max(0, limit - moves.length);
    const pauseEnd = left > 0 ? endOfPause(moves, input.now) : undefined;
    if (pauseEnd !== undefined) ends.push(pauseEnd);
    const free = pauseEnd === undefined ? left : 0;
    if (free > 0) leave.set(unit, hosts.slice(0, free));
    const why = pauseEnd === undefined ? describeSpent(moves.length, limit) : describePause(moves.length);
    if (hosts.length > free) spent.set(unit, new Map(hosts.slice(free).map((host) => [host, why])));
  }
  const avoid = new Map<string, readonly string[]>();
  for (const [unit, moves] of recent) {
    const left = [...new Set(moves.map(({ from }) => from))].filter((host) => !hasIt(input.written, host, unit));
    if (checks.has(unit) && left.length > 0) avoid.set(unit, left.sort(compare));
  }
  return { leave, avoid, spent, pauseEnds: ends.length === 0 ? undefined : Math.min(...ends) };
}

/** Unit → what was done, or cannot be done, about its unhealthy instances, by host. */
export function describeStays(relocation: Relocation, placement: Placement): Relocation['spent'] {
  const stays = new Map(relocation.spent);
  for (const [unit, hosts] of relocation.leave) {
    const placed = new Set(placement.units.get(unit)?.instances.map(({ host }) => host));
    const staying = hosts.filter((host) => placed.has(host));
    if (staying.length === 0) continue;
    const why = 'no other host can take it at present: it stays where it is';
    stays.set(unit, new Map([...(stays.get(unit) ?? []), ...staying.map((host) => [host, why] as const)]));
  }
  return stays;
}

/** What each host is told, with the moves of `moves` noted; each unit's are with one of its instances. */
export function noteMoves(
  told: ReadonlyMap<string, readonly DesiredUnit[]>,
  moves: readonly Move[],
  written: ReadonlyMap<string, Desired>,
  now: number,
): ReadonlyMap<string, readonly DesiredUnit[]> {
  const keepers = keepersOf(written);
  const fresh = freshMoves(moves, written, now);
  if (keepers.size === 0 && fresh.size === 0) return told;
  const recent = recentMoves(written, now);
  const noted = new Map(told);
  for (const [unit, hosts] of hostsOf(told, new Set([...keepers.keys(), ...fresh.keys()]))) {
    const keeper = hosts.find((host) => keepers.get(unit)?.has(host)) ?? hosts[0];
    const added = fresh.get(unit) ?? [];
    // what is too old to count is dropped when there is something to write anyway
    const before = keeper !== undefined && added.length === 0 ? keepers.get(unit)?.get(keeper) : undefined;
    const list = before ?? [...(recent.get(unit) ?? []), ...added];
    for (const host of hosts) noted.set(host, withMoves(noted.get(host) ?? [], unit, host === keeper ? list : []));
  }
  return noted;
}

/** Each of the units → hosts that are told it, sorted. */
function hostsOf(told: ReadonlyMap<string, readonly DesiredUnit[]>, units: ReadonlySet<string>): HostsByUnit {
  const found = new Map<string, string[]>();
  for (const [host, entries] of told) {
    for (const { unit } of entries) {
      if (!units.has(unit)) continue;
      const hosts = found.get(unit);
      if (hosts) hosts.push(host);
      else found.set(unit, [host]);
    }
  }
  for (const hosts of found.values()) hosts.sort(compare);
  return found;
}

function withMoves(units: readonly DesiredUnit[], unit: string, moves: readonly HealthMove[]): readonly DesiredUnit[] {
  return units.map((entry) => {
    if (entry.unit !== unit) return entry;
    const { moves: _before, ...rest } = entry;
    return moves.length === 0 ? rest : { ...rest, moves };
  });
}

/** Unit → its moves that count still, oldest first. A clock that was put back or forward by more than an hour forgets them. */
function recentMoves(written: ReadonlyMap<string, Desired>, now: number): Map<string, readonly HealthMove[]> {
  const recent = new Map<string, readonly HealthMove[]>();
  for (const [unit, keepers] of keepersOf(written)) {
    const all = new Map([...keepers.values()].flat().map((move) => [`${move.at} ${move.from}`, move]));
    const counting = [...all.values()].filter(({ at }) => Math.abs(now - at) < HOUR_MS);
    counting.sort((a, b) => a.at - b.at || compare(a.from, b.from));
    if (counting.length > 0) recent.set(unit, counting);
  }
  return recent;
}

/** Unit → hosts whose desired state holds moves of it. */
function keepersOf(written: ReadonlyMap<string, Desired>): Map<string, Map<string, readonly HealthMove[]>> {
  const keepers = new Map<string, Map<string, readonly HealthMove[]>>();
  for (const [host, { units }] of written) {
    for (const { unit, moves } of units) {
      if (!moves) continue;
      keepers.set(unit, (keepers.get(unit) ?? new Map<string, readonly HealthMove[]>()).set(host, moves));
    }
  }
  return keepers;
}

/** Unit → its moves that begin now; one whose old host has yet to stop the unit began before. */
function freshMoves(
  moves: readonly Move[],
  written: ReadonlyMap<string, Desired>,
  now: number,
): Map<string, readonly HealthMove[]> {
  const fresh = new Map<string, readonly HealthMove[]>();
  for (const { unit, from, to, because } of moves) {
    if (because.kind !== 'excluded' || because.reason !== 'unhealthy' || to === undefined) continue;
    if (hasIt(written, from, unit)) fresh.set(unit, [...(fresh.get(unit) ?? []), { from, at: now }]);
  }
  return fresh;
}

/** The unit is placed there, and is not on its way out. */
function hasIt(written: ReadonlyMap<string, Desired>, host: string, unit: string): boolean {
  return written.get(host)?.units.some((entry) => entry.unit === unit && !entry.withdrawn) ?? false;
}

/** Units whose instances move when they are unhealthy, and may: neither on every host nor forced to one. */
function movable({ services }: Spec): Map<string, HealthCheck> {
  const checks = new Map<string, HealthCheck>();
  for (const service of services) {
    if (service.check?.onUnhealthy !== 'move' || service.type === 'global' || !service.enabled) continue;
    const forced = new Set(
      service.type === 'multi' ? Object.keys(service.force).map((key) => instanceUnit(service.name, key)) : [],
    );
    for (const unit of unitsOf(service)) if (!forced.has(unit)) checks.set(unit, service.check);
  }
  return checks;
}

/** Unit → hosts where it is placed, runs, and its check fails. */
function unhealthyOn(
  checks: ReadonlyMap<string, HealthCheck>,
  { hosts, written, observed }: RelocationInput,
): HostsByUnit {
  const found = new Map<string, string[]>();
  for (const { name, state } of hosts) {
    if (state === 'held') continue;
    for (const { unit, health } of observed.get(name)?.units ?? []) {
      if (health?.state !== 'unhealthy' || !checks.has(unit) || !hasIt(written, name, unit)) continue;
      found.set(unit, [...(found.get(unit) ?? []), name]);
    }
  }
  return new Map([...found].map(([unit, on]) => [unit, on.sort(compare)] as const).sort(([a], [b]) => compare(a, b)));
}

/**
 * When the pause after the unit's last move is over, ms since 1970, if it is not. A clock that was put back since holds the
 * unit for twice its pause at most: a move that lies further ahead asks for none.
 */
function endOfPause(moves: readonly HealthMove[], now: number): number | undefined {
  const pause = pauseAfter(moves.length);
  const holding = moves.flatMap(({ at }) => (Math.abs(now - at) < pause ? [at + pause] : []));
  return holding.length === 0 ? undefined : Math.max(...holding);
}

function describePause(moved: number): string {
  const times = `${moved} time${moved === 1 ? '' : 's'}`;
  return `moved ${times} within the last hour, and moves again after a pause of ${pauseAfter(moved) / 1000} s`;
}

function describeSpent(moved: number, limit: number): string {
  if (limit === 0) return 'it may not move (limit_per_hour is 0): it stays where it is';
  return `${moved} of the ${limit} moves that it may make in an hour are made (limit_per_hour): it stays where it is`;
}
