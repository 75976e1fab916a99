/** What `Systemd` promises about transient commands, load and the connection, held by the fake and by the real one. */
import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TransientCommand } from '../../../src/executor/systemd.ts';
import type { CommandScript } from '../../fakes/systemd-script.ts';
import { type Rig, Watched } from './rig.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);
const DEADLINE_MS = 30_000;

export function connectionCases(rig: () => Rig): void {
  let watched: Watched;
  beforeEach(async () => {
    watched = await Watched.open(rig());
  });
  afterEach(() => watched.systemd.close());

  const command = (unit: string, script: CommandScript, timeoutMs = 10_000): TransientCommand => ({
    unit,
    description: 'a command of the contract tests',
    argv: rig().command(script),
    timeoutMs,
    environment: {},
  });

  it('runs a command to its end, any number of times', async () => {
    const quick = command('run-ok.service', { afterMs: 20, exitStatus: 0 });
    for (let round = 0; round < 7; round++) expect(await watched.systemd.run(quick, never)).toEqual({ kind: 'done' });
    expect(await watched.active('run-ok.service')).toBe('inactive');
    expect(watched.told('run-ok.service')).not.toContain('failed');
  });

  it('reports a command that fails, leaves it visible, and can run it again', async () => {
    const fails = command('run-1.service', { afterMs: 20, exitStatus: 1 });
    expect(await watched.systemd.run(fails, never)).toEqual({ kind: 'failed' });
    expect(await watched.active('run-1.service')).toBe('failed');
    expect(await watched.systemd.exitInfo('run-1.service')).toEqual({ result: 'exit-code', code: 'exited', status: 1 });
    const succeeds = command('run-1.service', { afterMs: 20, exitStatus: 0 });
    expect(await watched.systemd.run(succeeds, never)).toEqual({ kind: 'done' });
    expect(await watched.active('run-1.service')).toBe('inactive');
  });

  it('ends a command at its time limit', async () => {
    const slow = command('run-slow.service', { afterMs: 60_000, exitStatus: 0 }, 300);
    expect(await watched.systemd.run(slow, never)).toEqual({ kind: 'failed' });
    expect((await watched.systemd.exitInfo('run-slow.service')).result).toBe('timeout');
    await watched.systemd.resetFailed('run-slow.service');
  });

  it('replaces a command of the same name that still runs', async () => {
    const long = watched.systemd.run(command('run-twice.service', { afterMs: 60_000, exitStatus: 0 }), never);
    await watched.untilTold('run-twice.service', 'activating');
    const second = command('run-twice.service', { afterMs: 20, exitStatus: 0 });
    expect(await watched.systemd.run(second, never)).toEqual({ kind: 'done' });
    expect(await long).toEqual({ kind: 'canceled' });
  });

  it('stops a command that is aborted', async () => {
    const abort = new AbortController();
    const run = watched.systemd.run(command('run-abort.service', { afterMs: 60_000, exitStatus: 0 }), abort.signal);
    await watched.untilTold('run-abort.service', 'activating');
    abort.abort('no longer wanted');
    await expect(run).rejects.toBe('no longer wanted');
    await watched.untilTold('run-abort.service', 'inactive');
  });

  it('starts and stops 300 units at once, and hears of each', async () => {
    await rig().define({ 'crowd@.service': {} });
    const units = Array.from({ length: 300 }, (_, index) => `crowd@${index}.service`);
    const started = await Promise.all(units.map((unit) => watched.systemd.start(unit, DEADLINE_MS, never)));
    expect(started.filter(({ kind }) => kind !== 'done')).toEqual([]);
    const listed = await watched.systemd.list(units);
    expect(listed.map(({ unit }) => unit).sort()).toEqual([...units].sort());
    expect(listed.filter(({ active }) => active !== 'active')).toEqual([]);
    for (const unit of units) await watched.untilTold(unit, 'active');
    const stopped = await Promise.all(units.map((unit) => watched.systemd.stop(unit, DEADLINE_MS, never)));
    expect(stopped.filter(({ kind }) => kind !== 'done')).toEqual([]);
  });

  it('lets a hanging unit delay no other one', async () => {
    await rig().define({ 'stuck@.service': { start: 'hangs' }, 'free.service': {} });
    const stuck = Array.from({ length: 100 }, (_, index) => `stuck@${index}.service`);
    const hanging = stuck.map((unit) => watched.systemd.start(unit, DEADLINE_MS, never));
    await watched.untilTold('stuck@99.service', 'activating');
    expect(await watched.systemd.start('free.service', 5_000, never)).toEqual({ kind: 'done' });
    const stops = [...stuck, 'free.service'].map((unit) => watched.systemd.stop(unit, DEADLINE_MS, never));
    expect((await Promise.all(stops)).filter(({ kind }) => kind !== 'done')).toEqual([]);
    expect((await Promise.all(hanging)).filter(({ kind }) => kind !== 'canceled')).toEqual([]);
  });

  it('answers hundreds of concurrent calls', async () => {
    await rig().define({ 'asked.service': {} });
    const calls = Array.from({ length: 500 }, (_, index) =>
      index % 2 === 0 ? watched.systemd.list(['asked.service']) : watched.systemd.exitInfo('asked.service'),
    );
    expect(await Promise.all(calls)).toHaveLength(500);
  });

  it('tells that unit files were reloaded', async () => {
    const before = watched.reloads;
    await rig().daemonReload();
    await watched.until('the reload', () => watched.reloads > before);
    expect(watched.connects).toBe(1);
  });

  it('ends pending jobs as disconnected when the bus restarts, connects again, and works', async () => {
    await rig().define({ 'pending.service': { start: 'hangs' }, 'after.service': {} });
    const pending = watched.systemd.start('pending.service', DEADLINE_MS, never);
    await watched.untilTold('pending.service', 'activating');
    const restarted = rig().restartBus();
    expect(await pending).toEqual({ kind: 'disconnected' });
    await restarted;
    await watched.until('the second connection', () => watched.connects === 2);
    expect(watched.disconnects).toBe(1);
    expect(watched.systemd.connected).toBe(true);
    expect(await watched.active('pending.service')).toBe('activating');
    expect(await watched.systemd.start('after.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await watched.untilTold('after.service', 'active');
    await watched.systemd.stop('after.service', DEADLINE_MS, never);
    expect(await watched.systemd.stop('pending.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
  });

  it('rejects every call after it was closed, and tells nothing more', async () => {
    await rig().define({ 'closed.service': { start: 'hangs' } });
    const start = watched.systemd.start('closed.service', DEADLINE_MS, never);
    await watched.untilTold('closed.service', 'activating');
    await watched.systemd.close();
    expect(await start).toEqual({ kind: 'disconnected' });
    expect(watched.systemd.connected).toBe(false);
    const told = watched.states.length;
    await expect(watched.systemd.list(['closed.service'])).rejects.toThrow('not connected');
    await expect(watched.systemd.start('closed.service', 1_000, never)).rejects.toThrow('not connected');
    await expect(watched.systemd.stop('closed.service', 1_000, never)).rejects.toThrow('not connected');
    await expect(watched.systemd.resetFailed('closed.service')).rejects.toThrow('not connected');
    await expect(watched.systemd.exitInfo('closed.service')).rejects.toThrow('not connected');
    await expect(
      watched.systemd.run(command('run-closed.service', { afterMs: 1, exitStatus: 0 }), never),
    ).rejects.toThrow('not connected');
    const other = await Watched.open(rig());
    expect(await other.systemd.stop('closed.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await other.systemd.close();
    expect(watched.states.length).toBe(told);
    expect(watched.disconnects).toBe(0);
  });
}
