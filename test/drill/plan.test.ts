/** What drills do, for each size of an ensemble. */
import { describe, expect, it } from 'vitest';
import { METHODS, plan, SIZES, type Step, tolerated } from './plan.ts';

const ended = (steps: readonly Step[]) => steps.flatMap((step) => (step.kind === 'end' ? [step] : []));

it.each([
  [1, 0],
  [2, 0],
  [3, 1],
  [4, 1],
  [5, 2],
  [6, 2],
  [7, 3],
])('an ensemble of %i stands the loss of %i', (size, losses) => {
  expect(tolerated(size)).toBe(losses);
});

describe.each(SIZES)('a drill of %i servers', (size) => {
  const steps = plan(size);

  it('ends the leader, and a follower where there is one, by each method', () => {
    const roles = size === 1 ? ['leader'] : ['leader', 'follower'];
    for (const method of METHODS) {
      for (const role of roles) {
        expect(ended(steps)).toContainEqual(expect.objectContaining({ method, role, quorum: size > 1 }));
      }
    }
  });

  it('goes down to the quorum and one below it, comes back, and leaves all servers up', () => {
    const lowest = Math.max(...ended(steps).map(({ down }) => down));
    expect(lowest).toBe(tolerated(size) + 1);
    const below = steps.findIndex((step) => !step.quorum);
    expect(steps[below + 1]).toMatchObject({ kind: 'return', quorum: true });
    expect(steps.at(-1)).toMatchObject({ kind: 'return', down: 0 });
  });

  it('never ends more servers than there are without a word that the quorum is gone', () => {
    for (const { down, quorum } of steps) expect(quorum).toBe(size - down > size / 2);
  });
});
