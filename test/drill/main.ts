/** `npm run drill`: see USAGE. */

import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { readiness } from '../harness/machine.ts';
import { runProgram, untilInterrupted } from '../harness/program.ts';
import { DrillCluster } from './cluster.ts';
import { carryOut, type Result } from './drill.ts';
import { plan, SIZES, type Size, tolerated } from './plan.ts';
import { renderResults } from './table.ts';

const USAGE = `usage: npm run drill -- [--servers N] [--stay | --json]
Starts a ZooKeeper ensemble of N servers (${SIZES.join(', ')}; default 5) from one template, and three hosts that run
ServiceWatcher. Ends its leader and its followers, each by zkServer.sh stop, by SIGTERM and by SIGKILL; goes down to the
quorum, below it, and back; prints what each step cost. Exit 1 if a unit was restarted or the cluster did not get well.
  --stay   ends nothing: shows the ensemble and stays until Ctrl-C
  --json   prints one JSON object a step instead of the table
`;

interface Options {
  readonly servers: Size;
  readonly stay: boolean;
  readonly json: boolean;
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const options = readOptions(argv);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n${USAGE}`);
    return 2;
  }
  const machine = readiness();
  if (machine.kind !== 'ready') {
    process.stderr.write(`The drill cannot run here: ${machine.why}\n`);
    return 1;
  }
  const { servers, stay } = options;
  const interrupted = untilInterrupted();
  console.error(`Starting ${servers} ZooKeeper server(s) and 3 hosts with ServiceWatcher …`);
  const cluster = await DrillCluster.start({ hosts: 3, zookeeper: servers });
  try {
    console.error((await cluster.say('ensemble')).text);
    if (!stay) return await drill(cluster, options, interrupted);
    console.error('Ctrl-C ends it and removes all of it.');
    if (!interrupted.aborted) await once(interrupted, 'abort');
    return 0;
  } finally {
    await cluster.destroy();
  }
}

function readOptions(argv: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { servers: { type: 'string' }, stay: { type: 'boolean' }, json: { type: 'boolean' } },
    });
    const { servers: wanted = '5', stay = false, json = false } = values;
    const servers = SIZES.find((size) => String(size) === wanted);
    if (servers === undefined) return `--servers ${wanted}: a drill has ${SIZES.join(', ')} servers`;
    return { servers, stay, json };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function drill(cluster: DrillCluster, { servers, json }: Options, interrupted: AbortSignal): Promise<number> {
  const results: Result[] = [];
  for (const step of plan(servers)) {
    if (interrupted.aborted) return 1;
    const result = await carryOut(cluster, step);
    results.push(result);
    if (json) console.log(JSON.stringify(result));
    else console.error(`${result.what}: ${result.said}`);
  }
  const restarted = results.reduce((sum, result) => sum + result.restarted.length, 0);
  if (!json) console.log(renderResults(results));
  if (!json) console.log(summary(servers, results, restarted));
  return restarted === 0 ? 0 : 1;
}

function summary(servers: number, results: readonly Result[], restarted: number): string {
  const withQuorum = results.filter(({ quorum }, index) => quorum && (results[index - 1]?.quorum ?? true));
  const most = (of: (result: Result) => number) => `${(Math.max(0, ...withQuorum.map(of)) / 1000).toFixed(2)} s`;
  const outage =
    withQuorum.length === 0
      ? 'it stands no loss'
      : `longest a daemon was cut off: ${most((result) => result.disconnectedMs)}; longest nothing could be decided: ${most((result) => result.undecidedMs)}`;
  return `${servers} server(s), of which ${tolerated(servers)} may be lost; ${outage}; units restarted: ${restarted}`;
}

runProgram(main);
