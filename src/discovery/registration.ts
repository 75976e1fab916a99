/**
 * What is registered under a label: `discovery/<label>/<id>`, ephemeral. Written by the executor for each instance of a
 * service with `discovery:`, and by `servicewatcher watch` for anything else; read by whoever looks for it.
 */
import { isIP } from 'node:net';
import * as z from 'zod';
import { compare, isHostName } from '../shared/names.ts';
import { host, label, MAX_INFO_BYTES, natural, unit } from '../shared/payload-parts.ts';
import { type Decoded, decodePayload, encodePayload } from '../shared/payloads.ts';
import { discoveryPath } from '../shared/znodes.ts';

/** What ids of ours are made of: a host's name, perhaps with a key behind a colon. They stand in files and URLs as they are. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,459}$/;

const schema = z.object({
  label,
  id: z.string().regex(ID, 'is not the id of a registration'),
  host,
  // printed as it is, and handed to other programs
  address: z.string().refine((text) => isHostName(text) || isIP(text) > 0, 'is neither a host name nor an IP address'),
  port: natural.max(65_535).optional(),
  role: label.optional(),
  info: z.record(z.string(), z.json()).optional(),
  healthy: z.boolean(),
  unit: unit.optional(),
  source: z.enum(['service', 'watch']),
});

/**
 * One instance that others may find. `id`, unique for its label, is its znode's name: the host where there can be one on
 * each host only, `host:key` otherwise. `address`: a name or an IP address without the port.
 */
export type Registration = z.infer<typeof schema>;

/** What may stand behind the colon of an id. */
const KEY = /^[A-Za-z0-9_.@-]{1,200}$/;

/** The id of an instance of `host`, or undefined when `key` cannot be part of one. */
export function registrationId(host: string, key?: string): string | undefined {
  if (!isHostName(host)) return undefined;
  if (key === undefined) return host;
  return KEY.test(key) ? `${host}:${key}` : undefined;
}

export const registrationPath = (label: string, id: string): string => `${discoveryPath(label)}/${id}`;
export const encodeRegistration = (value: Registration): Buffer => encodePayload(value);
/** Info, with room for all else. */
export const MAX_REGISTRATION_BYTES = MAX_INFO_BYTES + 8 * 1024;
/** Never throws; `path` is what the problem calls the payload. */
export const decodeRegistration = (data: Buffer, path: string): Decoded<Registration> =>
  decodePayload(schema, data, path, MAX_REGISTRATION_BYTES);

/** The order in which registrations are listed everywhere. */
export function compareRegistrations(a: Registration, b: Registration): number {
  return compare(a.label, b.label) || compare(a.id, b.id);
}
