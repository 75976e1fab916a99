/**
 * Invariant: a unit with `isolation: stop` and count 1 never has processes on two hosts. Held against what the processes
 * themselves said, and against what systemd on each host said of them. Pure.
 */
import type { FaultRecord } from './faults.ts';
import type { ProcessLine } from './processes.ts';
import type { Run } from './runs.ts';
import type { Violation } from './violation.ts';
import { DECLARED } from './world.ts';

const ONCE = new Set(DECLARED.filter((unit) => unit.class === 'once').map(({ unit }) => unit));

/** A process that lived at least from `from` to `to`. */
interface Life {
  readonly unit: string;
  readonly host: string;
  readonly from: number;
  readonly to: number;
  readonly witness: string;
}

/** Of the processes' own lines: a lock that was held elsewhere, or a sign of life after the beginning elsewhere. */
export function overlapsOfProcesses(lines: readonly ProcessLine[]): Violation[] {
  const conflicts = lines.flatMap((line): Violation[] => {
    if (line.what !== 'conflict' || !ONCE.has(line.unit)) return [];
    const evidence = `${line.unit} began on ${line.host} while a process of it on another host still held its lock`;
    return [{ kind: 'two-at-once', at: line.at, host: line.host, evidence }];
  });
  return [...conflicts, ...overlaps(livesOf(lines))];
}

/**
 * Of the journals: systemd had not yet said that all was gone on one host when it began on another. What ran on a host
 * that lost its power was gone at that moment.
 */
export function overlapsOfRuns(runs: readonly Run[], faults: readonly FaultRecord[]): Violation[] {
  const lives = runs.flatMap((run): Life[] => {
    if (!ONCE.has(run.unit)) return [];
    const to = goneAt(run, faults);
    return [{ unit: run.unit, host: run.host, from: run.from, to, witness: 'systemd' }];
  });
  return overlaps(lives);
}

function goneAt(run: Run, faults: readonly FaultRecord[]): number {
  if (run.goneAt !== undefined) return run.goneAt;
  const offs = faults.flatMap((fault) =>
    fault.hosts.includes(run.host) && fault.offAt !== undefined ? [fault.offAt] : [],
  );
  return Math.min(...offs.filter((at) => at >= run.from));
}

function livesOf(lines: readonly ProcessLine[]): Life[] {
  const lives = new Map<string, Life>();
  const current = new Map<string, string>();
  for (const line of lines) {
    if (!ONCE.has(line.unit) || line.what === 'conflict') continue;
    const process = `${line.unit} ${line.host} ${line.pid}`;
    // a pid may come again after a boot
    if (line.what === 'begin') current.set(process, `${process} ${line.at}`);
    const key = current.get(process) ?? process;
    const known = lives.get(key);
    const from = known?.from ?? line.at;
    lives.set(key, { unit: line.unit, host: line.host, from, to: line.at, witness: 'its process' });
  }
  return [...lives.values()];
}

function overlaps(lives: readonly Life[]): Violation[] {
  const sorted = [...lives].sort((a, b) => a.from - b.from);
  return sorted.flatMap((life, index) =>
    sorted.slice(0, index).flatMap((earlier): Violation[] => {
      if (earlier.unit !== life.unit || earlier.host === life.host || earlier.to <= life.from) return [];
      const until = Number.isFinite(earlier.to) ? `until ${seconds(earlier.to)}` : 'to the end';
      const evidence = `${life.unit} began on ${life.host} at ${seconds(life.from)}, while on ${earlier.host} it ran from ${seconds(earlier.from)} ${until}, says ${life.witness}`;
      return [{ kind: 'two-at-once', at: life.from, host: life.host, evidence }];
    }),
  );
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}
