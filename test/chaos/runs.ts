/** From the entries of the journals to the runs of units: when each was up, and how it came to its end. Pure. */
import type { JournalEntry, UnitChange, UnitEntry } from './journal.ts';

/** One start of a unit on a host, and what became of it. Times in ms of CLOCK_MONOTONIC. */
export interface Run {
  readonly unit: string;
  readonly host: string;
  readonly boot: string;
  readonly invocation: string;
  /** The first that was heard of it: its processes may exist from then on. */
  readonly from: number;
  /** It was started; absent: it never got so far. */
  readonly upAt?: number;
  /** It began to end, after it was up. */
  readonly endsAt?: number;
  readonly endedBy?: UnitChange;
  /** systemd said that nothing of it runs any more. */
  readonly goneAt?: number;
  /** systemd began to start it again by itself: `Restart=`. */
  readonly restartsAt?: number;
  /** systemd's words, of the end. */
  readonly message?: string;
}

/** All runs, in the order of their beginnings. */
export function runsOf(entries: readonly JournalEntry[]): Run[] {
  const runs = new Map<string, Run>();
  for (const entry of entries.filter(isOfUnit).sort((a, b) => a.at - b.at)) {
    if (entry.invocation === '') continue;
    const key = `${entry.host} ${entry.unit} ${entry.invocation}`;
    const known = runs.get(key);
    runs.set(key, after(known ?? begun(entry), entry));
  }
  return [...runs.values()].sort((a, b) => a.from - b.from);
}

function begun({ unit, host, boot, invocation, at }: UnitEntry): Run {
  return { unit, host, boot, invocation, from: at };
}

function after(run: Run, { change, at, message }: UnitEntry): Run {
  switch (change) {
    case 'starting':
      return run;
    case 'started':
      return { ...run, upAt: run.upAt ?? at };
    case 'stopping':
    case 'exited':
      return ended(run, change, at, message);
    case 'restarting':
      return { ...run, restartsAt: at };
    case 'stopped':
    case 'succeeded':
    case 'failed':
    case 'start-failed':
      return { ...ended(run, change, at, message), goneAt: run.goneAt ?? at };
    default:
      return change satisfies never;
  }
}

function ended(run: Run, endedBy: UnitChange, endsAt: number, message: string): Run {
  return run.upAt === undefined || run.endsAt !== undefined ? run : { ...run, endsAt, endedBy, message };
}

function isOfUnit(entry: JournalEntry): entry is UnitEntry {
  return entry.kind === 'unit';
}
