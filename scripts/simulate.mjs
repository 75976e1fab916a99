// `npm run simulate`: bundles the simulation and runs it. usage: npm run simulate -- [ARGS], see --help
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { installDependencies, root } from './setup.mjs';

installDependencies();
const outfile = join(root, 'dist/simulate.mjs');
await bundle('test/simulation/main.ts', 'dist/simulate.mjs', {
  alias: { 'node:fs/promises': './test/simulation/fs-promises.ts' },
});
const { status } = spawnSync(process.execPath, [outfile, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
