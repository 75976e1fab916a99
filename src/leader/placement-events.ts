/** What a change of desired states means to people: instances that came, moved, went, and hosts that came and went. Pure. */
import type { HistoryEvent } from '../shared/history.ts';
import type { Desired, DesiredUnit, MoveCause } from '../shared/state.ts';
import type { Move } from './placement.ts';
import { describeCause, describeWhy } from './why.ts';

/** An event without what is the same for all of one decision. */
export type Told = Omit<HistoryEvent, 'at' | 'epoch' | 'generation'>;

/** How a host went, as far as the leader knows. */
export type Departure = 'left' | 'lost' | 'gone';

const DEPARTURES: Readonly<Record<Departure, Pick<HistoryEvent, 'kind' | 'reason' | 'why'>>> = {
  left: { kind: 'member-left', reason: 'left', why: 'its daemon was stopped in good order' },
  lost: { kind: 'member-lost', reason: 'lost', why: 'its ZooKeeper session ended' },
  gone: { kind: 'member-gone', reason: 'gone', why: 'it left or was lost before this leader began to lead' },
};

/** Moves by what moves and from where; made once for all transactions of a placement. */
export type Moves = ReadonlyMap<string, Move>;

export function movesByOrigin(moves: readonly Move[]): Moves {
  return new Map(moves.map((move) => [originOf(move.unit, move.from), move]));
}

function originOf(unit: string, host: string): string {
  return `${unit} ${host}`;
}

export interface PlacementChange {
  /** What is written before; without hosts that have nothing. */
  readonly before: ReadonlyMap<string, Desired>;
  /** Hosts that have a desired znode before, readable or not. */
  readonly known: ReadonlySet<string>;
  readonly after: readonly Desired[];
  /** Hosts whose desired states are removed. */
  readonly gone: readonly string[];
  /** All moves of the placement that this is a part of. */
  readonly moves: Moves;
  readonly departureOf: (host: string) => Departure;
}

/** What happens when these states are written, in the order of the hosts, hosts that go last. */
export function placementEvents(change: PlacementChange): Told[] {
  const { before, known, after, gone, moves } = change;
  const events: Told[] = [];
  for (const state of after) {
    const { host } = state;
    if (!known.has(host))
      events.push({ kind: 'member-joined', host, reason: 'joined', why: 'it takes part from now on' });
    const had = told(before.get(host));
    const has = told(state);
    for (const unit of has.values()) if (!had.has(unit.unit)) events.push(arrival(unit, host));
    for (const unit of had.values()) if (!has.has(unit.unit)) events.push(...removal(unit, host, moves));
  }
  for (const host of gone) {
    events.push({ ...DEPARTURES[change.departureOf(host)], host });
    for (const unit of told(before.get(host)).values()) events.push(...removal(unit, host, moves));
  }
  return events;
}

/** The units that a host is told to run. */
function told(desired: Desired | undefined): ReadonlyMap<string, DesiredUnit> {
  return new Map(desired?.units.flatMap((unit) => (unit.withdrawn ? [] : [[unit.unit, unit] as const])));
}

function arrival({ unit, service, why }: DesiredUnit, host: string): Told {
  const subject = { unit, service, host };
  if (why.kind !== 'moved') return { kind: 'placed', ...subject, reason: why.kind, why: describeWhy(why) };
  const { from, because } = why;
  return { kind: 'moved', ...subject, from, to: host, reason: causeWord(because), why: describeCause(because) };
}

/** Nothing for an instance that goes elsewhere: that is told where it arrives. */
function removal({ unit, service }: DesiredUnit, host: string, moves: Moves): Told[] {
  const move = moves.get(originOf(unit, host));
  if (move?.to !== undefined) return [];
  const because: MoveCause = move?.because ?? { kind: 'surplus' };
  return [{ kind: 'removed', unit, service, host, reason: causeWord(because), why: describeCause(because) }];
}

function causeWord(cause: MoveCause): string {
  return cause.kind === 'excluded' ? cause.reason : cause.kind;
}
