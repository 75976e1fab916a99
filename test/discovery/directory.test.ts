import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Directory } from '../../src/discovery/directory.ts';
import { encodeRegistration, type Registration, registrationPath } from '../../src/discovery/registration.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let writer: FakeStore;
let log: MemoryLog;
let directory: Directory;
let changes: number;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  [store, writer] = [ensemble.connect(), ensemble.connect({ sessionTimeoutMs: 60_000 })];
  log = new MemoryLog();
  changes = 0;
  directory = new Directory({
    store,
    log,
    clock,
    onChange: () => {
      changes += 1;
    },
  });
  await clock.until('the sessions', () => [store, writer].every(({ state }) => state.kind === 'connected'));
});
afterEach(() => directory.close());

const entry = (label: string, host: string, more: Partial<Registration> = {}): Registration => ({
  label,
  id: host,
  host,
  address: host,
  healthy: true,
  source: 'service',
  ...more,
});

async function put(value: Registration): Promise<void> {
  await clock.finish('the label', writer.ensure(`/discovery/${value.label}`));
  const path = registrationPath(value.label, value.id);
  await clock.finish('a registration', writer.create(path, encodeRegistration(value), 'ephemeral'));
}
const settle = () => clock.advance(1_000);
const ids = (label: string) => directory.entries(label).map(({ id }) => id);

describe('a directory', () => {
  it('lists what is registered under a label, sorted, and nothing of another label', async () => {
    for (const value of [entry('web', 'w2'), entry('web', 'w10'), entry('web', 'w1'), entry('api', 'w3')])
      await put(value);
    directory.follow('web');
    await clock.until('it to be ready', () => directory.ready);
    await settle();
    expect(directory.entries('web')).toEqual([entry('web', 'w1'), entry('web', 'w10'), entry('web', 'w2')]);
    expect(directory.entries('api')).toEqual([]);
    expect(directory.labels()).toEqual(['web']);
  });

  it('is ready with a label that does not exist, and sees it come', async () => {
    directory.follow('web');
    expect(directory.ready).toBe(false);
    await clock.until('it to be ready', () => directory.ready);
    expect(ids('web')).toEqual([]);
    await put(entry('web', 'w1'));
    await settle();
    expect(ids('web')).toEqual(['w1']);
    expect(directory.ready).toBe(true);
  });

  it('follows all labels, those that come later included, and names only those with entries', async () => {
    await put(entry('web', 'w1'));
    directory.followAll();
    expect(directory.ready).toBe(false);
    await clock.until('it to be ready', () => directory.ready);
    await put(entry('api', 'w1'));
    await settle();
    expect(directory.labels()).toEqual(['api', 'web']);
    await clock.finish('a removal', writer.remove('/discovery/web/w1'));
    await settle();
    expect(directory.labels()).toEqual(['api']);
  });

  it('tells of many changes at once only now and then, and the list stays the same object in between', async () => {
    await put(entry('web', 'w0'));
    directory.follow('web');
    await settle();
    changes = 0;
    const before = directory.entries('web');
    expect(directory.entries('web')).toBe(before);
    const data = (n: number) => encodeRegistration(entry('web', `w${n}`));
    const all = Array.from({ length: 1_000 }, (_, n) => n + 1).map((n) =>
      writer.create(`/discovery/web/w${n}`, data(n), 'ephemeral'),
    );
    await clock.finish('1,000 registrations', Promise.all(all));
    await settle();
    expect(directory.entries('web')).toHaveLength(1_001);
    expect(changes).toBeLessThan(20);
    expect(changes).toBeGreaterThan(0);
  });

  it('tells of changes of a label with a thousand entries every 20 ms at most', async () => {
    const data = (host: string, address: string) => encodeRegistration(entry('web', host, { address }));
    const names = Array.from({ length: 1_000 }, (_, n) => `w${n}`);
    await put(entry('web', 'first'));
    const made = names.map((name) => writer.create(`/discovery/web/${name}`, data(name, 'a'), 'ephemeral'));
    await clock.finish('1,000 registrations', Promise.all(made));
    directory.follow('web');
    await settle();
    changes = 0;
    const begun = clock.now();
    for (const name of names.slice(0, 100)) {
      await clock.finish('a change', writer.set(`/discovery/web/${name}`, data(name, 'b')));
    }
    const passed = clock.now() - begun;
    await settle();
    expect(changes).toBeLessThanOrEqual(Math.ceil(passed / 20) + 1);
    expect(changes).toBeGreaterThan(1);
    expect(directory.entries('web').filter(({ address }) => address === 'b')).toHaveLength(100);
  });

  it('keeps what was read last while an entry cannot be read, and reports it', async () => {
    await put(entry('web', 'w1'));
    await put(entry('web', 'w2'));
    directory.follow('web');
    await settle();
    await clock.finish('nonsense', writer.set('/discovery/web/w1', Buffer.from('nonsense')));
    await settle();
    expect(ids('web')).toEqual(['w1', 'w2']);
    expect(directory.problems()).toEqual([expect.stringContaining('/discovery/web/w1 does not hold JSON')]);
    expect(log.at('error')).toHaveLength(1);
  });

  it.each<[string, Registration]>([
    ['another id', entry('web', 'w9')],
    ['another label', entry('api', 'w1')],
  ])('ignores an entry that holds %s than its path says', async (_what, value) => {
    await clock.finish('the label', writer.ensure('/discovery/web'));
    await clock.finish('an entry', writer.create('/discovery/web/w1', encodeRegistration(value), 'ephemeral'));
    directory.follow('web');
    await settle();
    expect(ids('web')).toEqual([]);
    expect(log.at('error')).toEqual([expect.stringContaining('another label or id than its path says')]);
  });

  it('ignores what is no label, and says so once', async () => {
    await clock.finish('a bad label', writer.ensure('/discovery/not a label'));
    directory.followAll();
    await settle();
    await put(entry('web', 'w1'));
    await settle();
    expect(directory.labels()).toEqual(['web']);
    expect(log.at('error')).toEqual([expect.stringContaining('is not a label')]);
  });

  it.each(['', 'a/b', 'a\nb', '..', 'a'.repeat(101)])('refuses to follow %j', (label) => {
    expect(() => directory.follow(label)).toThrow('is not a label');
  });

  it('keeps its lists while ZooKeeper is silent', async () => {
    await put(entry('web', 'w1'));
    directory.follow('web');
    await settle();
    ensemble.stop();
    await clock.advance(60_000);
    expect(ids('web')).toEqual(['w1']);
    expect(directory.ready).toBe(true);
  });

  it('tells nothing any more once it is closed', async () => {
    directory.follow('web');
    await settle();
    directory.close();
    changes = 0;
    await put(entry('web', 'w1'));
    await settle();
    expect(changes).toBe(0);
  });

  it('that is closed while it gathers changes does not tell of them', async () => {
    directory.follow('web');
    const before = changes;
    await clock.until('it to be read', () => directory.ready);
    directory.close();
    await settle();
    expect(changes).toBe(before);
  });
});
