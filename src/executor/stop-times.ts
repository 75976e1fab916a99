/**
 * Says so when a unit that may run once only is given less time to stop, once its host is cut off, than its unit file says:
 * it would be killed, and its operator should know before.
 */
import { messageOf } from '../shared/error-text.ts';
import { leastSessionTimeoutMs, stopBudgetMs } from '../shared/isolation-timing.ts';
import type { Logger } from '../shared/log.ts';
import type { Systemd } from './systemd.ts';

/** As `TimeoutStopSec=infinity`, but printable. */
const FOREVER = 'no limit';

/** Why no unit that may run once only is started while sessions are so short (`sessionTimeoutMs`), and what to do; undefined: they are not. */
export function sessionTooShort(sessionTimeoutMs: number): string | undefined {
  const leastMs = leastSessionTimeoutMs(0);
  if (sessionTimeoutMs >= leastMs) return undefined;
  return `the session of this host with ZooKeeper is ${sessionTimeoutMs / 1000} s, too short to be sure that a unit with isolation: stop runs nowhere else: set session_timeout in this host's file to ${leastMs / 1000} s or more, which maxSessionTimeout of the ensemble must allow`;
}

export class StopTimes {
  /** Unit and session timeout for which it was looked at. */
  private readonly looked = new Set<string>();

  constructor(
    private readonly systemd: Systemd,
    private readonly log: Logger,
  ) {}

  /** Looks at each of these units once for each session timeout. */
  check(units: Iterable<string>, sessionTimeoutMs: number): void {
    if (!this.systemd.connected) return;
    this.checkSession([...units], sessionTimeoutMs);
    for (const unit of units) {
      const key = `${unit} ${sessionTimeoutMs}`;
      if (this.looked.has(key)) continue;
      this.looked.add(key);
      this.look(unit, sessionTimeoutMs).catch((error: unknown) => {
        this.looked.delete(key);
        this.log.debug(`TimeoutStopSec of ${unit} could not be read: ${messageOf(error)}`, { unit });
      });
    }
  }

  /** This host's file may ask for less than the one that was checked together with the services, or a server grant less. */
  private checkSession(units: readonly string[], sessionTimeoutMs: number): void {
    const why = sessionTooShort(sessionTimeoutMs);
    const key = `session ${sessionTimeoutMs}`;
    if (units.length === 0 || why === undefined || this.looked.has(key)) return;
    this.looked.add(key);
    this.log.error(`none of ${units.join(' ')} is started here: ${why}`);
  }

  private async look(unit: string, sessionTimeoutMs: number): Promise<void> {
    const needsMs = await this.systemd.stopTimeoutMs(unit);
    const hasMs = stopBudgetMs(sessionTimeoutMs);
    if (needsMs <= hasMs) return;
    const needs = Number.isFinite(needsMs) ? `${needsMs / 1000} s` : FOREVER;
    const session = Number.isFinite(needsMs)
      ? `, or session_timeout to ${leastSessionTimeoutMs(needsMs) / 1000} s`
      : '';
    this.log.warn(
      `${unit} has isolation: stop and TimeoutStopSec of ${needs}, but with a session of ${sessionTimeoutMs / 1000} s it has ${hasMs / 1000} s to stop in when this host is cut off, and is killed then; set TimeoutStopSec to what it needs${session}`,
      { unit },
    );
  }
}
