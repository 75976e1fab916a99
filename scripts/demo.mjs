// `npm run demo`: sets the machine up, bundles the demo and runs it. usage: npm run demo -- [ARGS], see --help
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.mjs';

setUp();
const { build } = await import('esbuild');
const outfile = join(root, 'dist/demo.mjs');
await build({
  absWorkingDir: root,
  entryPoints: ['test/demo/main.ts'],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  logLevel: 'warning',
});
const demo = spawn(process.execPath, [outfile, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
// Ctrl-C reaches the demo by itself; this process waits until it has tidied up.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => demo.kill('SIGTERM'));
demo.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
