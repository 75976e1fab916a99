/** Whole daemons of three hosts whose znodes somebody removes: they put them back, and no unit is touched. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Service } from '../../src/shared/spec.ts';
import type { Operation } from '../../src/shared/store.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const base = { enabled: true, isolation: 'keep' } as const;
const SERVICES: readonly Service[] = [
  { ...base, name: 'everywhere', type: 'global' },
  { ...base, name: 'some', type: 'shared', count: 2 },
];
const SPEC = specOf(...SERVICES);

let clock: FakeClock;
let ensemble: FakeEnsemble;
let operator: FakeStore;
let hosts: FakeHost[];
let daemons: FakeDaemon[];

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  operator = ensemble.connect({ sessionTimeoutMs: 4_000 });
  hosts = ['w1', 'w2', 'w3'].map((name) => new FakeHost(name, clock, ensemble));
  daemons = [];
  for (const host of hosts) {
    for (const unit of ['everywhere.service', 'some.service']) host.systemd.define(unit);
    daemons.push(await host.boot(SPEC));
    await clock.advance(5);
  }
  await clock.until('the first placement to be settled', settled);
  for (const host of hosts) host.asked.length = 0;
});

const leaders = () => daemons.filter(({ election }) => election.leading);
const settled = () => leaders().length === 1 && leaders()[0]?.leader?.assignments?.settled === true;
const asked = () => hosts.flatMap((host) => host.asked.map((what) => `${host.name}: ${what}`));

/** The znode and all below it, the deepest first. */
async function tree(path: string): Promise<string[]> {
  const names = (await operator.children(path)) ?? [];
  const below = await Promise.all(names.map((name) => tree(path === '/' ? `/${name}` : `${path}/${name}`)));
  return [...below.flat(), path];
}

async function removeAll(path: string): Promise<void> {
  const paths = (await clock.finish('the list', tree(path))).filter((each) => each !== '/');
  const operations = paths.map((each): Operation => ({ op: 'remove', path: each }));
  await clock.finish('the removal', operator.transaction(operations));
}

describe('three hosts', () => {
  it.each(['/election', '/members', '/observed', '/desired', '/hosts', '/epoch'])(
    'are in order again when %s is removed with all below it, without a unit being touched',
    async (path) => {
      await removeAll(path);
      // something to do, so that a leader that cannot write finds out
      hosts[0]?.systemd.kill('everywhere.service', 9);
      await clock.advance(20_000);
      hosts[0]?.systemd.systemctl('reset-failed', 'everywhere.service');
      await clock.advance(20_000);
      await clock.until('order', settled);
      expect(asked()).toEqual(['w1: start everywhere.service']);
      await clock.advance(60_000);
      expect(leaders()).toHaveLength(1);
      expect(ensemble.tree.get('/observed/w2')).toBeDefined();
      const failed = daemons.flatMap(({ epochs }) => epochs).length;
      expect(failed).toBeLessThan(10);
      leaders()[0]?.kill();
      await clock.until('the next leader', settled);
    },
  );

  it('are in order again when everything is removed and a host proposes its file, without a unit being touched', async () => {
    await removeAll('/');
    await clock.advance(10_000);
    daemons[2]?.kill();
    daemons[2] = (await hosts[2]?.boot(SPEC)) ?? expect.fail('no w3');
    await clock.until('order', settled);
    expect(asked()).toEqual([]);
    const terms = daemons.flatMap(({ epochs }) => epochs).length;
    await clock.advance(120_000);
    expect(leaders()).toHaveLength(1);
    expect(daemons.flatMap(({ epochs }) => epochs)).toHaveLength(terms);
  });
});
