/** A unit's main process as this machine sees it, found without running anything on the host. */
import { readFile } from 'node:fs/promises';
import type { Host } from './host.ts';

/** Where this machine sees the control group of a unit of the host. */
export function controlGroupOf(host: Host, unit: string): string {
  const slice = unit.includes('@') ? `system.slice/system-${unit.slice(0, unit.indexOf('@'))}.slice` : 'system.slice';
  return host.path(`/sys/fs/cgroup/${slice}/${unit}`);
}

/** The pid, as this machine counts, of the unit's main process, its oldest. Rejects when it does not run. */
export async function mainPidOf(host: Host, unit: string): Promise<number> {
  // the kernel translates what it tells of a control group into the pids of who reads it
  const text = await readFile(`${controlGroupOf(host, unit)}/cgroup.procs`, 'utf8').catch(() => '');
  const [pid] = text.split('\n').filter(Boolean);
  if (pid === undefined) throw new Error(`${unit} does not run on ${host.name}`);
  return Number(pid);
}
