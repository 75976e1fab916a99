import { describe, expect, it } from 'vitest';
import { burst, decodePace, encodePace, gatherMs, pauseMs } from '../../src/shared/history-pace.ts';

describe('the pace of the history', () => {
  it('is a batch a second for each host, up to 500 hosts', () => {
    expect([0, 3, 500].map(pauseMs)).toEqual([1_000, 1_000, 1_000]);
    expect([0, 3, 500].map((members) => gatherMs('w1', members))).toEqual([100, 100, 100]);
  });

  it('stays at 500 writes a second however many hosts there are', () => {
    expect(5_000 / (pauseMs(5_000) / 1_000)).toBe(500);
    expect(burst(5_000)).toBe(1);
    const begin = Array.from({ length: 5_000 }, (_, n) => gatherMs(`w${n}.example.org`, 5_000));
    for (let from = 0; from < 10_000; from += 1_000) {
      const within = begin.filter((ms) => ms >= from && ms < from + 1_000).length;
      expect(within).toBeLessThan(800);
    }
    expect(Math.max(...begin)).toBeLessThan(pauseMs(5_000));
  });

  it('is what the leader wrote, and that of a small cluster where nobody can read it', () => {
    expect(decodePace(encodePace(4_711))).toBe(4_711);
    for (const data of [undefined, Buffer.alloc(0), Buffer.from('x'), Buffer.from('{"version":1,"members":-1}')])
      expect(decodePace(data)).toBe(0);
  });
});
