/**
 * What each host is told while units change hosts in good order: the old host is told to stop first (`withdrawn`), and the
 * new one to start only once the old one reports the unit down. So it is for units with `isolation: stop`, whatever the
 * reason, and for all others when their host is draining or stopping. At any moment the desired states name such a unit
 * on no more hosts than wanted, so that a new leader, who knows only them and the reports, goes on where the last one was.
 * Pure.
 */

import { isDown } from '../shared/active-state.ts';
import { compare } from '../shared/names.ts';
import type { Desired, DesiredUnit, Observed, ObservedUnit } from '../shared/state.ts';
import { compareVersions } from '../shared/version.ts';
import type { HostView } from './placement.ts';

export interface HandOverInput {
  /** Host → units that it shall have in the end, as `renderUnits` gives them. */
  readonly wanted: ReadonlyMap<string, readonly DesiredUnit[]>;
  /** What is written for each host now; those of lost hosts do not count. */
  readonly written: ReadonlyMap<string, Desired>;
  readonly observed: ReadonlyMap<string, Observed>;
  /** One for each live or held host. */
  readonly hosts: readonly HostView[];
  /** Live hosts that may obey an order other than the one that is written for them. */
  readonly unsure: ReadonlySet<string>;
  /** Services with one instance on every host: their instances do not replace each other. */
  readonly everywhere: ReadonlySet<string>;
}

/** An instance that its new host does not get yet, and the hosts that have yet to stop theirs. */
export interface PendingHandOver {
  readonly unit: string;
  readonly to: string;
  readonly from: readonly string[];
}

export interface HandOver {
  /** Host → what it is told now, sorted by unit. */
  readonly units: ReadonlyMap<string, readonly DesiredUnit[]>;
  /** Sorted by unit, then `to`. */
  readonly pending: readonly PendingHandOver[];
}

/** One unit's part of the input. */
interface Instances {
  readonly wanted: Map<string, DesiredUnit>;
  readonly written: Map<string, DesiredUnit>;
  readonly up: Set<string>;
}

export function handOver(input: HandOverInput): HandOver {
  const told = new Map(input.wanted);
  const views = new Map(input.hosts.map((view) => [view.name, view]));
  const pending: PendingHandOver[] = [];
  for (const [unit, instances] of gather(input, views)) {
    const waiting = [...instances.written].filter(
      ([host, entry]) =>
        !instances.wanted.has(host) && inOrder(host, entry, instances, views) && holds(host, instances, input, views),
    );
    for (const [host, entry] of waiting) {
      const units = [...(told.get(host) ?? []), { ...entry, withdrawn: true }];
      told.set(
        host,
        units.sort((a, b) => compare(a.unit, b.unit)),
      );
    }
    const others = [...waiting.map(([host]) => host), ...strays(instances, input.unsure)].sort(compare);
    const mayHave = (host: string) => mayRun(host, instances, input, views);
    for (const to of heldBack(instances, others.length, mayHave)) {
      // one that was told to have it may be about to start it
      const held = (entry: DesiredUnit) =>
        instances.written.has(to) && mayHave(to) ? [{ ...entry, withdrawn: true }] : [];
      told.set(
        to,
        (told.get(to) ?? []).flatMap((entry) => (entry.unit === unit ? held(entry) : [entry])),
      );
      pending.push({ unit, to, from: others });
    }
  }
  pending.sort((a, b) => compare(a.unit, b.unit) || compare(a.to, b.to));
  return { units: told, pending };
}

/** Units whose instances may have to wait for each other: of hundred thousands, mostly none. */
function concerned({ wanted, written, everywhere, hosts }: HandOverInput): ReadonlySet<string> {
  const giving = new Set(
    hosts.flatMap(({ name, state }) => (state === 'draining' || state === 'leaving' ? [name] : [])),
  );
  const units = new Set<string>();
  const add = (entry: DesiredUnit, host: string) => {
    if ((entry.isolation === 'stop' || giving.has(host)) && !everywhere.has(entry.service)) units.add(entry.unit);
  };
  for (const [host, entries] of wanted) for (const entry of entries) add(entry, host);
  for (const [host, order] of written) for (const entry of order.units) add(entry, host);
  return units;
}

