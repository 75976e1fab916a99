/**
 * The payloads of the znodes: versioned JSON. Writing trusts our own types and is plain JSON; reading trusts nobody:
 * whatever bytes are found, the answer is a valid value or a sentence that says what is wrong. Fields that this
 * version does not know are ignored, so that hosts of two versions can live together during an upgrade.
 */
import * as z from 'zod';
import type { HostIntent, Member } from './cluster.ts';
import { escapeControl } from './log.ts';
import {
  attachments,
  hook,
  host,
  instanceKey,
  MAX_LABELS_BYTES,
  natural,
  serviceName,
  template,
  unit,
} from './payload-parts.ts';
import type { SpecRecord } from './spec.ts';
import { ACTIVE_STATES, type Desired, type Observed } from './state.ts';
import { MAX_PAYLOAD_BYTES } from './store.ts';
import type { Equal, Mutable } from './type-equality.ts';

/** Format of all payloads. A higher one is not understood; one that is only larger keeps the number. */
const VERSION = 1;

/** The `epoch` znode. */
export interface Epoch {
  readonly epoch: number;
  /** Host that took this epoch. */
  readonly leader: string;
}

/** An `election/n_` znode. */
export interface ElectionEntry {
  readonly host: string;
  /** /etc/machine-id, as in `Member`. */
  readonly machineId: string;
}

export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** Labels, with room for all else. */
const MAX_MEMBER_BYTES = 2 * MAX_LABELS_BYTES;
/** Far beyond any real one, and far enough below 2^53 that the next epoch can always be counted and read. */
const epochNumber = natural.max(2 ** 52);
const isolation = z.enum(['keep', 'stop']);

const exclusionReason = z.enum([
  'failed',
  'unhealthy',
  'not-installed',
  'masked',
  'invalid-unit',
  'cordoned',
  'draining',
  'leaving',
  'joining',
  'held',
  'forced-elsewhere',
  'forced-host-absent',
  'already-has-one',
  'exclusive',
]);

const moveCause = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('host-lost') }),
  z.object({ kind: z.literal('excluded'), reason: exclusionReason }),
  z.object({ kind: z.literal('displaced'), by: z.string() }),
  z.object({ kind: z.literal('surplus') }),
  z.object({ kind: z.literal('rebalanced'), by: z.string() }),
]);

const why = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('kept') }),
  z.object({ kind: z.literal('adopted') }),
  z.object({ kind: z.literal('every-host') }),
  z.object({ kind: z.literal('least-loaded') }),
  z.object({ kind: z.literal('forced') }),
  z.object({ kind: z.literal('moved'), from: z.string(), because: moveCause }),
]);

const desired = z.object({
  host,
  epoch: epochNumber,
  generation: natural,
  spec: z.string(),
  units: z.array(
    z.object({
      unit,
      service: serviceName,
      isolation,
      why,
      prestart: z.object({ script: z.string(), values: z.record(z.string(), z.array(host)) }).optional(),
      waitsFor: z.array(serviceName).optional(),
      moves: z.array(z.object({ from: host, at: natural })).optional(),
      withdrawn: z.boolean().optional(),
      ...attachments,
    }),
  ),
});

const observed = z.object({
  host,
  epoch: epochNumber,
  generation: natural,
  refused: z.string().optional(),
  leaving: z.boolean().optional(),
  units: z.array(
    z.object({
      unit,
      load: z.enum(['loaded', 'not-found', 'masked', 'bad-setting', 'error', 'stub']),
      active: z.enum(ACTIVE_STATES),
      sub: z.string(),
      failure: z
        .object({
          kind: z.enum(['failed', 'prestart', 'start-timeout', 'start-refused', 'not-found', 'masked', 'invalid-unit']),
          message: z.string(),
        })
        .optional(),
      waiting: z.string().optional(),
      health: z
        .object({
          state: z.enum(['starting', 'healthy', 'unhealthy']),
          output: z.string().optional(),
          action: z.string().optional(),
        })
        .optional(),
    }),
  ),
});

const member = z.object({
  host,
  machineId: z.string(),
  address: z.string(),
  url: z.string(),
  labels: z.record(z.string(), z.string()),
  software: z.string(),
  file: z.string(),
  election: z.string(),
  leaving: z.boolean().optional(),
});

const hostIntent = z.object({
  host,
  state: z.enum(['cordoned', 'draining']),
  since: z.string(),
  why: z.string(),
});

const service = {
  name: serviceName,
  enabled: z.boolean(),
  prestart: z.string().optional(),
  isolation,
  ...attachments,
};

