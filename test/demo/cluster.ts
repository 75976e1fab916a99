/** Three hosts and three ZooKeeper servers that run the example configuration with units that only sleep. */
import { exampleFile } from '../fixtures/original-file.ts';
import type { Host } from '../harness/host.ts';
import { CONFIG_FILE } from '../harness/install.ts';
import { Lab } from '../harness/lab.ts';
import { addUnits, sleeping } from '../harness/units.ts';

/** How many hosts each unit shall be active on, and which one when it is forced. */
export const EXPECTED: ReadonlyMap<string, { readonly count: number; readonly only?: string }> = new Map([
  ['dummy_global.service', { count: 3 }],
  ['dummy_shared.service', { count: 2 }],
  ['dummy_multi@1.service', { count: 1, only: 'w2' }],
  ['dummy_multi@2.service', { count: 2 }],
  ['dummy_multi@3.service', { count: 3 }],
]);

/** The original's own example, with its global service switched on and its forced instance on one of these hosts. */
function exampleConfig(quorum: string): string {
  return exampleFile(quorum).replace('enabled: false', 'enabled: true').replace('worker2', 'w2');
}

/** Boots the machines and starts the daemon on every host. On failure nothing is left behind. */
export async function startCluster(): Promise<Lab> {
  const lab = await Lab.create({ hosts: 3, zookeeper: 3 });
  try {
    await Promise.all(lab.hosts.map((host) => deploy(host, lab.quorum)));
    return lab;
  } catch (error) {
    await lab.destroy();
    throw error;
  }
}

async function deploy(host: Host, quorum: string): Promise<void> {
  await addUnits(host, {
    'dummy_global.service': sleeping,
    'dummy_shared.service': sleeping,
    'dummy_multi@.service': sleeping,
  });
  await host.install({ config: exampleConfig(quorum) });
  await host.systemctl('enable', '--quiet', 'servicewatcher');
}

/** The hosts that are on and where systemd says the unit is active, in the order of their names. */
export async function activeOn(lab: Lab, unit: string): Promise<string[]> {
  const running = lab.hosts.filter((host) => host.running);
  const states = await Promise.all(running.map((host) => host.unitState(unit)));
  return running.filter((_, i) => states[i]?.active === 'active').map((host) => host.name);
}

/** What `servicewatcher status` prints on the first host that is on; exit statuses other than 0 are said. */
export async function statusTable(lab: Lab): Promise<string> {
  const host = lab.hosts.find((h) => h.running);
  if (host === undefined) return 'all hosts are off\n';
  const { code, stdout, stderr } = await host.sh('servicewatcher', 'status', '--config', CONFIG_FILE);
  return code === 0 ? stdout : `${stdout}${stderr}(status on ${host.name}: exit ${code})\n`;
}
