import { describe, expect, it } from 'vitest';
import { applyBrake, BRAKE_RELEASED, type BrakeState } from '../../src/leader/brake.ts';

const BRAKE = { above: 0.5, atLeast: 3, holdMs: 60_000 };
const FIVE = ['w1', 'w2', 'w3', 'w4', 'w5'];

function step(before: BrakeState, placed: readonly string[], lost: readonly string[], now: number): BrakeState {
  const members = new Set(FIVE.filter((host) => !lost.includes(host)));
  return applyBrake(before, placed, members, BRAKE, now);
}

const held = (state: BrakeState) => state.engaged && [...state.engaged.hosts];

describe('the brake', () => {
  it.each([
    ['none', [], undefined],
    ['fewer than the least number', ['w1', 'w2'], undefined],
    ['more than half', ['w1', 'w2', 'w3'], ['w1', 'w2', 'w3']],
    ['all', FIVE, FIVE],
  ] as const)('when %s of 5 hosts are lost at once holds %j: %j', (_what, lost, expected) => {
    expect(held(step(BRAKE_RELEASED, FIVE, lost, 0))).toEqual(expected);
  });

  it('does not hold exactly half', () => {
    const six = ['w1', 'w2', 'w3', 'x1', 'x2', 'x3'];
    const members = new Set(['x1', 'x2', 'x3']);
    expect(applyBrake(BRAKE_RELEASED, six, members, BRAKE, 0).engaged).toBeUndefined();
    expect(held(applyBrake(BRAKE_RELEASED, six, new Set(['x1', 'x2']), BRAKE, 0))).toEqual(['w1', 'w2', 'w3', 'x3']);
  });

  it('holds for its time from the moment it engaged, and lets all go then', () => {
    const engaged = step(BRAKE_RELEASED, FIVE, ['w1', 'w2', 'w3'], 1_000);
    expect(engaged.engaged?.until).toBe(61_000);
    const later = step(engaged, FIVE, ['w1', 'w2', 'w3'], 60_999);
    expect(held(later)).toEqual(['w1', 'w2', 'w3']);
    expect(step(later, FIVE, ['w1', 'w2', 'w3'], 61_000).engaged).toBeUndefined();
  });

  it('holds hosts that are lost while it holds, without holding longer', () => {
    const engaged = step(BRAKE_RELEASED, FIVE, ['w1', 'w2', 'w3'], 0);
    const more = step(engaged, FIVE, ['w1', 'w2', 'w3', 'w4'], 30_000);
    expect(held(more)).toEqual(['w1', 'w2', 'w3', 'w4']);
    expect(more.engaged?.until).toBe(60_000);
  });

  it('lets a host go that comes back, and is released when all have', () => {
    const engaged = step(BRAKE_RELEASED, FIVE, ['w1', 'w2', 'w3'], 0);
    const fewer = step(engaged, FIVE, ['w3'], 1_000);
    expect(held(fewer)).toEqual(['w3']);
    expect(step(fewer, FIVE, [], 2_000)).toEqual(BRAKE_RELEASED);
  });

  it('counts losses of the last 10 s as one, though the first ones have moved already', () => {
    const one = step(BRAKE_RELEASED, FIVE, ['w1'], 0);
    const two = step(one, ['w2', 'w3', 'w4', 'w5'], ['w1', 'w2'], 5_000);
    expect(two.engaged).toBeUndefined();
    const three = step(two, ['w3', 'w4', 'w5'], ['w1', 'w2', 'w3'], 10_000);
    expect(held(three)).toEqual(['w3']);
  });

  it('does not count a loss of longer ago', () => {
    const one = step(BRAKE_RELEASED, FIVE, ['w1'], 0);
    const two = step(one, ['w2', 'w3', 'w4', 'w5'], ['w1', 'w2'], 5_000);
    expect(step(two, ['w3', 'w4', 'w5'], ['w1', 'w2', 'w3'], 10_001).engaged).toBeUndefined();
  });

  it('does not count a lost host that has come back', () => {
    const one = step(BRAKE_RELEASED, FIVE, ['w1'], 0);
    const back = step(one, ['w2', 'w3', 'w4', 'w5'], [], 1_000);
    const two = step(back, FIVE, ['w2', 'w3'], 2_000);
    expect(two.engaged).toBeUndefined();
    expect([...two.lostSince.keys()]).toEqual(['w2', 'w3']);
  });
});
