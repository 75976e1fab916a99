/** A look at the whole cluster, and whether it is settled as it should be. Pure. */
import type { Violation } from './violation.ts';
import { DECLARED, type DeclaredUnit } from './world.ts';

/** What the leader said, and what systemd on the hosts said right after. */
export interface Look {
  /** Milliseconds of CLOCK_MONOTONIC, when all had answered. */
  readonly at: number;
  /** Number of the hosts that are on. */
  readonly hosts: number;
  /** What `/assignments` says; undefined while no host leads. */
  readonly leader:
    | {
        readonly name: string;
        readonly epoch: number;
        readonly generation: number;
        readonly settled: boolean;
        /** Unit → hosts it is placed on, in order; only hosts in state `ready` are members. */
        readonly placed: ReadonlyMap<string, readonly string[]>;
        readonly ready: number;
        /** Units that have failed, on whatever host. */
        readonly failed: readonly string[];
      }
    | undefined;
  /** Hosts whose own daemon does not call itself ready: it is not connected to ZooKeeper, say. */
  readonly unready: readonly string[];
  /** Unit → hosts where systemd says it is active, in order. */
  readonly active: ReadonlyMap<string, readonly string[]>;
}

/** Why the cluster is not settled; undefined when it is: the leader says so, and systemd runs what is placed, in full. */
export function unsettled(
  { leader, hosts, unready, active }: Look,
  expected: readonly DeclaredUnit[] = DECLARED,
): string | undefined {
  if (leader === undefined) return 'no host leads';
  if (leader.ready !== hosts) return `${leader.ready} of ${hosts} hosts are ready`;
  // one whose session has expired, which neither the leader nor itself knows yet, is a fault that goes on
  if (unready.length > 0) return `the daemon of ${list(unready)} is not ready`;
  if (leader.failed.length > 0) return `failed: ${leader.failed.join(', ')}`;
  for (const { unit, count } of expected) {
    const [runs, placed] = [active.get(unit) ?? [], leader.placed.get(unit) ?? []];
    if (placed.length !== Math.min(count, hosts)) return `${unit} is placed on ${list(placed)}`;
    if (runs.join() !== placed.join()) return `${unit} is placed on ${list(placed)} and runs on ${list(runs)}`;
  }
  return leader.settled ? undefined : 'the leader does not call it settled';
}

/**
 * More instances than the count, twice in a row under the same placement that the leader calls settled, when all hosts are
 * members: what runs on a host that the leader does not hear is not in its hand.
 */
export function countViolations(looks: readonly Look[], expected: readonly DeclaredUnit[] = DECLARED): Violation[] {
  return looks.flatMap((look, index) => {
    const before = looks[index - 1];
    if (before === undefined || !isSettledAlike(before, look)) return [];
    return expected.flatMap(({ unit, count }): Violation[] => {
      const runs = look.active.get(unit) ?? [];
      if (runs.length <= count || (before.active.get(unit) ?? []).length <= count) return [];
      const evidence = `${unit} runs on ${list(runs)}, its count is ${count}, and the leader calls the cluster settled`;
      return [{ kind: 'count-exceeded', at: look.at, evidence }];
    });
  });
}

function isSettledAlike(a: Look, b: Look): boolean {
  if (a.leader?.settled !== true || b.leader?.settled !== true) return false;
  if (a.leader.ready !== a.hosts || b.leader.ready !== b.hosts) return false;
  return a.leader.epoch === b.leader.epoch && a.leader.generation === b.leader.generation;
}

function list(hosts: readonly string[]): string {
  return hosts.length === 0 ? 'no host' : hosts.join(', ');
}
