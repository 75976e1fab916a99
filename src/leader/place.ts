/**
 * Decides which unit runs on which host. In this order, each unit by unit in the order of their names:
 * keep what may stay, adopt what runs already, then place what is missing, the most constrained first: forced units,
 * global ones, exclusive templates, and last the units that may go anywhere. Pure and synchronous; the work grows
 * with the number of instances, hosts and exclusions, not with their product.
 */

import { at } from './place/at.ts';
import { ExclusiveTemplate } from './place/exclusive.ts';
import { HostQueue } from './place/host-queue.ts';
import { keptFirst } from './place/kept-first.ts';
import { type Problem, readProblem, takesNew, type UnitProblem, wantedAtMost } from './place/problem.ts';
import { report } from './place/report.ts';
import type { Placement, PlacementInput } from './placement.ts';

/**
 * The placement for this input: the same input, with its hosts, units and lists in any order, gives the same output.
 *
 * It promises what `PlacementInput` and `Placement` say, and: an instance that may stay stays, unless an exclusive
 * template would otherwise leave a forced key, a count of 1, or any instance unplaced (then as few as possible move);
 * no instance stays unplaced while an assignment exists; new instances go to the least-loaded host they may have,
 * where load is the number of instances on a host, ties by name. It never fails on validated input.
 */
export function place(input: PlacementInput): Placement {
  const problem = readProblem(input);
  const load: number[] = problem.hosts.map(() => 0);
  for (const unit of problem.units) for (const host of unit.stays) addLoad(load, host, 1);

  const ready = problem.states.map((state) => state === 'ready');
  const free = problem.units.filter((unit) => !unit.exclusive).map((unit): Chosen => ({ unit, hosts: [] }));
  const templates = readTemplates(problem, ready, load);

  for (const chosen of free) keep(chosen, problem, load);
  for (const template of templates.values()) template.keep((unit) => keptFirst(unit, problem.states, load));
  for (const chosen of free) adopt(chosen, load);
  for (const template of templates.values()) template.adopt();
  for (const chosen of free) if (chosen.unit.demand.kind === 'forced') force(chosen, problem, load);
  for (const chosen of free) if (chosen.unit.demand.kind === 'every-host') spread(chosen, problem, load);

  const queue = new HostQueue(
    load,
    [...load.keys()].filter((host) => at(ready, host)),
  );
  for (const template of templates.values()) template.fill(queue);
  for (const chosen of free)
    if (chosen.unit.demand.kind === 'anywhere') fill(chosen, chosen.unit.demand.count, queue, load);

  const hosts = new Map(
    free.map((chosen): [string, number[]] => [chosen.unit.unit, chosen.hosts.sort((a, b) => a - b)]),
  );
  for (const template of templates.values())
    for (const [unit, chosen] of template.hostsByUnit()) hosts.set(unit, chosen);
  return report(problem, hosts, (service, host) => templates.get(service)?.occupantOf(host));
}

/** A unit outside of exclusive templates, and the hosts it has so far. */
interface Chosen {
  readonly unit: UnitProblem;
  hosts: number[];
}

function addLoad(load: number[], host: number, change: number): void {
  load[host] = at(load, host) + change;
}

function readTemplates(problem: Problem, ready: readonly boolean[], load: number[]): Map<string, ExclusiveTemplate> {
  const members = new Map<string, UnitProblem[]>();
  for (const unit of problem.units) {
    if (!unit.exclusive || unit.demand.kind === 'none') continue;
    const others = members.get(unit.service);
    if (others === undefined) members.set(unit.service, [unit]);
    else others.push(unit);
  }
  const opensToForced = problem.states.map((state) => state === 'ready' || state === 'joining');
  return new Map(
    [...members].map(([service, units]) => [
      service,
      new ExclusiveTemplate(units, ready, load, (host) => at(opensToForced, host)),
    ]),
  );
}

/** Keeps the stayers, or, when there are more than wanted, those that come first (see `keptFirst`). */
function keep(chosen: Chosen, { states }: Problem, load: number[]): void {
  const { stays } = chosen.unit;
  const wanted = wantedAtMost(chosen.unit.demand);
  if (stays.length <= wanted) {
    chosen.hosts = [...stays];
    return;
  }
  const inOrder = keptFirst(chosen.unit, states, load);
  chosen.hosts = inOrder.slice(0, wanted);
  for (const host of inOrder.slice(wanted)) addLoad(load, host, -1);
}

function adopt(chosen: Chosen, load: number[]): void {
  const missing = wantedAtMost(chosen.unit.demand) - chosen.hosts.length;
  if (missing <= 0 || chosen.unit.running.length === 0) return;
  for (const host of leastLoadedFirst(chosen.unit.running, load).slice(0, missing)) take(chosen, host, load);
}

function force(chosen: Chosen, problem: Problem, load: number[]): void {
  const { demand, excluded } = chosen.unit;
  if (demand.kind !== 'forced' || demand.host === undefined || demand.count <= chosen.hosts.length) return;
  if (chosen.hosts.includes(demand.host) || excluded.has(demand.host)) return;
  if (takesNew(at(problem.states, demand.host), demand, false)) take(chosen, demand.host, load);
}

function spread(chosen: Chosen, problem: Problem, load: number[]): void {
  const has = new Set(chosen.hosts);
  problem.states.forEach((state, host) => {
    if (has.has(host) || chosen.unit.excluded.has(host)) return;
    if (takesNew(state, chosen.unit.demand, false)) take(chosen, host, load);
  });
}

function fill(chosen: Chosen, wanted: number, queue: HostQueue, load: number[]): void {
  if (chosen.hosts.length >= wanted) return;
  const has = new Set(chosen.hosts);
  // One instance per host: what was taken or refused comes back to the queue when this unit is done.
  const seen: number[] = [];
  while (chosen.hosts.length < wanted) {
    const host = queue.pop();
    if (host === undefined) break;
    seen.push(host);
    if (!has.has(host) && !chosen.unit.excluded.has(host)) take(chosen, host, load);
  }
  for (const host of seen) queue.push(host);
}

function take(chosen: Chosen, host: number, load: number[]): void {
  chosen.hosts.push(host);
  addLoad(load, host, 1);
}

function leastLoadedFirst(hosts: readonly number[], load: readonly number[]): number[] {
  return [...hosts].sort((a, b) => at(load, a) - at(load, b) || a - b);
}
