/** What `Systemd` promises about units, held by the fake and by the real one. */
import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Rig, Watched } from './rig.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);
const DEADLINE_MS = 10_000;

export function unitCases(rig: () => Rig): void {
  let watched: Watched;
  beforeEach(async () => {
    watched = await Watched.open(rig());
  });
  afterEach(() => watched.systemd.close());

  it('lists loaded, missing, masked and broken units and instances under the names asked for', async () => {
    await rig().define({ 'list-a.service': {}, 'list-t@.service': {} });
    await rig().mask('list-masked.service');
    await rig().breakFile('list-broken.service');
    const dead = { active: 'inactive', sub: 'dead' };
    const names = [
      'list-t@x@y.service',
      'list-masked.service',
      'list-a.service',
      'list-broken.service',
      'list-no@1.service',
      'list-no.service',
    ];
    const listed = await watched.systemd.list(names);
    expect(listed.sort((a, b) => a.unit.localeCompare(b.unit))).toEqual(
      [
        { unit: 'list-a.service', load: 'loaded', ...dead },
        { unit: 'list-broken.service', load: 'bad-setting', ...dead },
        { unit: 'list-masked.service', load: 'masked', ...dead },
        { unit: 'list-no.service', load: 'not-found', ...dead },
        { unit: 'list-no@1.service', load: 'not-found', ...dead },
        { unit: 'list-t@x@y.service', load: 'loaded', ...dead },
      ].sort((a, b) => a.unit.localeCompare(b.unit)),
    );
  });

  it('lists nothing when asked for nothing', async () => {
    expect(await watched.systemd.list([])).toEqual([]);
  });

  it('starts and stops a unit, and tells each state', async () => {
    await rig().define({ 'plain@1-x.service': {} });
    expect(await watched.systemd.start('plain@1-x.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await watched.untilTold('plain@1-x.service', 'active');
    expect(await watched.active('plain@1-x.service')).toBe('active');
    expect(await watched.systemd.stop('plain@1-x.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await watched.untilTold('plain@1-x.service', 'inactive');
    expect(watched.told('plain@1-x.service').slice(-2)).not.toContain('failed');
  });

  it('finds a start of a running unit and a stop of a stopped one done', async () => {
    await rig().define({ 'twice.service': {} });
    await watched.systemd.start('twice.service', DEADLINE_MS, never);
    expect(await watched.systemd.start('twice.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await watched.systemd.stop('twice.service', DEADLINE_MS, never);
    expect(await watched.systemd.stop('twice.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
  });

  it('tells what operators do by hand', async () => {
    await rig().define({ 'hand.service': {} });
    await rig().systemctl('start', 'hand.service');
    await watched.untilTold('hand.service', 'active');
    await rig().systemctl('stop', 'hand.service');
    await watched.untilTold('hand.service', 'inactive');
    await rig().systemctl('start', 'hand.service');
    await watched.untilTold('hand.service', 'active');
    await rig().kill('hand.service', 9);
    await watched.untilTold('hand.service', 'failed');
    await rig().systemctl('reset-failed', 'hand.service');
    await watched.untilTold('hand.service', 'inactive');
  });

  it('follows an alias under the name asked for', async () => {
    await rig().define({ 'alias-real.service': {} });
    await rig().alias('alias-other.service', 'alias-real.service');
    expect(await watched.systemd.list(['alias-other.service'])).toEqual([
      { unit: 'alias-other.service', load: 'loaded', active: 'inactive', sub: 'dead' },
    ]);
    expect(await watched.systemd.start('alias-other.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await watched.untilTold('alias-other.service', 'active');
    await watched.systemd.stop('alias-real.service', DEADLINE_MS, never);
    await watched.untilTold('alias-other.service', 'inactive');
  });

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

  it('reports a unit that starts slowly as activating, and its start as done only when it is active', async () => {
    await rig().define({ 'slow.service': { startMs: 400 } });
    const start = watched.systemd.start('slow.service', DEADLINE_MS, never);
    await watched.untilTold('slow.service', 'activating');
    expect(await start).toEqual({ kind: 'done' });
    expect(await watched.active('slow.service')).toBe('active');
    await watched.systemd.stop('slow.service', DEADLINE_MS, never);
  });

  it('gives up waiting for a start that hangs at the deadline, and can still stop the unit', async () => {
    await rig().define({ 'hang.service': { start: 'hangs' } });
    expect(await watched.systemd.start('hang.service', 300, never)).toEqual({ kind: 'deadline' });
    expect(await watched.active('hang.service')).toBe('activating');
    expect(await watched.systemd.stop('hang.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    expect(await watched.active('hang.service')).not.toBe('activating');
  });

  it('cancels a start that hangs when it is stopped', async () => {
    await rig().define({ 'cancel.service': { start: 'hangs' } });
    const start = watched.systemd.start('cancel.service', DEADLINE_MS, never);
    await watched.untilTold('cancel.service', 'activating');
    const stop = watched.systemd.stop('cancel.service', DEADLINE_MS, never);
    expect(await start).toEqual({ kind: 'canceled' });
    expect(await stop).toEqual({ kind: 'done' });
  });

  it('fails a start that exceeds the time limit of the unit', async () => {
    await rig().define({ 'limit.service': { start: 'hangs', startTimeoutMs: 200 } });
    expect(await watched.systemd.start('limit.service', DEADLINE_MS, never)).toEqual({ kind: 'failed' });
    expect((await watched.systemd.exitInfo('limit.service')).result).toBe('timeout');
    await watched.systemd.resetFailed('limit.service');
  });

  it('rejects with the reason of an abort, before and during the wait', async () => {
    await rig().define({ 'abort.service': { start: 'hangs' } });
    await expect(watched.systemd.start('abort.service', DEADLINE_MS, AbortSignal.abort('early'))).rejects.toBe('early');
    expect(await watched.active('abort.service')).toBe('inactive');
    const abort = new AbortController();
    const start = watched.systemd.start('abort.service', DEADLINE_MS, abort.signal);
    await watched.untilTold('abort.service', 'activating');
    abort.abort('late');
    await expect(start).rejects.toBe('late');
    await watched.systemd.stop('abort.service', DEADLINE_MS, never);
  });

  it('refuses the start of a missing, a masked and a broken unit, and the stop of a missing one, saying why', async () => {
    await rig().mask('no-masked.service');
    await rig().breakFile('no-broken.service');
    const start = (unit: string) => watched.systemd.start(unit, DEADLINE_MS, never);
    const error = 'org.freedesktop.systemd1';
    expect(await start('no-such.service')).toEqual({
      kind: 'refused',
      error: `${error}.NoSuchUnit`,
      message: 'Unit no-such.service not found.',
    });
    expect(await start('no-masked.service')).toEqual({
      kind: 'refused',
      error: `${error}.UnitMasked`,
      message: 'Unit no-masked.service is masked.',
    });
    expect(await start('no-broken.service')).toEqual({
      kind: 'refused',
      error: `${error}.BadUnitSetting`,
      message: 'Unit no-broken.service has a bad unit file setting.',
    });
    expect(await watched.systemd.stop('no-such.service', DEADLINE_MS, never)).toEqual({
      kind: 'refused',
      error: `${error}.NoSuchUnit`,
      message: 'Unit no-such.service not loaded.',
    });
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
    await watched.untilTold('long.service', 'deactivating');
    expect(await Promise.all(stops)).toEqual([{ kind: 'done' }, { kind: 'done' }]);
    expect(await watched.active('long.service')).toBe('inactive');
    expect(await watched.active('deaf.service')).toBe('failed');
    expect((await watched.systemd.exitInfo('deaf.service')).result).toBe('timeout');
    await watched.systemd.resetFailed('deaf.service');
  });

  it('starts a unit again that is told to start while it stops', async () => {
    await rig().define({ 'again.service': { stopMs: 300, startMs: 100 } });
    await watched.systemd.start('again.service', DEADLINE_MS, never);
    const stop = watched.systemd.stop('again.service', DEADLINE_MS, never);
    await watched.untilTold('again.service', 'deactivating');
    const start = watched.systemd.start('again.service', DEADLINE_MS, never);
    expect(await stop).toEqual({ kind: 'canceled' });
    expect(await start).toEqual({ kind: 'done' });
    expect(await watched.active('again.service')).toBe('active');
    await watched.systemd.stop('again.service', DEADLINE_MS, never);
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

  it('throws on what is not the name of a service', async () => {
    for (const name of ['a.socket', 'a@.service', '../a.service', 'a b.service', '']) {
      await expect(watched.systemd.list([name])).rejects.toThrow('must not reach systemd');
      await expect(watched.systemd.start(name, DEADLINE_MS, never)).rejects.toThrow('must not reach systemd');
      await expect(watched.systemd.stop(name, DEADLINE_MS, never)).rejects.toThrow('must not reach systemd');
      await expect(watched.systemd.resetFailed(name)).rejects.toThrow('must not reach systemd');
      await expect(watched.systemd.exitInfo(name)).rejects.toThrow('must not reach systemd');
    }
  });
}
