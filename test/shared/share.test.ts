import { beforeEach, describe, expect, it } from 'vitest';
import { Share } from '../../src/shared/share.ts';
import { FakeClock } from '../fakes/clock.ts';

let clock: FakeClock;
let share: Share;

beforeEach(() => {
  clock = new FakeClock();
  share = new Share({ clock, share: 0.1, savedMs: 1_000 });
});

/** Works whenever it may, for so long; answers how much was done. */
async function workFor(ms: number, pieceMs: number): Promise<number> {
  const end = clock.now() + ms;
  let done = 0;
  while (clock.now() < end) {
    await clock.advance(pieceMs);
    share.spend(pieceMs);
    done += pieceMs;
    await clock.advance(share.restMs);
  }
  return done;
}

describe('a share of the time', () => {
  it('lets the first work be done without any rest', async () => {
    for (let n = 0; n < 10; n++) {
      expect(share.restMs).toBe(0);
      share.spend(10);
    }
    share.spend(10);
    expect(share.restMs).toBe(100);
  });

  it.each([1, 10, 200])('is kept to, and used, by work in pieces of %i ms', async (pieceMs) => {
    const done = await workFor(100_000, pieceMs);
    expect(done).toBeGreaterThan(9_000);
    expect(done).toBeLessThan(10_000 + 100 + 2 * pieceMs);
  });

  it('saves no more than it may while nothing is done', async () => {
    share.spend(1);
    await clock.advance(3_600_000);
    share.spend(150);
    expect(share.restMs).toBe(500);
  });
});
