/** Settings that a running daemon cannot change. Pure. */
import type { Config } from './config.ts';

/** Names of those that differ, as they are written at the top of the file. */
export function changedFixedParts(before: Config, after: Config): string[] {
  const parts: readonly (readonly [string, unknown, unknown])[] = [
    ['zookeeper', before.zookeeper, after.zookeeper],
    ['http', before.http, after.http],
    ['host', before.host, after.host],
    ['systemd', before.systemdBus, after.systemdBus],
    ['state_dir', before.stateDir, after.stateDir],
  ];
  return parts.filter(([, old, now]) => JSON.stringify(old) !== JSON.stringify(now)).map(([name]) => name);
}
