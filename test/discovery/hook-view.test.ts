/** What happened between two states of the cluster, as hooks are told. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../../src/discovery/hook-event.ts';
import { labelsForHooks } from '../../src/discovery/hook-labels.ts';
import {
  applyEvent,
  EMPTY_VIEW,
  eventsBetween,
  registrationKey,
  type View,
  type ViewMember,
  type ViewRegistration,
  withLabels,
  withLeavers,
} from '../../src/discovery/hook-view.ts';

const member = (over: Partial<ViewMember> = {}): ViewMember => ({
  address: '10.0.0.1',
  labels: {},
  leaving: false,
  ...over,
});
const registration = (over: Partial<ViewRegistration> = {}): ViewRegistration => ({
  label: 'web',
  id: 'w1',
  host: 'w1',
  address: '10.0.0.1',
  ...over,
});
const viewOf = (
  members: Readonly<Record<string, ViewMember>>,
  registrations: readonly ViewRegistration[] = [],
  leader?: string,
): View => ({
  members: new Map(Object.entries(members)),
  registrations: new Map(registrations.map((each) => [registrationKey(each), each])),
  leader,
});
const words = (events: readonly ClusterEvent[]) =>
  events.map(({ event, host, id }) => [event, id ?? host].join(' ')).join(', ');

describe('what happened between two states', () => {
  const w1 = member({ labels: { role: 'backend' } });
  const left = member({ leaving: true });

  it.each<[string, View, View, string]>([
    ['nothing', viewOf({ w1 }), viewOf({ w1 }), ''],
    ['a host came', viewOf({ w1 }), viewOf({ w1, w2: member() }), 'member-join w2'],
    ['a host went that had said so', viewOf({ w1: left }), viewOf({}), 'member-leave w1'],
    ['a host went without a word', viewOf({ w1 }), viewOf({}), 'member-failed w1'],
    ['a host only says that it will leave', viewOf({ w1: member() }), viewOf({ w1: left }), ''],
    ['another address', viewOf({ w1 }), viewOf({ w1: { ...w1, address: 'x' } }), 'member-leave w1, member-join w1'],
    ['another label', viewOf({ w1 }), viewOf({ w1: member() }), 'member-leave w1, member-join w1'],
    ['an instance was registered', viewOf({}), viewOf({}, [registration()]), 'registered w1'],
    ['one is gone', viewOf({}, [registration()]), viewOf({}), 'unregistered w1'],
    [
      'one has another port',
      viewOf({}, [registration()]),
      viewOf({}, [registration({ port: 80 })]),
      'unregistered w1, registered w1',
    ],
    ['the first leader', viewOf({}), viewOf({}, [], 'w1'), 'leader-changed w1'],
    ['another leader', viewOf({}, [], 'w1'), viewOf({}, [], 'w2'), 'leader-changed w2'],
    ['the same leader', viewOf({}, [], 'w1'), viewOf({}, [], 'w1'), ''],
    ['no leader is known any more', viewOf({}, [], 'w1'), viewOf({}), ''],
    [
      'all at once: what went first, each kind together and by name',
      viewOf({ w4: member(), w3: left, w1: left, w2: member() }, [registration({ id: 'w3' })], 'w1'),
      viewOf({ w6: member(), w5: member() }, [registration({ id: 'w5' })], 'w5'),
      'unregistered w3, member-leave w1, member-leave w3, member-failed w2, member-failed w4, member-join w5, member-join w6, registered w5, leader-changed w5',
    ],
  ])('%s', (_what, before, after, expected) => {
    expect(words(eventsBetween(before, after))).toBe(expected);
  });

  it('says of a member its address and labels, and of a leader who led before', () => {
    expect(eventsBetween(viewOf({}, [], 'w1'), viewOf({ w1 }, [], 'w2'))).toEqual([
      { event: 'member-join', host: 'w1', address: '10.0.0.1', labels: { role: 'backend' } },
      { event: 'leader-changed', host: 'w2', from: 'w1', to: 'w2' },
    ]);
  });

  it('says of a registration all that it was, also when it is gone', () => {
    const full = registration({ port: 9300, role: 'backend', unit: 'web.service' });
    const { label, id, host, address, port, role, unit } = full;
    expect(eventsBetween(viewOf({}, [full]), EMPTY_VIEW)).toEqual([
      { event: 'unregistered', label, id, host, address, port, role, unit },
    ]);
  });

  const names = fc.constantFrom('w1', 'w2', 'w3', 'w4');
  const members = fc.dictionary(
    names,
    fc.record({
      address: fc.constantFrom('a', 'b'),
      labels: fc.dictionary(fc.constantFrom('role', 'zone'), fc.constantFrom('x', 'y')),
      leaving: fc.boolean(),
    }),
  );
  const registrations = fc.array(
    fc.record({
      label: fc.constantFrom('web', 'db'),
      id: names,
      host: names,
      address: fc.constantFrom('a', 'b'),
      port: fc.option(fc.constantFrom(80, 81), { nil: undefined }),
      role: fc.option(fc.constantFrom('r', 's'), { nil: undefined }),
    }),
  );
  const views = fc.tuple(members, registrations, fc.option(names, { nil: undefined })).map((parts) => viewOf(...parts));
  /** All that events tell of: that a host will leave is told when it has. */
  const comparable = ({ members, registrations, leader }: View) => ({
    members: new Map([...members].map(([host, { address, labels }]) => [host, { address, labels }])),
    registrations: new Map(registrations),
    leader,
  });

  it('applied in order to the first state gives the second', () => {
    fc.assert(
      fc.property(views, views, (before, after) => {
        const end = eventsBetween(before, after).reduce(applyEvent, before);
        expect(comparable(end)).toEqual(comparable({ ...after, leader: after.leader ?? before.leader }));
      }),
    );
  });

  it('is nothing when nothing changed, and everything once when there was nothing before', () => {
    fc.assert(
      fc.property(views, (view) => {
        expect(eventsBetween(view, view)).toEqual([]);
        const all = eventsBetween(EMPTY_VIEW, view);
        expect(all).toHaveLength(view.members.size + view.registrations.size + (view.leader === undefined ? 0 : 1));
      }),
    );
  });

  it('calls a host that went failed if and only if it never said that it would leave', () => {
    fc.assert(
      fc.property(views, fc.uniqueArray(names.map(String)), (before, said) => {
        for (const { event, host } of eventsBetween(withLeavers(before, new Set(said)), EMPTY_VIEW)) {
          if (event !== 'member-leave' && event !== 'member-failed') continue;
          const orderly = said.includes(host) || before.members.get(host)?.leaving === true;
          expect(event).toBe(orderly ? 'member-leave' : 'member-failed');
        }
      }),
    );
  });
});

describe('labels that nobody asks for any more', () => {
  it('are left out without an event, unless all are asked for', () => {
    const view = viewOf({}, [registration(), registration({ label: 'db' })]);
    expect([...withLabels(view, new Set(['db'])).registrations.keys()]).toEqual(['db/w1']);
    expect(withLabels(view, 'all')).toBe(view);
  });
});

it('labels of a host that has too many are those that fit, its role first', () => {
  const few = { a: '1', role: 'x' };
  expect(labelsForHooks(few)).toBe(few);
  const many = { a: 'y'.repeat(3_000), b: 'z'.repeat(3_000), c: '1', role: 'r'.repeat(500) };
  expect(Object.keys(labelsForHooks(many)).sort()).toEqual(['a', 'c', 'role']);
  expect(labelsForHooks({ role: 'r'.repeat(5_000), z: '1' })).toEqual({ z: '1' });
});
