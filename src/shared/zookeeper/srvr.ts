/** What one ZooKeeper server says about itself, by the four-letter word `srvr`, the only one that is allowed by default. */
import { messageOf } from '../error-text.ts';
import { fourLetterWord } from './four-letter-word.ts';

export type ServerRole = 'leader' | 'follower' | 'observer' | 'standalone';

export type ServerReport =
  | {
      readonly kind: 'serving';
      readonly role: ServerRole;
      /** Milliseconds to answer a request, since the server started. */
      readonly latency: { readonly min: number; readonly avg: number; readonly max: number };
      readonly connections: number;
      readonly zxid: string;
      readonly version: string;
    }
  /** It runs, and has no quorum. */
  | { readonly kind: 'not-serving' }
  | { readonly kind: 'unreachable'; readonly why: string };

/** Reads an answer of `srvr`. */
export function parseSrvr(text: string): ServerReport {
  if (text.includes('not currently serving requests')) return { kind: 'not-serving' };
  if (text.includes('not in the whitelist')) {
    return { kind: 'unreachable', why: 'it refuses the word srvr: add srvr to 4lw.commands.whitelist in its zoo.cfg' };
  }
  const role = parseRole(field(text, 'Mode'));
  const [min, avg, max] = (field(text, 'Latency min/avg/max') ?? '').split('/').map(Number);
  if (role === undefined || min === undefined || avg === undefined || max === undefined) {
    return {
      kind: 'unreachable',
      why: `its answer is not that of a ZooKeeper server: ${JSON.stringify(text.slice(0, 80))}`,
    };
  }
  return {
    kind: 'serving',
    role,
    latency: { min, avg, max },
    connections: Number(field(text, 'Connections') ?? 0),
    zxid: field(text, 'Zxid') ?? '',
    version: (field(text, 'Zookeeper version') ?? '').split(/[-,]/)[0] ?? '',
  };
}

/** Asks one server; a server that does not answer within `deadlineMs` is `unreachable`. Never rejects. */
export async function askServer(address: string, deadlineMs: number): Promise<ServerReport> {
  const colon = address.lastIndexOf(':');
  try {
    return parseSrvr(
      await fourLetterWord(address.slice(0, colon), Number(address.slice(colon + 1)), 'srvr', deadlineMs),
    );
  } catch (error) {
    const why = messageOf(error);
    return { kind: 'unreachable', why: why.replace(/^ZooKeeper server \S+, command srvr: /, '') };
  }
}

function field(text: string, name: string): string | undefined {
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name}:`)) return line.slice(name.length + 1).trim();
  }
  return undefined;
}

function parseRole(mode: string | undefined): ServerRole | undefined {
  switch (mode) {
    case 'leader':
    case 'follower':
    case 'observer':
    case 'standalone':
      return mode;
    default:
      return undefined;
  }
}
