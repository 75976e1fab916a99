/**
 * What was written as desired, and by whom: the history that stops and starts are judged by, and the rules that every
 * write must keep (INV-FENCE, INV-ORDER, INV-PLACEMENT, INV-NEEDLESS-MOVE). It looks at the data of the ensemble itself.
 */
import {
  decodeDesired,
  decodeEpoch,
  decodeHostIntent,
  decodeMember,
  decodeSpecRecord,
} from '../../src/shared/payloads.ts';
import type { MultiService, Spec } from '../../src/shared/spec.ts';
import type { Desired, Observed, ObservedUnit, Version } from '../../src/shared/state.ts';
import type { WireOperation } from '../../src/shared/zookeeper/calls.ts';
import type { FakeEnsemble } from '../fakes/store.ts';
import type { Invariant } from './invariants.ts';
import { breaches, serviceOf, wantedOf } from './placement-check.ts';

type Complain = (invariant: Invariant, what: string) => void;

/** Session id of what the simulated operator does to znodes by hand. */
export const OPERATOR = 'operator';

const keyOf = ({ epoch, generation }: Version): string => `${epoch}.${generation}`;
export const isOlder = (a: Version, b: Version): boolean =>
  a.epoch < b.epoch || (a.epoch === b.epoch && a.generation < b.generation);

/** Gets what was written. */
export interface OrdersReader {
  /** A leader has written a host's desired state. */
  onOrder(order: Desired): void;
  /** A host has published its report; undefined: there is none any more. */
  onReport(host: string, report: Observed | undefined): void;
}

export class Orders {
  /** Specs that were in force, by digest. */
  readonly specs = new Map<string, Spec>();
  /** Host → version → what it was told. */
  private readonly history = new Map<string, Map<string, Desired>>();
  /** What was written last for each host. */
  private readonly newest = new Map<string, Desired>();
  /** What can be read of it. */
  private readonly placed = new Map<string, Desired>();
  private readonly applied = new Map<string, Version>();
  private holder: { readonly session: string; readonly epoch: number } | undefined;
  /** What allows to take something away → until when it was true; infinity: it is true now. */
  private readonly grounds = new Map<string, number>();

  /** `slackMs`: how old what a leader acts upon may be. `isImpostor`: whose session it is, a second machine's of a host's name. */
  constructor(
    private readonly ensemble: FakeEnsemble,
    private readonly slackMs: number,
    private readonly isImpostor: (session: string) => boolean,
    private readonly complain: Complain,
    private readonly reader: OrdersReader,
  ) {}

  /** What a host was told with this version. */
  at(host: string, version: Version): Desired | undefined {
    return this.history.get(host)?.get(keyOf(version));
  }

  /** What the host was told last. */
  newestOf(host: string): Desired | undefined {
    return this.newest.get(host);
  }

  /** The host was told to run the unit at some time. */
  everDesired(host: string, unit: string): boolean {
    return [...(this.history.get(host)?.values() ?? [])].some(({ units }) => units.some((each) => each.unit === unit));
  }

  /** All data is lost: versions begin anew, but for those that executors obey. */
  forget(hosts: readonly string[]): void {
    this.newest.clear();
    this.placed.clear();
    this.holder = undefined;
    for (const host of hosts) this.ground(`away ${host}`, true);
  }

  /** A transaction was applied. */
  onApplied(session: string, operations: readonly WireOperation[]): void {
    let written = false;
    for (const operation of operations) {
      const [, folder, name] = operation.path.split('/');
      if (folder === 'epoch') this.onEpoch(session, operation);
      else if (folder === 'spec') this.onSpec(operation);
      // a folder itself says nothing
      else if (name === undefined) continue;
      else if (folder === 'desired') written = this.onDesired(session, name, operation) || written;
      else if (folder === 'observed') this.onObserved(session, name, operation);
      else if (folder === 'members') this.onMember(session, name, operation, operations);
      else if (folder === 'hosts') this.onIntent(name, operation);
    }
    if (written) this.checkPlacement();
  }

