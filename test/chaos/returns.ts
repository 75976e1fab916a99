/**
 * Invariant: what systemd starts again by itself (`Restart=`) after `unit-killed` is left to systemd. It returns where it
 * was, and no daemon starts or stops the unit meanwhile, on no host, unless another fault took an instance away. Pure.
 */
import { type Ending, explanations, isDuring } from './explain.ts';
import type { FaultRecord } from './faults.ts';
import type { DaemonEntry, JournalEntry } from './journal.ts';
import type { Run } from './runs.ts';
import type { Violation } from './violation.ts';

export function notLeftToSystemd(
  runs: readonly Run[],
  faults: readonly FaultRecord[],
  entries: readonly JournalEntry[],
): Violation[] {
  return faults.flatMap((fault) => {
    const { kind, unit } = fault;
    if (kind !== 'unit-killed' || unit === undefined) return [];
    const others = faults.filter((other) => other !== fault);
    return [...notRestarted(unit, fault, runs, others), ...orders(unit, fault, entries, others)];
  });
}

/** The killed runs that systemd did not start again. */
function notRestarted(
  unit: string,
  fault: FaultRecord,
  runs: readonly Run[],
  others: readonly FaultRecord[],
): Violation[] {
  return runs.flatMap((run): Violation[] => {
    const { host, endsAt, restartsAt } = run;
    if (run.unit !== unit || endsAt === undefined || explanations(run, [fault]).length === 0) return [];
    if (restartsAt !== undefined || explanations(run, others).length > 0) return [];
    const evidence = `${unit} on ${host}: ${run.message ?? 'ended'}, and systemd did not start it again`;
    return [{ kind: 'not-left-to-systemd', at: endsAt, host, evidence }];
  });
}

/** What the daemons said that they did to the unit, and no other fault explains. */
function orders(
  unit: string,
  fault: FaultRecord,
  entries: readonly JournalEntry[],
  others: readonly FaultRecord[],
): Violation[] {
  const words = [`starting ${unit}: `, `stopping ${unit}: `];
  const isOrder = (entry: JournalEntry): entry is DaemonEntry =>
    entry.kind === 'daemon' && words.some((word) => entry.message.startsWith(word)) && isDuring(fault, entry.at);
  return entries.filter(isOrder).flatMap(({ host, at, message }): Violation[] => {
    // where it was killed only what struck that host excuses an order; others may be given what any host lost
    const struck = fault.hosts.includes(host) ? [host] : [host, ...others.flatMap(({ hosts }) => hosts)];
    const ending = (each: string): Ending => ({ unit, host: each, endsAt: at, endedBy: 'stopping' });
    if (struck.some((each) => explanations(ending(each), others).length > 0)) return [];
    const evidence = `${unit} was killed on ${fault.hosts.join(', ')}, and the daemon of ${host}: ${message}`;
    return [{ kind: 'not-left-to-systemd', at, host, evidence }];
  });
}
