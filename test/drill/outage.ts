/** How long daemons were without ZooKeeper, and the cluster without a leader that can decide: by their journals. Pure. */

/** One line of the journal. */
export interface JournalLine {
  /** Milliseconds of CLOCK_MONOTONIC. */
  readonly atMs: number;
  readonly text: string;
}

const LOST = 'connection to ZooKeeper lost';
const CONNECTED = 'connected to ZooKeeper';
const TERM_LOST = 'no longer the leader';
/** What a leader says when it has decided for the first time in its term; from then on it can. */
const DECIDED = ['the placement stands as it was written before this term', 'placement written for'];

/** A part of the time, ms of CLOCK_MONOTONIC. What began before or lasts beyond it counts as far as it lies within. */
export interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The longest time without a connection to ZooKeeper, ms. `lines`: all of one daemon. */
export function disconnectedMs(lines: readonly JournalLine[], span: Span): number {
  return longest(
    lines,
    span,
    ({ text }) => text.startsWith(LOST),
    ({ text }) => text.startsWith(CONNECTED),
  );
}

/** The longest time in which nothing could be placed, from a lost term to the next decision, ms. `lines`: all of all daemons. */
export function undecidedMs(lines: readonly JournalLine[], span: Span): number {
  return longest(
    lines,
    span,
    ({ text }) => text.startsWith(TERM_LOST),
    ({ text }) => DECIDED.some((start) => text.startsWith(start)),
  );
}

function longest(
  lines: readonly JournalLine[],
  { fromMs, untilMs }: Span,
  begins: (line: JournalLine) => boolean,
  ends: (line: JournalLine) => boolean,
): number {
  let since: number | undefined;
  let most = 0;
  const within = (start: number, end: number) => Math.min(end, untilMs) - Math.max(start, fromMs);
  for (const line of [...lines].sort((a, b) => a.atMs - b.atMs)) {
    if (since === undefined && begins(line)) since = line.atMs;
    else if (since !== undefined && ends(line)) {
      most = Math.max(most, within(since, line.atMs));
      since = undefined;
    }
  }
  return since === undefined ? most : Math.max(most, within(since, untilMs));
}

/** Reads what `journalctl -o json` prints: a JSON object a line. A message that is not text has none. */
export function parseJournal(text: string): JournalLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const entry: unknown = JSON.parse(line);
      if (typeof entry !== 'object' || entry === null || !('__MONOTONIC_TIMESTAMP' in entry))
        throw new Error(`not a line of the journal: ${line}`);
      const message = 'MESSAGE' in entry && typeof entry.MESSAGE === 'string' ? entry.MESSAGE : '';
      return { atMs: Number(entry.__MONOTONIC_TIMESTAMP) / 1000, text: message };
    });
}
