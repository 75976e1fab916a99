/** A control group of its own for each machine of a lab: what ends all of its processes in one stroke. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './until.ts';

/**
 * Starts `argv` inside the group, its output appended to the file `log`. It outlives neither the group nor the lab, but
 * keeps no test process alive. Resolves when it is started.
 */
export async function spawnInControlGroup(
  group: string,
  argv: readonly string[],
  log: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ChildProcess> {
  const output = await open(log, 'a');
  // The shell enters the group before it becomes the program: no child of the program can be missed.
  const enter = ['-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', group, ...argv];
  const child = spawn('sh', enter, { detached: true, stdio: ['ignore', output.fd, output.fd], env });
  const started = once(child, 'spawn');
  child.unref();
  await output.close();
  await started;
  return child;
}

/** Makes the group, emptied of the sub-groups that an earlier run left. */
export async function freshControlGroup(group: string): Promise<void> {
  await removeControlGroup(group);
  await mkdir(group);
}

/** SIGKILL to every process in the group and below, at one moment; resolves when they are gone. */
export async function killControlGroup(group: string): Promise<void> {
  if (!existsSync(group)) return;
  await writeFile(join(group, 'cgroup.kill'), '1');
  await until(async () => (await readFile(join(group, 'cgroup.events'), 'utf8')).includes('populated 0'), {
    deadlineMs: 10_000,
    what: `all processes of ${group} to be gone`,
    everyMs: 5,
  });
}

async function removeControlGroup(group: string): Promise<void> {
  if (!existsSync(group)) return;
  for (const entry of await readdir(group, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeControlGroup(join(group, entry.name));
  }
  await rmdir(group);
}
