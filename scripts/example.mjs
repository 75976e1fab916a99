// `npm run example -- NAME`: sets the machine up, bundles the examples and plays one. usage: npm run example -- --help
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { root, setUp } from './setup.mjs';

setUp();
await bundle('test/examples/main.ts', 'dist/example.mjs', {
  // bundles clients of examples itself
  external: ['esbuild'],
  // the reader of configurations has parts that ask for Node's own modules in the way of CommonJS
  banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
});
const example = spawn(process.execPath, [join(root, 'dist/example.mjs'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
// Ctrl-C reaches it by itself; this process waits until it has tidied up.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => example.kill('SIGTERM'));
example.on('exit', (code, signal) => {
  if (signal !== null) console.error(`The example was ended by ${signal}. What it had started is being removed.`);
  process.exitCode = code ?? 1;
});
