/**
 * Who owns a lab, and how nothing of it outlives its owner. A guardian process waits for the owner's end of a pipe to
 * close, however the owner dies, and then disposes of the lab. Should the guardian be killed too, the next lab that is
 * created sweeps up.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from './process.ts';
import { projectRoot } from './project.ts';

const PREFIX = 'swl-';
const OVERLAYFS_MAGIC = 0x794c7630;

/** The names of one lab's things. */
export interface LabNames {
  /** 4 hex digits: short, as it is part of network interface names (at most 15 characters). */
  readonly id: string;
  /** Holds everything on disk, absolute. */
  readonly folder: string;
  /** The control group that all processes of the lab live below, absolute. */
  readonly controlGroup: string;
  /** The network namespace of hosts and bridge; those of ZooKeeper servers are `NAMESPACE-zk1` and so on. */
  readonly namespace: string;
}

/** Where the cgroup2 hierarchy is mounted; undefined where there is none. */
export function cgroup2Mount(): string | undefined {
  return ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));
}

function namesOf(id: string): LabNames {
  const mount = cgroup2Mount();
  if (mount === undefined) throw new Error('no cgroup2 hierarchy is mounted below /sys/fs/cgroup');
  const name = PREFIX + id;
  return { id, folder: join(tmpdir(), name), controlGroup: join(mount, name), namespace: name };
}

/** Removes what labs with dead owners left, then makes folder and control group of a new one, owned by this process. */
export async function claimLab(): Promise<{ names: LabNames; guardian: ChildProcess }> {
  await sweep();
  const names = namesOf(randomBytes(2).toString('hex'));
  await mkdir(names.folder, { mode: 0o700 });
  await writeFile(ownerFile(names), JSON.stringify({ pid: process.pid, started: startTime(process.pid) }));
  const guardian = spawn('sh', disposeArgs(names, '--when-input-ends'), {
    // A session of its own: Ctrl-C at the owner's terminal must not reach it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await once(guardian, 'spawn');
  guardian.unref();
  // An overlay cannot have its upper directory on an overlay: in a container, take memory.
  if ((await statfs(names.folder)).type === OVERLAYFS_MAGIC) {
    const owner = readFileSync(ownerFile(names));
    await mustRun(['mount', '-t', 'tmpfs', '-o', 'mode=700', 'tmpfs', names.folder]);
    await writeFile(ownerFile(names), owner);
  }
  await mkdir(names.controlGroup);
  return { names, guardian };
}

/** Removes the lab and all its processes. May be called again. */
export async function disposeLab(names: LabNames, guardian: ChildProcess): Promise<void> {
  if (guardian.exitCode === null && guardian.signalCode === null) {
    guardian.ref();
    const gone = once(guardian, 'exit');
    guardian.stdin?.end();
    await gone;
  }
  // A guardian that was killed did nothing.
  if (guardian.signalCode !== null) await mustRun(['sh', ...disposeArgs(names)]);
  if (existsSync(names.folder) || existsSync(names.controlGroup)) {
    throw new Error(`lab ${names.id} is not wholly removed: see ${names.folder} and ${names.controlGroup}`);
  }
}

/** Disposes of all labs whose owner is dead; answers their ids. */
export async function sweep(): Promise<string[]> {
  const found = (await readdir(tmpdir())).filter((name) => /^swl-[0-9a-f]{4}$/.test(name));
  const orphans = found.map((name) => namesOf(name.slice(PREFIX.length))).filter((names) => !isOwned(names));
  for (const names of orphans) await mustRun(['sh', ...disposeArgs(names)]);
  return orphans.map((names) => names.id);
}

function disposeArgs(names: LabNames, ...options: string[]): string[] {
  const script = join(projectRoot, 'test/harness/dispose.sh');
  return [script, ...options, names.controlGroup, names.namespace, names.folder];
}

function ownerFile(names: LabNames): string {
  return join(names.folder, 'owner.json');
}

function isOwned(names: LabNames): boolean {
  let owner: unknown;
  try {
    owner = JSON.parse(readFileSync(ownerFile(names), 'utf8'));
  } catch {
    // Half made or half removed: only its owner may know. Its guardian removes it when that one is dead.
    return existsSync(names.folder) && !existsSync(names.controlGroup);
  }
  if (typeof owner !== 'object' || owner === null || !('pid' in owner) || !('started' in owner)) return false;
  return typeof owner.pid === 'number' && startTime(owner.pid) === owner.started;
}

/** When a process started, in the kernel's ticks since boot: a pid with another start time is another process. */
function startTime(pid: number): string | undefined {
  try {
    // The second field, the name, may hold spaces and parentheses: count from its end.
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}
