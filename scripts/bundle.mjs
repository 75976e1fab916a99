// Bundles a program of the checkout that is not the product (demo, benchmarks) into one file of dist/.
import { join } from 'node:path';
import { root } from './setup.mjs';
import { buildWhole } from './write-whole.mjs';

/** `entry` and `outfile` are relative to the checkout; `options`: more for esbuild. Needs the npm packages. */
export async function bundle(entry, outfile, options = {}) {
  const { build } = await import('esbuild');
  await buildWhole(build, {
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(root, outfile),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'warning',
    ...options,
  });
}
