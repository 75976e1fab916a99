// `npm run drill`: sets the machine up, bundles the drill and runs it. usage: npm run drill -- [ARGS], see --help
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { root, setUp } from './setup.mjs';

setUp();
await bundle('test/drill/main.ts', 'dist/drill.mjs');
const drill = spawn(process.execPath, [join(root, 'dist/drill.mjs'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
// Ctrl-C reaches the drill by itself; this process waits until it has tidied up.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => drill.kill('SIGTERM'));
drill.on('exit', (code, signal) => {
  if (signal !== null) console.error(`The drill was ended by ${signal}. What it had started is being removed.`);
  process.exitCode = code ?? 1;
});
