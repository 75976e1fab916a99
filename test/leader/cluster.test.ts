/** Golden scenarios: whole daemons of three hosts, on one pretended ensemble and three pretended systemds. */
import { beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/shared/digest.ts';
import { encodeHostIntent } from '../../src/shared/payloads.ts';
import type { Service } from '../../src/shared/spec.ts';
import { proposeSpec } from '../../src/shared/spec-store.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const global: Service = { name: 'everywhere', type: 'global', enabled: true, isolation: 'keep' };
const shared: Service = { name: 'some', type: 'shared', count: 2, enabled: true, isolation: 'keep' };
const multi: Service = {
  name: 'many',
  type: 'multi',
  instances: { a: 1, b: 1 },
  force: {},
  exclusive: false,
  enabled: true,
  isolation: 'keep',
};
const SPEC = specOf(global, shared, multi);

describe('three hosts', () => {
  let clock: FakeClock;
  let ensemble: FakeEnsemble;
  let hosts: FakeHost[];
  let daemons: Map<string, FakeDaemon>;

  beforeEach(async () => {
    clock = new FakeClock();
    ensemble = new FakeEnsemble({ clock });
    hosts = ['w1', 'w2', 'w3'].map((name) => new FakeHost(name, clock, ensemble));
    daemons = new Map();
    for (const host of hosts) {
      for (const unit of ['everywhere.service', 'some.service', 'many@.service']) host.systemd.define(unit);
      daemons.set(host.name, await host.boot(SPEC));
      await clock.advance(5);
    }
    await clock.until('the first placement to be settled', () => assignments()?.settled === true);
  });

  const leading = () => [...daemons].filter(([, daemon]) => daemon.election.leading).map(([name]) => name);
  const assignments = () => daemons.get(leading()[0] ?? '')?.leader?.assignments;
  const running = () => Object.fromEntries(hosts.map((host) => [host.name, host.systemd.running()]));

  function host(name: string): FakeHost {
    const found = hosts.find((candidate) => candidate.name === name);
    if (!found) throw new Error(`no host ${name}`);
    return found;
  }

  function daemon(name: string): FakeDaemon {
    const found = daemons.get(name);
    if (!found) throw new Error(`no daemon on ${name}`);
    return found;
  }

  it('start with a balanced placement', () => {
    expect(running()).toEqual({
      w1: ['everywhere.service', 'many@a.service', 'some.service'],
      w2: ['everywhere.service', 'many@b.service'],
      w3: ['everywhere.service', 'some.service'],
    });
  });

  it('touch no unit once settled, however long they run', async () => {
    for (const each of hosts) each.asked.length = 0;
    await clock.advance(120_000);
    expect(hosts.flatMap((each) => each.asked)).toEqual([]);
  });

  it('move a unit that fails elsewhere, and leave the healthy copy there when the failure is cleared', async () => {
    host('w1').systemd.kill('many@a.service', 9);
    await clock.until('another host to run it', () => host('w2').systemd.state('many@a.service').active === 'active');
    expect(host('w1').systemd.state('many@a.service').active).toBe('failed');
    expect(assignments()?.failed).toMatchObject([{ unit: 'many@a.service', host: 'w1', kind: 'failed' }]);
    host('w1').systemd.systemctl('reset-failed', 'many@a.service');
    await clock.advance(20_000);
    expect(assignments()?.failed).toEqual([]);
    expect(running()).toEqual({
      w1: ['everywhere.service', 'some.service'],
      w2: ['everywhere.service', 'many@a.service', 'many@b.service'],
      w3: ['everywhere.service', 'some.service'],
    });
  });

  it('leave a failed global unit alone until its failure is cleared, and start it again then', async () => {
    const { systemd, asked } = host('w2');
    systemd.kill('everywhere.service', 9);
    asked.length = 0;
    await clock.advance(30_000);
    expect(systemd.state('everywhere.service').active).toBe('failed');
    expect(asked).toEqual([]);
    systemd.systemctl('reset-failed', 'everywhere.service');
    await clock.until('it to run again', () => systemd.state('everywhere.service').active === 'active', 5_000);
  });

  it('run the instances of a lost host elsewhere within the session timeout, and touch no other one', async () => {
    const others = hosts.filter(({ name }) => name !== 'w3');
    for (const each of others) each.asked.length = 0;
    const lostAt = clock.now();
    daemon('w3').kill();
    await clock.until('its instance elsewhere', () => host('w2').systemd.state('some.service').active === 'active');
    expect(clock.now() - lostAt).toBeLessThanOrEqual(4_000 + 300);
    await clock.advance(10_000);
    expect(others.flatMap(({ name, asked }) => asked.map((what) => `${name}: ${what}`))).toEqual([
      'w2: start some.service',
    ]);
    expect(ensemble.tree.get('/desired/w3')).toBeUndefined();
  });

  it('get another leader when theirs dies, without a unit being touched', async () => {
    const before = running();
    for (const each of hosts) each.asked.length = 0;
    expect(leading()).toEqual(['w1']);
    const epoch = daemon('w1').epochs.at(-1) ?? 0;
    const diedAt = clock.now();
    daemon('w1').kill();
    // the same host starts its daemon again before its session has run out
    daemons.set('w1', await host('w1').boot(SPEC));
    await clock.until('the next leader', () => leading().length === 1 && assignments()?.settled === true);
    expect(clock.now() - diedAt).toBeLessThan(1_000);
    expect(leading()).toEqual(['w2']);
    expect(daemon('w2').epochs.at(-1)).toBeGreaterThan(epoch);
    await clock.advance(30_000);
    expect(running()).toEqual(before);
    expect(hosts.flatMap((each) => each.asked)).toEqual([]);
  });

  it('take over at once from a host that leaves in an orderly way', async () => {
    const leftAt = clock.now();
    const left = daemon('w1').stop();
    await clock.until('its instances elsewhere', () =>
      ['some.service', 'many@a.service'].every((unit) =>
        ['w2', 'w3'].some((name) => host(name).asked.filter((what) => what === `start ${unit}`).length > 0),
      ),
    );
    await clock.finish('the stop', left);
    expect(clock.now() - leftAt).toBeLessThan(1_000);
    expect(host('w1').systemd.running()).toEqual([]);
  });

  it('run on when ZooKeeper is wholly lost, and when it comes back', async () => {
    const before = running();
    for (const each of hosts) each.asked.length = 0;
    ensemble.stop();
    await clock.advance(30_000);
    expect(leading()).toEqual([]);
    expect(running()).toEqual(before);
    ensemble.start();
    await clock.until('a leader', () => assignments()?.settled === true);
    await clock.advance(30_000);
    expect(running()).toEqual(before);
    expect(hosts.flatMap((each) => each.asked)).toEqual([]);
  });

  it.each([0, 1_500, 3_000])(
    'run on when ZooKeeper has lost all its data, and they come back %i ms apart',
    async (apart) => {
      const before = running();
      for (const each of hosts) each.asked.length = 0;
      ensemble.wipe();
      // the one on which an instance of two seems to be free comes back first
      for (const name of ['w1', 'w3']) daemon(name).store.cut('silent');
      await clock.advance(30_000);
      ensemble.start();
      await clock.until('w2 to be a member', () => ensemble.tree.get('/members/w2') !== undefined);
      await clock.finish('a proposal', daemon('w2').reload(SPEC));
      for (const name of ['w1', 'w3']) {
        await clock.advance(apart);
        daemon(name).store.heal();
        await clock.until(`${name} to be a member`, () => ensemble.tree.get(`/members/${name}`) !== undefined);
      }
      await clock.until('a leader', () => assignments()?.settled === true);
      await clock.advance(30_000);
      expect(running()).toEqual(before);
      expect(hosts.flatMap((each) => each.asked)).toEqual([]);
    },
  );

  it('touch no unit when one daemon is killed and started again with what it remembers', async () => {
    for (const each of hosts) each.asked.length = 0;
    daemon('w3').kill();
    daemons.set('w3', await host('w3').boot(SPEC));
    await clock.advance(30_000);
    expect(hosts.flatMap((each) => each.asked)).toEqual([]);
    expect(daemon('w1').moves).toEqual([]);
    expect(assignments()?.settled).toBe(true);
  });

  it('put the instance of a host whose session expired back in order when the host returns', async () => {
    daemon('w3').store.cut('silent');
    await clock.until('its instance elsewhere', () => host('w2').systemd.state('some.service').active === 'active');
    daemon('w3').store.heal();
    await clock.advance(30_000);
    const hostsOfSome = hosts.filter(({ systemd }) => systemd.state('some.service').active === 'active');
    expect(hostsOfSome.map(({ name }) => name)).toHaveLength(2);
    expect(hosts.every(({ systemd }) => systemd.state('everywhere.service').active === 'active')).toBe(true);
    expect(assignments()?.settled).toBe(true);
  });

  it('keep what runs on every host of a cordoned one that was lost for a while', async () => {
    const intent = { host: 'w3', state: 'cordoned', since: clock.date().toISOString(), why: 'new disks' } as const;
    await clock.finish('the intent', daemon('w1').store.create('/hosts/w3', encodeHostIntent(intent), 'persistent'));
    host('w3').asked.length = 0;
    daemon('w3').store.cut('silent');
    await clock.until('its instance elsewhere', () => host('w2').systemd.state('some.service').active === 'active');
    daemon('w3').store.heal();
    await clock.advance(30_000);
    expect(host('w3').asked).toEqual(['stop some.service']);
    expect(assignments()?.settled).toBe(true);
  });

  it('stop a service where it runs once a new spec disables it', async () => {
    const spec = specOf({ ...global, enabled: false }, shared, multi);
    const proposal = {
      spec,
      digest: digestOf(spec),
      proposedBy: 'w2',
      at: clock.date().toISOString(),
      intent: 'replace',
    } as const;
    const outcome = await clock.finish('the proposal', proposeSpec(daemon('w2').store, proposal));
    expect(outcome).toEqual({ kind: 'replaced' });
    await clock.until('it to be stopped', () =>
      hosts.every(({ systemd }) => systemd.state('everywhere.service').active === 'inactive'),
    );
    await clock.until('the cluster to be settled', () => assignments()?.settled === true);
    expect(assignments()?.spec).toBe(digestOf(spec));
  });
});
