/** What must be so before systemd is asked to start a unit: whole daemons of one host, seen at the very moment they ask. */
import { describe, expect, it } from 'vitest';
import type { Systemd } from '../../src/executor/systemd.ts';
import { digestOf } from '../../src/shared/digest.ts';
import type { Service } from '../../src/shared/spec.ts';
import { proposeSpec } from '../../src/shared/spec-store.ts';
import type { Version } from '../../src/shared/state.ts';
import { changedSystemd } from '../fakes/changed-systemd.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const kept: Service = { name: 'kept', type: 'shared', count: 1, enabled: true, isolation: 'keep' };
const once: Service = { ...kept, name: 'once', isolation: 'stop' };

const isOlder = (a: Version, b: Version) => a.epoch < b.epoch || (a.epoch === b.epoch && a.generation < b.generation);

/** A host whose systemd takes as long for a guard as `guardMs` says. */
class SlowGuards extends FakeHost {
  guardMs = 0;
  guardsWanted = 0;

  override watched(systemd: Systemd): Systemd {
    const watched = super.watched(systemd);
    return changedSystemd(watched, {
      startGuard: (guard) =>
        new Promise((resolve, reject) => {
          this.guardsWanted += 1;
          this.clock.after(this.guardMs, () => void watched.startGuard(guard).then(resolve, reject));
        }),
    });
  }
}

describe('before a unit is started', () => {
  it('the order that asks for it is on disk, though the unit was ours already', async () => {
    const clock = new FakeClock();
    const ensemble = new FakeEnsemble({ clock });
    const late: string[] = [];
    const host: FakeHost = new FakeHost('w1', clock, ensemble, '/nonexistent', {
      onAsked: (line) => {
        const obeyed = daemon.executor.observed;
        const { applied } = host.memory.remembered;
        if (line.startsWith('start ') && obeyed && isOlder(applied, obeyed))
          late.push(`${line}, obeying generation ${obeyed.generation}; on disk is ${applied.generation}`);
      },
    });
    host.systemd.define('kept.service');
    const daemon = await host.boot(specOf(kept));
    const state = () => host.systemd.state('kept.service').active;
    await clock.until('it to run', () => state() === 'active');
    const operator = ensemble.connect({ sessionTimeoutMs: 60_000 });
    await clock.advance(1_000);
    // the order comes at one time or another while the unit is to be started again, and is looked into for a moment
    for (let ms = 50; ms < 70; ms++) {
      const spec = specOf(kept, { ...kept, name: `other${ms}` });
      const at = clock.date().toISOString();
      const proposal = { spec, digest: digestOf(spec), proposedBy: 'w2', at, intent: 'replace' } as const;
      void proposeSpec(operator, proposal);
      await clock.advance(ms);
      host.systemd.systemctl('stop', 'kept.service');
      await clock.until('it to run again', () => state() === 'active');
      await clock.advance(12_000);
    }
    expect(late).toEqual([]);
    expect(host.asked.filter((line) => line === 'start kept.service').length).toBeGreaterThan(20);
  });

  it.each([
    ['a script runs', (host: FakeHost) => host.systemd.define('more.service')],
    ['the bus is gone', (host: FakeHost) => host.systemd.disconnect()],
    ['the daemon stops', (_: FakeHost, daemon: FakeDaemon) => void daemon.stop()],
  ])('what is reported as obeyed is on disk, while %s, too', async (_, begin) => {
    const clock = new FakeClock();
    const ensemble = new FakeEnsemble({ clock });
    const everywhere: Service = { ...kept, name: 'kept', type: 'global' };
    const hosts = ['w1', 'w2'].map((name) => new FakeHost(name, clock, ensemble));
    const daemons: FakeDaemon[] = [];
    for (const host of hosts) {
      host.systemd.define('kept.service', { stopMs: 5_000 });
      host.systemd.onCommand = () => ({ afterMs: 10_000, exitStatus: 0 });
      daemons.push(await host.boot(specOf(everywhere)));
    }
    const isUp = (host: FakeHost) => host.systemd.state('kept.service').active === 'active';
    await clock.until('it to run', () => hosts.every(isUp));
    const operator = ensemble.connect({ sessionTimeoutMs: 60_000 });
    await clock.advance(2_000);
    // the first one leads
    const [host, daemon] = [hosts[1], daemons[1]];
    if (!host || !daemon) throw new Error('there are two');
    begin(host, daemon);
    const before = daemon.executor.observed?.generation ?? 0;
    const spec = specOf(everywhere, { ...everywhere, name: 'more', prestart: 'true' });
    const at = clock.date().toISOString();
    void proposeSpec(operator, { spec, digest: digestOf(spec), proposedBy: 'w2', at, intent: 'replace' });
    await clock.until('the report', () => (daemon.executor.observed?.generation ?? 0) > before);
    await clock.advance(10);
    expect(host.memory.remembered.applied.generation).toBe(daemon.executor.observed?.generation);
  });

  it('a guard runs that stops it, where it may run once only', async () => {
    const clock = new FakeClock();
    const ensemble = new FakeEnsemble({ clock });
    const host = new SlowGuards('w1', clock, ensemble);
    host.guardMs = 100;
    for (const { name } of [kept, once]) host.systemd.define(`${name}.service`);
    await host.boot(specOf(kept, once));
    await clock.until('the other to run', () => host.systemd.state('kept.service').active === 'active');
    await clock.until('the guard to be asked for', () => host.guardsWanted > 0);
    await clock.advance(90);
    expect(host.asked).not.toContain('start once.service');
    await clock.until('it to run', () => host.systemd.state('once.service').active === 'active');
  });

  it('and while none can be had it is not started at all, all others are', async () => {
    const clock = new FakeClock();
    const ensemble = new FakeEnsemble({ clock });
    const host = new SlowGuards('w1', clock, ensemble);
    host.guardMs = 3_000;
    for (const { name } of [kept, once]) host.systemd.define(`${name}.service`);
    await host.boot(specOf(kept, once));
    await clock.until('the other to run', () => host.systemd.state('kept.service').active === 'active');
    await clock.advance(30_000);
    expect(host.systemd.state('once.service').active).toBe('inactive');
    expect(host.asked).not.toContain('start once.service');
    host.guardMs = 0;
    await clock.until('it to run', () => host.systemd.state('once.service').active === 'active', 20_000);
  });
});
