// `npm run drill`: sets the machine up, bundles the drill and runs it. usage: npm run drill -- [ARGS], see --help
import { bundle } from './bundle.mjs';
import { runBundled } from './run-bundled.mjs';
import { setUp } from './setup.mjs';

setUp();
await bundle('test/drill/main.ts', 'dist/drill.mjs');
runBundled('dist/drill.mjs', 'The drill');
