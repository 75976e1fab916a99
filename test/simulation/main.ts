/** `npm run simulate`: runs seeds and says what came of them. Started as a thread, it runs the seeds of one share. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { KINDS } from './faults.ts';
import { runSeeds, type Share } from './pool.ts';
import { type Run, simulate } from './simulate.ts';
import { countKinds, describeViolations } from './summary.ts';

const USAGE = `usage: npm run simulate -- [--seed N] [--seeds N] [--steps N] [--verbose] [--workers N]
  --seed N     the first seed; alone: this one only (default 1)
  --seeds N    how many seeds, one after the other (default 1 with --seed, else 1000)
  --steps N    steps of each run (default 200)
  --verbose    prints every event
  --workers N  how many at the same time (default: as many as there are processors)`;

if (isMainThread) await main();
else await work(workerData);

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
  const first = whole('seed', values.seed ?? '1');
  const count = whole('seeds', values.seeds ?? (values.seed === undefined ? '1000' : '1'));
  const steps = whole('steps', values.steps ?? '200');
  const workers = whole('workers', values.workers ?? String(availableParallelism()));
  const begun = performance.now();
  const runs: Run[] = [];
  if (values.verbose || count === 1) {
    const trace = values.verbose ? { trace: (line: string) => console.log(line) } : {};
    for (let seed = first; seed < first + count; seed++) runs.push(await simulate({ seed, steps, ...trace }));
  } else {
    runs.push(...(await runSeeds({ script: new URL(import.meta.url), first, count, steps, workers })));
  }
  summarize(runs, steps, performance.now() - begun);
}

function whole(option: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  console.error(`--${option} needs a whole number above 0, not ${text}\n${USAGE}`);
  process.exit(2);
}

async function work({ first, end, stride, steps, untilViolation }: Share): Promise<void> {
  for (let seed = first; seed < end; seed += stride) {
    const run = await simulate({ seed, steps });
    parentPort?.postMessage(run);
    if (untilViolation && run.violations.length > 0) return;
  }
}

function summarize(runs: readonly Run[], steps: number, tookMs: number): void {
  console.log('How often each kind of step took effect:');
  for (const [name, count] of countKinds(runs, KINDS)) console.log(`  ${String(count).padStart(9)}  ${name}`);
  for (const line of describeViolations(runs, steps)) console.log(line);
  const failed = runs.filter(({ violations }) => violations.length > 0).length;
  const hours = runs.reduce((sum, run) => sum + run.simulatedMs, 0) / 3_600_000;
  const seconds = (tookMs / 1000).toFixed(1);
  console.log(
    `${runs.length} seeds of ${steps} steps, ${hours.toFixed(1)} h simulated in ${seconds} s; ${failed} failed`,
  );
  const [only, ...others] = runs;
  if (only && others.length === 0) console.log(`trace hash ${only.hash.toString(16)}`);
  process.exitCode = failed > 0 ? 1 : 0;
}
