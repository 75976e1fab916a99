/** What systemd on a host says of several units, in one look. */
import type { Host } from '../harness/host.ts';
import { until } from '../harness/until.ts';

export interface UnitView {
  /** systemd's ActiveState. */
  readonly active: string;
  /** 0 when none runs. */
  readonly mainPid: number;
  /** When it last became active, ms of `monotonicNow`'s clock; 0 if it never did. */
  readonly activeEnterMs: number;
}

/** One view for each unit, in their order. */
export async function viewUnits(host: Host, units: readonly string[]): Promise<UnitView[]> {
  const properties = 'ActiveState,MainPID,ActiveEnterTimestampMonotonic';
  const text = await host.systemctl('show', `--property=${properties}`, '--', ...units);
  const blocks = text.trim().split('\n\n');
  if (blocks.length !== units.length) throw new Error(`systemd answered on ${blocks.length} of ${units.length} units`);
  return blocks.map((block) => ({
    active: property(block, 'ActiveState'),
    mainPid: Number(property(block, 'MainPID')),
    activeEnterMs: Number(property(block, 'ActiveEnterTimestampMonotonic')) / 1000,
  }));
}

/**
 * When systemd on the host last said that the unit had ended, ms of `monotonicNow`'s clock. The journal may be a moment
 * behind systemd: it is waited for; rejects when it does not say so at all.
 */
export async function stoppedAt(host: Host, unit: string): Promise<number> {
  const said = async () => {
    const lines = (await host.journal(unit)).split('\n').filter((line) => line.includes('Deactivated successfully'));
    const at = /^\[\s*(\d+\.\d+)\]/.exec(lines.at(-1) ?? '')?.[1];
    return at === undefined ? undefined : Number(at) * 1000;
  };
  return await until(said, { deadlineMs: 10_000, what: `the end of ${unit} in the journal of ${host.name}` });
}

function property(block: string, name: string): string {
  const line = block.split('\n').find((candidate) => candidate.startsWith(`${name}=`));
  if (line === undefined) throw new Error(`systemd did not tell ${name}: ${block}`);
  return line.slice(name.length + 1);
}
