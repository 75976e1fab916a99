/** Messages to systemd about this very service, sd_notify(3), through the program systemd ships for it. */
import { execFile } from 'node:child_process';

/** True when systemd waits for messages (Type=notify). */
export function isNotified(environment: NodeJS.ProcessEnv): boolean {
  return environment.NOTIFY_SOCKET !== undefined;
}

/** `READY=1`, `STATUS=…`, `WATCHDOG=1`, …; resolves to what went wrong, if anything did. */
export function notify(...assignments: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('systemd-notify', [...assignments], { timeout: 5_000 }, (error) => resolve(error?.message));
  });
}

/** How often the watchdog wants to hear from us, half of systemd's limit, ms; undefined: not at all. */
export function watchdogIntervalMs(environment: NodeJS.ProcessEnv): number | undefined {
  const limit = Number(environment.WATCHDOG_USEC);
  return Number.isFinite(limit) && limit > 0 ? limit / 1000 / 2 : undefined;
}
