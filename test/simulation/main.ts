/** `npm run simulate`: runs seeds and says what came of them. */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { FAULTS } from './faults.ts';
import { INVARIANTS } from './invariants.ts';
import { type Run, simulate } from './simulate.ts';

const USAGE = `usage: npm run simulate -- [--seed N] [--seeds N] [--steps N] [--verbose] [--workers N]
  --seed N     the first seed; alone: this one only (default 1)
  --seeds N    how many seeds, one after the other (default 1 with --seed, else 1000)
  --steps N    steps of each run (default 200)
  --verbose    prints every event
  --workers N  how many at the same time (default: as many as there are processors)`;

interface Share {
  readonly first: number;
  readonly count: number;
  readonly stride: number;
  readonly steps: number;
}

/** What a worker sends for each seed. */
type Message = Run;

if (isMainThread) await main();
else await work(workerData as Share);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      steps: { type: 'string' },
      workers: { type: 'string' },
      verbose: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const first = Number(values.seed ?? 1);
  const count = Number(values.seeds ?? (values.seed === undefined ? 1_000 : 1));
  const steps = Number(values.steps ?? 200);
  const workers = Math.min(count, Number(values.workers ?? availableParallelism()));
  const begun = performance.now();
  const runs: Run[] = [];
  if (values.verbose || workers === 1) {
    for (let seed = first; seed < first + count; seed++) {
      runs.push(await simulate({ seed, steps, ...(values.verbose && { trace: (line: string) => console.log(line) }) }));
    }
  } else {
    const shares = Array.from({ length: workers }, (_, index) => ({
      first: first + index,
      count,
      stride: workers,
      steps,
    }));
    await Promise.all(shares.map((share) => follow(share, first + count, (run) => runs.push(run))));
  }
  summarize(runs, steps, performance.now() - begun);
}

function follow(share: Share, end: number, onRun: (run: Run) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { ...share, count: end },
      // most of what a run makes is short-lived: less often collected, it costs less
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    });
    worker.on('message', (run: Message) => onRun(run));
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
}

async function work({ first, count: end, stride, steps }: Share): Promise<void> {
  for (let seed = first; seed < end; seed += stride) parentPort?.postMessage(await simulate({ seed, steps }));
}

function summarize(runs: readonly Run[], steps: number, tookMs: number): void {
  const total = new Map<string, number>([['time passes', 0], ...FAULTS.map(({ name }) => [name, 0] as const)]);
  for (const { counts } of runs)
    for (const [name, count] of Object.entries(counts)) total.set(name, (total.get(name) ?? 0) + count);
  console.log('How often each kind of step took effect:');
  for (const [name, count] of total) console.log(`  ${String(count).padStart(9)}  ${name}`);
  const failed = runs.filter(({ violations }) => violations.length > 0).sort((a, b) => a.seed - b.seed);
  for (const { seed, violations } of failed.slice(0, 20)) {
    for (const { invariant, at, what } of violations)
      console.log(`seed ${seed}, ${(at / 1000).toFixed(3)} s: ${invariant} (${INVARIANTS[invariant]}): ${what}`);
    console.log(`  replay: npm run simulate -- --seed ${seed} --steps ${steps} --verbose`);
  }
  const simulated = runs.reduce((sum, run) => sum + run.simulatedMs, 0);
  const perSeed = tookMs / runs.length;
  console.log(
    `${runs.length} seeds of ${steps} steps, ${(simulated / 3_600_000).toFixed(1)} h simulated in ${(tookMs / 1000).toFixed(1)} s (${perSeed.toFixed(1)} ms a seed); ${failed.length} failed`,
  );
  if (runs.length === 1) console.log(`trace hash ${runs[0]?.hash.toString(16)}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}
