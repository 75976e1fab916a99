// Writes files of dist/ so that nobody ever reads half of one: a test may install the program while another one builds it.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Replaces the file at once, when it is complete. */
export function writeWhole(path, contents, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  const whole = `${path}.${process.pid}`;
  writeFileSync(whole, contents, { mode });
  renameSync(whole, path);
}

/** `build`: esbuild's; `mode`: of the files. */
export async function buildWhole(build, options, mode) {
  const { outputFiles } = await build({ ...options, write: false });
  for (const { path, contents } of outputFiles) writeWhole(path, contents, mode);
}
