// Bundles the command and daemon into one file, and the client library with its types into another.
// usage: build.mjs [--outfile FILE] [--version VERSION]; default dist/cli.js, package.json's. With a file, only the command.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { buildWhole, writeWhole } from './write-whole.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({ options: { outfile: { type: 'string' }, version: { type: 'string' } } });
const version = values.version ?? JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
const outfile = values.outfile === undefined ? join(root, 'dist/cli.js') : resolve(values.outfile);

/** Parts of dependencies that are never used, left out: their source alone would stay resident, 4 MB in all. */
function absent(names) {
  return Object.fromEntries(names.map((name) => [name, './scripts/absent.cjs']));
}

/**
 * Node's own modules that fastify and prom-client load for servers and clients that are never made: TLS, HTTP/2, worker
 * processes, compression. Loading them costs 3.6 MB of resident memory. Our own files may import them all the same.
 */
const withoutUnusedBuiltins = {
  name: 'without-unused-builtins',
  setup({ onResolve }) {
    const importers = /\/node_modules\/(fastify|prom-client)\//;
    onResolve({ filter: /^(node:)?(https|http2|cluster|zlib)$/ }, ({ importer }) =>
      importers.test(importer) ? { path: join(root, 'scripts/absent.cjs') } : undefined,
    );
  },
};

/** What both have in common. */
const options = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  logLevel: 'warning',
};

const program = {
  ...options,
  entryPoints: ['src/cli.ts'],
  outfile,
  // dbus-next asks for both in a try block, and does without.
  external: ['usocket', 'x11'],
  alias: absent([
    'xml2js', // dbus-next: introspection, for proxy objects
    '@fastify/ajv-compiler', // fastify: schemas of routes, and none of ours has one
    '@fastify/fast-json-stringify-compiler',
    'light-my-request', // fastify: inject(), for tests
    'pino', // fastify: its own logger
    '@fastify/proxy-addr', // fastify: the option trustProxy
    '@opentelemetry/api', // prom-client: the default metrics, which are not collected
    'source-map', // handlebars: maps of precompiled templates; it does without
  ]),
  plugins: [withoutUnusedBuiltins],
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: 'external',
  banner: { js: '#!/usr/bin/env node' },
  define: { 'process.env.SERVICEWATCHER_VERSION': JSON.stringify(version) },
};
await buildWhole(build, program, 0o755);
if (values.outfile === undefined) await buildClient();

async function buildClient() {
  await buildWhole(build, { ...options, entryPoints: ['src/client.ts'], outfile: join(root, 'dist/client.js') });
  // types of what it exports, which name no other module's: one file is enough
  const folder = mkdtempSync(join(tmpdir(), 'servicewatcher-types-'));
  try {
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const args = ['-p', 'scripts/client.tsconfig.json', '--outDir', folder];
    const { stdout } = spawnSync(process.execPath, [tsc, ...args], { cwd: root, encoding: 'utf8' });
    // whether all types agree is for `npm run lint` to say
    const types = join(folder, 'client.d.ts');
    if (!existsSync(types)) throw new Error(`the types of the client library cannot be made:\n${stdout}`);
    writeWhole(join(root, 'dist/client.d.ts'), readFileSync(types));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
