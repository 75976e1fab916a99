import { beforeEach, describe, expect, it } from 'vitest';
import type { Member } from '../../src/shared/cluster.ts';
import { findLeader } from '../../src/shared/find-leader.ts';
import {
  encodeDesired,
  encodeEpoch,
  encodeHostIntent,
  encodeMember,
  encodeObserved,
  encodeSpecRecord,
} from '../../src/shared/payloads.ts';
import { readSnapshot } from '../../src/shared/snapshot.ts';
import { PARENTS } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect();
  await clock.until('the session', () => store.state.kind === 'connected');
});

const done = <T>(promise: Promise<T>): Promise<T> => clock.finish('an answer', promise);

async function put(entries: Readonly<Record<string, Buffer | string>>): Promise<void> {
  await done(Promise.all(PARENTS.map((parent) => store.ensure(parent))));
  for (const [path, data] of Object.entries(entries)) await done(store.create(path, Buffer.from(data), 'persistent'));
}

function member(host: string): Member {
  const url = `http://${host}:9780`;
  return { host, machineId: host, address: host, url, labels: {}, software: '', file: '', election: '' };
}

describe('the leader', () => {
  it('is the member that took the present epoch', async () => {
    await put({ '/epoch': encodeEpoch({ epoch: 7, leader: 'w2' }), '/members/w2': encodeMember(member('w2')) });
    expect(await done(findLeader(store))).toEqual({ host: 'w2', url: 'http://w2:9780', epoch: 7 });
  });

  it.each<[string, Record<string, Buffer | string>]>([
    ['nobody has led yet', {}],
    ['it is no member any more', { '/epoch': encodeEpoch({ epoch: 7, leader: 'w2' }) }],
    ['the epoch cannot be read', { '/epoch': 'nonsense', '/members/w2': encodeMember(member('w2')) }],
    ['its entry cannot be read', { '/epoch': encodeEpoch({ epoch: 7, leader: 'w2' }), '/members/w2': 'nonsense' }],
  ])('is not known when %s', async (_what, entries) => {
    await put(entries);
    expect(await done(findLeader(store))).toBeUndefined();
  });
});

describe('a reading of the cluster', () => {
  it('of an empty ZooKeeper is empty', async () => {
    const snapshot = await done(readSnapshot(store));
    expect(snapshot).toMatchObject({ leader: undefined, epoch: undefined, spec: undefined, problems: [] });
    expect(snapshot.members.size + snapshot.desired.size + snapshot.observed.size + snapshot.intents.size).toBe(0);
  });

  it('has all that can be read, by host, and one sentence on each that cannot', async () => {
    const version = { host: 'w1', epoch: 1, generation: 1, units: [] };
    const record = { spec: specOf(), digest: 'sha256:', proposedBy: 'w1', at: '', earlier: [] };
    await put({
      '/epoch': encodeEpoch({ epoch: 1, leader: 'w1' }),
      '/spec': encodeSpecRecord(record),
      '/members/w1': encodeMember(member('w1')),
      '/members/w2': 'nonsense',
      '/desired/w1': encodeDesired({ ...version, spec: 'sha256:' }),
      '/observed/w1': encodeObserved(version),
      '/observed/w2': '{"version":1}',
      '/hosts/w1': encodeHostIntent({ host: 'w1', state: 'cordoned', since: '', why: 'disks' }),
    });
    const snapshot = await done(readSnapshot(store));
    expect(snapshot).toMatchObject({ leader: 'w1', epoch: 1, spec: record });
    for (const part of [snapshot.members, snapshot.desired, snapshot.observed, snapshot.intents])
      expect([...part.keys()]).toEqual(['w1']);
    expect(snapshot.problems.map((problem) => problem.split(' ')[0]).sort()).toEqual(['/members/w2', '/observed/w2']);
  });

  it('rejects when ZooKeeper does not answer', async () => {
    ensemble.stop();
    await expect(done(readSnapshot(store))).rejects.toMatchObject({ name: 'StoreError' });
  });
});
