// `npm run chaos`: sets the machine up, bundles the chaos run and runs it. usage: npm run chaos -- [ARGS], see --help
import { bundle } from './bundle.mjs';
import { runBundled } from './run-bundled.mjs';
import { setUp } from './setup.mjs';

setUp();
await bundle('test/chaos/main.ts', 'dist/chaos.mjs');
runBundled('dist/chaos.mjs', 'The run');