/** All that is known of each unit that is concerned. */
function gather(input: HandOverInput, views: ReadonlyMap<string, HostView>): Map<string, Instances> {
  const { wanted, written, observed } = input;
  const units = concerned(input);
  const all = new Map<string, Instances>();
  if (units.size === 0) return all;
  const of = (unit: string): Instances => {
    const known = all.get(unit) ?? { wanted: new Map(), written: new Map(), up: new Set() };
    all.set(unit, known);
    return known;
  };
  for (const [host, entries] of wanted)
    for (const entry of entries) if (units.has(entry.unit)) of(entry.unit).wanted.set(host, entry);
  for (const [host, order] of written) {
    if (!views.has(host)) continue;
    for (const entry of order.units) if (units.has(entry.unit)) of(entry.unit).written.set(host, entry);
  }
  for (const [host, report] of observed) {
    if (!views.has(host)) continue;
    for (const seen of report.units) if (isUp(seen)) all.get(seen.unit)?.up.add(host);
  }
  return all;
}

function inOrder(
  host: string,
  entry: DesiredUnit,
  instances: Instances,
  views: ReadonlyMap<string, HostView>,
): boolean {
  const state = views.get(host)?.state;
  if (state === 'draining' || state === 'leaving') return true;
  return entry.isolation === 'stop' || mayRunOnceOnly(instances);
}

function mayRunOnceOnly({ wanted }: Instances): boolean {
  return [...wanted.values()].some((entry) => entry.isolation === 'stop');
}

/** Until a host has said that it obeys an order without the unit, and that the unit is down, it has the unit. */
function holds(
  host: string,
  instances: Instances,
  { written, observed }: HandOverInput,
  views: ReadonlyMap<string, HostView>,
): boolean {
  const order = written.get(host);
  const report = observed.get(host);
  if (!order || !report || instances.up.has(host)) return true;
  if (report.leaving && views.get(host)?.state === 'leaving') return false;
  const obeyed = compareVersions(report, order) === 0 && report.refused === undefined;
  return instances.written.get(host)?.withdrawn !== true || !obeyed;
}

/** A process of it may be there, or appear by an order that the host may obey. Never too few hosts, at times too many. */
function mayRun(
  host: string,
  instances: Instances,
  input: HandOverInput,
  views: ReadonlyMap<string, HostView>,
): boolean {
  if (instances.written.has(host)) return holds(host, instances, input, views);
  return instances.up.has(host) || (mayRunOnceOnly(instances) && input.unsure.has(host));
}

/**
 * Hosts that shall have it and are not told so now. Told are those that were told before, and of the others so many that all
 * on which it may run are no more than shall have it: those first on which it may run already. Where it may run on more
 * than that, as somebody wrote what no leader has, nobody begins, whatever is in doubt, and who was told and does not run
 * it has to wait, too. `others`: on how many hosts it may run that shall not have it.
 */
function heldBack(instances: Instances, others: number, mayHave: (host: string) => boolean): readonly string[] {
  const { wanted, written, up } = instances;
  const once = mayRunOnceOnly(instances);
  const tooMany = once && [...written.keys()].filter(mayHave).length > wanted.size;
  const stays = (host: string) => {
    const entry = written.get(host);
    if (!entry) return false;
    return entry.withdrawn ? !once && up.has(host) : !tooMany || up.has(host);
  };
  const rest = [...wanted.keys()].filter((host) => !stays(host)).sort(compare);
  const absent = rest.filter((host) => !mayHave(host));
  return absent.length < others ? rest : absent.slice(absent.length - others);
}

/** It has said that it obeys what is written for it. */
function obeys(host: string, { written, observed }: Pick<HandOverInput, 'written' | 'observed'>): boolean {
  const report = observed.get(host);
  const order = written.get(host);
  return report !== undefined && order !== undefined && compareVersions(report, order) === 0;
}

/** Hosts on which a unit runs, or for all we know may run, that may run once only, though nothing written says so. */
function strays(instances: Instances, unsure: ReadonlySet<string>): string[] {
  if (!mayRunOnceOnly(instances)) return [];
  const hosts = new Set([...instances.up, ...unsure]);
  return [...hosts].filter((host) => !instances.wanted.has(host) && !instances.written.has(host));
}

/**
 * Live hosts that may obey an order other than the one that is written for them: the one before a change whose leader is
 * gone, or one that was spoilt or removed since. At the beginning of a term (`before` undefined) any host may; it does no
 * more once it has said that it obeys what is written. That it has said to obey none is no proof: the report may be older
 * than its order. What a leader writes during its term it knows.
 */
export function unsureHosts(
  before: ReadonlySet<string> | undefined,
  hosts: readonly string[],
  written: ReadonlyMap<string, Desired>,
  observed: ReadonlyMap<string, Observed>,
): ReadonlySet<string> {
  return new Set(
    hosts.filter((host) => (before === undefined || before.has(host)) && !obeys(host, { written, observed })),
  );
}

function isUp({ active }: ObservedUnit): boolean {
  return !isDown(active);
}
