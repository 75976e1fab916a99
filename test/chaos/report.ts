/** What is printed at the end. Pure. */
import { FAULT_KINDS } from './faults.ts';
import type { RunResult, Settling } from './run.ts';
import { describeViolation } from './violation.ts';
import { SETTLE_LIMIT_MS } from './world.ts';

/** The summary, several lines. */
export function report(result: RunResult): string {
  const { seed, hosts, servers, durationMs, faults, violations, settlings, broken, evidence } = result;
  const minutes = (durationMs / 60_000).toFixed(1);
  const needless = violations.filter(({ kind }) => kind === 'needless-restart').length;
  const kinds = FAULT_KINDS.flatMap((kind) => {
    const number = faults.filter((fault) => fault.kind === kind).length;
    return number === 0 ? [] : [`  ${kind.padEnd(24)}${String(number).padStart(5)}`];
  });
  return [
    `seed ${seed}, ${minutes} minutes, ${hosts} hosts, ${servers} ZooKeeper servers`,
    `faults: ${faults.length} in ${settlings.length} rounds`,
    ...kinds,
    `violations: ${violations.length}`,
    ...violations.map((violation) => `  ${describeViolation(violation)}`),
    `healthy units restarted without need: ${needless}`,
    ...describeLongest(settlings),
    ...(broken === undefined ? [] : [`ended before its time: ${broken}`]),
    ...(evidence === undefined ? [] : [`journals and logs are kept in ${evidence}`]),
  ].join('\n');
}

function describeLongest(settlings: readonly Settling[]): string[] {
  const [longest] = [...settlings].sort((a, b) => b.ms - a.ms);
  const [withStart] = [...settlings].sort((a, b) => b.withStartMs - a.withStartMs);
  if (longest === undefined || withStart === undefined) return ['longest time to settle: no fault was made'];
  const sorted = settlings.map(({ ms }) => ms).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const limit = seconds(SETTLE_LIMIT_MS);
  return [
    `longest time to settle: ${seconds(longest.ms)} after ${describeFaults(longest)} (median ${seconds(median)}, limit ${limit})`,
    `longest with the start of the daemon itself: ${seconds(withStart.withStartMs)} after ${describeFaults(withStart)}`,
  ];
}

function describeFaults({ faults, round }: Settling): string {
  const each = faults.map(({ kind, hosts, servers }) => [kind, ...hosts, ...servers].join(' '));
  return `${each.join(' and ')}, round ${round}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
