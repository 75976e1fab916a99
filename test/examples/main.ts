/** `npm run example -- NAME`: plays one of the examples of deploy/examples on real hosts, and says what happens. */
import { readiness } from '../harness/machine.ts';
import { runProgram, untilInterrupted } from '../harness/program.ts';

/**
 * Boots the hosts, installs the files of deploy/examples/NAME, plays its story and leaves nothing behind. Prints one line
 * for what happens. Rejects when what it shows was not so, or `stop` is aborted before the end.
 */
export type RunExample = (stop: AbortSignal, print: (line: string) => void) => Promise<void>;

/** Name → the module that plays it; only the one that is asked for is loaded. */
const EXAMPLES: Readonly<Record<string, () => Promise<{ readonly run: RunExample }>>> = {
  haproxy: () => import('./haproxy.ts'),
  mosquitto: () => import('./mosquitto.ts'),
  nodes: () => import('./nodes.ts'),
};

async function main(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv;
  const names = Object.keys(EXAMPLES);
  const usage = `usage: npm run example -- NAME
Plays an example of deploy/examples on real hosts of this machine: ${names.join(', ')}.
Says what happens; exit 1 if it is not as it should be. Each takes about a minute, and leaves nothing behind.
`;
  if (name === '--help' || name === '-h') {
    process.stdout.write(usage);
    return 0;
  }
  if (!names.includes(name) || rest.length > 0) {
    process.stderr.write(usage);
    return 2;
  }
  const machine = readiness();
  if (machine.kind !== 'ready') {
    process.stderr.write(`The example cannot run here: ${machine.why}\n`);
    return 1;
  }
  const example = await EXAMPLES[name]?.();
  await example?.run(untilInterrupted(), (line) => process.stdout.write(`${line}\n`));
  return 0;
}

runProgram(main);
