/** Units that fail as they are stopped: which of these failures an executor resets, and which it reports. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SystemdEvents } from '../../src/executor/systemd.ts';
import { ExecutorRig, unit } from './executor-rig.ts';

let rig: ExecutorRig;
beforeEach(async () => {
  rig = await ExecutorRig.begin();
});
afterEach(() => rig.end());

describe('an executor', () => {
  it('resets a unit that ended with 143 because we stopped it, and never reports it as failed', async () => {
    rig.host.systemd.define('a.service', { stop: 'exit-143', stopMs: 20 });
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    const failures = rig.watchFailures();
    await rig.desire([]);
    await rig.clock.until('the reset', () => rig.asked('reset a.service') === 1);
    await rig.clock.advance(10_000);
    expect(rig.active('a')).toBe('inactive');
    expect(failures()).toEqual([]);
  });

  /** The same events, but that a unit is inactive is told 5 ms late. */
  const lateToTellInactive = (events: SystemdEvents): SystemdEvents => ({
    ...events,
    onUnit: (name, state, sub) => {
      if (state === 'inactive') rig.clock.after(5, () => events.onUnit(name, state, sub));
      else events.onUnit(name, state, sub);
    },
  });

  it('does not report that failure either when systemd tells of the reset late', async () => {
    rig.host.systemd.define('a.service', { stop: 'exit-143', stopMs: 20 });
    await rig.writeSpec();
    await rig.boot({
      connect: (events) => rig.host.watched(rig.host.systemd.connect(lateToTellInactive(events))),
    });
    await rig.desire([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    const failures = rig.watchFailures();
    await rig.desire([]);
    await rig.clock.until('the stop', () => rig.asked('stop a.service') === 1);
    await rig.clock.advance(10_000);
    expect(rig.active('a')).toBe('inactive');
    expect(failures()).toEqual([]);
  });

  it('resets a unit that had to be killed because it did not stop in time: it may run here again', async () => {
    rig.host.systemd.define('a.service', { stop: 'ignores-sigterm', stopTimeoutMs: 1_000 });
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    const failures = rig.watchFailures();
    await rig.desire([]);
    await rig.clock.until('the reset', () => rig.asked('reset a.service') === 1);
    await rig.clock.advance(1_000);
    expect(failures()).toEqual([]);
    await rig.desire([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
  });

  it('does not report a unit as failed that somebody stopped, which killed it, and reset at once: it runs here again', async () => {
    rig.host.systemd.define('a.service', { stop: 'ignores-sigterm', stopTimeoutMs: 1_000 });
    await rig.writeSpec();
    await rig.boot({
      connect: (events) => {
        const connected = rig.host.watched(rig.host.systemd.connect(lateToTellInactive(events)));
        return {
          ...connected,
          connected: true,
          exitInfo: async () => {
            rig.host.systemd.systemctl('reset-failed', 'a.service');
            // an inactive unit that nobody refers to is forgotten
            return { result: 'success', code: 'none', status: 0 };
          },
        };
      },
    });
    await rig.desire([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    const failures = rig.watchFailures();
    rig.host.systemd.systemctl('stop', 'a.service');
    await rig.clock.until('it to run again', () => rig.asked('start a.service') === 2, 10_000);
    await rig.clock.advance(1_000);
    expect(failures()).toEqual([]);
  });

  it.each([
    ['is', 0],
    ['was', 2_000],
  ])(
    'does not report what may run once as failed that %s being stopped by a guard when it starts',
    async (_, afterMs) => {
      rig.host.systemd.define('a.service', { stop: 'ignores-sigterm', stopTimeoutMs: 1_000 });
      await rig.writeSpec();
      const first = await rig.boot();
      await rig.desire([{ ...unit('a'), isolation: 'stop' }]);
      await rig.clock.until('it to run', () => rig.active('a') === 'active');
      await rig.done(first.close());
      const failures = rig.watchFailures();
      rig.host.systemd.systemctl('stop', 'a.service');
      await rig.clock.advance(afterMs);
      await rig.boot();
      await rig.clock.until('it to run again', () => rig.asked('start a.service') === 2, 10_000);
      expect(failures()).toEqual([]);
    },
  );

  it('reports a unit that ended in another way when it was stopped as failed', async () => {
    rig.host.systemd.define('a.service', { stop: 'exit-143' });
    await rig.writeSpec();
    await rig.boot({
      connect: (events) => ({
        ...rig.host.watched(rig.host.systemd.connect(events)),
        connected: true,
        exitInfo: async () => ({ result: 'exit-code', code: 'exited', status: 1 }),
      }),
    });
    await rig.desire([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    await rig.desire([]);
    await rig.clock.until('the report', () => rig.seen('a')?.failure?.kind === 'failed');
    expect(rig.asked('reset a.service')).toBe(0);
  });
});
