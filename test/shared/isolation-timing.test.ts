import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  guardSlackMs,
  isolationTiming,
  leastSessionTimeoutMs,
  stopBudgetMs,
} from '../../src/shared/isolation-timing.ts';

/** Session timeouts that ZooKeeper may grant, ms. */
const timeout = fc.integer({ min: 100, max: 3_600_000 });
/** What a person may write for the time that a unit needs to stop, ms. */
const stop = fc.integer({ min: 0, max: 900_000 });
const MARGIN_MS = 250;

describe('the times of the isolation rule', () => {
  it('are, for a session timeout of 4 s, as they are documented', () => {
    const round = (ms: number) => Math.round(ms);
    const { beatMs, touchLagMs, pingMs, suspectMs, stopAfterMs, killAfterMs, expiryMs } = isolationTiming(4_000);
    expect([beatMs, touchLagMs, pingMs].map(round)).toEqual([333, 333, 667]);
    expect([suspectMs, stopAfterMs, killAfterMs, expiryMs].map(round)).toEqual([1_667, 2_667, 3_667, 4_000]);
    expect(round(stopBudgetMs(4_000))).toBe(1_000);
    expect(stopBudgetMs(5_000)).toBe(1_250);
    expect(round(guardSlackMs(4_000))).toBe(167);
  });

  it('follow each other in their order, whatever the session timeout', () => {
    fc.assert(
      fc.property(timeout, (session) => {
        const { beatMs, pingMs, suspectMs, stopAfterMs, killAfterMs, expiryMs } = isolationTiming(session);
        const inOrder = [0, beatMs, pingMs, suspectMs, stopAfterMs, killAfterMs, expiryMs];
        for (const [index, ms] of inOrder.entries()) if (index > 0) expect(ms).toBeGreaterThan(inOrder[index - 1] ?? 0);
        expect(expiryMs).toBe(session);
      }),
    );
  });

  it('grow with the session timeout, all in the same measure', () => {
    fc.assert(
      fc.property(timeout, fc.integer({ min: 2, max: 9 }), (session, factor) => {
        const many = Object.values(isolationTiming(session * factor));
        for (const [index, ms] of Object.values(isolationTiming(session)).entries())
          expect(many[index]).toBeCloseTo(ms * factor, 5);
      }),
    );
  });

  it('leave a host that is heard of, and not cut off, sure of itself from one proof to the next', () => {
    fc.assert(
      fc.property(timeout, (session) => {
        const { beatMs, touchLagMs, pingMs, stopAfterMs } = isolationTiming(session);
        // what is proven is a request that was sent before the beat by the lag, and a ping before that at most
        const oldest = beatMs + touchLagMs + pingMs;
        expect(oldest).toBeLessThanOrEqual(stopAfterMs / 2 + 1e-6);
      }),
    );
  });

  it('leave time to try another server before anything is stopped', () => {
    fc.assert(
      fc.property(timeout, (session) => {
        const { suspectMs, stopAfterMs } = isolationTiming(session);
        expect(stopAfterMs - suspectMs).toBeGreaterThanOrEqual(session / 4 - 1e-6);
      }),
    );
  });

  it('end the stop, and a guard that is late, before the session can expire', () => {
    fc.assert(
      fc.property(timeout, (session) => {
        const { stopAfterMs, killAfterMs, expiryMs } = isolationTiming(session);
        expect(stopAfterMs + stopBudgetMs(session)).toBeCloseTo(killAfterMs, 6);
        const killed = stopAfterMs + guardSlackMs(session) + stopBudgetMs(session);
        expect(expiryMs - killed).toBeCloseTo(guardSlackMs(session), 6);
        expect(guardSlackMs(session)).toBeGreaterThan(0);
      }),
    );
  });
});

describe('the least session timeout', () => {
  const leaves = (session: number, stopMs: number) => {
    const { killAfterMs, expiryMs } = isolationTiming(session);
    return stopBudgetMs(session) >= stopMs - 1e-6 && expiryMs - killAfterMs >= MARGIN_MS - 1e-6;
  };

  it('leaves units the time to stop, and the margin', () => {
    fc.assert(
      fc.property(stop, (stopMs) => {
        expect(leaves(leastSessionTimeoutMs(stopMs), stopMs)).toBe(true);
      }),
    );
  });

  it('is the least: one millisecond less is too short', () => {
    fc.assert(
      fc.property(stop, (stopMs) => {
        expect(leaves(leastSessionTimeoutMs(stopMs) - 1, stopMs)).toBe(false);
      }),
    );
  });

  it.each([
    [0, 3_000],
    [749, 3_000],
    [750, 3_000],
    [751, 3_004],
    [1_000, 4_000],
    [90_000, 360_000],
    [0.5, 3_000],
    [1_000.1, 4_001],
  ])('for units that need %i ms is %i ms', (stopMs, session) => {
    expect(leastSessionTimeoutMs(stopMs)).toBe(session);
  });
});
