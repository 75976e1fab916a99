/** The lab's network: a bridge in a network namespace of its own, and a cable for each machine that can be pulled. */
import { mustRun, run } from './process.ts';

const SUBNET = '198.18.0.';
const BRIDGE = 'br0';

/** The address of host `w1`…`w99` (198.18.0.11…) or ZooKeeper server `zk1`…`zk7` (198.18.0.201…). */
export function addressOf(name: string): string {
  const [, kind, number] = /^(w|zk)([1-9][0-9]?)$/.exec(name) ?? [];
  if (kind === undefined || number === undefined) throw new Error(`${name}: hosts are w1 to w99, servers zk1 to zk7`);
  return SUBNET + ((kind === 'w' ? 10 : 200) + Number(number));
}

/** Creates namespace and bridge. 198.18.0.0/15 is set aside for benchmarks (RFC 2544): it exists nowhere else. */
export async function createNetwork(namespace: string): Promise<void> {
  await mustRun(['ip', 'netns', 'add', namespace]);
  await ip(namespace, 'link', 'set', 'lo', 'up');
  await ip(namespace, 'link', 'add', BRIDGE, 'type', 'bridge');
  await ip(namespace, 'addr', 'add', `${SUBNET}1/24`, 'dev', BRIDGE);
  await ip(namespace, 'link', 'set', BRIDGE, 'up');
}

/** The option by which systemd-nspawn plugs a host in; the cable's end in the lab is `vb-MACHINE`. */
export const nspawnNetworkOption = `--network-bridge=${BRIDGE}`;

/** Creates a namespace that holds one machine named `name`, plugged into the lab's bridge by `cable`. */
export async function plugIn(namespace: string, own: string, name: string, cable: string): Promise<void> {
  await mustRun(['ip', 'netns', 'add', own]);
  await ip(namespace, 'link', 'add', cable, 'type', 'veth', 'peer', 'name', 'e0', 'netns', own);
  await ip(namespace, 'link', 'set', cable, 'master', BRIDGE, 'up');
  await ip(own, 'addr', 'add', `${addressOf(name)}/24`, 'dev', 'e0');
  await ip(own, 'link', 'set', 'e0', 'up');
  await ip(own, 'link', 'set', 'lo', 'up');
}

/** Pulls the cable: packets are lost from now on, no connection is told. */
export async function pullCable(namespace: string, cable: string): Promise<void> {
  await ip(namespace, 'link', 'set', cable, 'down');
}

/** Plugs it in again. */
export async function replugCable(namespace: string, cable: string): Promise<void> {
  await ip(namespace, 'link', 'set', cable, 'up');
}

/** All that a machine sends to these addresses is lost from now on. For a split of the network do it on both sides. */
export async function ignore(namespace: string, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) await ip(namespace, 'route', 'add', 'blackhole', `${address}/32`);
}

/** Ends `ignore`. */
export async function heed(namespace: string, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) await ip(namespace, 'route', 'del', 'blackhole', `${address}/32`);
}

/** Takes the cable away, if it is there. */
export async function removeCable(namespace: string, cable: string): Promise<void> {
  await run(['ip', '-n', namespace, 'link', 'del', cable]);
}

async function ip(namespace: string, ...args: string[]): Promise<void> {
  await mustRun(['ip', '-n', namespace, ...args]);
}
