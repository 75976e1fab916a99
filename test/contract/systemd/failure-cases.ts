/** What `Systemd` promises about units that fail and units that end, held by the fake and by the real one. */
import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Rig, Watched } from './rig.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);
const DEADLINE_MS = 10_000;

export function failureCases(rig: () => Rig): void {
  let watched: Watched;
  beforeEach(async () => {
    watched = await Watched.open(rig());
  });
  afterEach(() => watched.systemd.close());

  it('reports a start that fails, with the exit status', async () => {
    await rig().define({ 'exit3.service': { start: 'fails', exitStatus: 3, startMs: 20 } });
    expect(await watched.systemd.start('exit3.service', DEADLINE_MS, never)).toEqual({ kind: 'failed' });
    await watched.untilTold('exit3.service', 'failed');
    expect(await watched.systemd.exitInfo('exit3.service')).toEqual({
      result: 'exit-code',
      code: 'exited',
      status: 3,
    });
    await watched.systemd.resetFailed('exit3.service');
    await watched.untilTold('exit3.service', 'inactive');
  });

  it('fails a start that exceeds the time limit of the unit', async () => {
    await rig().define({ 'limit.service': { start: 'hangs', startTimeoutMs: 200 } });
    expect(await watched.systemd.start('limit.service', DEADLINE_MS, never)).toEqual({ kind: 'failed' });
    expect((await watched.systemd.exitInfo('limit.service')).result).toBe('timeout');
    await watched.systemd.resetFailed('limit.service');
  });

  it('finds nothing to reset in units that have not failed or do not exist', async () => {
    await rig().define({ 'well.service': {} });
    await watched.systemd.resetFailed('well.service');
    await watched.systemd.resetFailed('no-such.service');
    expect(await watched.systemd.exitInfo('no-such.service')).toEqual({ result: 'success', code: 'none', status: 0 });
  });

  it('reports a unit that answers SIGTERM with exit 143 as failed after a stop that is done', async () => {
    await rig().define({ 'jvm.service': { stop: 'exit-143', startMs: 100 } });
    await watched.systemd.start('jvm.service', DEADLINE_MS, never);
    expect(await watched.systemd.stop('jvm.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await watched.untilTold('jvm.service', 'failed');
    expect(await watched.systemd.exitInfo('jvm.service')).toEqual({
      result: 'exit-code',
      code: 'exited',
      status: 143,
    });
    await watched.systemd.resetFailed('jvm.service');
    await watched.untilTold('jvm.service', 'inactive');
  });

  it('reports a unit that is stopped before its main process as failed by a signal, without an exit', async () => {
    await rig().define({ 'early.service': { start: 'hangs-before' } });
    const start = watched.systemd.start('early.service', DEADLINE_MS, never);
    await watched.untilTold('early.service', 'activating');
    expect(await watched.systemd.stop('early.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    expect(await start).toEqual({ kind: 'canceled' });
    await watched.untilTold('early.service', 'failed');
    expect(await watched.systemd.exitInfo('early.service')).toEqual({ result: 'signal', code: 'none', status: 0 });
    await watched.systemd.resetFailed('early.service');
  });

  it('reports a unit that was killed by SIGKILL', async () => {
    await rig().define({ 'killed.service': {} });
    await watched.systemd.start('killed.service', DEADLINE_MS, never);
    await rig().kill('killed.service', 9);
    await watched.untilTold('killed.service', 'failed');
    expect(await watched.systemd.exitInfo('killed.service')).toEqual({ result: 'signal', code: 'killed', status: 9 });
    await watched.systemd.resetFailed('killed.service');
  });

  it('tells a unit that exits by itself inactive after status 0, and failed after another', async () => {
    await rig().define({
      'ends-0.service': { exitsAfterMs: 100 },
      'ends-3.service': { exitsAfterMs: 100, exitStatus: 3 },
    });
    await watched.systemd.start('ends-0.service', DEADLINE_MS, never);
    await watched.systemd.start('ends-3.service', DEADLINE_MS, never);
    await watched.untilTold('ends-0.service', 'inactive');
    await watched.untilTold('ends-3.service', 'failed');
    expect((await watched.systemd.exitInfo('ends-3.service')).status).toBe(3);
    await watched.systemd.resetFailed('ends-3.service');
  });

  it('awaits a stop that takes long, and its SIGKILL when it takes too long', async () => {
    await rig().define({
      'long.service': { stopMs: 400, startMs: 100 },
      'deaf.service': { stop: 'ignores-sigterm', stopTimeoutMs: 400, startMs: 100 },
    });
    for (const unit of ['long.service', 'deaf.service']) await watched.systemd.start(unit, DEADLINE_MS, never);
    const stops = ['long.service', 'deaf.service'].map((unit) => watched.systemd.stop(unit, DEADLINE_MS, never));
    expect(await Promise.all(stops)).toEqual([{ kind: 'done' }, { kind: 'done' }]);
    expect(watched.told('long.service')).toContain('deactivating');
    expect(await watched.active('long.service')).toBe('inactive');
    expect(await watched.active('deaf.service')).toBe('failed');
    expect((await watched.systemd.exitInfo('deaf.service')).result).toBe('timeout');
    await watched.systemd.resetFailed('deaf.service');
  });

  it('forgets how a unit ended that is inactive again', async () => {
    await rig().define({ 'forget.service': {} });
    await watched.systemd.start('forget.service', DEADLINE_MS, never);
    await watched.systemd.stop('forget.service', DEADLINE_MS, never);
    expect(await watched.systemd.exitInfo('forget.service')).toEqual({ result: 'success', code: 'none', status: 0 });
  });

  it('fails the sixth start of a failing unit within ten seconds without trying it, until it is reset', async () => {
    await rig().define({ 'limit-hit.service': { start: 'fails', exitStatus: 1, startMs: 50 } });
    const start = () => watched.systemd.start('limit-hit.service', DEADLINE_MS, never);
    const tries = () =>
      watched.states.filter(({ unit, active }) => unit === 'limit-hit.service' && active === 'activating').length;
    for (let round = 0; round < 6; round++) expect(await start()).toEqual({ kind: 'failed' });
    expect(tries()).toBe(5);
    expect(await watched.systemd.exitInfo('limit-hit.service')).toMatchObject({ result: 'exit-code', status: 1 });
    await watched.systemd.resetFailed('limit-hit.service');
    expect(await start()).toEqual({ kind: 'failed' });
    expect(tries()).toBe(6);
    await watched.systemd.resetFailed('limit-hit.service');
  });
}
