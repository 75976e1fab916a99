/** One row of the report: what was measured, its goals, and whether they were met. */
import { type Summary, summarise } from './statistics.ts';

export interface Goal {
  readonly of: 'median' | 'p90' | 'max';
  readonly atMost: number;
}

export interface Row {
  readonly name: string;
  readonly unit: 'ms' | 'µs' | 'MB' | '%' | '/min' | '×';
  readonly samples: readonly number[];
  /** None: the row is there to be known. */
  readonly goals: readonly Goal[];
}

/** The session timeout (4 s), one tick of ZooKeeper (0.5 s in the lab) and 0.3 s: the bound of every loss of a host. */
export const LOSS_GOAL: Goal = { of: 'max', atMost: 4800 };

const DIGITS: Readonly<Record<Row['unit'], number>> = { ms: 0, µs: 0, MB: 1, '%': 2, '/min': 0, '×': 2 };

/** One line: the figures, then each goal with `met` or `MISSED`. */
export function renderRow({ name, unit, samples, goals }: Row): string {
  const summary = summarise(samples);
  const figure = (value: number) => `${value.toFixed(DIGITS[unit])} ${unit}`;
  const [only] = samples;
  if (samples.length === 1 && only !== undefined && goals.length === 0) return `${name}: ${figure(only)}; no goal set`;
  const figures = `median ${figure(summary.median)}, p90 ${figure(summary.p90)}, max ${figure(summary.max)}`;
  const verdicts = goals.map(
    ({ of, atMost }) => `goal ${of} ≤ ${atMost} ${unit}: ${isMet(summary, { of, atMost }) ? 'met' : 'MISSED'}`,
  );
  const goal = verdicts.length === 0 ? 'no goal set' : verdicts.join('; ');
  return `${name}: ${figures} (${summary.count} samples); ${goal}`;
}

function isMet(summary: Summary, { of, atMost }: Goal): boolean {
  return summary[of] <= atMost;
}
