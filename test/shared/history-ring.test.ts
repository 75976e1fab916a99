import { describe, expect, it } from 'vitest';
import { inOrder, KEPT, kept, surplus } from '../../src/shared/history-ring.ts';

const name = (ring: string, n: number) => `${ring}-${String(n).padStart(10, '0')}`;
const names = (ring: string, count: number, first = 0) =>
  Array.from({ length: count }, (_, n) => name(ring, first + n));

describe('the history', () => {
  it('is read in the order in which it was written, whoever wrote', () => {
    expect(inOrder([name('leader', 12), name('host', 3), name('host', 100), name('leader', 4)])).toEqual([
      name('host', 3),
      name('leader', 4),
      name('leader', 12),
      name('host', 100),
    ]);
  });

  it('takes no notice of znodes with other names', () => {
    const strange = ['notes', 'host-1', 'host-', '../host-0000000001', 'host-00000000011'];
    expect(inOrder([...strange, name('host', 1)])).toEqual([name('host', 1)]);
    expect(surplus([...strange, ...names('host', KEPT)], 3)).toEqual([]);
  });

  it('keeps the newest 1,000 batches of each kind: the echo on hosts does not push out what was decided', () => {
    const all = [...names('leader', 1_003), ...names('host', 1_002, 5_000)];
    expect(surplus(all.reverse(), 3)).toEqual([...names('leader', 3), ...names('host', 2, 5_000)]);
    expect(surplus([...names('leader', KEPT), ...names('host', KEPT, 5_000)], 3)).toEqual([]);
    expect(surplus([name('leader', 0), ...names('host', 4_000, 1)], 3)).toHaveLength(3_000);
  });

  it('has room for two batches of each host, however many there are', () => {
    expect([kept('host', 499), kept('host', 501), kept('host', 5_000)]).toEqual([1_000, 1_002, 10_000]);
    expect(kept('leader', 5_000)).toBe(1_000);
  });
});
