/** What discovery costs ZooKeeper and each host: so much for each change, whatever the number of registrations, hosts and clients. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Directory } from '../../src/discovery/directory.ts';
import { encodeRegistration, type Registration, registrationPath } from '../../src/discovery/registration.ts';
import { clientsPath } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import { PickWorld } from './pick-world.ts';

const PRESENT = 1_000;
const HOSTS = 5;

describe('with 1,000 registrations of a label, what happens to one of them', () => {
  let clock: FakeClock;
  let writer: FakeStore;
  let followers: { store: FakeStore; directory: Directory }[];

  beforeEach(async () => {
    clock = new FakeClock({ files: false });
    const ensemble = new FakeEnsemble({ clock });
    writer = ensemble.connect();
    await clock.finish('the label', writer.ensure('/discovery/web'));
    await clock.finish('all', Promise.all(Array.from({ length: PRESENT }, (_, n) => register(`h${n}`))));
    followers = Array.from({ length: HOSTS }, () => {
      const store = ensemble.connect();
      const directory = new Directory({ store, clock, log: new MemoryLog(), onChange: () => {} });
      directory.follow('web');
      return { store, directory };
    });
    await clock.until('all to be read', () => followers.every(({ directory }) => directory.ready));
  });
  afterEach(() => {
    for (const { directory } of followers) directory.close();
  });

  const value = (id: string, address = id): Registration => {
    return { label: 'web', id, host: id, address, healthy: true, source: 'service' };
  };
  const register = (id: string) =>
    writer.create(registrationPath('web', id), encodeRegistration(value(id)), 'ephemeral');
  const ids = ({ directory }: { directory: Directory }) => directory.entries('web').map(({ id }) => id);

  /** How many reads of each follower it takes. */
  async function costs(change: () => Promise<unknown>, seen: (ids: readonly string[]) => boolean): Promise<number[]> {
    const before = followers.map(({ store }) => store.reads);
    await clock.finish('the change', change());
    await clock.until('all to see it', () => followers.every((each) => seen(ids(each))));
    await clock.advance(10_000);
    expect(followers.every((each) => seen(ids(each)))).toBe(true);
    return followers.map(({ store }, index) => store.reads - (before[index] ?? 0));
  }
  const all = (reads: number) => Array.from({ length: HOSTS }, () => reads);

  it('costs each follower two reads when it comes, one when it changes, and one when it goes', async () => {
    expect(
      await costs(
        () => register('new'),
        (now) => now.includes('new'),
      ),
    ).toEqual(all(2));
    const moved = encodeRegistration(value('new', '10.0.0.1'));
    expect(
      await costs(
        () => writer.set(registrationPath('web', 'new'), moved),
        () => true,
      ),
    ).toEqual(all(1));
    expect(followers.map(({ directory }) => directory.entries('web').find(({ id }) => id === 'new')?.address)).toEqual(
      followers.map(() => '10.0.0.1'),
    );
    expect(
      await costs(
        () => writer.remove(registrationPath('web', 'new')),
        (now) => !now.includes('new'),
      ),
    ).toEqual(all(1));
  });

  it('costs two when another process takes it over in one step, and nobody misses it', async () => {
    const path = registrationPath('web', 'h1');
    const data = encodeRegistration(value('h1', '10.0.0.2'));
    const replace = () =>
      writer.transaction([
        { op: 'remove', path },
        { op: 'create', path, data, mode: 'ephemeral' },
      ]);
    expect(await costs(replace, (now) => now.length === PRESENT)).toEqual(all(2));
    expect(followers.map(({ directory }) => directory.entries('web').find(({ id }) => id === 'h1')?.address)).toEqual(
      followers.map(() => '10.0.0.2'),
    );
  });

  it('is read at most each 20 ms, however many come and go: the list of names is not read for each', async () => {
    const come = () => Promise.all(Array.from({ length: 100 }, (_, n) => register(`more${n}`)));
    const before = clock.now();
    const changes = async () => {
      for (let n = 0; n < 50; n++) {
        await writer.remove(registrationPath('web', `h${n}`));
        await register(`h${n}`);
      }
    };
    const reads = await costs(
      () => Promise.all([come(), changes()]),
      (now) => now.length === PRESENT + 100,
    );
    const lists = Math.ceil((clock.now() - before - 10_000) / 20) + 2;
    // data of those that came, once each; none of those that went
    expect(Math.max(...reads)).toBeLessThanOrEqual(150 + lists);
  });
});

describe('clients that choose', () => {
  /** Reads of all of `count` clients that come at once. */
  async function readsOf(count: number): Promise<number> {
    const w = new PickWorld();
    await w.register('w1', 'w2', 'w3');
    const held = Array.from({ length: count }, (_, n) => w.hold(`c${n}`));
    await w.clock.until('all to have one', () => held.every(({ told }) => told.length > 0));
    await w.clock.advance(5_000);
    expect(w.ensemble.tree.get(clientsPath('mqtt'))?.children.size).toBe(count);
    const reads = held.reduce((sum, { store }) => sum + store.reads, 0);
    for (const each of held) await w.clock.finish('its end', each.stop());
    return reads;
  }

  it('cost as many reads each when 100 come at the same moment as when 10 do', async () => {
    const [few, many] = [await readsOf(10), await readsOf(100)];
    expect(many / 100).toBeLessThanOrEqual(few / 10 + 3);
  });
});
