/** What this machine must offer so that hosts can be booted on it. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import debianPackages from '../../scripts/debian-packages.json';
import { cgroup2Mount } from './lab-state.ts';

export type Readiness =
  | { readonly kind: 'ready' }
  /** It could be made ready, by the command in `why`. */
  | { readonly kind: 'packages missing'; readonly why: string }
  /** Not here: `why` says what would be needed. */
  | { readonly kind: 'impossible'; readonly why: string };

let known: Readiness | undefined;

/** Looks once, then remembers. */
export function readiness(): Readiness {
  known ??= look();
  return known;
}

function look(): Readiness {
  if (process.getuid?.() !== 0)
    return { kind: 'impossible', why: 'booting hosts needs root (run the tests with sudo)' };
  if (cgroup2Mount() === undefined) return { kind: 'impossible', why: 'no cgroup2 hierarchy is mounted' };
  if (spawnSync('unshare', ['--mount', '--net', 'true']).status !== 0) {
    return { kind: 'impossible', why: 'this root may not create namespaces (a container without --privileged?)' };
  }
  const missing = Object.entries(debianPackages).filter(([, file]) => !existsSync(file));
  if (missing.length === 0) return { kind: 'ready' };
  const names = missing.map(([name]) => name).join(' ');
  return {
    kind: 'packages missing',
    why: `booting hosts needs Debian packages: apt-get install --no-install-recommends ${names}`,
  };
}
