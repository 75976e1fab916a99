/** Judges the order in which units are started: INV-TURN, INV-AFTER. Counts the starts that waited for it. */
import type { StartOrder } from '../../src/shared/attachments.ts';
import type { Desired, DesiredUnit, Observed } from '../../src/shared/state.ts';
import type { FakeDaemon } from '../fakes/daemon.ts';
import { isCutOff } from './cut-off.ts';
import { WAITED_FOR_SERVICE, WAITED_FOR_TURN } from './faults.ts';
import type { Invariant } from './invariants.ts';
import { isOf } from './placement-check.ts';
import type { SimulatedHost } from './world.ts';

/** Why a unit waits, as reports say it: for others, not for an answer of ZooKeeper alone. */
const WAITS = [
  { kind: WAITED_FOR_TURN, says: /^it waits for its turn to start[,:] / },
  { kind: WAITED_FOR_SERVICE, says: /^it starts after \S+, which is not up / },
] as const;

/** So much earlier than systemd is asked a start may have begun: its script, the memory on disk, and the ways there. */
const BEGUN_EARLIER_MS = 1_000;

interface Begun {
  readonly host: SimulatedHost;
  readonly daemon: FakeDaemon;
  readonly unit: string;
  readonly service: string;
  readonly until: StartOrder['until'];
  /** When its turn is over at the latest, ms. */
  readonly endsAt: number;
  /** systemd has begun with it. */
  seen: boolean;
}

export interface StartsOptions {
  readonly now: () => number;
  /** How old what somebody acts upon may be, ms. */
  readonly slackMs: number;
  /** What the executor of the host obeys. */
  readonly orderOf: (host: SimulatedHost, daemon: FakeDaemon) => Desired | undefined;
  readonly complain: (invariant: Invariant, what: string) => void;
  readonly count: (kind: string) => void;
}

/** A daemon has asked systemd to start what it was told. */
export interface AskedStart {
  readonly host: SimulatedHost;
  readonly daemon: FakeDaemon;
  readonly told: DesiredUnit;
  /** The host was hindered within a session timeout. */
  readonly cutOff: boolean;
}

/** Host → unit → when something was true of it last; infinity: it is. */
type Times = Map<string, Map<string, number>>;

function mark(times: Times, host: string, unit: string, holds: boolean, now: number): void {
  const known = times.get(host) ?? new Map<string, number>();
  times.set(host, known);
  if (holds) known.set(unit, Number.POSITIVE_INFINITY);
  else if (known.get(unit) === Number.POSITIVE_INFINITY) known.set(unit, now);
}

export class Starts {
  /** What is being started in its turn, as far as it is certain. */
  private begun: Begun[] = [];
  /** Host and unit → when the first of the starts that may share one turn was asked for. */
  private readonly since = new Map<string, number>();
  /** Host → unit → when it was active last; infinity: it is. */
  private readonly activeAt: Times = new Map();
  /** Host → unit → until when its reports said that it was active; infinity: they do. */
  private readonly toldUpAt: Times = new Map();
  /** Host → unit → until when an order was the newest that did not hold back its start; infinity: it is. */
  private readonly allowedAt: Times = new Map();
  /** Host → unit → what its reports have said that it waits for. */
  private readonly waited = new Map<string, Map<string, Set<string>>>();

  constructor(private readonly options: StartsOptions) {}

  onState(host: string, unit: string, active: string): void {
    mark(this.activeAt, host, unit, active === 'active', this.options.now());
    if (active !== 'activating' && active !== 'active') return;
    for (const each of this.begun) if (each.unit === unit && each.host.name === host) each.seen = true;
  }

  /** A host has published what it sees; undefined: that is gone. */
  onReport(host: string, report: Observed | undefined): void {
    const units = report?.units ?? [];
    const up = new Set(units.flatMap(({ unit, active }) => (active === 'active' ? [unit] : [])));
    for (const unit of new Set([...up, ...(this.toldUpAt.get(host)?.keys() ?? [])]))
      mark(this.toldUpAt, host, unit, up.has(unit), this.options.now());
    const before = this.waited.get(host);
    if (!before && units.every(({ waiting }) => waiting === undefined)) return;
    const after = new Map<string, Set<string>>();
    for (const { unit, waiting } of units) {
      const kinds = before?.get(unit) ?? new Set();
      for (const { kind, says } of WAITS) if (waiting !== undefined && says.test(waiting)) kinds.add(kind);
      if (kinds.size > 0) after.set(unit, kinds);
    }
    this.waited.set(host, after);
  }

