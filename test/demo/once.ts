/** The demo without a person: a unit fails, a host loses its power, and the time to the failover of each. */
import type { Host } from '../harness/host.ts';
import type { Lab } from '../harness/lab.ts';
import { monotonicNow, until } from '../harness/until.ts';
import { activeOn, EXPECTED, startCluster, statusTable } from './cluster.ts';

const SHARED = 'dummy_shared.service';
const SETTLE_DEADLINE_MS = 30_000;
const FAILOVER_DEADLINE_MS = 20_000;

/** Rejects when the cluster does not settle, or a failover does not happen. Leaves nothing behind. */
export async function runOnce(): Promise<void> {
  const start = monotonicNow();
  console.log('Booting 3 hosts and 3 ZooKeeper servers, and starting ServiceWatcher on each host …');
  const lab = await startCluster();
  try {
    await untilAsExpected(lab);
    console.log(`All units run as the configuration says ${seconds(monotonicNow() - start)} after the start.\n`);
    console.log(await statusTable(lab));
    await failUnit(lab);
    await untilAsExpected(lab);
    await cutPower(lab);
  } finally {
    await lab.destroy();
  }
}

async function failUnit(lab: Lab): Promise<void> {
  const { from, to } = await sharedHosts(lab, () => true);
  console.log(`Killing ${SHARED} on ${from.name} …`);
  const start = monotonicNow();
  await from.systemctl('kill', '--signal=KILL', SHARED);
  const entered = await activeAfter(to, start);
  console.log(`It is active on ${to.name} ${seconds(entered - start)} after it failed on ${from.name}.\n`);
  console.log(await statusTable(lab));
  console.log(`Letting ${from.name} take part again: systemctl reset-failed ${SHARED}\n`);
  await from.systemctl('reset-failed', SHARED);
}

async function cutPower(lab: Lab): Promise<void> {
  // Not the host that an instance is forced on: that one would have nowhere to go.
  const forced = new Set([...EXPECTED.values()].map(({ only }) => only));
  const { from, to } = await sharedHosts(lab, (name) => !forced.has(name));
  console.log(`Cutting the power of ${from.name} …`);
  const start = monotonicNow();
  await from.powerOff();
  const entered = await activeAfter(to, start);
  console.log(`${SHARED} is active on ${to.name} ${seconds(entered - start)} after the power cut.\n`);
  console.log(await statusTable(lab));
}

/** A host where the shared unit is active (that may be taken), and the one where it is not. */
async function sharedHosts(lab: Lab, mayTake: (name: string) => boolean): Promise<{ from: Host; to: Host }> {
  const active = await activeOn(lab, SHARED);
  const from = active.find(mayTake);
  const to = lab.hosts.find(({ name }) => !active.includes(name));
  if (from === undefined || to === undefined) throw new Error(`${SHARED} runs on ${active.join(', ')}: cannot go on`);
  return { from: lab.host(from), to };
}

/** When the shared unit became active on `host`, which must be after `start`. */
function activeAfter(host: Host, start: number): Promise<number> {
  const entered = async () => {
    const at = await host.activeEnter(SHARED);
    const { active } = await host.unitState(SHARED);
    return at !== undefined && at > start && active === 'active' && at;
  };
  return until(entered, { deadlineMs: FAILOVER_DEADLINE_MS, what: `${SHARED} to be active on ${host.name}` });
}

/** Waits until systemd on the hosts runs what the configuration says. */
async function untilAsExpected(lab: Lab): Promise<void> {
  for (const [unit, { count, only }] of EXPECTED) {
    await until(
      async () => {
        const hosts = await activeOn(lab, unit);
        return hosts.length === count && (only === undefined || hosts.join() === only);
      },
      { deadlineMs: SETTLE_DEADLINE_MS, what: `${unit} to be active on ${only ?? `${count} hosts`}` },
    );
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
