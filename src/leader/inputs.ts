/** What `place()` is asked, from what the leader has read. Pure. */

import type { HostIntent, Member } from '../shared/cluster.ts';
import type { Desired, ExclusionReason, Failure, Observed } from '../shared/state.ts';
import { compareVersions } from '../shared/version.ts';
import type { HostState, HostView } from './placement.ts';

export interface HostInputs {
  /** Names of all live members. */
  readonly members: readonly string[];
  readonly observed: ReadonlyMap<string, Observed>;
  readonly intents: ReadonlyMap<string, HostIntent>;
  /** Members whose entry says that their daemon is stopping: a report that says so may be of an earlier process. */
  readonly leaving: ReadonlySet<string>;
  /** Members that joined a moment ago. */
  readonly joining: ReadonlySet<string>;
  /** Lost hosts whose instances the brake holds. */
  readonly held: ReadonlySet<string>;
}

/** One view per live or held host. */
export function hostViews(inputs: HostInputs): HostView[] {
  const live = inputs.members.map((name) => ({
    name,
    state: hostState(name, inputs),
    excluded: exclusions(inputs.observed.get(name)),
  }));
  const held = [...inputs.held].map((name): HostView => ({ name, state: 'held', excluded: new Map() }));
  return [...live, ...held];
}

/** Members whose entry says that their daemon is stopping. */
export function leavingMembers(members: ReadonlyMap<string, Member>): Set<string> {
  return new Set([...members].flatMap(([host, { leaving }]) => (leaving ? [host] : [])));
}

function hostState(name: string, inputs: HostInputs): HostState {
  if (inputs.leaving.has(name) && inputs.observed.get(name)?.leaving) return 'leaving';
  const intent = inputs.intents.get(name);
  if (intent) return intent.state;
  // without a report it is not known what failed there: what is there stays, nothing new comes
  if (inputs.joining.has(name) || !inputs.observed.has(name)) return 'joining';
  return 'ready';
}

function exclusions(observed: Observed | undefined): Map<string, ExclusionReason> {
  const excluded = new Map<string, ExclusionReason>();
  for (const unit of observed?.units ?? []) if (unit.failure) excluded.set(unit.unit, reasonOf(unit.failure));
  return excluded;
}

function reasonOf(failure: Failure): ExclusionReason {
  switch (failure.kind) {
    case 'failed':
    case 'prestart':
    case 'start-timeout':
    case 'start-refused':
      return 'failed';
    case 'not-found':
      return 'not-installed';
    case 'masked':
    case 'invalid-unit':
      return failure.kind;
  }
}

/**
 * Hosts whose written state is older than the one they report to obey: somebody put it back. It says nothing of what they
 * were told, and they refuse it.
 */
export function outdated(
  written: ReadonlyMap<string, Desired>,
  observed: ReadonlyMap<string, Observed>,
): readonly string[] {
  return [...written].flatMap(([host, order]) => {
    const report = observed.get(host);
    return report && compareVersions(order, report) < 0 ? [host] : [];
  });
}

/** Unit → hosts it is placed on, from the desired states. */
export function placedOn(desired: ReadonlyMap<string, Desired>): Map<string, string[]> {
  return collect([...desired].map(([host, state]) => [host, state.units.map((unit) => unit.unit)] as const));
}

/** Unit → hosts it runs on, from the reports. */
export function runningOn(observed: ReadonlyMap<string, Observed>): Map<string, string[]> {
  const running = (report: Observed) =>
    report.units.filter((unit) => unit.active === 'active' || unit.active === 'reloading').map((unit) => unit.unit);
  return collect([...observed].map(([host, report]) => [host, running(report)] as const));
}

function collect(unitsByHost: readonly (readonly [string, readonly string[]])[]): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const [host, units] of unitsByHost) {
    for (const unit of units) {
      const known = hosts.get(unit);
      if (known) known.push(host);
      else hosts.set(unit, [host]);
    }
  }
  return hosts;
}
