/** Installing ServiceWatcher on a host of a lab: the very unit of `deploy/`, the program of `dist/`. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from './host.ts';
import { projectRoot } from './project.ts';

export interface InstallOptions {
  /** The text of /etc/servicewatcher/config.yml. */
  readonly config: string;
  /** Whether to start it, if the host is on; default true. */
  readonly start?: boolean;
  /** Settings that a drop-in adds to the unit, as a unit file's text. */
  readonly dropIn?: string;
  /** The program; default the checkout's `dist/cli.js`. */
  readonly cli?: string;
}

export const CONFIG_FILE = '/etc/servicewatcher/config.yml';
const START_DEADLINE_MS = 60_000;
/** Where the program lies on a host. */
export const INSTALLED_CLI = '/usr/lib/servicewatcher/cli.js';

/**
 * Writes configuration, unit, and the command `servicewatcher`, and starts the daemon; resolves when it is ready. A
 * daemon that does not start rejects with the end of its journal.
 */
export async function install(host: Host, options: InstallOptions): Promise<void> {
  const cli = options.cli ?? join(projectRoot, 'dist/cli.js');
  if (!existsSync(cli)) throw new Error(`no ${cli}: run npm run build`);
  const unit = await readFile(join(projectRoot, 'deploy/servicewatcher.service'), 'utf8');
  if (!unit.includes(INSTALLED_CLI)) throw new Error(`deploy/servicewatcher.service does not run ${INSTALLED_CLI}`);
  await host.write('/etc/systemd/system/servicewatcher.service', unit);
  // A copy: the daemon may see neither homes nor the machine's /tmp, and a build in between must not change it.
  await host.write(INSTALLED_CLI, await readFile(cli, 'utf8'), 0o755);
  if (options.dropIn !== undefined) {
    await host.write('/etc/systemd/system/servicewatcher.service.d/lab.conf', options.dropIn);
  }
  await host.write('/usr/local/bin/servicewatcher', `#!/bin/sh\nexec node ${INSTALLED_CLI} "$@"\n`, 0o755);
  await host.write(CONFIG_FILE, options.config);
  if (!host.running) return;
  await host.systemctl('daemon-reload');
  if (options.start === false) return;
  const started = await host.run(['systemctl', 'start', 'servicewatcher'], { deadlineMs: START_DEADLINE_MS });
  if (started.code !== 0) {
    const journal = await host.journal('servicewatcher');
    throw new Error(`servicewatcher did not start on ${host.name}: ${started.stderr}\n${journal.slice(-3000)}`);
  }
}
