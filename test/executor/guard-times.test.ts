/** When guards are to fire, and what is done about those that systemd took too long to start. */
import { beforeEach, describe, expect, it } from 'vitest';
import { GUARD_PREFIX } from '../../src/executor/systemd.ts';
import { stopBudgetMs } from '../../src/shared/isolation-timing.ts';
import { A, B, GuardRig, pingMs, SESSION_MS, type Seen, SLACK_MS, stopAfterMs } from './guard-rig.ts';

const afterOf = (seen: Seen | undefined) => seen?.guard.afterMs ?? Number.NaN;

describe('guards', () => {
  let rig: GuardRig;

  beforeEach(async () => {
    rig = await GuardRig.open();
  });

  it('are started with what they stop, when, and how long that may take', async () => {
    rig.latencyMs = 0;
    rig.renew([A, B]);
    await rig.clock.advance(10);
    expect(rig.seen).toHaveLength(1);
    expect(rig.seen[0]?.guard).toMatchObject({ units: [A, B], stopMs: stopBudgetMs(SESSION_MS) });
    expect(afterOf(rig.seen[0])).toBeCloseTo(stopAfterMs);
    expect(rig.seen[0]?.guard.unit).toMatch(new RegExp(`^${GUARD_PREFIX}.+\\.service$`));
  });

  it('have as much less time as systemd took to start the last one', async () => {
    rig.latencyMs = 40;
    const until = rig.renew([A]);
    await rig.clock.advance(500);
    expect(rig.seen[0]?.firesAt).toBeCloseTo(until + 40);
    const next = rig.renew([A]);
    await rig.clock.advance(500);
    expect(rig.seen[1]?.firesAt).toBeCloseTo(next - 40);
  });

  it('expect the worst of the last ones for a while, and less and less of it', async () => {
    rig.latencyMs = 50;
    rig.renew([A]);
    await rig.clock.advance(500);
    rig.latencyMs = 0;
    const early: number[] = [];
    for (let i = 0; i < 30; i++) {
      const until = rig.renew([A]);
      await rig.clock.advance(10);
      early.push(until - (rig.seen.at(-1)?.firesAt ?? 0));
    }
    expect(early[0]).toBeCloseTo(100);
    for (const [i, ms] of early.entries()) if (i > 0) expect(ms).toBeLessThan(early[i - 1] ?? 0);
    expect(early[5]).toBeGreaterThan(50);
    expect(early[29]).toBeLessThan(10);
  });

  it('have no less time than is left after one ping, however long systemd took', async () => {
    rig.latencyMs = 500;
    rig.renew([A]);
    await rig.clock.advance(3_000);
    rig.latencyMs = 0;
    rig.renew([A]);
    await rig.clock.advance(10);
    expect(afterOf(rig.seen[1])).toBeCloseTo(stopAfterMs - pingMs);
  });

  it('that took too long to start are ended, the earlier one is kept, and the next one is made at once and in time', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.latencyMs = SLACK_MS / 2 + 3;
    rig.renew([A]);
    await rig.clock.until('the end of the second', () => rig.done.length === 3);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 2']);
    expect(rig.waiting(A).map(({ guard }) => guard.unit)).toEqual([rig.seen[0]?.guard.unit]);
    expect(rig.guards.covers(A)).toBe(true);
    await rig.clock.advance(2 * SLACK_MS + 20);
    expect(rig.log.at('warn')).toHaveLength(1);
    expect(rig.done.slice(3)).toEqual(['start 3', 'end 1']);
    expect(rig.guards.covers(A)).toBe(true);
  });

  it('that took just as long as is bearable count', async () => {
    rig.latencyMs = SLACK_MS / 2 - 1;
    const until = rig.renew([A]);
    await rig.clock.advance(500);
    expect(rig.guards.covers(A)).toBe(true);
    expect(rig.seen[0]?.firesAt).toBeLessThanOrEqual(until + SLACK_MS);
  });

  it('are not made when there is no time left', async () => {
    rig.renew([A], stopAfterMs);
    rig.renew([A], stopAfterMs + 1);
    await rig.clock.advance(500);
    expect(rig.done).toEqual([]);
    expect(rig.guards.covers(A)).toBe(false);
  });

  it('are not made when no time is left once systemd has told which ones there are', async () => {
    rig.latencyMs = 60;
    rig.renew([A], stopAfterMs - 100);
    await rig.clock.advance(500);
    expect(rig.done).toEqual([]);
  });

  it('that took too long give way to a newer wish', async () => {
    rig.latencyMs = SLACK_MS;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    rig.renew([A, B]);
    await rig.clock.advance(3_000);
    expect(rig.seen.map(({ guard }) => guard.units)).toEqual([[A], [A, B]]);
  });
});
