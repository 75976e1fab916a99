/** Which guards are made, kept and ended. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { GUARD_PREFIX } from '../../src/executor/systemd.ts';
import { A, B, GuardRig, SESSION_MS } from './guard-rig.ts';

describe('guards', () => {
  let rig: GuardRig;

  beforeEach(async () => {
    rig = await GuardRig.open();
  });

  it('are replaced by a fresh one first, and ended then', async () => {
    for (let i = 0; i < 3; i++) {
      rig.renew([A]);
      await rig.clock.advance(300);
    }
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1', 'start 3', 'end 2']);
  });

  it('are ended only when the answer says that the fresh one runs', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.latencyMs = 50;
    rig.renew([A]);
    await rig.clock.until('the second', () => rig.done.length === 2);
    rig.process.pause();
    await rig.clock.advance(1_000);
    expect(rig.done).toEqual(['start 1', 'start 2']);
  });

  it('asked for while one is being made are made as the last wish says, and only that', async () => {
    rig.latencyMs = 20;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    for (let i = 0; i < 5; i++) rig.renew([A], 100 - i);
    const until = rig.renew([A, B]);
    await rig.clock.advance(500);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1']);
    expect(rig.seen[1]?.guard.units).toEqual([A, B]);
    expect(rig.seen[1]?.firesAt).toBeCloseTo(until - 20);
  });

  it('are not made anew when the one that runs is as good', async () => {
    const until = rig.renew([A, B]);
    await rig.clock.advance(100);
    rig.guards.renew({ units: new Set([B, A]), until, sessionTimeoutMs: SESSION_MS });
    await rig.clock.advance(100);
    expect(rig.done).toEqual(['start 1']);
    for (const units of [[A], [A, 'c.service'], [A, B], [A, B, 'c.service']]) {
      rig.guards.renew({ units: new Set(units), until, sessionTimeoutMs: SESSION_MS });
      await rig.clock.advance(100);
    }
    expect(rig.seen.map(({ guard }) => guard.units.length)).toEqual([2, 1, 2, 2, 3]);
  });

  it('of an earlier process are ended only when one of ours counts', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.restart();
    await rig.clock.until('the connection', () => rig.connection.connected);
    await rig.clock.advance(200);
    expect(rig.done).toEqual(['start 1']);
    rig.renew([A]);
    await rig.clock.advance(200);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1']);
  });

  it('of an earlier process are kept when ours cannot be started', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.restart();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.refusal = { start: 'no memory' };
    for (let i = 0; i < 3; i++) {
      rig.renew([A]);
      await rig.clock.advance(200);
    }
    expect(rig.done).toEqual(['start 1']);
  });

  it('are all ended when none is needed, those of an earlier process, too', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.renew([]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'end 1']);
    expect(rig.guards.covers(A)).toBe(false);
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.restart();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.renew([]);
    await rig.clock.advance(300);
    expect(rig.done.slice(2)).toEqual(['start 2', 'end 2']);
  });

  it('have names of their own, whichever process makes them', async () => {
    for (let process = 0; process < 3; process++) {
      rig.latencyMs = 0;
      for (const units of [[A], [B], [A, B], [A], [B]]) {
        rig.renew(units);
        await rig.clock.advance(0);
      }
      await rig.clock.advance(20);
      rig.restart();
      await rig.clock.until('the connection', () => rig.connection.connected);
    }
    const names = rig.seen.map(({ guard }) => guard.unit);
    expect(names).toHaveLength(15);
    expect(new Set(names).size).toBe(15);
  });

  it('are not asked for while systemd cannot be reached, and made when it can', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.systemd.disconnect();
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1']);
    expect(rig.log.at('warn')).toEqual([]);
    rig.systemd.reconnect();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1']);
  });

  it('whose start was under way when the connection broke are found and ended after the next one', async () => {
    rig.latencyMs = 20;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    rig.systemd.disconnect();
    await rig.clock.advance(100);
    expect(rig.guards.covers(A)).toBe(false);
    rig.systemd.reconnect();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1']);
  });

  it('that came to be while the connection was broken are found and ended after the next one', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.systemd.disconnect();
    const unit = `${GUARD_PREFIX}of-an-earlier-process.service`;
    rig.systemd.guards.start({ unit, units: [A], afterMs: 5_000, stopMs: 1_000 });
    rig.systemd.reconnect();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done.slice(2, 3)).toEqual(['start 3']);
    expect(rig.done.slice(3).sort()).toEqual(['end 1', 'end 2']);
  });

  it('that may have been started, though the call failed, are ended after the next one', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    const start = rig.connection.startGuard.bind(rig.connection);
    vi.spyOn(rig.connection, 'startGuard').mockImplementationOnce(async (guard) => {
      await start(guard);
      throw new Error('no answer in time');
    });
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2']);
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done.slice(2, 3)).toEqual(['start 3']);
    expect(rig.done.slice(3).sort()).toEqual(['end 1', 'end 2']);
  });

  it('that could not be ended are ended after the next one, and the failure concerns nobody else', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.refusal = { end: 'too busy' };
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.guards.covers(A)).toBe(true);
    rig.refusal = {};
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2', 'start 3', 'end 1', 'end 2']);
  });

  it('that cannot be started are complained of once for each reason in a row', async () => {
    for (const start of ['no memory', 'no memory', 'no room', undefined, 'no room']) {
      rig.refusal = start === undefined ? {} : { start };
      rig.renew([A]);
      await rig.clock.advance(100);
    }
    expect(rig.log.at('warn').map((line) => /no [a-z]+/.exec(line)?.[0])).toEqual(['no memory', 'no room', 'no room']);
  });

  it('are left as they are when the daemon ends, and no more are made', async () => {
    rig.latencyMs = 20;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    rig.renew([A, B]);
    await rig.clock.finish('the end', rig.guards.close());
    // what was under way has been waited for
    expect(rig.guards.covers(A)).toBe(true);
    rig.renew([A, B]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1']);
  });
});
