// `npm run demo`: sets the machine up, bundles the demo and runs it. usage: npm run demo -- [ARGS], see --help
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { runBundled } from './run-bundled.mjs';
import { root, setUp } from './setup.mjs';

const [command] = process.argv.slice(2);
const outfile = 'dist/demo.mjs';
// A command to a demo that runs (off w2) needs no set-up, and must not rebuild the program under it.
const isCommand = command !== undefined && !command.startsWith('-');
if (!isCommand || !existsSync(join(root, outfile))) {
  setUp();
  await bundle('test/demo/main.ts', outfile);
}
runBundled(outfile, 'The demo');
