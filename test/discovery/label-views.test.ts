import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LabelViews, NoAnswer } from '../../src/discovery/label-views.ts';
import { encodeRegistration, type Registration } from '../../src/discovery/registration.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let views: LabelViews;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect({ sessionTimeoutMs: 10_000 });
  views = new LabelViews({ store, clock, log: new MemoryLog() });
  await clock.until('a session', () => store.state.kind === 'connected');
});
afterEach(() => views.close());

async function register(label: string, host: string): Promise<void> {
  const value: Registration = { label, id: host, host, address: host, healthy: true, source: 'service' };
  await clock.finish('the label', store.ensure(`/discovery/${label}`));
  await clock.finish('an entry', store.create(`/discovery/${label}/${host}`, encodeRegistration(value), 'ephemeral'));
}
const read = async (label: string) => (await clock.finish('an answer', views.read(label))).map(({ id }) => id);

describe('views of labels', () => {
  it('read nothing before somebody asks, and answer what is registered', async () => {
    await register('web', 'w1');
    expect(views.open).toBe(0);
    expect(await read('web')).toEqual(['w1']);
    expect(await read('api')).toEqual([]);
  });

  it('are kept up to date, and given up when nobody has asked for a while', async () => {
    expect(await read('web')).toEqual([]);
    await register('web', 'w1');
    await clock.advance(1_000);
    expect(await read('web')).toEqual(['w1']);
    await register('web', 'w2');
    await clock.advance(1_000);
    expect(await read('web')).toEqual(['w1', 'w2']);
    await clock.advance(59_000);
    expect(views.open).toBe(1);
    await clock.advance(2_000);
    expect(views.open).toBe(0);
  });

  it('tell followers of changes, and are kept as long as one follows', async () => {
    let told = 0;
    const end = views.follow('web', () => {
      told += 1;
    });
    await clock.advance(600_000);
    await read('web');
    await clock.advance(600_000);
    for (const host of ['w1', 'w2']) {
      const before = told;
      await register('web', host);
      await clock.advance(1_000);
      expect(told).toBeGreaterThan(before);
      await clock.advance(600_000);
    }
    expect(views.open).toBe(1);
    end();
    await clock.advance(61_000);
    expect(views.open).toBe(0);
  });

  it('list the labels with the number of their entries', async () => {
    await register('web', 'w1');
    await register('web', 'w2');
    await register('api', 'w1');
    expect(await clock.finish('the labels', views.labels())).toEqual([
      { label: 'api', entries: 1 },
      { label: 'web', entries: 2 },
    ]);
  });

  it('say that there is no answer while a label cannot be read, and answer what they know of others', async () => {
    await register('web', 'w1');
    await register('api', 'w1');
    await read('web');
    ensemble.stop();
    await clock.advance(1_000);
    expect(await read('web')).toEqual(['w1']);
    await expect(read('api')).rejects.toThrow(NoAnswer);
    expect(await read('nobody-has-registered-it')).toEqual([]);
  });

  it('say that there is no answer while not even the labels can be read', async () => {
    ensemble.stop();
    await clock.advance(1_000);
    await expect(read('web')).rejects.toThrow(NoAnswer);
  });

  it('read nothing of labels that do not exist, however many are asked for', async () => {
    const watched: string[] = [];
    const { watchChildren } = store;
    store.watchChildren = (path, listener) => {
      watched.push(path);
      return watchChildren.call(store, path, listener);
    };
    for (let n = 0; n < 1_000; n++) expect(await read(`made-up-${n}`)).toEqual([]);
    expect([watched, views.open]).toEqual([['/discovery'], 0]);
  });

  it('count the entries once for all who ask within a second', async () => {
    await register('web', 'w1');
    let asked = 0;
    const { children } = store;
    store.children = (path) => {
      asked += 1;
      return children.call(store, path);
    };
    const count = () => clock.finish('the labels', views.labels());
    await Promise.all([count(), count(), count()]);
    await count();
    expect(asked).toBe(2);
    await register('web', 'w2');
    await clock.advance(1_100);
    expect(await count()).toEqual([{ label: 'web', entries: 2 }]);
    expect(asked).toBe(4);
  });

  it('of labels without number forget those that were asked for longest ago, but no followed one', async () => {
    const others = Array.from({ length: 300 }, (_, n) => `l${n}`);
    for (const label of ['followed', 'old', 'asked-again', ...others])
      await clock.finish('a label', store.ensure(`/discovery/${label}`));
    let told = 0;
    views.follow('followed', () => {
      told += 1;
    });
    await read('old');
    await read('asked-again');
    for (let n = 0; n < 100; n++) await read(`l${n}`);
    await read('asked-again');
    for (let n = 100; n < 300; n++) await read(`l${n}`);
    expect(views.open).toBe(256);
    const before = told;
    await register('followed', 'w1');
    await clock.advance(1_000);
    expect(told).toBeGreaterThan(before);
    ensemble.stop();
    await clock.advance(1_000);
    expect(await read('asked-again')).toEqual([]);
    await expect(read('old')).rejects.toThrow(NoAnswer);
  });
});
