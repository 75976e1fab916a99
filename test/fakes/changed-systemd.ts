import type { Systemd } from '../../src/executor/systemd.ts';

/** The same connection but for `changes`. Its calls must be properties of its own, as those of `FakeHost.watched` are. */
export function changedSystemd(systemd: Systemd, changes: Partial<Omit<Systemd, 'connected'>>): Systemd {
  return {
    ...systemd,
    ...changes,
    // asked for anew each time, which a spread does not
    get connected() {
      return systemd.connected;
    },
  };
}
