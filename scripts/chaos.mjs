// `npm run chaos`: sets the machine up, bundles the chaos run and runs it. usage: npm run chaos -- [ARGS], see --help
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { root, setUp } from './setup.mjs';

setUp();
await bundle('test/chaos/main.ts', 'dist/chaos.mjs');
const chaos = spawn(process.execPath, [join(root, 'dist/chaos.mjs'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
// Ctrl-C reaches it by itself; this process waits until it has tidied up.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => chaos.kill('SIGTERM'));
chaos.on('exit', (code, signal) => {
  if (signal !== null) console.error(`The run was ended by ${signal}. What it had started is being removed.`);
  process.exitCode = code ?? 1;
});
