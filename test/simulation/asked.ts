/** Judges what daemons ask of systemd: INV-NEEDLESS-STOP, INV-START, INV-FOREIGN, INV-KEEP. */

import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import type { Desired, DesiredUnit } from '../../src/shared/state.ts';
import type { FakeDaemon } from '../fakes/daemon.ts';
import { isCutOff } from './cut-off.ts';
import type { Invariant } from './invariants.ts';
import { isOlder, type Orders } from './orders.ts';
import { ONCE_ONLY } from './scenario.ts';
import type { Starts } from './starts.ts';
import type { SimulatedHost } from './world.ts';

type Complain = (invariant: Invariant, what: string) => void;

interface Ask {
  readonly host: SimulatedHost;
  readonly daemon: FakeDaemon;
  readonly verb: string;
  readonly units: readonly string[];
  /** The unit had processes that were not ending, and had not failed. */
  readonly healthy: boolean;
  /** The host has reason to think that others may start what runs here: it was hindered within a session timeout. */
  readonly cutOff: boolean;
  /** Nothing was confirmed for so long that stopping must have begun. */
  readonly expiring: boolean;
}

/** A unit that a host's daemon has just asked systemd to start. */
export interface Start {
  readonly host: SimulatedHost;
  readonly unit: string;
}

const NONE: readonly Start[] = [];
const PRESTART = 'servicewatcher-prestart-';

export class Asked {
  private waiting: Ask[] = [];
  /** Host and unit → the values in its prestart script when it was started last. */
  private readonly startedWith = new Map<string, string>();
  /** Host and unit, of those that run since a daemon asked for it. */
  private readonly ours = new Set<string>();
  /** Units that a daemon has found unhealthy, and not restarted since. */
  private readonly unhealthy = new WeakMap<FakeDaemon, Set<string>>();

  constructor(
    private readonly orders: Orders,
    private readonly starts: Starts,
    private readonly complain: Complain,
  ) {}

  /** Something is being asked for: `stop UNIT`, `guard UNIT…`, as `FakeHost` records it. */
  onAsked(host: SimulatedHost, line: string, now: number): void {
    const { daemon } = host;
    const [verb = '', ...units] = line.split(' ');
    if (!daemon) {
      this.complain('INV-KEEP', `${host.name}: ${line}, though no daemon runs`);
      return;
    }
    const unit = units[0] ?? '';
    if (verb === 'start') this.ours.add(`${host.name} ${unit}`);
    const { active } = host.fake.systemd.state(unit);
    this.waiting.push({
      host,
      daemon,
      verb,
      units,
      healthy: active === 'active' || active === 'activating',
      cutOff: isCutOff(host, daemon) || now - host.hinderedAt < (host.fake.options.sessionTimeoutMs ?? 0),
      expiring: now >= host.confirmedAt + isolationTiming(host.fake.options.sessionTimeoutMs ?? 0).stopAfterMs,
    });
  }

  /** A unit that a person has started has whatever values its script had then. */
  onState(host: string, unit: string, active: string): void {
    const key = `${host} ${unit}`;
    if (active === 'inactive' || active === 'failed') this.ours.delete(key);
    else if (!this.ours.has(key)) this.startedWith.delete(key);
  }

  /** A daemon says something in its log: that a unit is unhealthy, say, which is ground for one restart. */
  onLogged(daemon: FakeDaemon, message: string): void {
    const [, unit, state] = /^(\S+) is (unhealthy|healthy again): /.exec(message) ?? [];
    if (unit === undefined) return;
    const units = this.unhealthy.get(daemon) ?? new Set();
    this.unhealthy.set(daemon, units);
    if (state === 'unhealthy') units.add(unit);
    else units.delete(unit);
  }

  /** What the event set off has run: what the executors obey by now tells whether they were right. Answers what was started. */
  judge(): readonly Start[] {
    if (this.waiting.length === 0) return NONE;
    const asks = this.waiting;
    this.waiting = [];
    for (const ask of asks) this.judgeOne(ask);
    return asks.flatMap(({ verb, host, units }) => (verb === 'start' ? [{ host, unit: units[0] ?? '' }] : []));
  }

  private judgeOne(ask: Ask): void {
    const { host, verb, units } = ask;
    const unit = units[0] ?? '';
    const order = this.orderOf(ask.host, ask.daemon);
    if (verb === 'guard') {
      const others = units.filter((each) => !ONCE_ONLY.has(each));
      if (others.length > 0) this.complain('INV-KEEP', `${host.name}: the guard is to stop ${others.join(', ')}`);
      return;
    }
    if (verb === 'run') {
      const of = unit.slice(PRESTART.length);
      if (!this.isTold(order, of))
        this.complain('INV-START', `${host.name}: the script of ${of} is run, which is not placed here`);
      return;
    }
    if (!this.isDeclared(unit) && !this.orders.everDesired(host.name, unit))
      this.complain('INV-FOREIGN', `${host.name}: ${verb} ${unit}`);
    if (verb === 'start') this.judgeStart(ask, unit, order);
    if (verb === 'stop' && ask.healthy) this.judgeStop(ask, unit, order);
  }

  private judgeStart(ask: Ask, unit: string, order: Desired | undefined): void {
    const { host, daemon, cutOff } = ask;
    const told = this.isTold(order, unit);
    if (!told) this.complain('INV-START', `${host.name}: start ${unit}, which is not placed here`);
    if (ONCE_ONLY.has(unit) && ask.expiring) this.complain('INV-START', `${host.name}: start ${unit} while cut off`);
    if (!told) return;
    this.startedWith.set(`${host.name} ${unit}`, valuesOf(told));
    this.starts.onStart({ host, daemon, told, cutOff });
  }

  private judgeStop({ host, daemon, cutOff }: Ask, unit: string, order: Desired | undefined): void {
    if (host.ending === 'all' || host.daemon !== daemon) return;
    if (host.ending === 'once-only' && ONCE_ONLY.has(unit)) return;
    const told = this.isTold(order, unit);
    if (!told) return;
    if (ONCE_ONLY.has(unit) && cutOff) return;
    if (told.check?.onUnhealthy === 'restart' && this.unhealthy.get(daemon)?.delete(unit)) return;
    const before = this.startedWith.get(`${host.name} ${unit}`);
    if (told.prestart && (before === undefined || before !== valuesOf(told))) return;
    this.complain('INV-NEEDLESS-STOP', `${host.name}: stop ${unit}, which is placed here and healthy`);
  }

  /** What the executor obeys, as it remembers it on disk, or reports. */
  orderOf(host: SimulatedHost, daemon: FakeDaemon): Desired | undefined {
    const { applied } = host.fake.memory.remembered;
    const { observed } = daemon.executor;
    return this.orders.at(host.name, observed && isOlder(applied, observed) ? observed : applied);
  }

  private isTold(order: Desired | undefined, unit: string): DesiredUnit | undefined {
    return order?.units.find((each) => each.unit === unit && !each.withdrawn);
  }

  private isDeclared(unit: string): boolean {
    return [...this.orders.specs.values()].some((spec) =>
      spec.services.some((service) => {
        const name = unit.replace(/\.service$/, '');
        if (service.type !== 'multi') return service.name === name;
        return Object.keys(service.instances).some((key) => `${service.name}@${key}` === name);
      }),
    );
  }
}

function valuesOf({ prestart }: DesiredUnit): string {
  return JSON.stringify(prestart?.values ?? {});
}
