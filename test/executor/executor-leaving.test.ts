/** An executor that is told to stop its units: what it stops, what it says meanwhile, and what it gives up. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DesiredUnit } from '../../src/shared/state.ts';
import { ExecutorRig, unit } from './executor-rig.ts';

let rig: ExecutorRig;
beforeEach(async () => {
  rig = await ExecutorRig.begin();
});
afterEach(() => rig.end());

describe('an executor', () => {
  it('stops its units on request, and starts none of them again', async () => {
    await rig.bootToRun([unit('a'), unit('b')]);
    await rig.clock.until('both to run', () => rig.active('a') === 'active' && rig.active('b') === 'active');
    rig.host.systemd.systemctl('start', 'foreign.service');
    await rig.done(rig.executor.stopUnits('all', new AbortController().signal));
    await rig.clock.advance(20_000);
    expect([rig.active('a'), rig.active('b'), rig.active('foreign')]).toEqual(['inactive', 'inactive', 'active']);
    expect(rig.host.memory.remembered.units.size).toBe(0);
  });

  const once = (name: string): DesiredUnit => ({ ...unit(name), isolation: 'stop' });

  it('reports, while it stops its units, each of them as down as soon as it is, and that it is leaving', async () => {
    rig.host.systemd.define('b.service', { stopMs: 3_000 });
    await rig.bootToRun([unit('a'), once('b'), unit('c')]);
    await rig.clock.until('all to run', () => ['a', 'b', 'c'].every((name) => rig.seen(name)?.active === 'active'));
    rig.host.systemd.define('c.service', { stopMs: 6_000 });
    const stopped = rig.executor.stopUnits('all', new AbortController().signal);
    const shown = () => ['a', 'b', 'c'].map((name) => rig.seen(name)?.active ?? 'none');
    await rig.clock.until('the word', () => rig.observed()?.leaving === true);
    expect(shown()).not.toContain('inactive');
    await rig.clock.until('a to be down', () => rig.seen('a')?.active === 'inactive');
    expect([rig.active('a'), rig.active('b')]).toEqual(['inactive', 'deactivating']);
    expect(shown()).toEqual(['inactive', 'deactivating', 'deactivating']);
    await rig.clock.until('b to be down', () => rig.seen('b')?.active === 'inactive');
    expect(rig.active('c')).toBe('deactivating');
    expect(await rig.done(stopped)).toEqual([]);
    await rig.clock.until('c to be down', () => rig.seen('c')?.active === 'inactive');
    expect(rig.observed()).toMatchObject({ epoch: 1, generation: rig.generation, leaving: true });
  });

  it('never reports a unit as down while it leaves and a start of it is under way', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('the start to be asked for', () => rig.asked('start a.service') === 1);
    const stopped = rig.executor.stopUnits('all', new AbortController().signal);
    let early = false;
    while (rig.observed()?.units.some((each) => each.unit === 'a.service' && each.active === 'inactive') !== true) {
      early ||= rig.observed()?.leaving === true && rig.seen('a') === undefined && rig.active('a') !== 'inactive';
      await rig.clock.advance(1);
      if (rig.clock.now() > 60_000) throw new Error('it is never said to be down');
    }
    expect([rig.active('a'), early]).toEqual(['inactive', false]);
    await rig.done(stopped);
  });

  it('stops only what may run once when the rest is to be kept, and does not call that leaving', async () => {
    await rig.bootToRun([unit('a'), once('b')]);
    await rig.clock.until(
      'both to run',
      () => rig.seen('a')?.active === 'active' && rig.seen('b')?.active === 'active',
    );
    expect(rig.host.systemd.guards.names).toHaveLength(1);
    expect(await rig.done(rig.executor.stopUnits('once-only', new AbortController().signal))).toEqual([]);
    expect([rig.active('a'), rig.active('b')]).toEqual(['active', 'inactive']);
    await rig.clock.until('the end of the guard', () => rig.host.systemd.guards.names.length === 0);
    await rig.clock.advance(20_000);
    expect([rig.active('a'), rig.active('b')]).toEqual(['active', 'inactive']);
    expect([...rig.host.memory.remembered.units.keys()]).toEqual(['a.service']);
    expect(rig.observed()?.leaving).toBeUndefined();
    expect([rig.asked('stop a.service'), rig.asked('start b.service')]).toEqual([0, 1]);
  });

  it.each(['all', 'once-only'] as const)(
    'says what may run once and did not stop in time (%s): a guard stops it',
    async (which) => {
      for (const name of ['a.service', 'b.service']) rig.host.systemd.define(name, { stopMs: 60_000 });
      await rig.bootToRun([unit('a'), once('b')]);
      await rig.clock.until(
        'both to run',
        () => rig.seen('a')?.active === 'active' && rig.seen('b')?.active === 'active',
      );
      const abort = new AbortController();
      rig.clock.after(500, () => abort.abort());
      expect(await rig.done(rig.executor.stopUnits(which, abort.signal))).toEqual(['b.service']);
      expect(rig.host.systemd.guards.names).toHaveLength(1);
      // the process ends, so that nothing is confirmed any more
      rig.store.cut('silent');
      await rig.clock.advance(4_000);
      expect(rig.active('b')).not.toBe('deactivating');
      expect(rig.active('a')).toBe(which === 'all' ? 'deactivating' : 'active');
    },
  );

  it('stops a unit whose start hangs at once when it is told to stop its units', async () => {
    rig.host.systemd.define('a.service', { start: 'hangs' });
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to hang', () => rig.active('a') === 'activating');
    await rig.clock.finish('the stop', rig.executor.stopUnits('all', new AbortController().signal), 1_000);
    expect(rig.active('a')).toBe('inactive');
  });

  it.each([
    ['its main process', 'hangs'],
    ['what runs before its main process', 'hangs-before'],
  ] as const)(
    'does not report a unit as failed that it stopped while %s hung: it may run here again',
    async (_, start) => {
      rig.host.systemd.define('a.service', { start });
      await rig.bootToRun([unit('a')]);
      await rig.clock.until('it to hang', () => rig.active('a') === 'activating');
      const failures = rig.watchFailures();
      await rig.clock.finish('the stop', rig.executor.stopUnits('all', new AbortController().signal), 1_000);
      expect(rig.active('a')).toBe('inactive');
      expect(failures()).toEqual([]);
    },
  );

  it('stops a unit, too, whose start was asked for a moment before', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('the start to be asked for', () => rig.asked('start a.service') === 1);
    expect(rig.active('a')).toBe('inactive');
    await rig.done(rig.executor.stopUnits('all', new AbortController().signal));
    await rig.clock.advance(20_000);
    expect(rig.active('a')).toBe('inactive');
    expect(rig.asked('start a.service')).toBe(1);
  });

  it('starts nothing any more when it was told to stop its units while a prestart script ran', async () => {
    rig.host.systemd.onCommand = () => ({ afterMs: 1_000, exitStatus: 0 });
    await rig.bootToRun([unit('a', { script: 'x', values: {} })]);
    await rig.clock.until('the script', () => rig.asked('run servicewatcher-prestart-a.service') === 1);
    await rig.done(rig.executor.stopUnits('all', new AbortController().signal));
    await rig.clock.advance(20_000);
    expect(rig.asked('start a.service')).toBe(0);
  });

  it('idles while it stops its units, though the pause of one that ended is over meanwhile', async () => {
    rig.host.systemd.define('a.service', { exitsAfterMs: 50 });
    rig.host.systemd.define('b.service', { stopMs: 30_000 });
    await rig.bootToRun([unit('a'), unit('b')]);
    await rig.clock.until('a pause', () => rig.seen('a')?.waiting !== undefined && rig.active('b') === 'active');
    await rig.done(rig.executor.stopUnits('all', new AbortController().signal));
    expect([rig.active('a'), rig.active('b')]).toEqual(['inactive', 'inactive']);
  });

  it('gives up stopping its units when the signal says so', async () => {
    rig.host.systemd.define('a.service', { stop: 'ignores-sigterm' });
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to run', () => rig.active('a') === 'active');
    const abort = new AbortController();
    rig.clock.after(3_000, () => abort.abort());
    await rig.clock.finish('the end of the wait', rig.executor.stopUnits('all', abort.signal), 3_100);
    expect(rig.active('a')).toBe('deactivating');
  });
});
