/** When a unit is covered by a guard, and when it is not. */
import { beforeEach, describe, expect, it } from 'vitest';
import { A, B, GuardRig, stopAfterMs } from './guard-rig.ts';

describe('guards', () => {
  let rig: GuardRig;

  beforeEach(async () => {
    rig = await GuardRig.open();
  });

  it('cover a unit only once systemd has said that they run', async () => {
    rig.latencyMs = 10;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    expect(rig.guards.covers(A)).toBe(false);
    await rig.clock.advance(10);
    expect(rig.guards.covers(A)).toBe(true);
    expect(rig.guards.covers(B)).toBe(false);
  });

  it('cover it by the clock, whatever else this process does not get round to', async () => {
    const until = rig.renew([A]);
    await rig.clock.advance(10);
    rig.process.pause();
    await rig.clock.advance(until - rig.clock.now() - 3);
    expect(rig.guards.covers(A)).toBe(true);
    await rig.clock.advance(3);
    expect(rig.guards.covers(A)).toBe(false);
  });

  it('cover nothing any more from the moment at which they may have fired', async () => {
    rig.latencyMs = 60;
    rig.renew([A]);
    await rig.clock.advance(500);
    rig.latencyMs = 1;
    rig.renew([A]);
    await rig.clock.advance(500);
    const [, last] = rig.seen;
    await rig.clock.advance((last?.firesAt ?? 0) - rig.clock.now());
    expect(rig.waiting(A)).toEqual([]);
    expect(rig.guards.covers(A)).toBe(false);
  });

  it('do not cover a unit that the next guard, under way already, leaves out', async () => {
    rig.renew([A, B]);
    await rig.clock.advance(100);
    rig.latencyMs = 20;
    rig.renew([B]);
    await rig.clock.until('its start', () => rig.done.length === 2);
    const until = rig.renew([A, B]);
    expect([rig.guards.covers(A), rig.guards.covers(B)]).toEqual([false, true]);
    await rig.clock.until('the third', () => rig.guards.covers(A));
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1', 'start 3']);
    expect(rig.seen[2]?.firesAt).toBeLessThanOrEqual(until);
  });

  it('cover what they did when the next one cannot be started', async () => {
    rig.renew([A]);
    await rig.clock.advance(100);
    rig.refusal = { start: 'no memory' };
    rig.renew([B]);
    expect(rig.guards.covers(A)).toBe(false);
    await rig.clock.advance(100);
    expect([rig.guards.covers(A), rig.guards.covers(B)]).toEqual([true, false]);
  });

  it('tell, when they cover what they did not cover before, though it is for the second time', async () => {
    const covered = () => [A, B].filter((unit) => rig.guards.covers(unit));
    let heard: string[] = [];
    rig.onChange = () => {
      heard = covered();
    };
    for (const units of [[A], [A, B], [B], [A, B]]) {
      rig.renew(units);
      await rig.clock.advance(100);
      expect(heard).toEqual(units);
    }
    await rig.clock.advance(stopAfterMs);
    expect(covered()).toEqual([]);
    heard = [];
    rig.renew([A]);
    await rig.clock.advance(100);
    expect(heard).toEqual([A]);
  });

  it('cover nothing while one that has fired is not known to be over', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.refusal = { end: 'too busy' };
    for (let i = 0; i < 8; i++) {
      rig.renew([A]);
      await rig.clock.advance(300);
      expect(rig.guards.covers(A)).toBe(rig.clock.now() < (rig.seen[0]?.firesAt ?? 0));
    }
    rig.refusal = {};
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.guards.covers(A)).toBe(true);
  });

  it('cover nothing for longer than the present one takes to fire, and than an earlier one that is not known to be over', async () => {
    const left = 500;
    rig.renew([A], stopAfterMs - left);
    await rig.clock.advance(100);
    expect([rig.guards.covers(A), rig.guards.covers(A, left)]).toEqual([true, false]);
    rig.refusal = { end: 'too busy' };
    rig.renew([A]);
    await rig.clock.advance(100);
    expect(rig.done).toEqual(['start 1', 'start 2']);
    expect([rig.guards.covers(A), rig.guards.covers(A, left)]).toEqual([true, false]);
    rig.refusal = {};
    rig.renew([A]);
    await rig.clock.advance(100);
    expect([rig.guards.covers(A), rig.guards.covers(A, left)]).toEqual([true, true]);
  });

  it('cover nothing while those of an earlier process are there, which may fire at any time', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.restart();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.refusal = { end: 'too busy' };
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2']);
    expect(rig.guards.covers(A)).toBe(false);
    rig.refusal = {};
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.guards.covers(A)).toBe(true);
  });

  it('cover what they did when the connection was made anew, and the next one cannot be started', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.systemd.disconnect();
    await rig.clock.advance(10);
    rig.systemd.reconnect();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.refusal = { start: 'no memory' };
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.guards.covers(A)).toBe(true);
  });
});
