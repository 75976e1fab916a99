/** The simulation itself: that a seed decides everything, that each kind of fault really happens, and that nothing is violated. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleSimulation } from './bundle.ts';
import { KINDS } from './faults.ts';
import { runSeeds } from './pool.ts';
import { countKinds, describeViolations } from './summary.ts';

const SEEDS = 10_000;
const STEPS = 200;
/** Each kind of step takes effect at least so often in so many runs: about once in a hundred runs. */
const LEAST_OF_EACH = SEEDS / 100;
/** Far more than a slow machine needs. */
const DEADLINE_MS = 3_600_000;

describe('the simulation of a cluster', () => {
  let folder: string;
  let script: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'simulation-'));
    script = join(folder, 'simulation.mjs');
    await bundleSimulation(script);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('repeats a run event for event, in another thread and among other runs, too', async () => {
    const few = { script, first: 1, count: 20, steps: STEPS };
    const hashes = async (workers: number) => (await runSeeds({ ...few, workers })).map(({ hash }) => hash);
    const once = await hashes(1);
    expect(await hashes(3)).toEqual(once);
    expect(new Set(once).size).toBe(20);
  }, 300_000);

  it(
    'finds no violation in 10,000 seeds of 200 steps, and each kind of fault happens',
    async () => {
      const begun = performance.now();
      const runs = await runSeeds({ script, first: 1, count: SEEDS, steps: STEPS, workers: availableParallelism() });
      const counts = countKinds(runs, KINDS);
      const table = [...counts].map(([name, count]) => `${String(count).padStart(9)}  ${name}`).join('\n');
      console.log(`${SEEDS} seeds of ${STEPS} steps in ${Math.round((performance.now() - begun) / 1000)} s:\n${table}`);
      expect(describeViolations(runs, STEPS)).toEqual([]);
      expect(runs).toHaveLength(SEEDS);
      expect([...counts].filter(([, count]) => count < LEAST_OF_EACH)).toEqual([]);
    },
    DEADLINE_MS,
  );
});
