/** What is in ZooKeeper of a queue in which units wait for their turn to start: names, and what a place says. Pure. */
import * as z from 'zod';
import { isUnitName } from '../shared/names.ts';
import { decodePayload, encodePayload } from '../shared/payloads.ts';
import { compareSequence } from '../shared/sequence.ts';
import type { Znode } from '../shared/store.ts';
import { leasePath } from '../shared/znodes.ts';

/** Who has a place in a queue. */
export interface Queued {
  readonly host: string;
  readonly unit: string;
}

const schema = z.object({ turn: z.boolean() });
const PREFIX = 'service:';
/** Host, unit, and the number that ZooKeeper appends. */
const NAME = /^([^:]+):(.+)_-?\d+$/;
/** Names that are told of those who have a turn. */
const NAMES_TOLD = 3;

/** The queue of a service. No label of a lease has a colon. */
export const queuePath = (service: string): string => leasePath(`${PREFIX}${service}`);

/** The service whose queue a child of `leases` is; undefined: it is a lease. */
export function queueOf(name: string): string | undefined {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined;
}

/** How the names of all places of a unit begin; the number of the place follows. */
export const placePrefix = ({ host, unit }: Queued): string => `${host}:${unit}_`;

/** Who a place belongs to; undefined: nobody, it is not one. */
export function queuedBy(name: string): Queued | undefined {
  const [, host, unit] = NAME.exec(name) ?? [];
  return host !== undefined && unit !== undefined && isUnitName(unit) ? { host, unit } : undefined;
}

/** The places among the children of a queue, the first in it first. */
export function placesAmong(children: readonly string[]): string[] {
  return children.filter((name) => queuedBy(name) !== undefined).sort(compareSequence);
}

/** What a place holds. */
export const encodePlace = (place: { readonly turn: boolean }): Buffer => encodePayload(place);

/** Whether a place says that its unit has its turn. */
export function hasTurn({ data, path }: Znode): boolean {
  const decoded = decodePayload(schema, data, path);
  return decoded.ok && decoded.value.turn;
}

/** Why `unit` waits for the places before it, one sentence for people. `allStart`: they all start now; else the last waits, too. */
export function describeWait(unit: string, before: readonly string[], allStart: boolean): string {
  const [last] = before.slice(-1);
  if (last === undefined) return 'it waits for its turn to start';
  if (!allStart) return `it waits for its turn to start, after ${describe(unit, last)}`;
  const told = before.slice(0, NAMES_TOLD).map((name) => describe(unit, name));
  const more = before.length > told.length ? [`${before.length - told.length} more`] : [];
  const all = [...told, ...more];
  const who = all.length === 1 ? all.join() : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
  return `it waits for its turn to start: ${who} ${before.length === 1 ? 'starts' : 'start'} it now`;
}

/** The host, with the unit where that is another instance of the service. */
function describe(unit: string, name: string): string {
  const { host, unit: other } = queuedBy(name) ?? { host: name, unit };
  return other === unit ? host : `${host} (${other})`;
}
