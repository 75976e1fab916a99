// `npm run demo`: sets the machine up, bundles the demo and runs it. usage: npm run demo -- [ARGS], see --help
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { root, setUp } from './setup.mjs';

const args = process.argv.slice(2);
const outfile = join(root, 'dist/demo.mjs');
// A command to a demo that runs (off w2) needs no set-up, and must not rebuild the program under it.
const isCommand = args[0] !== undefined && !args[0].startsWith('-');
if (!isCommand || !existsSync(outfile)) {
  setUp();
  await bundle('test/demo/main.ts', 'dist/demo.mjs');
}
const demo = spawn(process.execPath, [outfile, ...args], { cwd: root, stdio: 'inherit' });
// Ctrl-C reaches the demo by itself; this process waits until it has tidied up.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => demo.kill('SIGTERM'));
demo.on('exit', (code, signal) => {
  if (signal !== null) console.error(`The demo was ended by ${signal}. What it had started is being removed.`);
  process.exitCode = code ?? 1;
});
