/** A host's disk: this machine's root, read-only, under a layer of the host's own. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addressOf } from './network.ts';
import { mustRun } from './process.ts';

/** Started by systemd itself, and of no use on a host of a lab: they only slow its boot. */
const MASKED = [
  'console-getty.service',
  'getty.target',
  'systemd-logind.service',
  'systemd-networkd.service',
  'systemd-networkd.socket',
  'systemd-resolved.service',
  'systemd-sysusers.service',
  'systemd-timesyncd.service',
  'systemd-user-sessions.service',
];

const NETWORK_UNIT = 'labnet.service';

/** Mounts the disk of host `name` below `folder`, and gives it its identity. Answers the root's path. */
export async function prepareImage(folder: string, name: string): Promise<string> {
  const [upper, work, root] = [join(folder, 'upper'), join(folder, 'work'), join(folder, 'root')];
  for (const path of [upper, work, root]) await mkdir(path, { recursive: true });
  const layers = `lowerdir=/,upperdir=${upper},workdir=${work}`;
  await mustRun(['mount', '-t', 'overlay', 'overlay', '-o', layers, root]);

  await replace(root, 'etc/hostname', `${name}\n`);
  await replace(root, 'etc/machine-id', `${randomBytes(16).toString('hex')}\n`);
  await replace(root, 'etc/hosts', hostsFile());
  await forgetEnabledUnits(root);
  for (const unit of MASKED) await link(root, `etc/systemd/system/${unit}`, '/dev/null');
  // Debian's scripts of the time before systemd.
  await link(root, 'etc/systemd/system-generators/systemd-sysv-generator', '/dev/null');
  await replace(root, `etc/systemd/system/${NETWORK_UNIT}`, networkUnit(name));
  await link(root, `etc/systemd/system/sysinit.target.wants/${NETWORK_UNIT}`, `/etc/systemd/system/${NETWORK_UNIT}`);
  // A journal on disk survives a power cut and can be read afterwards.
  await rm(join(root, 'var/log/journal'), { recursive: true, force: true });
  await mkdir(join(root, 'var/log/journal'), { recursive: true });
  return root;
}

/** Whatever is enabled on this machine (servers, timers) stays on this machine. */
async function forgetEnabledUnits(root: string): Promise<void> {
  const units = join(root, 'etc/systemd/system');
  for (const entry of await readdir(units)) {
    if (/\.(wants|requires)$/.test(entry)) await rm(join(units, entry), { recursive: true });
  }
  for (const path of ['etc/servicewatcher', 'var/lib/servicewatcher']) {
    await rm(join(root, path), { recursive: true, force: true });
  }
}

function hostsFile(): string {
  const names = [...range(1, 99).map((n) => `w${n}`), ...range(1, 7).map((n) => `zk${n}`)];
  return `127.0.0.1 localhost\n${names.map((name) => `${addressOf(name)} ${name}\n`).join('')}`;
}

function networkUnit(name: string): string {
  return `[Unit]
DefaultDependencies=no
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip link set lo up
ExecStart=ip addr replace ${addressOf(name)}/24 dev host0
ExecStart=ip link set host0 up
`;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** Removed first: writing through a symbolic link of the lower layer would lead elsewhere. */
async function replace(root: string, path: string, text: string): Promise<void> {
  await rm(join(root, path), { force: true });
  await writeFile(join(root, path), text);
}

async function link(root: string, path: string, target: string): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true });
  await rm(join(root, path), { force: true });
  await symlink(target, join(root, path));
}
