/** One file out of the simulation and the product: for speed, without a file system, and, on request, with a planted bug. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { projectRoot } from '../harness/project.ts';

/** One place of the product's text, and what stands there instead. */
export interface Mutation {
  /** Path below `src`. */
  readonly file: string;
  /** Is there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Writes the bundle; rejects when what the mutation replaces is not there exactly once. */
export async function bundleSimulation(outfile: string, mutation?: Mutation): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: projectRoot,
    entryPoints: ['test/simulation/main.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'silent',
    metafile: true,
    alias: { 'node:fs/promises': './test/simulation/fs-promises.ts' },
    plugins: mutation ? [planting(mutation)] : [],
  });
  if (mutation && !Object.keys(metafile.inputs).includes(`src/${mutation.file}`))
    throw new Error(`src/${mutation.file} is no part of the simulation`);
}

function planting({ file, find, replace }: Mutation): Plugin {
  const path = join(projectRoot, 'src', file);
  return {
    name: 'planting',
    setup(building) {
      building.onLoad({ filter: /\.ts$/ }, async (args) => {
        if (args.path !== path) return undefined;
        const text = await readFile(path, 'utf8');
        const times = text.split(find).length - 1;
        if (times !== 1) throw new Error(`src/${file} holds ${times} times, not once: ${find}`);
        return { contents: text.replace(find, () => replace), loader: 'ts' };
      });
    },
  };
}
