// `npm run bench`: sets the machine up, bundles the benchmarks and runs them. usage: npm run bench -- [ARGS], see bench/main.ts
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { root, setUp } from './setup.mjs';

setUp();
const outfile = join(root, 'dist/bench.mjs');
await bundle('bench/main.ts', 'dist/bench.mjs');
await bundle('bench/load-process.ts', 'dist/bench-load.cjs', { format: 'cjs' });
const { status } = spawnSync(process.execPath, [outfile, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
