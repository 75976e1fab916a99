import { beforeEach, expect, it } from 'vitest';
import { leaderFinder } from '../../src/shared/find-leader.ts';
import { encodeEpoch, encodeMember } from '../../src/shared/payloads.ts';
import { StoreError } from '../../src/shared/store.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let store: FakeStore;

beforeEach(async () => {
  clock = new FakeClock();
  store = new FakeEnsemble({ clock }).connect({ sessionTimeoutMs: 4_000 });
  await clock.until('a session', () => store.state.kind === 'connected');
  await clock.finish('the parent', store.ensure('/members'));
  for (const host of ['w1', 'w2']) {
    const member = { host, machineId: host, address: host, labels: {}, software: '', file: '', election: '' };
    const data = encodeMember({ ...member, url: `http://${host}:9780` });
    await clock.finish('a member', store.create(`/members/${host}`, data, 'persistent'));
  }
  await clock.finish('the epoch', store.create('/epoch', encodeEpoch({ epoch: 1, leader: 'w1' }), 'persistent'));
});

it('answers all who ask at once by one look, and looks again half a second later', async () => {
  const find = leaderFinder(store, clock);
  const [first, second] = [find(), find()];
  expect(second).toBe(first);
  expect(await clock.finish('the leader', first)).toEqual({ host: 'w1', url: 'http://w1:9780', epoch: 1 });
  await clock.finish('the change', store.set('/epoch', encodeEpoch({ epoch: 2, leader: 'w2' })));
  await clock.advance(500);
  expect(await clock.finish('the leader', find())).toMatchObject({ host: 'w2', epoch: 2 });
});

it('does not keep a failure', async () => {
  const find = leaderFinder(store, clock);
  store.cut('reset');
  const failed = expect(clock.finish('the failure', find())).rejects.toThrow(StoreError);
  await failed;
  store.heal();
  await clock.until('the connection', () => store.state.kind === 'connected');
  expect(await clock.finish('the leader', find())).toMatchObject({ host: 'w1' });
});
