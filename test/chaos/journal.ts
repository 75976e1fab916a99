/** systemd's journal, as far as it tells of units and of the daemon. Pure: `journalctl -o json` in, entries out. */

/**
 * What happened to a unit. `exited`: its main process ended; `succeeded`, `failed`: nothing of it runs any more;
 * `restarting`: systemd begins to start it again by itself.
 */
export type UnitChange =
  | 'starting'
  | 'started'
  | 'start-failed'
  | 'stopping'
  | 'stopped'
  | 'exited'
  | 'succeeded'
  | 'failed'
  | 'restarting';

interface EntryBase {
  readonly host: string;
  /** When it was said, ms of CLOCK_MONOTONIC. */
  readonly at: number;
  /** Differs from one boot of the host to the next. */
  readonly boot: string;
  readonly message: string;
}

export interface UnitEntry extends EntryBase {
  readonly kind: 'unit';
  readonly unit: string;
  readonly change: UnitChange;
  /** Differs from one start of the unit to the next; empty when systemd does not tell. */
  readonly invocation: string;
}

/** A line of the daemon. */
export interface DaemonEntry extends EntryBase {
  readonly kind: 'daemon';
  /** As syslog(3): 3 is an error. */
  readonly priority: number;
}

export type JournalEntry = UnitEntry | DaemonEntry;

export const DAEMON = 'servicewatcher.service';

/** The fields that are read. */
export const FIELDS = [
  'MESSAGE',
  'MESSAGE_ID',
  'UNIT',
  'PRIORITY',
  'INVOCATION_ID',
  '_PID',
  '_SYSTEMD_UNIT',
  '_SOURCE_REALTIME_TIMESTAMP',
] as const;

/** Which entries journalctl shall give: systemd's own, and the daemon's. */
export const MATCHES = ['_PID=1', '+', `_SYSTEMD_UNIT=${DAEMON}`] as const;

/** From systemd's catalogue (sd-messages.h). */
const CHANGES: Readonly<Record<string, UnitChange>> = {
  '7d4958e842da4a758f6c1cdc7b36dcc5': 'starting',
  '39f53479d3a045ac8e11786248231fbf': 'started',
  be02cf6855d2428ba40df7e9d022f03d: 'start-failed',
  de5b426a63be47a7b6ac3eaac82e2f6f: 'stopping',
  '9d1aaa27d60140bd96365438aad20286': 'stopped',
  '98e322203f7a4ed290d09fe03c09fe15': 'exited',
  '7ad2d189f7e94e70a38c781354912448': 'succeeded',
  d9b373ed55a64feb8242e02dbe79a49c: 'failed',
  '5eb03494b6584870a536b337290809b3': 'restarting',
};

/** Reads one host's journal, one JSON object a line. Throws on what journalctl does not write. */
export function readJournal(host: string, text: string): JournalEntry[] {
  return text.split('\n').flatMap((line) => {
    if (line.trim() === '') return [];
    const entry = readEntry(host, fieldsOf(line));
    return entry === undefined ? [] : [entry];
  });
}

function readEntry(host: string, fields: ReadonlyMap<string, string>): JournalEntry | undefined {
  const field = (name: string) => fields.get(name) ?? '';
  const base = { host, at: saidAt(fields), boot: field('_BOOT_ID'), message: field('MESSAGE') };
  const change = CHANGES[field('MESSAGE_ID')];
  if (field('_PID') === '1') {
    const unit = field('UNIT');
    if (change === undefined || unit === '') return undefined;
    // a start that failed before the main process ran tells of `COMMAND=ExecStartPre`
    return { kind: 'unit', ...base, unit, change, invocation: field('INVOCATION_ID') };
  }
  return field('_SYSTEMD_UNIT') === DAEMON
    ? { kind: 'daemon', ...base, priority: Number(field('PRIORITY') || 6) }
    : undefined;
}

/** When the sender said it, not when the journal got round to it: the latter may be late on a busy host. */
function saidAt(fields: ReadonlyMap<string, string>): number {
  const [monotonic, received, sent] = [
    '__MONOTONIC_TIMESTAMP',
    '__REALTIME_TIMESTAMP',
    '_SOURCE_REALTIME_TIMESTAMP',
  ].map((name) => fields.get(name));
  if (monotonic === undefined || received === undefined) throw new Error('a journal entry without its time');
  const delay = sent === undefined ? 0 : Number(received) - Number(sent);
  return (Number(monotonic) - delay) / 1000;
}

/** Fields whose value is no text (too long, or bytes) count as absent. */
function fieldsOf(line: string): Map<string, string> {
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed !== 'object' || parsed === null)
    throw new Error(`not an entry of a journal: ${line.slice(0, 200)}`);
  const all: [string, unknown][] = Object.entries(parsed);
  return new Map(
    all.flatMap(([name, value]): [string, string][] => (typeof value === 'string' ? [[name, value]] : [])),
  );
}
