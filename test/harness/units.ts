/** Small real units to try the daemon on. A file named `NAME@.service` is a template. */
import type { Host } from './host.ts';

/** Runs until it is stopped. */
export const sleeping = service('ExecStart=sleep infinity');

/** Fails at once, at every start. */
export const failing = service('ExecStart=false');

/** Stays `activating`: it never says that it is ready. systemd gives up after `seconds`. */
export function hangingOnStart(seconds = 600): string {
  return service(`Type=notify\nTimeoutStartSec=${seconds}\nExecStart=sleep infinity`);
}

/** Stays `deactivating`: it ignores SIGTERM. systemd kills it after `seconds`. */
export function hangingOnStop(seconds = 600): string {
  return service(`TimeoutStopSec=${seconds}\nExecStart=sh -c 'trap "" TERM; while :; do sleep 1; done'`);
}

/** Ends by itself, in good order, after `seconds`. */
export function exiting(seconds: number): string {
  return service(`ExecStart=sleep ${seconds}`);
}

/** A unit file of one `[Service]` section with these lines. */
export function service(lines: string): string {
  return `[Service]\n${lines}\n`;
}

/** Writes unit files, by their names, and makes systemd read them if the host is on. */
export async function addUnits(host: Host, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await host.write(`/etc/systemd/system/${name}`, text);
  if (host.running) await host.systemctl('daemon-reload');
}
