// Runs a program of dist/ that starts real hosts, with the arguments of this command, to its end, which it has tidied up for.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from './setup.mjs';

/** `file` is relative to the checkout; `what`: how a message to people begins. Its exit status becomes that of this process. */
export function runBundled(file, what) {
  const program = spawn(process.execPath, [join(root, file), ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  });
  // Ctrl-C reaches it by itself; this process waits until it has tidied up.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => program.kill('SIGTERM'));
  program.on('exit', (code, signal) => {
    if (signal !== null) console.error(`${what} was ended by ${signal}. What it had started is being removed.`);
    process.exitCode = code ?? 1;
  });
}
