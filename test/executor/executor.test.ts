/** What one executor makes of what is desired and of what systemd says; the test plays the leader. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/shared/digest.ts';
import { specOf } from '../fakes/daemon.ts';
import { ExecutorRig, unit } from './executor-rig.ts';

let rig: ExecutorRig;
beforeEach(async () => {
  rig = await ExecutorRig.begin();
});
afterEach(() => rig.end());

describe('an executor', () => {
  it('starts what is desired and reports it with the version it obeys', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('the report', () => rig.seen('a')?.active === 'active');
    expect(rig.observed()).toMatchObject({ host: 'w1', epoch: 1, generation: rig.generation });
    expect(rig.host.asked).toEqual(['start a.service']);
  });

  it('does nothing as long as nothing is desired', async () => {
    rig.host.systemd.systemctl('start', 'a.service');
    await rig.writeSpec();
    await rig.boot();
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    expect(rig.active('a')).toBe('active');
  });

  it('goes on telling of a failure while no spec can be read, though the unit is not placed here any more because of it', async () => {
    await rig.put('/spec', Buffer.from('nonsense'));
    rig.host.systemd.define('a.service', { start: 'fails', exitStatus: 1 });
    await rig.boot();
    await rig.desire([unit('a'), unit('b')]);
    const failures = () => rig.executor.observed?.units.flatMap((each) => (each.failure ? [each.unit] : [])).join();
    await rig.clock.until('the failure', () => failures() === 'a.service');
    await rig.desire([unit('b')]);
    await rig.clock.until('the order', () => rig.executor.observed?.generation === rig.generation);
    await rig.clock.advance(10_000);
    expect(failures()).toBe('a.service');
    rig.host.systemd.systemctl('reset-failed', 'a.service');
    await rig.clock.until('the end of the failure', () => failures() === '');
  });

  it('stops what is not desired any more', async () => {
    await rig.bootToRun([unit('a'), unit('b')]);
    await rig.clock.until('both to run', () => rig.active('a') === 'active' && rig.active('b') === 'active');
    await rig.desire([unit('b')]);
    await rig.clock.until('the stop', () => rig.active('a') === 'inactive');
    await rig.clock.advance(10_000);
    expect(rig.host.asked.sort()).toEqual(['start a.service', 'start b.service', 'stop a.service']);
    expect(rig.host.drift).toEqual([]);
  });

  it('adopts what runs already', async () => {
    rig.host.systemd.systemctl('start', 'a.service');
    await rig.bootToRun([unit('a')]);
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    expect(rig.host.memory.remembered.units.has('a.service')).toBe(true);
  });

  it('touches nothing when it starts anew with what it remembers', async () => {
    await rig.writeSpec();
    const first = await rig.boot();
    await rig.desire([unit('a', { script: 'echo {instance:c}', values: { c: ['w2'] } })]);
    await rig.clock.until('it to run', () => rig.active('a') === 'active');
    await rig.done(first.close());
    rig.host.asked.length = 0;
    await rig.boot();
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    expect(rig.active('a')).toBe('active');
  });

  it('stops what it had started before its own restart and is not desired any more', async () => {
    await rig.writeSpec();
    const first = await rig.boot();
    await rig.desire([unit('a')]);
    await rig.clock.until('it to run', () => rig.active('a') === 'active');
    await rig.done(first.close());
    await rig.desire([]);
    await rig.boot();
    await rig.clock.until('it to be stopped', () => rig.active('a') === 'inactive');
    expect(rig.host.drift).toEqual([]);
  });

  it('stops its own units even when no service of the spec declares them any more', async () => {
    await rig.bootToRun([unit('c')]);
    await rig.clock.until('it to run', () => rig.active('c') === 'active');
    const smaller = specOf({ name: 'a', type: 'global', enabled: true, isolation: 'keep' });
    await rig.writeSpec(smaller);
    await rig.desire([unit('a')], { spec: digestOf(smaller) });
    await rig.clock.until('it to be stopped', () => rig.active('c') === 'inactive' && rig.active('a') === 'active');
  });

  it('never touches a unit that is not in the spec', async () => {
    rig.host.systemd.systemctl('start', 'foreign.service');
    await rig.bootToRun([unit('a')]);
    await rig.clock.advance(20_000);
    rig.host.systemd.kill('foreign.service', 9);
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual(['start a.service']);
    expect(rig.active('foreign')).toBe('failed');
    expect(rig.seen('foreign')).toBeUndefined();
  });

  it('leaves units of another spec than the desired state was computed from alone', async () => {
    rig.host.systemd.systemctl('start', 'b.service');
    await rig.bootToRun([unit('a')], { spec: 'sha256:another' });
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual(['start a.service']);
    expect(rig.active('b')).toBe('active');
  });

  it('reports a unit that fails, and leaves it alone until its failure is reset', async () => {
    rig.host.systemd.define('a.service', { start: 'fails', exitStatus: 3, startMs: 10 });
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('the report', () => rig.seen('a')?.failure?.kind === 'failed');
    await rig.clock.advance(60_000);
    expect(rig.asked('start a.service')).toBe(1);
    rig.host.systemd.define('a.service');
    rig.host.systemd.systemctl('reset-failed', 'a.service');
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    expect(rig.seen('a')?.failure).toBeUndefined();
  });

  it.each([
    ['there is no unit file', 'not-found', 'not-found'],
    ['the unit is masked', 'masked', 'masked'],
    ['systemd cannot load the unit', 'bad-setting', 'invalid-unit'],
  ] as const)('reports that %s, and does not try to start it', async (_what, load, kind) => {
    if (load === 'not-found') rig.host.systemd.undefine('a.service');
    else rig.host.systemd.define('a.service', {}, load);
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('the report', () => rig.seen('a')?.failure?.kind === kind);
    expect(rig.host.asked).toEqual([]);
    rig.host.systemd.define('a.service');
    rig.host.systemd.daemonReload();
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
  });

  it('lets a unit that hangs delay no other one', async () => {
    rig.host.systemd.define('a.service', { start: 'hangs' });
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to hang', () => rig.seen('a')?.active === 'activating');
    await rig.desire([unit('a'), unit('b')]);
    await rig.clock.until('the other to run', () => rig.seen('b')?.active === 'active', 1_000);
    expect(rig.seen('a')?.active).toBe('activating');
  });

  it('starts a unit that ends by itself again, after pauses that grow threefold', async () => {
    rig.host.systemd.define('a.service', { exitsAfterMs: 50 });
    await rig.writeSpec();
    await rig.boot();
    const starts: number[] = [];
    await rig.desire([unit('a')]);
    for (let count = 1; count <= 4; count++) {
      await rig.clock.until(`start ${count}`, () => rig.asked('start a.service') === count);
      starts.push(rig.clock.now());
    }
    const gaps = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
    expect(gaps[1]).toBeGreaterThanOrEqual(3 * 100);
    expect(gaps[2]).toBeGreaterThanOrEqual(9 * 100);
    expect(gaps[2]).toBeLessThan(9 * 100 + 100);
  });

  it('puts right what is started by hand, and counts it', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    rig.host.systemd.systemctl('start', 'b.service');
    await rig.clock.until(
      'it to be stopped',
      () => rig.asked('stop b.service') === 1 && rig.active('b') === 'inactive',
    );
    expect(rig.host.drift).toEqual(['b.service']);
  });

  it('puts right what is stopped by hand at once, and counts it', async () => {
    rig.host.systemd.define('a.service', { stopMs: 10 });
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    rig.host.systemd.systemctl('stop', 'a.service');
    await rig.clock.until(
      'it to run again',
      () => rig.asked('start a.service') === 2 && rig.active('a') === 'active',
      100,
    );
    expect(rig.host.drift).toEqual(['a.service']);
  });

  it('clears the failures of its units on request, and of no other ones', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    rig.host.systemd.systemctl('start', 'foreign.service');
    await rig.clock.advance(100);
    for (const name of ['a.service', 'foreign.service']) rig.host.systemd.kill(name, 9);
    await rig.clock.until('the failure', () => rig.seen('a')?.failure?.kind === 'failed');
    await rig.done(rig.executor.clearFailures());
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    expect(rig.active('foreign')).toBe('failed');
  });
});