  private onEpoch(session: string, operation: WireOperation): void {
    if (operation.op !== 'set' || session === OPERATOR) return;
    const decoded = decodeEpoch(operation.data, operation.path);
    if (!decoded.ok) return;
    const { epoch } = decoded.value;
    if (this.holder && epoch <= this.holder.epoch)
      this.complain('INV-FENCE', `epoch ${epoch} was taken after ${this.holder.epoch}`);
    this.holder = { session, epoch };
  }

  private onSpec(operation: WireOperation): void {
    if (operation.op !== 'set') return;
    const decoded = decodeSpecRecord(operation.data, operation.path);
    if (decoded.ok) this.specs.set(decoded.value.digest, decoded.value.spec);
  }

  private onDesired(session: string, host: string, operation: WireOperation): boolean {
    if (operation.op === 'check') return false;
    if (session === OPERATOR) {
      // what the leader cannot read it cannot reckon with
      this.placed.delete(host);
      this.ground(`spoilt ${host}`, true);
      this.ground(`spoilt ${host}`, false);
      return false;
    }
    if (session !== this.holder?.session)
      this.complain(
        'INV-FENCE',
        `desired/${host} was written by session ${session}, the leader is ${this.holder?.session}`,
      );
    const before = this.newest.get(host);
    const known = this.placed.get(host);
    if (operation.op === 'remove') {
      if (known) this.judgeMove(host, known, undefined);
      this.newest.delete(host);
      this.placed.delete(host);
      return true;
    }
    const decoded = decodeDesired(operation.data, operation.path);
    if (!decoded.ok) {
      this.complain('INV-NO-BUG', decoded.problem);
      return false;
    }
    const next = decoded.value;
    if (next.epoch !== this.holder?.epoch)
      this.complain('INV-FENCE', `desired/${host} of epoch ${next.epoch} was written in epoch ${this.holder?.epoch}`);
    if (before && !isOlder(before, next))
      this.complain('INV-ORDER', `desired/${host} went from ${keyOf(before)} to ${keyOf(next)}`);
    const told = this.history.get(host) ?? new Map<string, Desired>();
    this.history.set(host, told.set(keyOf(next), next));
    this.reader.onOrder(next);
    if (known) this.judgeMove(host, known, next);
    this.newest.set(host, next);
    this.placed.set(host, next);
    return true;
  }

  private onObserved(session: string, host: string, operation: WireOperation): void {
    if (operation.op === 'remove') {
      this.noteFailures(host, undefined);
      this.reader.onReport(host, undefined);
    }
    if (session === OPERATOR || this.isImpostor(session) || (operation.op !== 'set' && operation.op !== 'create'))
      return;
    // what a daemon writes is plain JSON; whether it is valid is tried elsewhere
    const report: Observed = JSON.parse(operation.data.toString());
    const { epoch, generation } = report;
    const before = this.applied.get(host);
    if (before && isOlder(report, before))
      this.complain('INV-ORDER', `${host} obeys ${epoch}.${generation} after ${keyOf(before)}`);
    this.applied.set(host, { epoch, generation });
    this.reader.onReport(host, report);
    this.noteFailures(host, report);
  }

  /** Someone is a member, or is none any more, or is leaving. */
  private onMember(
    session: string,
    host: string,
    operation: WireOperation,
    operations: readonly WireOperation[],
  ): void {
    if (operation.op === 'check') return;
    const decoded = operation.op === 'remove' ? undefined : decodeMember(operation.data, operation.path);
    // an order of before says nothing of a host that was lost
    if (operation.op === 'remove' && operations.every(({ op }) => op !== 'create')) this.placed.delete(host);
    if (operation.op === 'create' && this.isImpostor(session) && replaces(host, operations))
      this.complain('INV-NAME', `another machine took members/${host}`);
    this.ground(`away ${host}`, decoded === undefined || (decoded.ok && decoded.value.leaving === true));
  }

  private onIntent(host: string, operation: WireOperation): void {
    if (operation.op === 'check') return;
    const decoded = operation.op === 'remove' ? undefined : decodeHostIntent(operation.data, operation.path);
    this.ground(`drain ${host}`, decoded?.ok === true && decoded.value.state === 'draining');
  }

