// Bundles the command and daemon into the one file dist/cli.js. usage: build.mjs
import { chmodSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const outfile = join(root, 'dist/cli.js');

await build({
  absWorkingDir: root,
  entryPoints: ['src/cli.ts'],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // dbus-next asks for both in a try block, and does without.
  external: ['usocket', 'x11'],
  // dbus-next parses introspection XML with it, for proxy objects, which we do not use: 2 MB of resident memory.
  alias: { '@fastify/ajv-compiler': './scripts/absent-xml2js.cjs','@fastify/fast-json-stringify-compiler': './scripts/absent-xml2js.cjs', 'light-my-request': './scripts/absent-xml2js.cjs', pino: './scripts/absent-xml2js.cjs', xml2js: './scripts/absent-xml2js.cjs' },
  minifyWhitespace: true,
  minifySyntax: true,
  keepNames: false,
  sourcemap: 'external',
  banner: { js: '#!/usr/bin/env node' },
  define: { 'process.env.SERVICEWATCHER_VERSION': JSON.stringify(version) },
  logLevel: 'warning',
});
chmodSync(outfile, 0o755);
