/** What MQTT clients of deploy/examples/mosquitto said, counted: who got which message, and who had a broker when. Pure. */

/** One line of a client. `at`: ms of `monotonicNow`'s clock. */
type Line =
  | { readonly at: number; readonly kind: 'sent' | 'confirmed'; readonly number: number }
  | { readonly at: number; readonly kind: 'received'; readonly from: string; readonly number: number }
  | { readonly at: number; readonly kind: 'connected'; readonly broker: string }
  | { readonly at: number; readonly kind: 'disconnected' };

/** Client → what it said. */
export type Ledger = ReadonlyMap<string, readonly Line[]>;

/** What became of messages: each should be received once by every client, its sender included. */
export interface Count {
  readonly sent: number;
  /** By a broker: their sender need not send them again. */
  readonly confirmed: number;
  /** First receptions, of all clients together. */
  readonly received: number;
  readonly missing: number;
  /** Those of the missing whose receiver had a broker all the time from their sending until they were confirmed. */
  readonly lost: number;
  /** Receptions after the first. */
  readonly repeated: number;
}

/** Reads a client's output; other lines (notes, one that is not complete yet) say nothing that is counted. */
export function parseLines(text: string): Line[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .flatMap(parseLine);
}

function parseLine(text: string): Line[] {
  const [time = '', kind, first = '', second = ''] = text.split(' ');
  const at = Number(time);
  switch (kind) {
    case 'sent':
    case 'confirmed':
      return [{ at, kind, number: Number(first) }];
    case 'received':
      return [{ at, kind, from: first, number: Number(second) }];
    case 'connected':
      return [{ at, kind, broker: first }];
    case 'disconnected':
      return [{ at, kind }];
    default:
      return [];
  }
}

/** A time without a broker. */
export interface Gap {
  readonly client: string;
  readonly from: number;
  readonly to: number;
}

/** The times without a connection, by the clients' own word: a host that is lost says nothing, so they notice late. */
export function gapsOf(ledger: Ledger): Gap[] {
  return [...ledger].flatMap(([client, lines]) =>
    lines.flatMap((line, at) => {
      if (line.kind !== 'disconnected') return [];
      const next = lines.slice(at).find((later) => later.kind === 'connected');
      return [{ client, from: line.at, to: next?.at ?? Infinity }];
    }),
  );
}

/** Counts the messages that were sent at `from` or later, and before `to`. */
export function count(ledger: Ledger, from = -Infinity, to = Infinity, gaps: readonly Gap[] = []): Count {
  const messages = new Map<string, { readonly sent: number; confirmed: number }>();
  for (const [client, lines] of ledger) {
    for (const line of lines) {
      if (line.kind === 'sent' && line.at >= from && line.at < to)
        messages.set(`${client} ${line.number}`, { sent: line.at, confirmed: Infinity });
      const message = line.kind === 'confirmed' && messages.get(`${client} ${line.number}`);
      if (message) message.confirmed = line.at;
    }
  }
  const confirmed = [...messages.values()].filter((message) => message.confirmed < Infinity).length;
  let received = 0;
  let repeated = 0;
  let missing = 0;
  let lost = 0;
  for (const [client, lines] of ledger) {
    const own = gaps.filter((gap) => gap.client === client);
    const seen = new Set<string>();
    for (const line of lines) {
      if (line.kind !== 'received') continue;
      const message = `${line.from} ${line.number}`;
      if (!messages.has(message)) continue;
      if (seen.has(message)) repeated++;
      seen.add(message);
    }
    received += seen.size;
    for (const [name, message] of messages) {
      if (seen.has(name)) continue;
      missing++;
      if (!own.some((gap) => message.confirmed >= gap.from && message.sent < gap.to)) lost++;
    }
  }
  return { sent: messages.size, confirmed, received, missing, lost, repeated };
}

/** The broker that a client was connected to at this time; undefined: none. */
export function brokerAt(lines: readonly Line[], at = Infinity): string | undefined {
  const changes = lines.filter((line) => line.kind === 'connected' || line.kind === 'disconnected');
  const last = changes.findLast((line) => line.at <= at);
  return last?.kind === 'connected' ? last.broker : undefined;
}

/** When the client was connected to another broker than this one, first after `since`; undefined: not yet. */
export function movedAt(lines: readonly Line[], broker: string, since: number): number | undefined {
  return lines.find((line) => line.kind === 'connected' && line.at > since && line.broker !== broker)?.at;
}