const specRecord = z.object({
  spec: z.object({
    services: z.array(
      z.discriminatedUnion('type', [
        z.object({ ...service, type: z.literal('global') }),
        z.object({ ...service, type: z.literal('shared'), count: natural }),
        z.object({
          ...service,
          type: z.literal('multi'),
          instances: z.record(instanceKey, natural),
          force: z.record(instanceKey, host),
          exclusive: z.boolean(),
        }),
      ]),
    ),
    brake: z.object({ above: z.number().min(0).max(1), atLeast: natural, holdMs: natural }),
    templates: z.array(template).optional(),
    hooks: z.array(hook).optional(),
  }),
  digest: z.string(),
  proposedBy: z.string(),
  at: z.string(),
  earlier: z.array(z.string()),
});

const epoch = z.object({ epoch: epochNumber, leader: host });
const electionEntry = z.object({ host, machineId: z.string() });

/** Fails to compile when a schema and its type drift apart, in either direction. */
type Agree<T, S extends z.ZodType> = Equal<Mutable<T>, Mutable<z.infer<S>>>;
const agreed: readonly [
  Agree<Desired, typeof desired>,
  Agree<Observed, typeof observed>,
  Agree<Member, typeof member>,
  Agree<HostIntent, typeof hostIntent>,
  Agree<SpecRecord, typeof specRecord>,
  Agree<Epoch, typeof epoch>,
  Agree<ElectionEntry, typeof electionEntry>,
] = [true, true, true, true, true, true, true];
void agreed;

export const encodeDesired = (value: Desired): Buffer => encodePayload(value);
export const encodeObserved = (value: Observed): Buffer => encodePayload(value);
export const encodeMember = (value: Member): Buffer => encodePayload(value);
export const encodeHostIntent = (value: HostIntent): Buffer => encodePayload(value);
export const encodeSpecRecord = (value: SpecRecord): Buffer => encodePayload(value);
export const encodeEpoch = (value: Epoch): Buffer => encodePayload(value);
export const encodeElectionEntry = (value: ElectionEntry): Buffer => encodePayload(value);

/** The decoders never throw. `path` is only what the problem calls the payload: its znode. */
export const decodeDesired = (data: Buffer, path: string): Decoded<Desired> => decodePayload(desired, data, path);
export const decodeObserved = (data: Buffer, path: string): Decoded<Observed> => decodePayload(observed, data, path);
export const decodeMember = (data: Buffer, path: string): Decoded<Member> =>
  decodePayload(member, data, path, MAX_MEMBER_BYTES);
export const decodeHostIntent = (data: Buffer, path: string): Decoded<HostIntent> =>
  decodePayload(hostIntent, data, path);
export const decodeSpecRecord = (data: Buffer, path: string): Decoded<SpecRecord> =>
  decodePayload(specRecord, data, path);
export const decodeEpoch = (data: Buffer, path: string): Decoded<Epoch> => decodePayload(epoch, data, path);
export const decodeElectionEntry = (data: Buffer, path: string): Decoded<ElectionEntry> =>
  decodePayload(electionEntry, data, path);

/** A value with the format version that all payloads carry. */
export function encodePayload(value: object): Buffer {
  return Buffer.from(JSON.stringify({ version: VERSION, ...value }));
}

/** How much of a stranger's word for something a problem repeats. */
const MAX_WHERE = 200;

/**
 * The value, if the payload is of our version and as the schema wants it; else a sentence that says what is wrong. Never
 * throws. What has more than `maxBytes` is not even looked at: default, whatever a znode may hold.
 */
export function decodePayload<S extends z.ZodType>(
  schema: S,
  data: Buffer,
  path: string,
  maxBytes = MAX_PAYLOAD_BYTES,
): Decoded<z.output<S>> {
  if (data.length > maxBytes)
    return { ok: false, problem: `${path} holds ${data.length} bytes, and ${maxBytes} are the most; it is ignored` };
  let json: unknown;
  try {
    json = JSON.parse(data.toString('utf8'));
  } catch {
    return { ok: false, problem: `${path} does not hold JSON (${data.length} bytes); it is ignored` };
  }
  const version = versionOf(json);
  if (version !== VERSION) {
    return {
      ok: false,
      problem: `${path} has format version ${version}, but this software reads ${VERSION}; it is ignored`,
    };
  }
  let result: z.ZodSafeParseResult<z.output<S>>;
  try {
    result = schema.safeParse(json);
  } catch (error) {
    // lists within lists without end are more than the stack can follow
    if (!(error instanceof RangeError)) throw error;
    return { ok: false, problem: `${path} is not valid: its values are nested too deeply; it is ignored` };
  }
  if (result.success) return { ok: true, value: result.data };
  const [first, ...others] = result.error.issues;
  const names = first === undefined ? '' : first.path.map(String).join('.') || 'the whole';
  const where = escapeControl(names.slice(0, MAX_WHERE));
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return { ok: false, problem: `${path} is not valid: ${where}: ${first?.message ?? 'unknown'}${more}; it is ignored` };
}

function versionOf(json: unknown): string | number {
  if (typeof json !== 'object' || json === null || !('version' in json)) return 'none';
  return typeof json.version === 'number' ? json.version : 'of a wrong type';
}
