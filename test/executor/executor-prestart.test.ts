/** When an executor runs the script that comes before a start, and what it makes of its end. */
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TransientCommand } from '../../src/executor/systemd.ts';
import type { DesiredPrestart } from '../../src/shared/state.ts';
import { ExecutorRig, unit } from './executor-rig.ts';

let rig: ExecutorRig;
beforeEach(async () => {
  rig = await ExecutorRig.begin();
});
afterEach(() => rig.end());

describe('prestart', () => {
  const script = (...hosts: string[]): DesiredPrestart => ({
    script: 'echo {instance:c} > /etc/x',
    values: { c: hosts },
  });
  let commands: TransientCommand[];

  beforeEach(async () => {
    commands = [];
    rig.host.systemd.onCommand = (command) => {
      commands.push(command);
      return { afterMs: 5, exitStatus: 0 };
    };
    await rig.writeSpec();
    await rig.boot();
  });

  it('runs before the start, and leaves no file behind', async () => {
    await rig.desire([unit('a', script('w1', 'w2'))]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    expect(rig.host.asked).toEqual(['run servicewatcher-prestart-a.service', 'start a.service']);
    expect(commands[0]?.environment).toEqual({ SERVICEWATCHER_UNIT: 'a.service', SERVICEWATCHER_HOST: 'w1' });
    expect(await readdir(rig.host.prestartFolder)).toEqual([]);
  });

  it('waits, and says so, while the unit it refers to is placed nowhere', async () => {
    await rig.desire([unit('a', script())]);
    await rig.clock.until('the report', () => rig.seen('a')?.waiting !== undefined);
    expect(rig.seen('a')?.waiting).toContain('needs c');
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    await rig.desire([unit('a', script('w2'))]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
  });

  it('that fails is a failed start of its unit, until failures are cleared', async () => {
    rig.host.systemd.onCommand = () => ({ afterMs: 5, exitStatus: 1 });
    await rig.desire([unit('a', script('w2')), unit('b')]);
    await rig.clock.until('the report', () => rig.seen('a')?.failure?.kind === 'prestart');
    await rig.clock.advance(30_000);
    expect(rig.asked('run servicewatcher-prestart-a.service')).toBe(1);
    expect(rig.asked('start a.service')).toBe(0);
    expect(rig.seen('b')?.active).toBe('active');
    rig.host.systemd.onCommand = () => ({ afterMs: 5, exitStatus: 0 });
    await rig.done(rig.executor.clearFailures());
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
  });

  it('restarts the unit when its values change, after running again', async () => {
    await rig.desire([unit('a', script('w2'))]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    rig.host.asked.length = 0;
    await rig.desire([unit('a', script('w3'))]);
    await rig.clock.until(
      'it to run again',
      () => rig.asked('start a.service') === 1 && rig.seen('a')?.active === 'active',
    );
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual(['stop a.service', 'run servicewatcher-prestart-a.service', 'start a.service']);
    expect(rig.host.drift).toEqual([]);
  });

  it('takes no running unit down because the one it refers to is placed nowhere for the moment', async () => {
    await rig.desire([unit('a', script('w2'))]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    rig.host.asked.length = 0;
    await rig.desire([unit('a', script())]);
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    await rig.desire([unit('a', script('w2'))]);
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
  });

  it('that hangs is given up for the mended one, and is no failure of the unit', async () => {
    rig.host.systemd.onCommand = () => ({ afterMs: 60_000, exitStatus: 1 });
    await rig.desire([unit('a', script('w2'))]);
    await rig.clock.until('the script', () => rig.active('servicewatcher-prestart-a') === 'activating');
    rig.host.systemd.onCommand = () => ({ afterMs: 5, exitStatus: 0 });
    await rig.desire([unit('a', { ...script('w2'), script: 'true {instance:c}' })]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active', 10_000);
    rig.host.asked.length = 0;
    await rig.desire([unit('a', { ...script('w2'), script: 'false {instance:c}' })]);
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
  });

  it('does not start a unit that ceased to be desired while it ran', async () => {
    rig.host.systemd.onCommand = () => ({ afterMs: 1_000, exitStatus: 0 });
    await rig.desire([unit('a', script('w2'))]);
    await rig.clock.until('the script', () => rig.asked('run servicewatcher-prestart-a.service') === 1);
    await rig.desire([]);
    await rig.clock.advance(20_000);
    expect(rig.asked('start a.service')).toBe(0);
  });
});
