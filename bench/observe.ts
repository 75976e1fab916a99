/**
 * What can be seen of a host from outside, without running anything on it while a time is being taken: processes and
 * control groups through /proc, and afterwards systemd's and the journal's own timestamps. All times are milliseconds
 * of CLOCK_MONOTONIC, which is one clock for all hosts of the machine.
 */
import { lstat, readFile } from 'node:fs/promises';
import type { Host } from '../test/harness/host.ts';
import { controlGroupOf, mainPidOf } from '../test/harness/main-pid.ts';
import { until } from '../test/harness/until.ts';

export const DAEMON = 'servicewatcher.service';
/** Longest wait for anything that a benchmark takes the time of. */
const DEADLINE_MS = 30_000;

/** Whether systemd has begun to start the unit and it has not ended: one look at a file, without a process. */
export async function isStarted(host: Host, unit: string): Promise<boolean> {
  return await lstat(host.path(`/run/systemd/units/invocation:${unit}`)).then(
    () => true,
    () => false,
  );
}

/** When the unit became active on `host`, once it has done so after `since`. */
export async function activeSince(host: Host, unit: string, since: number): Promise<number> {
  const what = `${unit} to be active on ${host.name}`;
  await until(() => isStarted(host, unit), { deadlineMs: DEADLINE_MS, what, everyMs: 5 });
  const entered = async () => {
    const at = await host.activeEnter(unit);
    return at !== undefined && at > since && at;
  };
  return await until(entered, { deadlineMs: DEADLINE_MS, what });
}

/** Which of `hosts` starts the unit first. */
export async function startedOn(hosts: readonly Host[], unit: string): Promise<Host> {
  const look = async () => {
    const started = await Promise.all(hosts.map((host) => isStarted(host, unit)));
    return hosts[started.indexOf(true)];
  };
  return await until(look, { deadlineMs: DEADLINE_MS, what: `${unit} to start elsewhere`, everyMs: 5 });
}

/** When the host's daemon first logged a line that matches, after `since`; undefined: not yet. */
export async function loggedAt(host: Host, line: RegExp, since: number): Promise<number | undefined> {
  const text = await host.mustSh('journalctl', '--no-pager', '-o', 'short-monotonic', '-n', '200', '-u', DAEMON);
  for (const entry of text.split('\n')) {
    const at = Number(/^\[\s*(\d+\.\d+)\]/.exec(entry)?.[1]) * 1000;
    if (at > since && line.test(entry)) return at;
  }
  return undefined;
}

/** Processor time of all of a unit's processes so far, those that have ended included, in ms. */
export async function cpuTimeOf(host: Host, unit: string): Promise<number> {
  return await cpuTime(controlGroupOf(host, unit));
}

/** The same of everything on the host, its systemd and system bus included. */
export async function hostCpuTimeOf(host: Host): Promise<number> {
  return await cpuTime(host.path('/sys/fs/cgroup'));
}

async function cpuTime(group: string): Promise<number> {
  const text = await readFile(`${group}/cpu.stat`, 'utf8');
  return Number(/^usage_usec (\d+)$/m.exec(text)?.[1]) / 1000;
}

/** VmRSS of the unit's main process, in MB of 1,000,000 bytes. */
export async function residentMemoryOf(host: Host, unit: string): Promise<number> {
  const text = await readFile(`/proc/${await mainPidOf(host, unit)}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024) / 1e6;
}