  /** The leader has written an order: what it does not hold back it must have taken for ready. */
  onOrder({ host, units }: Desired): void {
    const hosts = [...this.toldUpAt.keys()];
    for (const { unit, after = [], waitsFor = [], withdrawn } of units) {
      mark(this.allowedAt, host, unit, waitsFor.length === 0, this.options.now());
      for (const { service, where } of after)
        if (
          !withdrawn &&
          where === 'anywhere' &&
          !waitsFor.includes(service) &&
          !hosts.some((each) => this.wasTrue(this.toldUpAt, each, service))
        )
          this.options.complain('INV-AFTER', `${host} may start ${unit} at once, but ${service} is up nowhere`);
    }
  }

  /** To be called after each event: what is over, or not certain any more, does not count. */
  look(): void {
    if (this.begun.length > 0) this.begun = this.begun.filter((each) => this.isBeingStarted(each));
  }

  onStart({ host, daemon, told, cutOff }: AskedStart): void {
    const waited = this.waited.get(host.name);
    for (const kind of waited?.get(told.unit) ?? []) this.options.count(kind);
    waited?.delete(told.unit);
    this.judgeTurn({ host, daemon, told, cutOff });
    this.judgeAfter(host, daemon, told);
  }

  private judgeTurn({ host, daemon, told, cutOff }: AskedStart): void {
    const { unit, service, start } = told;
    if (!start) return;
    const now = this.options.now();
    const key = `${host.name} ${unit}`;
    const others = this.begun.filter((each) => each.service === service && !(each.host === host && each.unit === unit));
    if (!cutOff && others.length >= start.atOnce)
      this.options.complain(
        'INV-TURN',
        `${host.name} starts ${unit}, while ${others.map((each) => `${each.host.name} starts ${each.unit}`).join(', ')}`,
      );
    // a start that is tried again may be one in the same turn
    const earlier = this.since.get(key) ?? Number.NEGATIVE_INFINITY;
    const since = now - earlier < start.timeoutMs ? earlier : now;
    this.since.set(key, since);
    this.begun = this.begun.filter((each) => each.host !== host || each.unit !== unit);
    const endsAt = since + start.timeoutMs - BEGUN_EARLIER_MS;
    if (!cutOff) this.begun.push({ host, daemon, unit, service, until: start.until, endsAt, seen: false });
  }

  /** It keeps its turn for certain: its daemon has one session, and nothing is in its way. */
  private isBeingStarted({ host, daemon, unit, until, endsAt, seen }: Begun): boolean {
    if (this.options.now() >= endsAt || host.daemon !== daemon || host.ending || !host.busUp) return false;
    if (daemon.process.paused || isCutOff(host, daemon)) return false;
    const { active } = host.fake.systemd.state(unit);
    if (seen && active !== 'activating' && (active !== 'active' || until === 'active')) return false;
    const told = this.options.orderOf(host, daemon)?.units.find((each) => each.unit === unit);
    if (!told?.start || told.withdrawn) return false;
    if (!seen || active === 'activating') return true;
    if (!told.check) return false;
    return daemon.executor.observed?.units.find((each) => each.unit === unit)?.health?.state !== 'healthy';
  }

  private judgeAfter(host: SimulatedHost, daemon: FakeDaemon, { unit, after = [], waitsFor = [] }: DesiredUnit): void {
    const { now, slackMs, complain } = this.options;
    if (after.length === 0 || now() - Math.max(host.hinderedAt, host.busGoneAt) < slackMs || isCutOff(host, daemon))
      return;
    const allowedAt = this.allowedAt.get(host.name)?.get(unit) ?? Number.NEGATIVE_INFINITY;
    // what has become known since the start was decided came too late for it
    if (waitsFor.length > 0 && allowedAt < now() - slackMs)
      complain('INV-AFTER', `${host.name} starts ${unit}, though ${waitsFor.join(', ')} is not up, as it was told`);
    for (const { service, where } of after)
      if (where === 'same-host' && !this.wasTrue(this.activeAt, host.name, service))
        complain('INV-AFTER', `${host.name} starts ${unit}, but ${service} is not up there`);
  }

  /** So it was within the time for which what is read may be old. */
  private wasTrue(times: Times, host: string, service: string): boolean {
    const since = this.options.now() - this.options.slackMs;
    return [...(times.get(host) ?? [])].some(([unit, at]) => at >= since && isOf(unit, service));
  }
}
