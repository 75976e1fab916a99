// Runs esbuild so that nobody ever reads half of a file: a test may install the program while another one builds it.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** `build`: esbuild's; `mode`: of the files. Each file is replaced at once, when it is complete. */
export async function buildWhole(build, options, mode = 0o644) {
  const { outputFiles } = await build({ ...options, write: false });
  for (const { path, contents } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true });
    const whole = `${path}.${process.pid}`;
    writeFileSync(whole, contents, { mode });
    renameSync(whole, path);
  }
}
