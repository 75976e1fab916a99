/** The table that a drill prints. */
import Table from 'cli-table3';
import type { Result } from './drill.ts';

const COLUMNS = [
  'what was done',
  'down',
  'leader now',
  'leads after',
  'daemons cut off',
  'longest for',
  'no decisions for',
  'units restarted',
  'stopped (isolation)',
];

/** One row for each step; times in seconds. */
export function renderResults(results: readonly Result[]): string {
  const table = new Table({ head: COLUMNS, style: { head: [], border: [] } });
  for (const result of results) {
    const { what, down, leader, electedMs, disconnected, restarted, stoppedForSafety } = result;
    table.push([
      what,
      String(down),
      leader ?? 'no quorum',
      electedMs === undefined ? '' : seconds(electedMs),
      String(disconnected),
      disconnected === 0 ? '' : seconds(result.disconnectedMs),
      result.undecidedMs === 0 ? '' : seconds(result.undecidedMs),
      restarted.length === 0 ? '0' : `${restarted.length}: ${restarted.join(', ')}`,
      stoppedForSafety.length === 0 ? '0' : `${stoppedForSafety.length}: ${stoppedForSafety.join(', ')}`,
    ]);
  }
  return table.toString();
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
