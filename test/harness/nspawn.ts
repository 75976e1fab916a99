/** How systemd-nspawn is told to boot a host, and where its systemd is then found. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { nspawnNetworkOption } from './network.ts';
import { projectRoot } from './project.ts';

export interface NspawnOptions {
  /** The network namespace that holds the lab's bridge. */
  readonly namespace: string;
  /** Unlike the host's name unique on this machine; the lab's end of its cable is called `vb-MACHINE`. */
  readonly machine: string;
  readonly hostname: string;
  /** The mounted root, absolute. */
  readonly disk: string;
}

/** The command line that boots a host and stays in the foreground until it is off. */
export function nspawnCommand({ namespace, machine, hostname, disk }: NspawnOptions): string[] {
  return [
    // Not `ip netns exec`: that mounts a /sys of its own, in which nspawn finds no control groups.
    'nsenter',
    `--net=/run/netns/${namespace}`,
    'systemd-nspawn',
    '--boot',
    '--quiet',
    // The lab does without a machine manager, and is the same on machines with and without systemd.
    '--register=no',
    '--keep-unit',
    nspawnNetworkOption,
    `--machine=${machine}`,
    `--hostname=${hostname}`,
    `--directory=${disk}`,
    ...bindMounts(),
    '--resolv-conf=off',
    '--timezone=off',
    '--link-journal=no',
    '--console=pipe',
    'systemd.unit=multi-user.target',
  ];
}

/**
 * The checkout, as a host's disk shows this machine's root file system only and its /tmp is its own; and the Node that
 * runs this, where units find it before any other.
 */
function bindMounts(): string[] {
  const quoted = (path: string) => path.replaceAll(':', '\\:');
  return [`--bind-ro=${quoted(projectRoot)}`, `--bind-ro=${quoted(process.execPath)}:/usr/local/bin/node`];
}

/** The pid of the systemd that nspawn started; undefined as long as there is none. Throws when nspawn ended. */
export function systemdBelow(nspawn: ChildProcess): number | undefined {
  if (nspawn.exitCode !== null) throw new Error(`systemd-nspawn ended with ${nspawn.exitCode}`);
  const below = children(nspawn.pid ?? 0);
  return [...below, ...below.flatMap(children)].find(isSystemd);
}

function children(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function isSystemd(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).endsWith('/systemd');
  } catch {
    return false;
  }
}
