/** What templates are told of leases, over a pretended ZooKeeper. */
import { beforeEach, expect, it } from 'vitest';
import { encodeHolder, encodeWaiter, holderPath, waiterPrefix } from '../../src/discovery/lease.ts';
import { TemplateLeases } from '../../src/discovery/template-leases.ts';
import { LEASES, leasePath } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let store: FakeStore;
let log: MemoryLog;

beforeEach(async () => {
  clock = new FakeClock();
  store = new FakeEnsemble({ clock }).connect({ sessionTimeoutMs: 60_000 });
  log = new MemoryLog();
  await clock.until('a session', () => store.state.kind === 'connected');
});

const done = <T>(promise: Promise<T>): Promise<T> => clock.finish('ZooKeeper', promise);
const hold = async (label: string, id: string) => {
  await done(store.ensure(leasePath(label)));
  const since = '2026-01-01T00:00:00.000Z';
  await done(store.create(holderPath(label), encodeHolder({ id, host: 'w1', since, timeoutMs: 1_000 }), 'persistent'));
};
const wait = async (label: string, id: string) => {
  await done(store.ensure(leasePath(label)));
  return await done(store.create(waiterPrefix(label), encodeWaiter({ id, host: 'w2' }), 'ephemeral-sequential'));
};

it('knows of no lease where there never was one', async () => {
  const leases = new TemplateLeases(store, log, () => {});
  expect(leases.ready).toBe(false);
  await clock.advance(100);
  expect([leases.ready, leases.leases]).toEqual([true, []]);
});

it('knows who has each lease, and who waits in which order, and says when that changes', async () => {
  await hold('web', 'a');
  await wait('web', 'c');
  const place = await wait('web', 'b');
  await done(store.ensure(leasePath('db')));
  let told = 0;
  const leases = new TemplateLeases(store, log, () => {
    told += 1;
  });
  await clock.until('it to be read', () => leases.ready);
  const look = () =>
    leases.leases.map(({ label, holder, waiters }) => `${label}: ${holder?.id}; ${waiters.map(({ id }) => id)}`);
  expect(look()).toEqual(['web: a; c,b']);
  const before = told;
  await done(store.remove(place));
  await done(store.remove(holderPath('web')));
  await hold('db', 'd');
  await clock.advance(100);
  expect(look()).toEqual(['db: d; ', 'web: undefined; c']);
  expect(told).toBeGreaterThan(before);
  leases.close();
});

it('takes neither the queues of services for leases, nor what cannot be read for a holder', async () => {
  await done(store.ensure(`${LEASES}/service:web/w1:web.service_0000000001`));
  await hold('service:db', 'nobody');
  await done(store.ensure(`${LEASES}/db/else`));
  await done(store.create(holderPath('db'), Buffer.from('{}'), 'persistent'));
  await wait('db', 'b');
  const leases = new TemplateLeases(store, log, () => {});
  await clock.until('it to be read', () => leases.ready);
  expect(leases.leases).toEqual([{ label: 'db', waiters: [{ id: 'b', host: 'w2' }] }]);
  expect(log.at('error')).toEqual([expect.stringContaining('/leases/db/holder')]);
});

it('reads so many who wait for one lease and no more, and says so', async () => {
  await hold('db', 'a');
  const data = encodeWaiter({ id: 'b', host: 'w2' });
  await done(
    Promise.all(Array.from({ length: 1_005 }, () => store.create(waiterPrefix('db'), data, 'ephemeral-sequential'))),
  );
  const leases = new TemplateLeases(store, log, () => {});
  await clock.until('it to be read', () => leases.ready);
  expect(leases.leases[0]).toMatchObject({ label: 'db', holder: { id: 'a' } });
  expect(leases.leases[0]?.waiters.length).toBe(999);
  expect(log.at('error')).toEqual([
    expect.stringContaining('/leases/db has 6 children more than the 1000 that are read'),
  ]);
});
