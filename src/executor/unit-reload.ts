/** Reloads a unit for a template: one that runs, whoever started it; none is started for it. */
import { messageOf } from '../shared/error-text.ts';
import type { Systemd } from './systemd.ts';

/** A reload that takes longer goes on, and is asked for again. */
const RELOAD_MS = 60_000;

/** Answers what went wrong, one clause; undefined: it was reloaded, or does not run. Never rejects. */
export function reloadRunning(
  systemd: Pick<Systemd, 'reload'>,
): (unit: string, signal: AbortSignal) => Promise<string | undefined> {
  return async (unit, signal) => {
    try {
      const outcome = await systemd.reload(unit, RELOAD_MS, signal);
      switch (outcome.kind) {
        case 'done':
          return undefined;
        case 'refused':
          return outcome.message;
        case 'deadline':
          return `it was not done within ${RELOAD_MS / 1000} s`;
        case 'disconnected':
          return 'the connection to systemd broke';
        default:
          return `systemd says ${outcome.kind}: see journalctl -u ${unit}`;
      }
    } catch (error) {
      return messageOf(error);
    }
  };
}
