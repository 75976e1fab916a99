// `npm run example -- NAME`: sets the machine up, bundles the examples and plays one. usage: npm run example -- --help
import { bundle } from './bundle.mjs';
import { runBundled } from './run-bundled.mjs';
import { setUp } from './setup.mjs';

setUp();
await bundle('test/examples/main.ts', 'dist/example.mjs', {
  // bundles clients of examples itself
  external: ['esbuild'],
  // the reader of configurations has parts that ask for Node's own modules in the way of CommonJS
  banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
});
runBundled('dist/example.mjs', 'The example');
