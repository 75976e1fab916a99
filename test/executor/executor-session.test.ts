/** What becomes of what must not run twice, and of the report, with the session of an executor's host. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ExecutorRig, unit } from './executor-rig.ts';

let rig: ExecutorRig;
beforeEach(async () => {
  rig = await ExecutorRig.begin();
});
afterEach(() => rig.end());

describe('an executor', () => {
  it('stops what must not run twice before its session can expire, and nothing else, when it is cut off', async () => {
    await rig.bootToRun([unit('a'), { ...unit('b'), isolation: 'stop' }]);
    await rig.clock.until(
      'both to run',
      () => rig.seen('a')?.active === 'active' && rig.seen('b')?.active === 'active',
    );
    rig.store.cut('silent');
    const cutAt = rig.clock.now();
    await rig.clock.until('the stop', () => rig.host.systemd.state('b.service').active === 'inactive');
    expect(rig.clock.now() - cutAt).toBeLessThan(4_000);
    await rig.clock.advance(10_000);
    expect(rig.host.systemd.state('a.service').active).toBe('active');
    expect([rig.asked('start b.service'), rig.asked('stop a.service')]).toEqual([1, 0]);
  });

  it('leaves it running through a cut that is shorter, and starts it again after one that was longer', async () => {
    await rig.bootToRun([{ ...unit('b'), isolation: 'stop' }]);
    await rig.clock.until('it to run', () => rig.seen('b')?.active === 'active');
    rig.store.cut('reset');
    await rig.clock.advance(1_000);
    rig.store.heal();
    await rig.clock.advance(5_000);
    expect(rig.asked('stop b.service')).toBe(0);
    rig.store.cut('reset');
    await rig.clock.until('the stop', () => rig.host.systemd.state('b.service').active === 'inactive');
    rig.store.heal();
    await rig.clock.until('the start', () => rig.host.systemd.state('b.service').active === 'active');
  });

  it('stops it, too, when its process starts anew while the host is cut off, and nothing else', async () => {
    await rig.writeSpec();
    const first = await rig.boot();
    await rig.desire([unit('a'), { ...unit('b'), isolation: 'stop' }]);
    await rig.clock.until(
      'both to run',
      () => rig.seen('a')?.active === 'active' && rig.seen('b')?.active === 'active',
    );
    await rig.done(first.close());
    rig.ensemble.stop();
    await rig.boot({ session: rig.ensemble.connect({ sessionTimeoutMs: 4_000 }), joined: false });
    const startedAt = rig.clock.now();
    await rig.clock.until('the stop', () => rig.active('b') === 'inactive');
    expect(rig.clock.now() - startedAt).toBeLessThan(4_000);
    await rig.clock.advance(20_000);
    expect(rig.active('a')).toBe('active');
    expect(rig.asked('start b.service')).toBe(1);
  });

  it('starts what must not run twice after its session was lost only once the leader has written the order anew', async () => {
    await rig.bootToRun([{ ...unit('b'), isolation: 'stop' }]);
    await rig.clock.until('it to run', () => rig.seen('b')?.active === 'active');
    if (rig.store.state.kind !== 'connected') throw new Error('no session');
    const { session } = rig.store.state;
    rig.store.cut('reset');
    await rig.clock.until('the stop', () => rig.host.systemd.state('b.service').active === 'inactive');
    rig.ensemble.expire(session);
    rig.store.heal();
    await rig.clock.until('a new session', () => rig.store.state.kind === 'connected');
    rig.executor.joined(false);
    await rig.clock.until('the report', () => rig.observed()?.refused !== undefined);
    await rig.clock.advance(20_000);
    expect(rig.asked('start b.service')).toBe(1);
    await rig.desire([{ ...unit('b'), isolation: 'stop' }]);
    await rig.clock.until('it to run', () => rig.seen('b')?.active === 'active');
    expect(rig.observed()?.refused).toBeUndefined();
  });

  it('starts what must not run twice in no session too short for that, says so, and leaves alone what runs', async () => {
    rig.host.systemd.systemctl('start', 'a.service');
    await rig.writeSpec();
    const session = rig.ensemble.connect({ sessionTimeoutMs: 2_999 });
    await rig.clock.until('the short session', () => session.state.kind === 'connected');
    await rig.boot({ session });
    await rig.desire([{ ...unit('a'), isolation: 'stop' }, { ...unit('b'), isolation: 'stop' }, unit('c')]);
    await rig.clock.until(
      'the others to run',
      () => rig.seen('a')?.active === 'active' && rig.seen('c')?.active === 'active',
    );
    await rig.clock.advance(20_000);
    expect(rig.seen('b')).toMatchObject({ active: 'inactive', waiting: expect.stringContaining('2.999 s, too short') });
    expect(rig.host.asked.filter((each) => !each.startsWith('guard '))).toEqual(['start c.service']);
  });
});

describe('the report', () => {
  it('is written only once the host has joined', async () => {
    await rig.writeSpec();
    await rig.boot({ joined: false });
    await rig.clock.advance(10_000);
    expect(rig.observed()).toBeUndefined();
    rig.executor.joined(false);
    await rig.clock.until('the report', () => rig.observed() !== undefined);
  });

  it('is written anew in a new session, but not before the host has joined in it', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('the report', () => rig.seen('a')?.active === 'active');
    if (rig.store.state.kind !== 'connected') throw new Error('no session');
    const { session } = rig.store.state;
    rig.ensemble.expire(session);
    await rig.clock.until(
      'a new session',
      () => rig.store.state.kind === 'connected' && rig.store.state.session !== session,
    );
    await rig.clock.advance(20_000);
    expect(rig.observed()).toBeUndefined();
    rig.executor.joined(false);
    await rig.clock.until('the report', () => rig.seen('a')?.active === 'active');
  });

  it('tells what changed while the connection was in doubt as soon as it is back', async () => {
    await rig.bootToRun([unit('a')]);
    await rig.clock.until('the report', () => rig.seen('a')?.active === 'active');
    rig.store.cut('reset');
    rig.host.systemd.kill('a.service', 9);
    await rig.clock.advance(500);
    rig.store.heal();
    await rig.clock.until('the report', () => rig.seen('a')?.failure !== undefined, 200);
  });

  it('comes back when someone removes it', async () => {
    await rig.writeSpec();
    await rig.boot();
    await rig.clock.until('the report', () => rig.observed() !== undefined);
    await rig.clock.advance(1_000);
    await rig.done(rig.store.remove('/observed/w1'));
    await rig.clock.until('the report', () => rig.observed() !== undefined);
  });

  it('replaces the one that an earlier session of the host left', async () => {
    const earlier = rig.ensemble.connect();
    await rig.clock.until('its session', () => earlier.state.kind === 'connected');
    await rig.done(earlier.create('/observed/w1', Buffer.from('{}'), 'ephemeral'));
    await rig.writeSpec();
    await rig.boot();
    await rig.clock.until('the report', () => rig.observed() !== undefined);
    earlier.kill();
    await rig.clock.advance(10_000);
    expect(rig.observed()).toBeDefined();
  });
});
