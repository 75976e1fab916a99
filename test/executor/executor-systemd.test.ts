/** An executor whose systemd goes away, refuses, or does something else than it was asked for. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Systemd, SystemdEvents } from '../../src/executor/systemd.ts';
import { changedSystemd } from '../fakes/changed-systemd.ts';
import { ExecutorRig, unit } from './executor-rig.ts';

let rig: ExecutorRig;
beforeEach(async () => {
  rig = await ExecutorRig.begin();
});
afterEach(() => rig.end());

/** How a connection is made of which `change` makes other calls. */
const changed = (change: (systemd: Systemd) => Parameters<typeof changedSystemd>[1]) => (events: SystemdEvents) => {
  const systemd = rig.host.watched(rig.host.systemd.connect(events));
  return changedSystemd(systemd, change(systemd));
};

describe('an executor whose jobs systemd does not carry out', () => {
  it('asks seldom for a stop that is refused, and obeys when the unit is wanted again', async () => {
    await rig.writeSpec();
    await rig.boot({
      connect: changed(() => ({
        stop: async (name) => {
          rig.host.asked.push(`stop ${name}`);
          return { kind: 'refused', error: 'x.OnlyByDependency', message: 'it may be stopped by dependency only' };
        },
      })),
    });
    await rig.desire([unit('a')]);
    await rig.clock.until('it to run', () => rig.active('a') === 'active');
    await rig.desire([]);
    await rig.clock.advance(60_000);
    expect(rig.asked('stop a.service')).toBeGreaterThan(1);
    expect(rig.asked('stop a.service')).toBeLessThanOrEqual(3);
    await rig.desire([unit('a')]);
    await rig.clock.advance(60_000);
    expect(rig.host.log.at('error').length).toBeLessThanOrEqual(3);
  });

  it('pauses longer and longer before a start that others cancel again and again', async () => {
    await rig.writeSpec();
    await rig.boot({
      connect: changed(() => ({
        start: async (name) => {
          rig.host.asked.push(`start ${name}`);
          return { kind: 'canceled' };
        },
      })),
    });
    await rig.desire([unit('a')]);
    await rig.clock.advance(10_000);
    expect(rig.asked('start a.service')).toBeGreaterThan(2);
    expect(rig.asked('start a.service')).toBeLessThanOrEqual(6);
  });
});

describe('the connection to systemd', () => {
  it('is survived: nothing is touched, and what happened meanwhile is seen afterwards', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    rig.host.asked.length = 0;
    rig.host.systemd.disconnect();
    await rig.clock.advance(20_000);
    expect(rig.executor.systemdConnected).toBe(false);
    expect(rig.host.asked).toEqual([]);
    rig.host.systemd.kill('a.service', 9);
    rig.host.systemd.reconnect();
    await rig.clock.until('the report', () => rig.seen('a')?.failure?.kind === 'failed');
  });

  it('is waited for, not spun on, while a unit is to be started', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    rig.host.systemd.disconnect();
    await rig.desire([unit('a'), unit('b')]);
    await rig.clock.advance(20_000);
    expect(rig.asked('start b.service')).toBe(0);
    rig.host.systemd.reconnect();
    await rig.clock.until('it to run', () => rig.seen('b')?.active === 'active');
  });

  it('that fails in the middle of a start is tried again, after a pause', async () => {
    let refusals = 0;
    await rig.writeSpec();
    await rig.boot({
      connect: changed((systemd) => ({
        start: async (name, deadlineMs, signal) => {
          if (rig.clock.now() > 5_000) return systemd.start(name, deadlineMs, signal);
          refusals += 1;
          throw new Error('LimitsExceeded');
        },
      })),
    });
    await rig.desire([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    expect(refusals).toBeGreaterThan(1);
    expect(refusals).toBeLessThan(50);
  });

  it.each(['done', 'assert'] as const)(
    'that ends a start as %s without the unit being up is asked again after pauses that grow',
    async (kind) => {
      let starts = 0;
      await rig.writeSpec();
      await rig.boot({
        connect: changed((systemd) => ({
          start: async () => {
            starts += 1;
            await systemd.list(['a.service']);
            return { kind };
          },
        })),
      });
      await rig.desire([unit('a')]);
      await rig.clock.advance(10_000);
      expect(starts).toBeGreaterThan(3);
      expect(starts).toBeLessThan(12);
    },
  );

  it('nothing is reported before systemd has answered', async () => {
    rig.host.systemd.disconnect();
    rig.host.systemd.systemctl('start', 'a.service');
    await rig.writeSpec();
    await rig.boot();
    await rig.clock.advance(10_000);
    expect(rig.observed()).toBeUndefined();
    const empty = rig.watchReports((report) => report.units.length === 0);
    rig.host.systemd.reconnect();
    await rig.clock.until('the report', () => rig.seen('a')?.active === 'active');
    expect(empty()).toEqual([]);
  });
});
