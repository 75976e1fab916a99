/** The simulation finds bugs: each of these, planted in the product, within so many seeds. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleSimulation } from './bundle.ts';
import { PLANTED } from './planted.ts';
import { runSeeds } from './pool.ts';

const STEPS = 200;
/** Each bug is found by one of so many seeds. */
const SEEDS = 1_000;
const DEADLINE_MS = 600_000;

describe('the simulation finds that', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'simulation-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.for(PLANTED.map((bug, index) => ({ ...bug, index })))(
    '$what',
    { timeout: DEADLINE_MS },
    async ({ index, what, violates, ...mutation }) => {
      const script = join(folder, `planted-${index}.mjs`);
      await bundleSimulation(script, mutation);
      const workers = availableParallelism();
      const runs = await runSeeds({ script, first: 1, count: SEEDS, steps: STEPS, workers, untilViolation: true });
      const found = runs.find(({ violations }) => violations.length > 0);
      const [first] = found?.violations ?? [];
      console.log(
        `${what}: ${first?.invariant ?? 'not found'} after ${runs.length} seeds (seed ${found?.seed}): ${first?.what}`,
      );
      expect(violates).toContain(first?.invariant);
    },
  );

  it('a bug that cannot be planted any more is one of the list’s, not of the product', async () => {
    const script = join(folder, 'none.mjs');
    const bug = { file: 'leader/leader.ts', find: 'no such text', replace: '' };
    await expect(bundleSimulation(script, bug)).rejects.toThrow('holds 0 times');
  });
});
