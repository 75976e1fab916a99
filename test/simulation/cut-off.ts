/** Whether a host has to do without ZooKeeper. */
import type { FakeDaemon } from '../fakes/daemon.ts';
import type { SimulatedHost } from './world.ts';

/** The host hears nothing of ZooKeeper, or nothing that counts, or is no member. */
export function isCutOff({ way, fake }: SimulatedHost, { store, membership }: FakeDaemon): boolean {
  const { ensemble } = fake;
  if (way !== 'whole' || store.isStranded || !ensemble.isServing || ensemble.isFrozen) return true;
  return store.state.kind !== 'connected' || !membership.joined;
}
