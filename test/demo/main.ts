/** `npm run demo`: see USAGE. */

import { readiness } from '../harness/machine.ts';
import { runProgram, untilInterrupted } from '../harness/program.ts';
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

runProgram(main);
