/** What `Systemd` promises about guards, held by the fake and by the real one. */
import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { GUARD_PREFIX, type Guard } from '../../../src/executor/systemd.ts';
import { until } from '../../harness/until.ts';
import { type Rig, Watched } from './rig.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);
const DEADLINE_MS = 10_000;
const HOUR_MS = 3_600_000;

export function guardCases(rig: () => Rig): void {
  let watched: Watched;
  beforeEach(async () => {
    watched = await Watched.open(rig());
  });
  afterEach(() => watched.systemd.close());

  const guard = (name: string, units: readonly string[], afterMs: number, stopMs = 1_000): Guard => ({
    unit: `${GUARD_PREFIX}${name}.service`,
    units,
    afterMs,
    stopMs,
  });
  const started = async (...units: string[]) => {
    await rig().define(Object.fromEntries(units.map((unit) => [unit, {}])));
    for (const unit of units) await watched.systemd.start(unit, DEADLINE_MS, never);
  };
  const over = (unit: string) =>
    until(async () => !(await watched.systemd.guards()).includes(unit), {
      what: `${unit} to be over`,
      deadlineMs: 15_000,
    });

  it('stops all units of a guard when its time has come, and not before', async () => {
    await started('held-1.service', 'held-2.service');
    const begun = performance.now();
    const two = guard('two', ['held-1.service', 'held-2.service'], 700);
    await watched.systemd.startGuard(two);
    expect(await watched.systemd.guards()).toContain(two.unit);
    await watched.untilTold('held-1.service', 'inactive');
    await watched.untilTold('held-2.service', 'inactive');
    expect(performance.now() - begun).toBeGreaterThanOrEqual(690);
    await over(two.unit);
  });

  it('kills what a stop leaves of a guarded unit', async () => {
    await rig().define({ 'held-deaf.service': { stop: 'ignores-sigterm', startMs: 100 } });
    await watched.systemd.start('held-deaf.service', DEADLINE_MS, never);
    const begun = performance.now();
    await watched.systemd.startGuard(guard('deaf', ['held-deaf.service'], 200, 1_500));
    await watched.untilTold('held-deaf.service', 'deactivating');
    await watched.untilTold('held-deaf.service', 'failed');
    expect(performance.now() - begun).toBeGreaterThanOrEqual(1_690);
    expect(await watched.systemd.exitInfo('held-deaf.service')).toMatchObject({ code: 'killed', status: 9 });
    await watched.systemd.resetFailed('held-deaf.service');
  });

  it('leaves the units of a guard alone that was ended in time', async () => {
    await started('spared.service', 'not-spared.service');
    const ended = guard('ended', ['spared.service'], 2_500);
    await watched.systemd.startGuard(ended);
    await watched.systemd.endGuard(ended.unit);
    expect(await watched.systemd.guards()).not.toContain(ended.unit);
    await watched.systemd.startGuard(guard('later', ['not-spared.service'], 2_600));
    await watched.untilTold('not-spared.service', 'inactive');
    expect(await watched.active('spared.service')).toBe('active');
    await watched.systemd.stop('spared.service', DEADLINE_MS, never);
  });

  it('kills nothing any more when it is ended while it waits for its units to stop', async () => {
    await rig().define({ 'dawdling.service': { stop: 'ignores-sigterm', startMs: 100 } });
    await watched.systemd.start('dawdling.service', DEADLINE_MS, never);
    const hasty = guard('hasty', ['dawdling.service'], 50, 2_500);
    await watched.systemd.startGuard(hasty);
    await watched.untilTold('dawdling.service', 'deactivating');
    await watched.systemd.endGuard(hasty.unit);
    const later = guard('later-still', ['no-such-held.service'], 2_600, 10);
    await watched.systemd.startGuard(later);
    await over(later.unit);
    expect(await watched.active('dawdling.service')).toBe('deactivating');
    await rig().kill('dawdling.service', 9);
    await watched.untilTold('dawdling.service', 'failed');
    await watched.systemd.resetFailed('dawdling.service');
  });

  it('lets one guard follow another without a gap', async () => {
    await started('followed.service');
    const first = guard('first', ['followed.service'], HOUR_MS);
    const second = guard('second', ['followed.service'], HOUR_MS);
    await watched.systemd.startGuard(first);
    await watched.systemd.startGuard(second);
    expect(await watched.systemd.guards()).toEqual(expect.arrayContaining([first.unit, second.unit]));
    await watched.systemd.endGuard(first.unit);
    const left = await watched.systemd.guards();
    expect(left).toContain(second.unit);
    expect(left).not.toContain(first.unit);
    await watched.systemd.endGuard(second.unit);
    await watched.systemd.stop('followed.service', DEADLINE_MS, never);
  });

  it('finds it no error to end a guard that is over, or never was', async () => {
    await started('brief.service');
    const brief = guard('brief', ['brief.service'], 50, 50);
    await watched.systemd.startGuard(brief);
    await watched.untilTold('brief.service', 'inactive');
    await over(brief.unit);
    await watched.systemd.endGuard(brief.unit);
    await watched.systemd.endGuard(`${GUARD_PREFIX}never.service`);
  });

  it('runs a guard to its end whose units have ended already, or do not exist', async () => {
    await started('gone-before.service');
    const late = guard('late', ['gone-before.service', 'no-such-held.service'], 200, 100);
    await watched.systemd.startGuard(late);
    await watched.systemd.stop('gone-before.service', DEADLINE_MS, never);
    await over(late.unit);
    expect(await watched.active('gone-before.service')).toBe('inactive');
  });

  it('holds to a guard when the one who started it is gone and the bus was restarted', async () => {
    await started('orphaned.service');
    const orphaned = guard('orphaned', ['orphaned.service'], 1_500);
    const other = await Watched.open(rig());
    await other.systemd.startGuard(orphaned);
    await other.systemd.close();
    await rig().restartBus();
    await watched.until('the second connection', () => watched.connects === 2 && watched.systemd.connected);
    // what happened between the connections was not told: the state is asked for
    await until(async () => (await watched.active('orphaned.service')) === 'inactive', {
      what: 'orphaned.service to be stopped',
      deadlineMs: 15_000,
    });
  });

  it('rejects every call about guards after it was closed', async () => {
    await watched.systemd.close();
    const late = guard('closed', ['closed.service'], HOUR_MS);
    await expect(watched.systemd.startGuard(late)).rejects.toThrow('not connected');
    await expect(watched.systemd.endGuard(late.unit)).rejects.toThrow('not connected');
    await expect(watched.systemd.guards()).rejects.toThrow('not connected');
  });
}
