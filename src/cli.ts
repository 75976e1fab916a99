/** The program: `servicewatcher COMMAND`. */
import { runCommandLine } from './cli/command-line.ts';

/** Set when the program is built, from package.json. */
const VERSION = process.env.SERVICEWATCHER_VERSION ?? 'development';

void runCommandLine(process.argv.slice(2), VERSION).then((code) => {
  process.exitCode = code;
});
