/** Runs many seeds of a bundled simulation, several at the same time, each in a thread of its own. */
import { Worker } from 'node:worker_threads';
import type { Run } from './simulate.ts';

export interface Batch {
  /** The bundle. */
  readonly script: string | URL;
  readonly first: number;
  readonly count: number;
  readonly steps: number;
  readonly workers: number;
  /** Ends at the first run with a violation. */
  readonly untilViolation?: boolean;
}

/** What one thread does: every `stride`-th seed from `first` to below `end`. */
export interface Share {
  readonly first: number;
  readonly end: number;
  readonly stride: number;
  readonly steps: number;
  readonly untilViolation: boolean;
}

/** Most of what a run makes is short-lived: the less often it is collected, the less it costs. */
const YOUNG_GENERATION_MB = 64;

/** All runs, in the order of their seeds. */
export async function runSeeds({
  script,
  first,
  count,
  steps,
  workers,
  untilViolation = false,
}: Batch): Promise<Run[]> {
  const end = first + count;
  const shares = Array.from({ length: Math.min(workers, count) }, (_, index): Share => {
    return { first: first + index, end, stride: Math.min(workers, count), steps, untilViolation };
  });
  const runs = await Promise.all(shares.map((share) => runShare(script, share)));
  return runs.flat().sort((a, b) => a.seed - b.seed);
}

function runShare(script: string | URL, share: Share): Promise<Run[]> {
  return new Promise((resolve, reject) => {
    const runs: Run[] = [];
    const worker = new Worker(script, {
      workerData: share,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    worker.on('message', (run: Run) => runs.push(run));
    worker.on('error', reject);
    worker.on('exit', () => resolve(runs));
  });
}
