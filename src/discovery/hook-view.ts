/** What hooks compare: who is a member, what is registered, who leads; and what happened from one state to the next. Pure. */
import { compare } from '../shared/names.ts';
import type { ClusterEvent } from './hook-event.ts';

export interface ViewMember {
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  /** It has said that it leaves in good order. */
  readonly leaving: boolean;
}

export interface ViewRegistration {
  readonly label: string;
  readonly id: string;
  readonly host: string;
  readonly address: string;
  readonly port?: number | undefined;
  readonly role?: string | undefined;
  readonly unit?: string | undefined;
}

export interface View {
  readonly members: ReadonlyMap<string, ViewMember>;
  /** By `registrationKey`. */
  readonly registrations: ReadonlyMap<string, ViewRegistration>;
  readonly leader?: string | undefined;
}

export const EMPTY_VIEW: View = { members: new Map(), registrations: new Map() };

/** A label holds no slash. */
export const registrationKey = ({ label, id }: Pick<ViewRegistration, 'label' | 'id'>): string => `${label}/${id}`;

/**
 * What happened, as far as two states tell: first what went, then what came, each by name; events of one kind stand
 * together. A member or registration that is another than before (address, labels, port, role) went and came.
 */
export function eventsBetween(before: View, after: View): ClusterEvent[] {
  const lostRegistrations = missing(before.registrations, after.registrations, sameRegistration);
  const lostMembers = missing(before.members, after.members, sameMember);
  const orderly = lostMembers.filter(([host, member]) => member.leaving || after.members.has(host));
  const failed = lostMembers.filter(([host, member]) => !member.leaving && !after.members.has(host));
  const told: ClusterEvent[] = [
    ...lostRegistrations.map(([, each]) => registrationEvent('unregistered', each)),
    ...orderly.map(([host, member]) => memberEvent('member-leave', host, member)),
    ...failed.map(([host, member]) => memberEvent('member-failed', host, member)),
    ...missing(after.members, before.members, sameMember).map(([host, member]) =>
      memberEvent('member-join', host, member),
    ),
    ...missing(after.registrations, before.registrations, sameRegistration).map(([, each]) =>
      registrationEvent('registered', each),
    ),
  ];
  const { leader } = after;
  if (leader === undefined || leader === before.leader) return told;
  const from = before.leader === undefined ? {} : { from: before.leader };
  return [...told, { event: 'leader-changed', host: leader, ...from, to: leader }];
}

/** The state after an event; one about a unit changes none of what is compared. */
export function applyEvent(view: View, event: ClusterEvent): View {
  const { host, address = '', labels = {}, label = '', id = '', port, role, unit } = event;
  switch (event.event) {
    case 'member-join':
      return { ...view, members: new Map(view.members).set(host, { address, labels, leaving: false }) };
    case 'member-leave':
    case 'member-failed':
      return { ...view, members: without(view.members, host) };
    case 'registered': {
      const registration = { label, id, host, address, port, role, unit };
      const key = registrationKey(registration);
      return { ...view, registrations: new Map(view.registrations).set(key, registration) };
    }
    case 'unregistered':
      return { ...view, registrations: without(view.registrations, registrationKey({ label, id })) };
    case 'leader-changed':
      return { ...view, leader: host };
    case 'unit-started':
    case 'unit-moved':
    case 'unit-failed':
      return view;
  }
}

/** The same with the mark of those that have said meanwhile that they leave: they may be gone when the next state is read. */
export function withLeavers(view: View, leavers: ReadonlySet<string>): View {
  if (leavers.size === 0) return view;
  const members = new Map(view.members);
  for (const host of leavers) {
    const member = members.get(host);
    if (member && !member.leaving) members.set(host, { ...member, leaving: true });
  }
  return { ...view, members };
}

/** The same without registrations of labels that nobody asks for any more: that they are not looked at is no event. */
export function withLabels(view: View, labels: ReadonlySet<string> | 'all'): View {
  if (labels === 'all') return view;
  const registrations = new Map([...view.registrations].filter(([, { label }]) => labels.has(label)));
  return { ...view, registrations };
}

function missing<T>(
  of: ReadonlyMap<string, T>,
  among: ReadonlyMap<string, T>,
  same: (a: T, b: T) => boolean,
): (readonly [string, T])[] {
  const found = [...of].filter(([key, value]) => {
    const other = among.get(key);
    return other === undefined || !same(value, other);
  });
  return found.sort(([a], [b]) => compare(a, b));
}

function without<T>(map: ReadonlyMap<string, T>, key: string): ReadonlyMap<string, T> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}

function sameMember(a: ViewMember, b: ViewMember): boolean {
  return a.address === b.address && sameLabels(a.labels, b.labels);
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}

function sameRegistration(a: ViewRegistration, b: ViewRegistration): boolean {
  return a.host === b.host && a.address === b.address && a.port === b.port && a.role === b.role && a.unit === b.unit;
}

function memberEvent(event: 'member-join' | 'member-leave' | 'member-failed', host: string, member: ViewMember) {
  const { address, labels } = member;
  return { event, host, address, labels };
}

function registrationEvent(event: 'registered' | 'unregistered', registration: ViewRegistration): ClusterEvent {
  const { label, id, host, address, port, role, unit } = registration;
  const optional = {
    ...(port !== undefined && { port }),
    ...(role !== undefined && { role }),
    ...(unit !== undefined && { unit }),
  };
  return { event, label, id, host, address, ...optional };
}
