/** Orders and specs that an executor does not obey, and what it keeps to instead. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ExecutorRig, unit } from './executor-rig.ts';

let rig: ExecutorRig;
beforeEach(async () => {
  rig = await ExecutorRig.begin();
});
afterEach(() => rig.end());

describe('what an executor does not obey', () => {
  beforeEach(async () => {
    await rig.bootToRun([unit('a')], { epoch: 5 });
    await rig.clock.until('it to run', () => rig.seen('a')?.active === 'active');
    rig.host.asked.length = 0;
  });

  it('refuses a desired state that cannot be read, says so, and touches nothing', async () => {
    await rig.put('/desired/w1', Buffer.from('{"version":1,"host":7}'));
    await rig.clock.until('the report', () => rig.observed()?.refused !== undefined);
    expect(rig.observed()?.refused).toContain('/desired/w1 is not valid');
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    expect(rig.active('a')).toBe('active');
    await rig.desire([unit('a'), unit('b')], { epoch: 5 });
    await rig.clock.until('it to obey again', () => rig.seen('b')?.active === 'active');
    expect(rig.observed()?.refused).toBeUndefined();
  });

  it('refuses the desired state of an older epoch', async () => {
    await rig.desire([], { epoch: 4 });
    await rig.clock.until('the report', () => rig.observed()?.refused !== undefined);
    expect(rig.observed()).toMatchObject({ epoch: 5 });
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
  });

  it('refuses an older epoch after its own restart, too', async () => {
    await rig.done(rig.executor.close());
    await rig.desire([], { epoch: 4 });
    await rig.boot();
    await rig.clock.until('the report', () => rig.observed()?.refused !== undefined);
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    expect(rig.active('a')).toBe('active');
  });

  it('refuses the desired state of another host', async () => {
    await rig.desire([], { epoch: 6, host: 'w2' });
    await rig.clock.until('the report', () => rig.observed()?.refused?.includes('w2') ?? false);
    expect(rig.active('a')).toBe('active');
  });

  it('stops nothing when its desired state is removed', async () => {
    await rig.done(rig.store.remove('/desired/w1'));
    await rig.clock.until('the report', () => rig.observed()?.refused?.includes('removed') ?? false);
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    rig.host.systemd.kill('a.service', 9);
    rig.host.systemd.systemctl('reset-failed', 'a.service');
    await rig.clock.until('the last order to stand', () => rig.seen('a')?.active === 'active');
  });

  it('asks for its order when it finds none after a restart, though one was obeyed before', async () => {
    await rig.done(rig.executor.close());
    await rig.done(rig.store.remove('/desired/w1'));
    await rig.boot();
    await rig.clock.until('the report', () => rig.observed()?.refused?.includes('removed') ?? false);
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    await rig.desire([unit('a'), unit('b')], { epoch: 5 });
    await rig.clock.until('it to obey again', () => rig.seen('b')?.active === 'active' && !rig.observed()?.refused);
  });

  it('keeps to the last readable spec when the spec cannot be read', async () => {
    await rig.put('/spec', Buffer.from('nonsense'));
    await rig.clock.advance(20_000);
    expect(rig.host.asked).toEqual([]);
    rig.host.systemd.systemctl('start', 'b.service');
    await rig.clock.until('drift to be put right', () => rig.asked('stop b.service') === 1);
  });
});
