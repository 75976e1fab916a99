// `npm test`: sets the machine up and runs all tests, or those that the arguments name. usage: npm test -- [VITEST ARGS]
import { spawnSync } from 'node:child_process';
import { root, setUp } from './setup.mjs';

setUp();
const { status } = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
});
process.exitCode = status ?? 1;
