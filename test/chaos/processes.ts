/** What the units' own processes said in the shared log (see `world.ts`). Pure. */

export interface ProcessLine {
  /** `conflict`: when it began, another host's process still held the unit's lock. */
  readonly what: 'begin' | 'alive' | 'end' | 'conflict';
  readonly unit: string;
  readonly host: string;
  readonly pid: number;
  /** Milliseconds of CLOCK_MONOTONIC, cut to 10 ms. */
  readonly at: number;
}

const LINE = /^(begin|alive|end|conflict) (\S+) (\S+) (\d+) (\d+\.\d+)$/;

/** Reads the log; a last line without its end is left for the next time. Throws on a line that no unit writes. */
export function readProcesses(text: string): ProcessLine[] {
  const lines = text.split('\n');
  return lines.slice(0, -1).flatMap((line) => {
    const [, what, unit, host, pid, seconds] = LINE.exec(line) ?? [];
    // a unit that was killed in the middle of its line
    if (!isWhat(what) || unit === undefined || host === undefined) return [];
    return [{ what, unit, host, pid: Number(pid), at: Number(seconds) * 1000 }];
  });
}

function isWhat(text: string | undefined): text is ProcessLine['what'] {
  return text === 'begin' || text === 'alive' || text === 'end' || text === 'conflict';
}
