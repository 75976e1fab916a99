/** Whether the times of `isolation: stop` fit together: the session timeout, and what the units need to stop. */
import { leastSessionTimeoutMs, stopBudgetMs } from '../isolation-timing.ts';
import type { Findings } from './findings.ts';
import { formatDuration } from './scalars.ts';
import type { RawConfig } from './schema.ts';
import type { DeclaredService } from './services.ts';

/** `zookeeper.session_timeout` of a file that does not say. */
export const DEFAULT_SESSION_TIMEOUT_MS = 4_000;
export const MAX_SESSION_TIMEOUT_MS = 60_000;

/** Reports services whose units could still be stopping when others may start them. */
export function checkIsolation(raw: RawConfig, declared: readonly DeclaredService[], findings: Findings): void {
  const sessionMs = raw.zookeeper?.session_timeout ?? DEFAULT_SESSION_TIMEOUT_MS;
  for (const { service, index } of declared) {
    const stopMs = raw.services?.[index]?.stop_timeout ?? undefined;
    const at = ['services', index, 'stop_timeout'] as const;
    if (service.isolation === 'keep') {
      if (stopMs !== undefined)
        findings.warningAtKey(at, 'stop_timeout means nothing without isolation: stop and is ignored');
      continue;
    }
    const leastMs = leastSessionTimeoutMs(stopMs ?? 0);
    if (sessionMs >= leastMs) continue;
    const session = `session_timeout must be at least ${formatDuration(leastMs)}, but it is ${formatDuration(sessionMs)}`;
    if (stopMs === undefined || leastMs === leastSessionTimeoutMs(0)) {
      const here = findings.present(['zookeeper', 'session_timeout']);
      const place = here ? ['zookeeper', 'session_timeout'] : ['services', index, 'name'];
      findings.problem(place, `${service.name} has isolation: stop, for which ${session}`);
    } else if (leastMs > MAX_SESSION_TIMEOUT_MS) {
      const longest = `${formatDuration(stopBudgetMs(MAX_SESSION_TIMEOUT_MS))} with session_timeout: ${formatDuration(MAX_SESSION_TIMEOUT_MS)}`;
      findings.problem(
        at,
        `${service.name} has isolation: stop and needs ${formatDuration(stopMs)} to stop, but the most is ${longest}`,
      );
    } else {
      findings.problem(
        at,
        `${service.name} has isolation: stop and needs ${formatDuration(stopMs)} to stop, but there are ${formatDuration(stopBudgetMs(sessionMs))}: ${session}`,
      );
    }
  }
}
