/** `npm run demo`: see USAGE. */
import { readiness } from '../harness/machine.ts';
import { USAGE } from './commands.ts';
import { sendCommand } from './control.ts';
import { runLive } from './live.ts';
import { runOnce } from './once.ts';

async function main(argv: readonly string[]): Promise<number> {
  const [first] = argv;
  if (first === '--help' || first === '-h') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (first !== undefined && first !== '--once') return sendCommand(argv);
  const machine = readiness();
  if (machine.kind !== 'ready') {
    console.error(`The demo cannot run here: ${machine.why}`);
    return 1;
  }
  if (first === '--once') await runOnce();
  else await runLive(untilInterrupted());
  return 0;
}

/** Aborted by the first Ctrl-C or SIGTERM; a second one ends the process, and the lab's guardian tidies up. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

// Until it is known better: a demo that ends without a word has failed.
process.exitCode = 1;
main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
  },
);
