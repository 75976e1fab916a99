/** What programs hand to the client library, checked and made use of. Everything that cannot be used is a TypeError. */
import { systemClock } from '../shared/clock.ts';
import { readQuorum } from '../shared/config/endpoints.ts';
import type { Logger } from '../shared/log.ts';
import { isLabel } from '../shared/names.ts';
import type { Store } from '../shared/store.ts';
import { connect } from '../shared/zookeeper/store.ts';
import { isClientId } from './client-entry.ts';

interface StoreOptions {
  readonly servers: string | readonly string[];
  readonly chroot?: string;
  readonly sessionTimeoutMs?: number;
}

type OnLog = (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;

export function checkPick({ label, client }: { readonly label: string; readonly client: string }): void {
  checkLabel(label);
  if (isClientId(client)) return;
  throw new TypeError(`${JSON.stringify(client)} is no client's name: 1 to 100 letters, digits and _ . : @ - are`);
}

export function checkLabel(label: string): void {
  if (isLabel(label)) return;
  throw new TypeError(
    `${JSON.stringify(label)} is no label: 1 to 100 letters, digits and _ . - are, beginning with a letter or digit`,
  );
}

/** Begins to connect. */
export function openStore(
  { servers, chroot = '/servicewatcher', sessionTimeoutMs = 4_000 }: StoreOptions,
  log: Logger,
): Store {
  const quorum = readQuorum(typeof servers === 'string' ? servers : servers.join(','));
  if (!quorum.ok) throw new TypeError(quorum.problem);
  if (quorum.value.servers === 'embedded')
    throw new TypeError('servers: name them; the embedded one is 127.0.0.1:2181');
  if (!(sessionTimeoutMs > 0))
    throw new TypeError(`sessionTimeoutMs: ${sessionTimeoutMs} is no number of milliseconds`);
  return connect({
    servers: quorum.value.servers,
    chroot: quorum.value.chroot ?? chroot,
    sessionTimeoutMs,
    clock: systemClock,
    log,
  });
}

export function loggerOf({ onLog = () => {} }: { readonly onLog?: OnLog }): Logger {
  return {
    debug: (message) => onLog('debug', message),
    info: (message) => onLog('info', message),
    warn: (message) => onLog('warn', message),
    error: (message) => onLog('error', message),
  };
}
