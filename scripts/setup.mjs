// What `npm test` and `npm run demo` do first, on a machine with nothing but Node and apt: the dependencies, Debian's
// packages for real hosts, the build. Does only what is missing. Uses nothing that is not part of Node.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Debian packages for real hosts, each with a file that shows it is installed. */
const packages = JSON.parse(readFileSync(join(root, 'scripts/debian-packages.json'), 'utf8'));

/** Runs all steps; ends the process with a message when one fails. */
export function setUp() {
  installDependencies();
  installPackages();
  run(process.execPath, ['scripts/build.mjs']);
}

/** The npm packages: all that is needed where no real hosts are. */
export function installDependencies() {
  if (dependenciesMatchLock()) return;
  console.log('Installing the dependencies of package-lock.json (npm ci)');
  run('npm', ['ci', '--no-audit', '--no-fund']);
}

/** npm keeps a list of what it installed: compared by content, as a checkout sets every file's time anew. */
function dependenciesMatchLock() {
  try {
    const wanted = readPackages('package-lock.json');
    const installed = readPackages('node_modules/.package-lock.json');
    return Object.entries(wanted).every(([path, entry]) => {
      const found = installed[path];
      return path === '' || (found === undefined ? entry.optional === true : found.version === entry.version);
    });
  } catch {
    return false;
  }
}

function readPackages(file) {
  return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
}

function installPackages() {
  const missing = Object.keys(packages).filter((name) => !existsSync(packages[name]));
  if (missing.length === 0) return;
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid() !== 0) {
    console.log(`Not root, so Debian packages are not installed. For all of the tests, as root: ${command}`);
    return;
  }
  if (!existsSync('/usr/bin/apt-get')) {
    fail(`this machine has no apt-get: install what Debian calls ${missing.join(', ')} by its own means`);
  }
  console.log(`Installing Debian packages: ${missing.join(' ')}`);
  // A broken third-party source must not stop what the other sources can deliver.
  run('apt-get', ['-q', 'update'], { mayFail: true });
  run('apt-get', ['-q', 'install', '-y', '--no-install-recommends', ...missing]);
}

function run(command, args, { mayFail = false } = {}) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0 && !mayFail) fail(`${command} ${args.join(' ')}: ${error?.message ?? `exit ${status}`}`);
}

function fail(message) {
  console.error(`set-up failed: ${message}`);
  process.exit(1);
}
