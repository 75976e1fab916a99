import { describe, expect, it } from 'vitest';
import { applyJoining, type JoiningState, NOBODY_JOINING } from '../../src/leader/joining.ts';

const BOUNDARY_MS = 1_000;
const nobody = () => false;

function step(
  before: JoiningState,
  members: readonly string[],
  now: number,
  settled: (host: string) => boolean = nobody,
) {
  return applyJoining(before, members, settled, BOUNDARY_MS, now);
}

const joining = (state: JoiningState) => [...state.joining];

describe('hosts that join', () => {
  it('wait for the whole boundary', () => {
    const joined = step(NOBODY_JOINING, ['w1', 'w2'], 100);
    expect(joining(joined)).toEqual(['w1', 'w2']);
    expect(joined.until).toBe(1_100);
    expect(joining(step(joined, ['w1', 'w2'], 1_099))).toEqual(['w1', 'w2']);
    expect(joining(step(joined, ['w1', 'w2'], 1_100))).toEqual([]);
  });

  it('make those that wait already wait for them', () => {
    const first = step(NOBODY_JOINING, ['w1'], 0);
    const second = step(first, ['w1', 'w2'], 900);
    expect(joining(second)).toEqual(['w1', 'w2']);
    expect(second.until).toBe(1_900);
  });

  it('do not make a host wait again that has joined before', () => {
    const first = step(step(NOBODY_JOINING, ['w1'], 0), ['w1'], 1_000);
    expect(joining(step(first, ['w1', 'w2'], 2_000))).toEqual(['w2']);
  });

  it('do not wait when they have a desired state already', () => {
    expect(joining(step(NOBODY_JOINING, ['w1', 'w2'], 0, (host) => host === 'w1'))).toEqual(['w2']);
  });

  it('are not waited for any more when they leave', () => {
    const first = step(NOBODY_JOINING, ['w1', 'w2'], 0);
    expect(joining(step(first, ['w2'], 500))).toEqual(['w2']);
  });

  it('wait again when they left and come back', () => {
    const gone = step(step(step(NOBODY_JOINING, ['w1'], 0), ['w1'], 1_000), [], 2_000);
    expect(joining(step(gone, ['w1'], 3_000))).toEqual(['w1']);
  });

  it('wait longer when the boundary is found to be later, counted from when the last one joined', () => {
    const joined = step(NOBODY_JOINING, ['w1'], 100);
    const later = applyJoining(joined, ['w1'], nobody, 5_000, 900);
    expect([joining(later), later.until]).toEqual([['w1'], 5_100]);
    expect(joining(applyJoining(later, ['w1'], nobody, 5_000, 5_099))).toEqual(['w1']);
    expect(joining(applyJoining(later, ['w1'], nobody, 5_000, 5_100))).toEqual([]);
  });
});
