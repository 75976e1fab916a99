/** `npm run chaos`: see USAGE. */

import { parseArgs } from 'node:util';
import { readiness } from '../harness/machine.ts';
import { runProgram, untilInterrupted } from '../harness/program.ts';
import { FAULT_KINDS, type FaultKind } from './faults.ts';
import { report } from './report.ts';
import { runChaos } from './run.ts';

const USAGE = `usage: npm run chaos -- [--minutes N] [--seed S] [--hosts N] [--servers N] [--only KINDS] [--cli FILE]
Boots real hosts and a real ensemble, strikes them with random faults, and checks from the journals of all hosts that
what is promised was kept. The same seed gives the same faults. Ctrl-C ends it after the round under way.
  --minutes N   for how long faults are made; default 2
  --seed S      a whole number; default: another one each time
  --hosts N     1 to 20; default 5
  --servers N   ZooKeeper servers, 3 to 7; default 5
  --only KINDS  faults of these kinds only, parted by commas
  --cli FILE    the program to try; default dist/cli.js
Exit status: 0 without violations, 1 with any or when it could not be run, 2 for wrong usage.
`;

async function main(argv: readonly string[]): Promise<number> {
  const options = readOptions(argv);
  if (typeof options === 'string') {
    console.error(`${options}\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const machine = readiness();
  if (machine.kind !== 'ready') {
    console.error(`Chaos cannot be made here: ${machine.why}`);
    return 1;
  }
  const result = await runChaos({ ...options, stop: untilInterrupted(), log: (line) => console.log(line) });
  console.log(`\n${report(result)}`);
  return result.violations.length === 0 && result.broken === undefined ? 0 : 1;
}

interface Options {
  readonly help: boolean;
  readonly durationMs: number;
  readonly seed: number;
  readonly hosts: number;
  readonly servers: number;
  readonly only?: readonly FaultKind[];
  readonly cli?: string;
}

/** The options, or what is wrong with them. */
function readOptions(args: readonly string[]): Options | string {
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: text,
        seed: text,
        hosts: text,
        servers: text,
        cli: text,
        only: text,
        help: { type: 'boolean', short: 'h' },
      },
    });
    return {
      help: values.help === true,
      durationMs: number('--minutes', values.minutes ?? '2', 0, 24 * 60) * 60_000,
      seed: whole('--seed', values.seed ?? String(Math.floor(Math.random() * 2 ** 32)), 0, 2 ** 32 - 1),
      hosts: whole('--hosts', values.hosts ?? '5', 1, 20),
      servers: whole('--servers', values.servers ?? '5', 3, 7),
      ...(values.only !== undefined && { only: kinds(values.only) }),
      ...(values.cli !== undefined && { cli: values.cli }),
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function kinds(text: string): FaultKind[] {
  return text.split(',').map((name) => {
    const kind = FAULT_KINDS.find((one) => one === name);
    if (kind === undefined) throw new Error(`--only ${name}: write some of ${FAULT_KINDS.join(', ')}`);
    return kind;
  });
}

function number(name: string, text: string, least: number, most: number): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= least && value <= most)) throw new Error(`${name} ${text}: write a number from ${least} to ${most}`);
  return value;
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = number(name, text, least, most);
  if (!Number.isInteger(value)) throw new Error(`${name} ${text}: write a whole number`);
  return value;
}

runProgram(main);
