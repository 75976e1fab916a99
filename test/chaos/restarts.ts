/** Invariants on what the journals tell of units and daemons: nothing is stopped, touched or ended without a cause. Pure. */
import { explanations, isDuring } from './explain.ts';
import type { FaultKind, FaultRecord } from './faults.ts';
import { DAEMON, type DaemonEntry, type JournalEntry } from './journal.ts';
import type { Run } from './runs.ts';
import type { Violation, ViolationKind } from './violation.ts';
import { isDeclared, STRANGERS } from './world.ts';

/** How long before an end the daemon may have said why. */
const WHY_WITHIN_MS = 5000;

/**
 * Ends of declared units that ran, and that no fault explains. One fault explains one end of a unit on a host: whoever is
 * stopped twice for it was restarted in between without need. A changed file explains one end in all.
 */
export function needlessRestarts(
  runs: readonly Run[],
  faults: readonly FaultRecord[],
  entries: readonly JournalEntry[],
): Violation[] {
  const used = new Set<string>();
  const ends = runs.filter((run) => run.endsAt !== undefined && isDeclared(run.unit));
  return ends
    .sort((a, b) => (a.endsAt ?? 0) - (b.endsAt ?? 0))
    .flatMap((run) => {
      const fault = explanations(run, faults).find((candidate) => !used.has(useOf(candidate, faults, run)));
      if (fault === undefined) return [violation('needless-restart', run, whyOf(run, entries))];
      used.add(useOf(fault, faults, run));
      return [];
    });
}

function useOf(fault: FaultRecord, faults: readonly FaultRecord[], { host, unit }: Run): string {
  const number = faults.indexOf(fault);
  return fault.kind === 'reload-changed' ? `${number}` : `${number} ${host} ${unit}`;
}

/** Strangers that ended, or began again, without their host having been switched off. */
export function touchedStrangers(runs: readonly Run[], faults: readonly FaultRecord[]): Violation[] {
  const strangers: readonly string[] = STRANGERS;
  const boots = new Set<string>();
  return runs.flatMap((run) => {
    if (!strangers.includes(run.unit)) return [];
    const boot = `${run.host} ${run.unit} ${run.boot}`;
    const again = boots.has(boot);
    boots.add(boot);
    const { endsAt } = run;
    if (endsAt !== undefined && !isStruck(faults, ['host-power', 'host-reboot'], run.host, endsAt))
      return [violation('stranger-touched', run, '')];
    return again ? [violation('stranger-touched', run, ': it was started a second time')] : [];
  });
}

const ENDING_DAEMONS: readonly FaultKind[] = [
  'host-power',
  'host-reboot',
  'daemon-kill',
  'daemon-stop',
  'daemon-restart',
];

/** Daemons that ended though no fault of the moment had ended them. */
export function endedDaemons(runs: readonly Run[], faults: readonly FaultRecord[]): Violation[] {
  return runs.flatMap((run) => {
    if (run.unit !== DAEMON || run.endsAt === undefined) return [];
    return isStruck(faults, ENDING_DAEMONS, run.host, run.endsAt) ? [] : [violation('daemon-ended', run, '')];
  });
}

/** What the daemon says of itself when its code is wrong, and what Node says when it dies. */
const BUG = /\bthis is a bug\b|please report this|^internal error|a pass failed|FATAL ERROR|^\w*Error: .*\n\s+at /i;

export function loggedBugs(entries: readonly JournalEntry[]): Violation[] {
  return entries.flatMap((entry): Violation[] =>
    entry.kind === 'daemon' && BUG.test(entry.message)
      ? [{ kind: 'bug-logged', at: entry.at, host: entry.host, evidence: entry.message }]
      : [],
  );
}

function isStruck(faults: readonly FaultRecord[], kinds: readonly FaultKind[], host: string, at: number): boolean {
  return faults.some((fault) => kinds.includes(fault.kind) && fault.hosts.includes(host) && isDuring(fault, at));
}

function violation(kind: ViolationKind, run: Run, why: string): Violation {
  const evidence = `${run.unit} on ${run.host}: ${run.message ?? 'started'}${why}`;
  return { kind, at: run.endsAt ?? run.from, host: run.host, evidence };
}

/** What the host's daemon said about the unit right before, if anything. */
function whyOf(run: Run, entries: readonly JournalEntry[]): string {
  const endsAt = run.endsAt ?? run.from;
  const said = entries.filter(
    (entry): entry is DaemonEntry =>
      entry.kind === 'daemon' &&
      entry.host === run.host &&
      entry.at <= endsAt &&
      entry.at >= endsAt - WHY_WITHIN_MS &&
      entry.message.includes(run.unit),
  );
  const last = said.at(-1);
  return last === undefined ? ' (its daemon said nothing about it)' : ` (its daemon: ${last.message})`;
}
