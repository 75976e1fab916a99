/** `npm run bench`: boots real hosts, measures, and prints a row for each thing measured. See USAGE. */

import { parseArgs } from 'node:util';
import { readiness } from '../test/harness/machine.ts';
import { runProgram } from '../test/harness/program.ts';
import { Cluster } from './cluster.ts';
import { FOLLOWING, measureDiscoveryLoad } from './discovery-load.ts';
import { measureFailover } from './failover.ts';
import { measureHostLoss, measureLeaderHostLoss } from './host-loss.ts';
import { IDLE_SERVICES, measureIdle, measureOneEach, oneEach } from './idle.ts';
import { measureLeaderLoss } from './leader-loss.ts';
import { measureHostStop, measureLeaderStop } from './orderly-stop.ts';
import { measureReload } from './reload.ts';
import { type Row, renderRow } from './row.ts';
import { measureTemplate, TEMPLATED_SERVICES } from './template.ts';

type Progress = (figure: number) => void;
type Benchmark = (cluster: Cluster, runs: number, progress: Progress, load: number) => Promise<Row | readonly Row[]>;

/** On one cluster with two services: one instance in all, and one on each host but one. */
const BUSY_SERVICES = '  - name: unit@probe\n    count: 1\n  - name: unit@spread\n    count: 4\n';
const BENCHMARKS: Readonly<Record<string, { readonly services: string; readonly measure: Benchmark }>> = {
  failover: { services: BUSY_SERVICES, measure: measureFailover },
  reload: { services: BUSY_SERVICES, measure: measureReload },
  'leader-loss': { services: BUSY_SERVICES, measure: measureLeaderLoss },
  'host-loss': { services: BUSY_SERVICES, measure: measureHostLoss },
  'leader-host-loss': { services: BUSY_SERVICES, measure: measureLeaderHostLoss },
  'host-stop': { services: BUSY_SERVICES, measure: measureHostStop },
  'leader-stop': { services: BUSY_SERVICES, measure: measureLeaderStop },
  'discovery-load': { services: BUSY_SERVICES + FOLLOWING, measure: measureDiscoveryLoad },
  template: { services: TEMPLATED_SERVICES, measure: measureTemplate },
  idle: { services: IDLE_SERVICES, measure: measureIdle },
  'idle-keep': { services: oneEach('keep'), measure: measureOneEach('keep') },
  'idle-stop': { services: oneEach('stop'), measure: measureOneEach('stop') },
};
const NAMES = Object.keys(BENCHMARKS);

const USAGE = `usage: npm run bench -- [--runs N] [--only NAME]… [--cli FILE] [--load SHARE]
  --runs N     samples of each time (default 20); of the idle ones N windows of a minute (default 5)
  --only NAME  one of ${NAMES.join(', ')}; may be given several times
  --cli FILE   the program to measure (default dist/cli.js)
  --load SHARE of the load of discovery-load, for trying: 0.1 is a tenth (default 1)
Exit code 0 when everything was measured, whatever the figures; 1 when something could not be; 2 for a wrong usage.
`;

interface Options {
  readonly runs: number | undefined;
  readonly names: readonly string[];
  readonly cli: string | undefined;
  readonly load: number;
}

function readOptions(args: readonly string[]): Options | undefined {
  const text = { type: 'string' } as const;
  const { runs, only, cli, load } = parseArgs({
    args: [...args],
    options: { runs: text, only: { ...text, multiple: true }, cli: text, load: text },
  }).values;
  const count = runs === undefined ? undefined : Number(runs);
  const names = only ?? NAMES;
  const share = Number(load ?? 1);
  const isRight =
    (count === undefined || (Number.isInteger(count) && count > 0)) &&
    share > 0 &&
    share <= 10 &&
    names.every((name) => Object.hasOwn(BENCHMARKS, name));
  return isRight ? { runs: count, names, cli, load: share } : undefined;
}

async function main(options: Options): Promise<number> {
  const groups = new Map<string, string[]>();
  for (const name of options.names) {
    const services = BENCHMARKS[name]?.services ?? '';
    groups.set(services, [...(groups.get(services) ?? []), name]);
  }
  const problems: string[] = [];
  for (const [services, names] of groups) {
    console.log(`Booting 5 hosts and 3 ZooKeeper servers for ${names.join(', ')} …`);
    const cluster = await Cluster.start(services, options.cli);
    try {
      for (const name of names)
        await runOne(name, cluster, options).catch((e: unknown) => problems.push(`${name}: ${e}`));
    } finally {
      await cluster.destroy();
    }
  }
  for (const problem of problems) console.error(`Not measured: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

async function runOne(name: string, cluster: Cluster, options: Options): Promise<void> {
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) return;
  const runs = options.runs ?? (name.startsWith('idle') ? 5 : 20);
  const progress: Progress = (figure) => process.stderr.write(`  ${name} ${figure.toFixed(2)}\n`);
  const measured = await benchmark.measure(cluster, runs, progress, options.load);
  for (const row of Array.isArray(measured) ? measured : [measured]) console.log(renderRow(row));
}

function start(): Promise<number> | number {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const machine = readiness();
  if (machine.kind !== 'ready') {
    console.error(`The benchmarks cannot run here: ${machine.why}`);
    return 1;
  }
  let options: Options | undefined;
  try {
    options = readOptions(args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
  }
  if (options !== undefined) return main(options);
  process.stderr.write(USAGE);
  return 2;
}

runProgram(async () => start());
