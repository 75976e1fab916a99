/** What `Systemd` promises about the states and jobs of units, held by the fake and by the real one. */
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

  it('tells how long a unit may take to stop', async () => {
    await rig().define({ 'brief.service': { stopTimeoutMs: 1_500 }, 'usual.service': {} });
    expect(await watched.systemd.stopTimeoutMs('brief.service')).toBe(1_500);
    expect(await watched.systemd.stopTimeoutMs('usual.service')).toBe(90_000);
  });

  it('reloads a unit that runs, by a restart if it must, starts none for it, and refuses one that is not there', async () => {
    await rig().define({ 'reload.service': {} });
    const { systemd } = watched;
    expect(await systemd.reload('reload.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    expect(await watched.active('reload.service')).toBe('inactive');
    await systemd.start('reload.service', DEADLINE_MS, never);
    await watched.untilTold('reload.service', 'active');
    expect(await systemd.reload('reload.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    await watched.untilTold('reload.service', 'active');
    expect(watched.told('reload.service').filter((state) => state === 'active')).toHaveLength(2);
    expect(await watched.active('reload.service')).toBe('active');
    expect(await systemd.reload('reload-no.service', DEADLINE_MS, never)).toMatchObject({ kind: 'refused' });
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

  it('tells of no end of a unit that systemd starts again by itself, but of its stop', async () => {
    await rig().define({ 'always.service': { restartMs: 100 } });
    const [listed] = await watched.systemd.list(['always.service']);
    expect(listed?.active).toBe('inactive');
    await watched.systemd.start('always.service', DEADLINE_MS, never);
    await watched.untilTold('always.service', 'active');
    const before = watched.told('always.service').length;
    for (const [index, signal] of [9, 15].entries()) {
      await rig().kill('always.service', signal);
      // it is activating for a moment only
      const again = () => watched.told('always.service').length >= before + 2 * (index + 1);
      await watched.until('its next start', again);
    }
    expect(watched.told('always.service').slice(before)).toEqual(['activating', 'active', 'activating', 'active']);
    // its job has ended when its end was told, and not before
    expect(await watched.systemd.stop('always.service', DEADLINE_MS, never)).toEqual({ kind: 'done' });
    expect(watched.told('always.service').at(-1)).toBe('inactive');
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

  it('reports a unit that starts slowly as activating, and its start as done only when it is active', async () => {
    await rig().define({ 'slow.service': { startMs: 1_200 } });
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

  it('starts a unit again that is told to start while it stops', async () => {
    await rig().define({ 'again.service': { stopMs: 2_000, startMs: 100 } });
    await watched.systemd.start('again.service', DEADLINE_MS, never);
    const stop = watched.systemd.stop('again.service', DEADLINE_MS, never);
    await watched.untilTold('again.service', 'deactivating');
    const start = watched.systemd.start('again.service', DEADLINE_MS, never);
    expect(await stop).toEqual({ kind: 'canceled' });
    expect(await start).toEqual({ kind: 'done' });
    expect(await watched.active('again.service')).toBe('active');
    await watched.systemd.stop('again.service', DEADLINE_MS, never);
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
