/** Three hosts and three ZooKeeper servers that run the example configuration with units that only sleep. */
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

function exampleConfig(quorum: string): string {
  return `---
zookeeper:
  quorum: ${quorum}
  timings:
    loop_tick: 0.5
    failed_loop_tick: 1.0
    partitioner_boundary: 1.0
    partitioner_reaction: 0.2
services:
  - name: dummy_global
    enabled: true
    type: global
  - name: dummy_shared
    prestart: |
      #!/bin/bash
      echo "dummy_multi@3 is running on {instance:dummy_multi@3}"
    count: 2
  - name: dummy_multi
    force:
      '1': w2
    instances:
      '1': 1
      '2': 2
      '3': 3
`;
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