  private noteFailures(host: string, report: Observed | undefined): void {
    const failed = new Set(
      report?.units.flatMap((unit) => wrongWith(unit).map((what) => `${what} ${unit.unit} ${host}`)),
    );
    this.ground(`leaving ${host}`, report?.leaving === true);
    for (const name of this.grounds.keys())
      if (OF_UNIT.test(name) && name.endsWith(` ${host}`)) this.ground(name, failed.has(name));
    for (const name of failed) this.ground(name, true);
  }

  private ground(name: string, holds: boolean): void {
    const before = this.grounds.get(name);
    if (holds) this.grounds.set(name, Number.POSITIVE_INFINITY);
    else if (before === Number.POSITIVE_INFINITY) this.grounds.set(name, this.ensemble.clock.now());
  }

  private held(name: string): boolean {
    return (this.grounds.get(name) ?? Number.NEGATIVE_INFINITY) >= this.ensemble.clock.now() - this.slackMs;
  }

  private judgeMove(host: string, before: Desired, after: Desired | undefined): void {
    const kept = new Set(after?.units.flatMap(({ unit, withdrawn }) => (withdrawn ? [] : [unit])));
    for (const { unit, withdrawn } of before.units) {
      if (withdrawn || kept.has(unit) || this.mayTakeAway(host, unit, before, after)) continue;
      const how = after ? `by ${keyOf(after)}` : 'as the host’s desired state was removed';
      this.complain('INV-NEEDLESS-MOVE', `${unit} was taken from ${host} ${how}, though nothing is wrong there`);
    }
  }

  private mayTakeAway(host: string, unit: string, before: Desired, after: Desired | undefined): boolean {
    const moves = before.units.some((each) => each.unit === unit && each.check?.onUnhealthy === 'move');
    const grounds = ['away', 'drain', 'leaving', `failed ${unit}`, ...(moves ? [`unhealthy ${unit}`] : [])];
    if (grounds.some((ground) => this.held(`${ground} ${host}`))) return true;
    if (!after) return false;
    const [old, spec] = [this.specs.get(before.spec), this.specs.get(after.spec)];
    const [earlier, service] = [old && serviceOf(old, unit), spec && serviceOf(spec, unit)];
    if (JSON.stringify(earlier) !== JSON.stringify(service)) return true;
    if (!service) return true;
    const wanted = wantedOf(service).get(unit);
    // what is written for a lost host counts as well, as long as it is held
    const placed = [...this.newest.values()].filter(({ units }) => units.some((each) => each.unit === unit));
    if (wanted !== undefined && placed.length > wanted) return true;
    if (service.type !== 'multi') return false;
    // another instance of an exclusive template had to have the host, as it could not stay where it was
    return service.exclusive && this.isInNeed(service);
  }

  /** Something is wrong with an instance of the template, or with a host that had one. */
  private isInNeed(service: MultiService): boolean {
    const units = [...wantedOf(service).keys()];
    const recent = [...this.grounds.keys()].filter((name) => this.held(name));
    return recent.some((name) => !OF_UNIT.test(name) || units.some((unit) => name.includes(` ${unit} `)));
  }

  private checkPlacement(): void {
    const bySpec = new Map<string, Desired[]>();
    // what a host that is no member was told last is no part of the placement any more
    const members = [...this.placed.values()].filter(({ host }) => this.ensemble.tree.get(`/members/${host}`));
    for (const state of members) bySpec.set(state.spec, [...(bySpec.get(state.spec) ?? []), state]);
    for (const [digest, states] of bySpec) {
      const spec = this.specs.get(digest);
      if (!spec) continue;
      for (const breach of breaches(states, spec)) this.complain('INV-PLACEMENT', breach);
    }
  }
}

/** Grounds that concern one unit. */
const OF_UNIT = /^(failed|unhealthy) /;

function wrongWith({ failure, health }: ObservedUnit): string[] {
  return [...(failure ? ['failed'] : []), ...(health?.state === 'unhealthy' ? ['unhealthy'] : [])];
}

/** The transaction puts one entry in the place of another. */
function replaces(host: string, operations: readonly WireOperation[]): boolean {
  return operations.some(({ op, path }) => op === 'remove' && path === `/members/${host}`);
}
