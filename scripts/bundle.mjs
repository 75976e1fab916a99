// Bundles a program of the checkout that is not the product (demo, benchmarks) into one file of dist/.
import { join } from 'node:path';
import { root } from './setup.mjs';

/** `entry` and `outfile` are relative to the checkout. Needs the npm packages. */
export async function bundle(entry, outfile, plugins = []) {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(root, outfile),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'warning',
    plugins,
  });
}

/** A plugin: every import of `module` gets the file `path` of the checkout. */
export function instead(module, path) {
  return {
    name: `instead of ${module}`,
    setup(build) {
      build.onResolve({ filter: new RegExp(`^${module}$`) }, () => ({ path: join(root, path) }));
    },
  };
}
