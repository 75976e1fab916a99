import { expect, it } from 'vitest';
import { acquireLease } from '../../src/discovery/acquire-lease.ts';
import { holderPath } from '../../src/discovery/lease.ts';
import { readLeases } from '../../src/discovery/lease-list.ts';
import { StartQueue } from '../../src/discovery/start-queue.ts';
import { leasePath } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble } from '../fakes/store.ts';

it('lists leases and turns with holders and waiters in order, and none that nobody has or waits for', async () => {
  const clock = new FakeClock({ files: false });
  const ensemble = new FakeEnsemble({ clock });
  const store = ensemble.connect();
  const read = () => clock.finish('the leases', readLeases(store));
  const acquire = (label: string, id: string) =>
    acquireLease({
      store: ensemble.connect(),
      clock,
      label,
      id,
      host: `host-of-${id}`,
      acquireTimeoutMs: 60_000,
      leaseTimeoutMs: 300_000,
      signal: new AbortController().signal,
    });
  expect(await read()).toEqual([]);
  await clock.finish('a parent', store.ensure(leasePath('empty')));
  for (const id of ['b', 'a', 'c']) {
    void acquire('db', id);
    await clock.advance(200);
  }
  for (const host of ['w2', 'w1']) {
    const queue = new StartQueue({ store: ensemble.connect(), host, clock, log: new MemoryLog(), onChange: () => {} });
    queue.want(new Map([['es.service', { service: 'es', atOnce: 1 }]]));
    await clock.advance(200);
    queue.joined();
    await clock.advance(200);
  }
  const waiters = ['a', 'c'].map((id) => ({ id, host: `host-of-${id}` }));
  const queued = (host: string) => ({ host, unit: 'es.service' });
  expect(await read()).toEqual([
    { kind: 'lease', label: 'db', holder: expect.objectContaining({ id: 'b', host: 'host-of-b' }), waiters },
    { kind: 'start', service: 'es', starting: [queued('w2')], waiters: [queued('w1')] },
  ]);
  await clock.finish('junk', store.set(holderPath('db'), Buffer.from('junk')));
  expect((await read())[0]).toEqual({ kind: 'lease', label: 'db', waiters });
});
