/** A host loses its power → its instance is active elsewhere, and, where it led, another one leads. */
import type { Host } from '../test/harness/host.ts';
import { monotonicNow, until } from '../test/harness/until.ts';
import type { Cluster } from './cluster.ts';
import { takenOver } from './leader-loss.ts';
import { activeSince, isStarted } from './observe.ts';
import { LOSS_GOAL, type Row } from './row.ts';

/** Runs on all hosts but one: whichever is lost, its instance has one place to go. */
export const SPREAD = 'unit@spread.service';

/** From the power cut of a host that does not lead to ActiveEnterTimestampMonotonic elsewhere. */
export async function measureHostLoss(cluster: Cluster, runs: number, progress: (ms: number) => void): Promise<Row> {
  const samples: number[] = [];
  while (samples.length < runs) {
    await cluster.settled();
    const leader = await cluster.leader();
    const { taken, free } = await spread(cluster);
    // in turn, so that no host is special
    const candidates = taken.filter((host) => host !== leader);
    const victim = candidates[samples.length % candidates.length];
    if (victim === undefined) throw new Error(`${SPREAD} runs on no host but the leader's`);
    const off = await cutPower(victim);
    const ms = (await activeSince(free, SPREAD, off)) - off;
    samples.push(ms);
    progress(ms);
    await victim.start();
  }
  return { name: 'a host loses its power → its instance is active elsewhere', unit: 'ms', samples, goals: [LOSS_GOAL] };
}

/** Two rows of the same power cuts: of the leader's host. */
export async function measureLeaderHostLoss(
  cluster: Cluster,
  runs: number,
  progress: (ms: number) => void,
): Promise<Row[]> {
  const leading: number[] = [];
  const active: number[] = [];
  while (leading.length < runs) {
    await cluster.settled();
    const victim = await cluster.leader();
    const { taken, free } = await spread(cluster);
    const off = await cutPower(victim);
    const others = cluster.hosts.filter((host) => host !== victim);
    const written = (await takenOver(others, off)) - off;
    leading.push(written);
    progress(written);
    if (taken.includes(victim)) active.push((await activeSince(free, SPREAD, off)) - off);
    await victim.start();
  }
  return [
    {
      name: "the leader's host loses its power → the next one has placed",
      unit: 'ms',
      samples: leading,
      goals: [LOSS_GOAL],
    },
    {
      name: "the leader's host loses its power → its instance is active elsewhere",
      unit: 'ms',
      samples: active,
      goals: [LOSS_GOAL],
    },
  ];
}

async function cutPower(host: Host): Promise<number> {
  const off = monotonicNow();
  await host.powerOff();
  return off;
}

/** The hosts that run it, and the one that does not. */
export async function spread(cluster: Cluster): Promise<{ taken: Host[]; free: Host }> {
  const look = async () => {
    const started = await Promise.all(cluster.hosts.map((host) => isStarted(host, SPREAD)));
    const taken = cluster.hosts.filter((_, i) => started[i]);
    const [free, ...more] = cluster.hosts.filter((_, i) => !started[i]);
    return free !== undefined && more.length === 0 && { taken, free };
  };
  return await until(look, { deadlineMs: 30_000, what: `${SPREAD} to run on all hosts but one` });
}
