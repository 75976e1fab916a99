/**
 * The history: what happened in the cluster and why, kept in ZooKeeper below `/history` in batches. Batches of the leader
 * (what was decided) and of hosts (what became of it) have names of their own, so that each kind has its own room: the
 * echo of one decision on thousands of hosts does not push the decisions out. One counter numbers both.
 */
import * as z from 'zod';
import { isHostName, isUnitName } from './names.ts';
import { type Decoded, decodePayload, encodePayload } from './payloads.ts';
import { HISTORY } from './znodes.ts';

/** What events are called. A reader takes others, too: hosts of two versions live together during an upgrade. */
export const EVENT_KINDS = [
  // decided by the leader
  'placed',
  'moved',
  'removed',
  'leader-changed',
  'member-joined',
  'member-left',
  'member-lost',
  'member-gone',
  'brake-engaged',
  'brake-released',
  'spec-replaced',
  // asked for by an operator
  'host-cordoned',
  'host-draining',
  'host-uncordoned',
  // happened to a unit on a host
  'started',
  'stopped',
  'adopted',
  'failed',
  'cleared',
  'unhealthy',
  'healthy',
  'ended',
  'drift',
  // happened to the history itself
  'events-dropped',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** One event, as `servicewatcher events --json` prints it. */
export interface HistoryEvent {
  /** ISO 8601 with milliseconds, by the wall clock of the host that tells it. */
  readonly at: string;
  /** One of `EVENT_KINDS`, or what a newer version tells. */
  readonly kind: string;
  /** The host it is about; of an instance that moved: where it is now. */
  readonly host?: string;
  readonly unit?: string;
  readonly service?: string;
  /** Where an instance was. */
  readonly from?: string;
  /** Where an instance is. */
  readonly to?: string;
  /** One word for machines. */
  readonly reason: string;
  /** One sentence for people. */
  readonly why: string;
  readonly epoch?: number;
  readonly generation?: number;
}

/** The znodes of one kind of batches. */
export type Ring = 'leader' | 'host';

/** Create with `persistent-sequential`. */
export const RING_PREFIX: Readonly<Record<Ring, string>> = {
  leader: `${HISTORY}/leader-`,
  host: `${HISTORY}/host-`,
};

/** What one znode of the history holds. */
export interface Batch {
  /** Host that wrote it. */
  readonly by: string;
  /** The same for a batch that was written twice because the answer to the first attempt was lost. */
  readonly id: string;
  readonly events: readonly HistoryEvent[];
}

/** Small enough that a batch goes along with any other write, and that reading all of them is quick. */
export const MAX_BATCH_BYTES = 64 * 1024;
/** Hosts that share one event in a batch; the leader writes at most so many in one transaction. */
const MAX_SHARED = 100;
/** A longer reason is cut: it may hold what a script printed. */
const MAX_WHY = 500;

const natural = z.int().nonnegative();
const host = z.string().refine(isHostName, 'is not the name of a host');
const word = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'is not a word');

/** As stored: events that differ in the host only are one, with `hosts`. */
const stored = z.object({
  at: z.iso.datetime({ precision: 3 }),
  kind: word,
  host: host.optional(),
  hosts: z.array(host).min(1).optional(),
  unit: z.string().refine(isUnitName, 'is not the name of a service unit').optional(),
  service: z.string().max(255).optional(),
  from: host.optional(),
  to: host.optional(),
  reason: word,
  why: z.string(),
  epoch: natural.optional(),
  generation: natural.optional(),
});
type Stored = z.infer<typeof stored>;

const batch = z.object({ by: host, id: z.string().max(400), events: z.array(stored) });

/** Batches of at most `MAX_BATCH_BYTES`, in order; `id` must differ from that of any other call on any host. */
export function encodeBatches(by: string, id: string, events: readonly HistoryEvent[]): Buffer[] {
  const room = MAX_BATCH_BYTES - encodePayload({ by, id: `${id}.${events.length}`, events: [] }).length;
  const batches: object[][] = [];
  let left = 0;
  for (const event of shareHosts(events)) {
    const bytes = Buffer.byteLength(JSON.stringify(event)) + 1;
    if (bytes > left || batches.length === 0) {
      batches.push([]);
      left = room;
    }
    batches.at(-1)?.push(event);
    left -= bytes;
  }
  return batches.map((each, index) => encodePayload({ by, id: `${id}.${index}`, events: each }));
}

/** Never throws; events that are shared by several hosts come as one for each. */
export function decodeBatch(data: Buffer, path: string): Decoded<Batch> {
  const decoded = decodePayload(batch, data, path);
  if (!decoded.ok) return decoded;
  const { by, id, events } = decoded.value;
  return { ok: true, value: { by, id, events: events.flatMap(expand) } };
}

function expand({ hosts, ...event }: Stored): HistoryEvent[] {
  return hosts ? hosts.map((each) => ({ ...event, host: each })) : [event];
}

/** A global service on thousands of hosts is one decision: its events differ in nothing but the host. */
function shareHosts(events: readonly HistoryEvent[]): (Omit<HistoryEvent, 'host'> & { readonly host?: string })[] {
  const groups: { readonly event: HistoryEvent; readonly hosts: string[] }[] = [];
  const open = new Map<string, (typeof groups)[number]>();
  for (const full of events) {
    const event = full.why.length > MAX_WHY ? { ...full, why: `${full.why.slice(0, MAX_WHY)} …` } : full;
    const { host: on, ...rest } = event;
    const group = { event, hosts: on === undefined ? [] : [on] };
    // an instance that moved tells its host twice
    const key = on === undefined || event.to !== undefined ? undefined : JSON.stringify(rest);
    const known = key === undefined ? undefined : open.get(key);
    if (known && on !== undefined && known.hosts.length < MAX_SHARED) {
      known.hosts.push(on);
      continue;
    }
    groups.push(group);
    if (key !== undefined) open.set(key, group);
  }
  return groups.map(({ event, hosts }) => {
    if (hosts.length < 2) return event;
    const { host: _first, ...rest } = event;
    return { ...rest, hosts };
  });
}
