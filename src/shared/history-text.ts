/** Events as sentences and log lines. */
import type { EventKind, HistoryEvent } from './history.ts';
import type { Logger } from './log.ts';

/** What stands between an event's subject and its reason. */
const VERB: Readonly<Record<EventKind, (event: HistoryEvent) => string>> = {
  placed: ({ host }) => `is placed on ${host}`,
  moved: ({ from, to }) => `moves from ${from} to ${to}`,
  removed: ({ host }) => `moves from ${host} to nowhere`,
  'leader-changed': () => 'is the leader',
  'member-joined': () => 'joined the cluster',
  'member-left': () => 'left the cluster',
  'member-lost': () => 'was lost',
  'member-gone': () => 'is gone',
  'brake-engaged': () => 'the brake is engaged',
  'brake-released': () => 'the brake is released',
  'spec-replaced': () => 'the configuration was replaced',
  'host-cordoned': () => 'is cordoned',
  'host-draining': () => 'is draining',
  'host-uncordoned': () => 'takes part again',
  started: () => 'was started',
  stopped: () => 'was stopped',
  adopted: () => 'was adopted',
  failed: () => 'failed',
  cleared: () => 'may run here again',
  unhealthy: () => 'is unhealthy',
  healthy: () => 'is healthy again',
  ended: () => 'ended by itself',
  drift: () => 'was touched by hand',
  'events-dropped': () => 'events were dropped',
};

/** What a person should look at. */
const WARNINGS: ReadonlySet<string> = new Set([
  'failed',
  'unhealthy',
  'drift',
  'member-lost',
  'brake-engaged',
  'events-dropped',
] satisfies EventKind[]);

export function isWarning(event: HistoryEvent): boolean {
  return WARNINGS.has(event.kind);
}

/** `web.service moves from w1 to w2: failed there` */
export function describeEvent(event: HistoryEvent): string {
  const verb = isKnown(event.kind) ? VERB[event.kind](event) : event.kind;
  const aboutAll = event.kind.startsWith('brake-') || event.kind.startsWith('spec-');
  const subject = aboutAll ? undefined : (event.unit ?? event.host);
  return `${subject === undefined ? '' : `${subject} `}${verb}: ${event.why}`;
}

function isKnown(kind: string): kind is EventKind {
  return Object.hasOwn(VERB, kind);
}

/** One line in this host's journal, with a field for each part: `journalctl SERVICEWATCHER_UNIT=web.service` finds it. */
export function logEvent(log: Logger, event: HistoryEvent): void {
  const { kind, host, unit, service, from, to, reason, epoch, generation } = event;
  const fields = { event: kind, unit, service, host, from, to, reason, epoch, generation };
  log[isWarning(event) ? 'warn' : 'info'](describeEvent(event), fields);
}
