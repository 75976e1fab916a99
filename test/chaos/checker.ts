/** All invariants, held against what was recorded. Pure: the records in, what was violated out. */
import { countViolations, type Look } from './counts.ts';
import type { FaultRecord } from './faults.ts';
import type { JournalEntry } from './journal.ts';
import { overlapsOfProcesses, overlapsOfRuns } from './once.ts';
import type { ProcessLine } from './processes.ts';
import { endedDaemons, loggedBugs, needlessRestarts, touchedStrangers } from './restarts.ts';
import { notLeftToSystemd } from './returns.ts';
import { runsOf } from './runs.ts';
import type { Violation } from './violation.ts';

export interface Evidence {
  /** Of all hosts, in any order. */
  readonly entries: readonly JournalEntry[];
  /** In the order of the shared log. */
  readonly processes: readonly ProcessLine[];
  readonly faults: readonly FaultRecord[];
  /** In the order of their times. */
  readonly looks: readonly Look[];
}

/** Violations in the order of their times. */
export function check({ entries, processes, faults, looks }: Evidence): Violation[] {
  const runs = runsOf(entries);
  return [
    ...overlapsOfProcesses(processes),
    ...overlapsOfRuns(runs, faults),
    ...needlessRestarts(runs, faults, entries),
    ...notLeftToSystemd(runs, faults, entries),
    ...touchedStrangers(runs, faults),
    ...countViolations(looks),
    ...endedDaemons(runs, faults),
    ...loggedBugs(entries),
  ].sort((a, b) => a.at - b.at);
}
