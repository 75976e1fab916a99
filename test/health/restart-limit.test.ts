import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideRestart } from '../../src/health/restart-limit.ts';

const HOUR = 3_600_000;

describe('a unit that is unhealthy', () => {
  it('is restarted at once the first time', () => {
    expect(decideRestart([], 3, 5)).toEqual({ kind: 'now' });
  });

  it('is restarted again after a pause that doubles', () => {
    expect(decideRestart([1_000], 9, 2_000)).toEqual({ kind: 'later', at: 11_000 });
    expect(decideRestart([1_000], 9, 11_000)).toEqual({ kind: 'now' });
    expect(decideRestart([0, 20_000], 9, 30_000)).toEqual({ kind: 'later', at: 40_000 });
    expect(decideRestart([0, 20_000, 60_000], 9, 60_001)).toEqual({ kind: 'later', at: 100_000 });
  });

  it('is left as it is when it was restarted as often as it may be, until the first of these is an hour ago', () => {
    expect(decideRestart([0, 20_000], 2, HOUR - 1)).toEqual({ kind: 'limit', until: HOUR });
    expect(decideRestart([0, 20_000], 2, HOUR)).toEqual({ kind: 'now' });
  });

  it('is never restarted with a limit of 0', () => {
    expect(decideRestart([], 0, 5)).toEqual({ kind: 'limit', until: undefined });
  });

  it('is never restarted more often in any hour, nor without a pause, whenever it is looked at', () => {
    const looks = fc.array(fc.integer({ min: 0, max: 900_000 }), { maxLength: 60 });
    fc.assert(
      fc.property(looks, fc.integer({ min: 1, max: 5 }), (waits, limit) => {
        let now = 0;
        const restarts: number[] = [];
        for (const wait of waits) {
          now += wait;
          if (decideRestart(restarts, limit, now).kind === 'now') restarts.push(now);
        }
        restarts.forEach((at, index) => {
          expect(restarts.filter((other) => other >= at && other < at + HOUR).length).toBeLessThanOrEqual(limit);
          const before = restarts[index - 1];
          if (before !== undefined && at - before < HOUR) expect(at - before).toBeGreaterThanOrEqual(10_000);
        });
      }),
    );
  });
});
