/** Leases and turns to start as `status` shows them, a line for each. */
import type { LeaseHolder } from '../discovery/lease.ts';
import type { LeaseStatus } from '../discovery/lease-list.ts';
import { escapeControl } from '../shared/log.ts';

/** Waiters that are named in the table; `--json` has all. */
const NAMED = 5;

/** `lease db: held by a on w1 since …; 2 wait: b on w2, c on w3`, `start of es: es@1.service on w1; …`. */
export function leaseLines(leases: readonly LeaseStatus[]): string[] {
  return leases.map((lease) => escapeControl(describe(lease)));
}

function describe(lease: LeaseStatus): string {
  switch (lease.kind) {
    case 'lease': {
      const { label, holder, waiters } = lease;
      const held = `held by ${describeHolder(holder)}`;
      return `lease ${label}: ${held}${queue(waiters.map(({ id, host }) => `${id} on ${host}`))}`;
    }
    case 'start': {
      const name = ({ unit, host }: (typeof lease.waiters)[number]) => `${unit} on ${host}`;
      const now = lease.starting.length === 0 ? 'nothing' : lease.starting.map(name).join(', ');
      return `start of ${lease.service}: ${now} now${queue(lease.waiters.map(name))}`;
    }
  }
}

function queue(waiters: readonly string[]): string {
  if (waiters.length === 0) return '';
  const more = waiters.length > NAMED ? ', …' : '';
  const verb = waiters.length === 1 ? 'waits' : 'wait';
  return `; ${waiters.length} ${verb}: ${waiters.slice(0, NAMED).join(', ')}${more}`;
}

/** `ID on HOST (ADDRESS) since TIME, for TIMEOUT s at most`. */
export function describeHolder(holder: LeaseHolder | undefined): string {
  if (holder === undefined) return 'somebody else';
  const { id, host, address, since, timeoutMs } = holder;
  const at = address === undefined ? '' : ` (${address})`;
  return `${id} on ${host}${at} since ${since}, for ${Math.ceil(timeoutMs / 1000)} s at most`;
}
