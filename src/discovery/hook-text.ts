/**
 * What a hook's program is given: lines on standard input and environment variables. Values come from whoever may write to
 * ZooKeeper: each is cut, and holds no control characters, so that none can forge a line, a column or a variable. Pure.
 */
import { compare } from '../shared/names.ts';
import type { HookEvent } from '../shared/spec.ts';
import type { ClusterEvent } from './hook-event.ts';

/** Events told in one run, and the bytes of their lines: what a program reads in an instant, and a disk writes. */
export const MAX_LINES = 1_000;
const MAX_BYTES = 256 * 1024;
/** Of one value, in UTF-16 code units; all labels of a host together are one value. */
const MAX_VALUE = 2_048;
/** Stands for what is not known: `read` of a shell takes tabs that follow each other for one. */
const NOTHING = '-';

type Column = (event: ClusterEvent) => string | number | undefined;

const host: Column = (event) => event.host;
const address: Column = (event) => event.address;
const role: Column = (event) => event.role;
const labels: Column = (event) => joinLabels(event.labels);
const label: Column = (event) => event.label;
const port: Column = (event) => event.port;
const id: Column = (event) => event.id;
const unit: Column = (event) => event.unit;
const service: Column = (event) => event.service;
const from: Column = (event) => event.from;
const to: Column = (event) => event.to;
const why: Column = (event) => event.why;

const OF_HOST = [host, address, role, labels];
const COLUMNS: Readonly<Record<HookEvent, readonly Column[]>> = {
  'member-join': OF_HOST,
  'member-leave': OF_HOST,
  'member-failed': OF_HOST,
  registered: [...OF_HOST, label, port, id],
  unregistered: [...OF_HOST, label, port, id],
  'unit-started': [...OF_HOST, unit, service],
  'unit-moved': [...OF_HOST, unit, service, from, to, why],
  'unit-failed': [...OF_HOST, unit, service, why],
  'leader-changed': [...OF_HOST, from],
};

const VARIABLES: readonly (readonly [name: string, column: Column])[] = [
  ['HOST', host],
  ['ADDRESS', address],
  ['ROLE', role],
  ['LABELS', labels],
  ['LABEL', label],
  ['PORT', port],
  ['ID', id],
  ['UNIT', unit],
  ['SERVICE', service],
  ['FROM', from],
  ['TO', to],
  ['WHY', why],
];

/** Of the events at the head of a queue, those that one run is told: of one kind, and not too many. At least one. */
export function takeBatch(queue: readonly ClusterEvent[]): readonly ClusterEvent[] {
  const kind = queue[0]?.event;
  let bytes = 0;
  let count = 0;
  for (const event of queue) {
    bytes += Buffer.byteLength(lineOf(event));
    if (event.event !== kind || count === MAX_LINES || (count > 0 && bytes > MAX_BYTES)) break;
    count += 1;
  }
  return queue.slice(0, count);
}

/** `host`, `address`, `role`, `labels`, and more according to the event's kind; tabs between them, a newline at the end. */
export function lineOf(event: ClusterEvent): string {
  const values = COLUMNS[event.event].map((column) => clean(column(event)) ?? NOTHING);
  return `${values.join('\t')}\n`;
}

export interface RunContext {
  /** The host that the program runs on. */
  readonly self: string;
  readonly leader: string | undefined;
  /** Events that were left out before these. */
  readonly leftOut: number;
}

/** A variable for each value that all events of the batch share; one that they do not share, or do not have, is not there. */
export function environmentOf(batch: readonly ClusterEvent[], context: RunContext): Record<string, string> {
  const [first] = batch;
  const shared = VARIABLES.flatMap(([name, column]): (readonly [string, string])[] => {
    const values = new Set(batch.map((event) => clean(column(event))));
    const [value] = values;
    return values.size === 1 && value !== undefined ? [[`SERVICEWATCHER_${name}`, value]] : [];
  });
  const leader = clean(context.leader);
  return {
    SERVICEWATCHER_EVENT: first?.event ?? '',
    SERVICEWATCHER_COUNT: String(batch.length),
    SERVICEWATCHER_SELF: context.self,
    SERVICEWATCHER_LEFT_OUT: String(context.leftOut),
    ...(leader !== undefined && { SERVICEWATCHER_LEADER: leader }),
    ...Object.fromEntries(shared),
  };
}

/** `name=value` of each, by name, commas between them. */
function joinLabels(of: Readonly<Record<string, string>> = {}): string | undefined {
  const pairs = Object.entries(of).sort(([a], [b]) => compare(a, b));
  return pairs.length === 0 ? undefined : pairs.map(([name, value]) => `${name}=${value}`).join(',');
}

/** Undefined for what is not there, or has nothing left. */
function clean(value: string | number | undefined): string | undefined {
  if (value === undefined) return undefined;
  const text = String(value)
    .slice(0, MAX_VALUE)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/gu, '');
  return text === '' ? undefined : text;
}
