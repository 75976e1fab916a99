/**
 * Filters of hooks that can never match as the file stands. They are warned of and not refused: `servicewatcher watch` may
 * register what no service of the file does, labels of hosts stand in the files of other hosts, and a hook that is never
 * run does no harm but that nobody is told.
 */
import { whyNowhere } from '../runs-nowhere.ts';
import type { Hook, HookEvent, Service } from '../spec.ts';
import { quote } from './endpoints.ts';
import type { Findings, Path } from './findings.ts';
import { nearest } from './nearest.ts';

/** What an event is about; it tells what it can say of itself. */
const SUBJECTS = {
  'member-join': 'host',
  'member-leave': 'host',
  'member-failed': 'host',
  registered: 'registration',
  unregistered: 'registration',
  'unit-started': 'unit',
  'unit-moved': 'unit',
  'unit-failed': 'unit',
  'leader-changed': 'host',
} as const satisfies Record<HookEvent, 'host' | 'registration' | 'unit'>;

/** `path`: of the hook. `services`: all that the file declares. */
export function warnOfIdleFilter(hook: Hook, services: readonly Service[], path: Path, findings: Findings): void {
  const { filter, on } = hook;
  const warn = (key: keyof Hook['filter'], message: string) => findings.warning([...path, 'filter', key], message);
  for (const key of ['service', 'label'] as const) {
    const idle = filter[key] === undefined ? [] : hook.events.filter((event) => SUBJECTS[event] === 'host');
    if (idle.length > 0)
      warn(
        key,
        `${idle.join(', ')} ${idle.length === 1 ? 'is' : 'are'} of no ${key}: this filter never lets them through`,
      );
  }
  const named = services.find(({ name }) => name === filter.service);
  if (named && whyNowhere(named) !== undefined)
    warn('service', `${named.name} runs nowhere as the file stands: nothing matches this filter`);
  if (named) warnOfService(named, hook, warn);
  else if (filter.label !== undefined) warnOfLabel(filter.label, hook, services, warn);
  const placed = services.find(({ name }) => name === on.service);
  if (placed && whyNowhere(placed) !== undefined)
    findings.warning(
      [...path, 'hosts', 'service'],
      `${placed.name} runs nowhere as the file stands, so no host runs this hook`,
    );
}

type Warn = (key: keyof Hook['filter'], message: string) => void;

/** What the service is registered as is known. */
function warnOfService({ name, discovery }: Service, { events, filter }: Hook, warn: Warn): void {
  const { label, role } = filter;
  if (label !== undefined && discovery?.label !== label) {
    const instead = discovery ? `is registered under ${discovery.label}` : 'has no discovery';
    warn('label', `${name} ${instead}: nothing has this service and the label ${quote(label)}`);
  } else if (!discovery && events.every((event) => SUBJECTS[event] === 'registration')) {
    warn('service', `${name} has no discovery, so it is never ${events.join(' or ')}`);
  }
  if (role !== undefined && discovery?.role !== undefined && discovery.role !== role)
    warn('role', `${name} has the role ${discovery.role}: nothing has this service and the role ${quote(role)}`);
}

function warnOfLabel(label: string, { events }: Hook, services: readonly Service[], warn: Warn): void {
  const labels = services.flatMap(({ discovery }) => (discovery ? [discovery.label] : []));
  if (labels.includes(label)) return;
  const idle = events.filter((event) => SUBJECTS[event] === 'unit');
  const near = nearest(label, labels);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  const who = `no service of the file is registered under ${quote(label)}`;
  if (idle.length > 0) warn('label', `${who}, so ${idle.join(', ')} never match${hint}`);
  else warn('label', `${who}: only what servicewatcher watch registers can match${hint}`);
}
