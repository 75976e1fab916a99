/**
 * The deterministic simulation of a whole cluster: real executors, elections, leaders and memberships of 3 to 5 hosts on
 * a pretended clock, ZooKeeper and systemd. One seed decides everything: hosts, files, latencies, what fails and when. The
 * same seed gives the same run, event for event. After every event these must hold (names: `invariants.ts`):
 *
 * 1. INV-ONCE. A unit with `isolation: stop` and count 1 has processes (activating, active, reloading, deactivating) on at
 *    most one host, at every moment, whatever is cut, paused or killed. An operator who starts a second one by hand, and
 *    one who removes another host's member znode, are not simulated: no program can undo what they did beforehand.
 * 2. INV-NEEDLESS-STOP. A daemon stops a unit that is active or activating only if the order that its executor obeys does
 *    not name it, or names it with other prestart values than it was started with, or the unit may run once only and the
 *    host was paused or cut off within a session timeout (by a fault, or not connected, or not a member), or the daemon is stopping
 *    in good order, or its check asks for a restart and failed.
 * 3. INV-NEEDLESS-MOVE. A leader takes a unit from a host only if, within the time for which a leader may be wrong (a
 *    session timeout and what it takes to gather events), the host was no member, was leaving or draining, or reported the
 *    unit as failed, or as unhealthy where its check moves it; or if the spec of its service changed, or it is placed too often, or its template is exclusive and
 *    another instance takes the host.
 * 4. INV-START. A daemon starts only what the order that its executor obeys names, and a unit that may run once only never
 *    while the host is cut off.
 * 5. INV-FENCE. `desired` znodes are written only by the session that took the newest epoch, and say that epoch; each epoch
 *    is higher than all before it (but for an ensemble that lost its data).
 * 6. INV-ORDER. The (epoch, generation) of a host's desired state rises with each write (but for an ensemble that lost its
 *    data); that which an executor reports as applied never falls, across restarts and lost data, too.
 * 7. INV-FOREIGN. Units that no spec declared and that were never desired on the host are not touched; strangers whose names
 *    look like ours run on, on every host that has power.
 * 8. INV-PLACEMENT. Desired states of members, of one spec, place no unit more often than its count, none twice on a host, none that is
 *    disabled or not declared, forced ones on their host only, and at most one of an exclusive template per host.
 * 9. INV-KEEP. Where no daemon runs nobody touches units but the guard, and the guard names only units with
 *    `isolation: stop`: the death or pause of a daemon alone touches no unit with `isolation: keep`.
 * 10. INV-NAME. While a daemon is a member, another machine with the same host name neither takes its place nor does anything.
 * 11. INV-NO-BUG. No unhandled rejection, no exception out of a timer, no log line that says that something is a bug.
 * 12. INV-TURN. When a daemon asks for the start of a unit with `start`, fewer than `at_once` others of its service are being
 *    started in their turn: asked for by a daemon that has run, been a member and had its bus ever since, less than their
 *    time ago, and neither active nor, where they are to be and have a check, healthy yet. Nobody keeps its turn for certain
 *    who was paused, or cut off, or whose order does not name the unit any more.
 * 13. INV-AFTER. A leader holds back what comes after a service (anywhere) unless a report said that it ran, within the
 *    time for which a leader may be wrong; a daemon starts nothing that its order holds back, nor, on the same host, what comes after
 *    a service that did not run there.
 * 14. INV-LIVE. Once every fault is over, within a bounded time one daemon leads, the cluster is settled, every unit runs as
 *    often as its count and the hosts that may take it allow, and failed ones are excluded; and then nothing more is done.
 */
import type { Service, Spec } from '../../src/shared/model.ts';
import { decodeHostIntent, decodeSpecRecord } from '../../src/shared/payloads.ts';
import { Asked } from './asked.ts';
import { isCutOff } from './cut-off.ts';
import { FAULTS, type Kind, mendAll, STRUCK_AT_START, TIME_PASSES } from './faults.ts';
import type { Invariant, Violation } from './invariants.ts';
import { OPERATOR, Orders } from './orders.ts';
import { isOf, serviceOf, wantedOf } from './placement-check.ts';
import { Random } from './random.ts';
import { drawScenario, ONCE_ONLY, STRANGERS } from './scenario.ts';
import { Starts } from './starts.ts';
import { type SimulatedHost, World } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  readonly steps: number;
  /** Gets a line for each event; left out: none is made. */
  readonly trace?: (line: string) => void;
}

export interface Run {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** Kind of step → how often it took effect. */
  readonly counts: Readonly<Record<string, number>>;
  /** Of the whole trace: the same for the same run. */
  readonly hash: number;
  /** Of the pretended clock, ms. */
  readonly simulatedMs: number;
}

/** After all faults are over: brakes, pauses before restarts, time limits of units. */
const SETTLE_MS = 120_000;
const STABLE_MS = 5_000;
/** So often in a row, half a second apart, all is in order before it counts. */
const LOOKS = 4;
/** A line that only a bug of ours explains. */
const BUG = /\bbug\b|report this|a pass failed|listener/i;
const MAX_VIOLATIONS = 5;

/** Steps that are the passing of time, ms: at least, at most. */
const WAITS = [
  { weight: 42, min: 0, max: 10 },
  { weight: 38, min: 10, max: 200 },
  { weight: 16, min: 200, max: 1_500 },
  { weight: 4, min: 1_500, max: 5_000 },
] as const;

/** One run, from a cluster at rest to a cluster at rest. */
export async function simulate(options: RunOptions): Promise<Run> {
  // errors are common here, and their stacks costly: whoever replays a run sees them
  Error.stackTraceLimit = options.trace ? 20 : 0;
  const simulation = new Simulation(options);
  const onUnhandled = (error: unknown) => simulation.complain('INV-NO-BUG', `unhandled: ${String(error)}`);
  process.on('unhandledRejection', onUnhandled);
  try {
    await simulation.run();
  } catch (error) {
    simulation.complain('INV-NO-BUG', error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
  return simulation.result();
}

class Simulation {
  private readonly violations: Violation[] = [];
  private readonly counts: Record<string, number> = {};
  private readonly random: Random;
  private readonly world: World;
  private readonly orders: Orders;
  private readonly asked: Asked;
  private readonly starts: Starts;
  private readonly holders = new Map([...ONCE_ONLY].map((unit) => [unit, new Set<string>()]));
  private hash = 0x811c9dc5;
  private readonly bits = new DataView(new ArrayBuffer(8));
  private inForce: { readonly data: Buffer | undefined; readonly spec: Spec | undefined } = {
    data: undefined,
    spec: undefined,
  };

  constructor(private readonly options: RunOptions) {
    this.random = new Random(options.seed);
    const scenario = drawScenario(this.random);
    const complain = (invariant: Invariant, what: string) => this.complain(invariant, what);
    this.world = new World(scenario, this.random, {
      onState: (host, unit, active) => this.onState(host, unit, active),
      onAsked: (host, line) => {
        this.note(`${host.name} asks: ${line}`);
        this.asked.onAsked(host, line, this.world.clock.now());
      },
      onImpostor: (host, line) => {
        if (host.daemon?.membership.joined)
          this.complain('INV-NAME', `another machine with the name of ${host.name}: ${line}`);
      },
      onLogged: (host, { level, message }) => this.onLogged(host, level, message),
      onSettled: () => this.onSettled(),
    });
    const { ensemble } = this.world;
    const { sessionTimeoutMs, tickMs, timings } = scenario;
    const slackMs = 2 * sessionTimeoutMs + tickMs + timings.reactionMs + 1_000;
    this.starts = new Starts({
      now: () => this.world.clock.now(),
      slackMs,
      orderOf: (host, daemon) => this.asked.orderOf(host, daemon),
      complain,
      count: (kind) => this.count(kind),
    });
    this.orders = new Orders(ensemble, slackMs, (session) => this.world.isImpostor(session), complain, this.starts);
    this.asked = new Asked(this.orders, this.starts, complain);
    ensemble.onApplied = (session, operations) => {
      this.note(`${session}: ${operations.map(({ op, path }) => `${op} ${path}`).join(', ')}`);
      this.orders.onApplied(session, operations);
      if (session !== OPERATOR) this.world.backUp(operations);
    };
  }

  async run(): Promise<void> {
    const { world } = this;
    for (const host of world.hosts) await world.boot(host);
    await world.clock.advance(3_000);
    for (let step = 0; step < this.options.steps && this.violations.length === 0; step++) await this.step(step);
    if (this.violations.length === 0) await this.finish();
  }

  result(): Run {
    const { seed } = this.options;
    const simulatedMs = this.world.clock.now();
    return { seed, violations: this.violations, counts: this.counts, hash: this.hash >>> 0, simulatedMs };
  }

  complain(invariant: Invariant, what: string): void {
    this.note(`VIOLATION ${invariant}: ${what}`);
    if (this.violations.length < MAX_VIOLATIONS)
      this.violations.push({ invariant, at: this.world?.clock.now() ?? 0, what });
  }

  private async step(number: number): Promise<void> {
    const { random, world } = this;
    if (random.chance(world.scenario.calm / (1 + world.scenario.calm))) {
      const { min, max } = random.weighted(WAITS);
      const ms = random.int(min, max);
      this.count(TIME_PASSES);
      this.note(`step ${number}: ${ms} ms pass`);
      await world.clock.advance(ms);
    } else {
      const kind: Kind = random.weighted(FAULTS);
      const what = await kind.act(world);
      if (what !== undefined) this.count(kind.name);
      this.note(`step ${number}: ${kind.name}${what === undefined ? ' (without effect)' : `: ${what}`}`);
      if (kind.name === 'all data lost') this.orders.forget(world.scenario.hosts);
      await world.clock.advance(random.int(0, 3));
    }
    // a daemon that has lost its name ends
    for (const host of world.hosts) if (host.daemon?.nameTaken !== undefined) world.kill(host);
    this.checkHosts();
  }

  private count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  private onState(host: string, unit: string, active: string): void {
    this.note(`${host} ${unit} ${active}`);
    this.asked?.onState(host, unit, active);
    this.starts?.onState(host, unit, active);
    const holders = this.holders.get(unit);
    if (!holders) return;
    if (active === 'inactive' || active === 'failed') holders.delete(host);
    else holders.add(host);
    if (holders.size > 1) this.complain('INV-ONCE', `${unit} has processes on ${[...holders].join(' and ')}`);
  }

  private onSettled(): void {
    this.starts.look();
    for (const { host, unit } of this.asked.judge()) {
      const { atStart } = host;
      if (!atStart || !host.daemon || (atStart.of === 'once-only' && !ONCE_ONLY.has(unit))) continue;
      host.atStart = undefined;
      this.count(STRUCK_AT_START);
      this.note(`${host.name}: struck as it starts ${unit}`);
      atStart.act();
    }
  }

  private onLogged(host: string, level: string, message: string): void {
    if (this.options.trace) this.note(`${host} ${level}: ${message}`);
    const daemon = this.world?.hosts.find(({ name }) => name === host)?.daemon;
    if (daemon) this.asked.onLogged(daemon, message);
    if (BUG.test(message)) this.complain('INV-NO-BUG', `${host} logs: ${message}`);
  }

  /** Strangers run on. */
  private checkHosts(): void {
    for (const host of this.world.hosts) {
      const { name, powered, fake, daemon } = host;
      if (daemon && (daemon.process.paused || isCutOff(host, daemon))) host.hinderedAt = this.world.clock.now();
      for (const unit of STRANGERS.running) {
        const { active } = fake.systemd.state(unit);
        if (powered && active !== 'active') this.complain('INV-FOREIGN', `${unit} is ${active} on ${name}`);
      }
      for (const unit of STRANGERS.idle) {
        const { active } = fake.systemd.state(unit);
        if (active !== 'inactive') this.complain('INV-FOREIGN', `${unit} is ${active} on ${name}`);
      }
    }
  }

  private async finish(): Promise<void> {
    const { world, random } = this;
    const all = random.chance(0.5);
    this.note(`all faults end${all ? ', failed units are mended' : ''}`);
    await mendAll(world, all);
    await world.clock.advance(5_000);
    await mendAll(world, all);
    if (all)
      for (const host of world.hosts)
        for (const unit of this.failedOn(host)) host.fake.systemd.systemctl('reset-failed', unit);
    // a daemon that is being stopped may wait for those who find its units (deregistration_delay)
    const ended = () => world.hosts.every(({ ending }) => ending === undefined);
    await world.clock.until('every daemon that is being stopped to end', ended, SETTLE_MS);
    for (const host of world.hosts) if (!host.daemon) await world.boot(host);
    const joined = () => world.hosts.every(({ daemon }) => daemon?.membership.joined);
    await world.clock.until('every host to join', joined, SETTLE_MS);
    const last = world.propose(world.file(world.scenario.files.length - 1));
    await world.clock.finish('the last proposal', last);
    await world.clock.advance(1_000);
    const end = world.clock.now() + SETTLE_MS;
    // what is being stopped does not show in every case: it is to be in order for a while
    let inOrder = 0;
    let wrong = this.disorder();
    while (inOrder < LOOKS && world.clock.now() < end && this.violations.length === 0) {
      // a stop that was under way has ended meanwhile
      for (const host of world.hosts) if (!host.daemon) await world.boot(host);
      await world.clock.advance(500);
      wrong = this.disorder();
      inOrder = wrong === undefined ? inOrder + 1 : 0;
    }
    this.checkHosts();
    if (this.violations.length > 0) return;
    if (wrong !== undefined) {
      this.complain('INV-LIVE', `${SETTLE_MS / 1000} s after the last fault: ${wrong}`);
      return;
    }
    this.note('in order');
    for (const host of world.hosts) host.fake.asked.length = 0;
    await world.clock.advance(STABLE_MS);
    this.checkHosts();
    wrong = this.disorder();
    if (wrong !== undefined) this.complain('INV-LIVE', `in order first, then: ${wrong}`);
    for (const { name, fake } of world.hosts) {
      const done = fake.asked.filter((line) => /^(start|stop|run) /.test(line));
      const exits = [...world.hosts].some(({ broken }) => broken.size > 0);
      if (done.length > 0 && !exits) this.complain('INV-LIVE', `in order, but ${name} goes on: ${done.join(', ')}`);
    }
  }

  private failedOn(host: SimulatedHost): string[] {
    const units = [...this.orders.specs.values()].flatMap(({ services }) =>
      services.flatMap((each) => [...wantedOf(each).keys()]),
    );
    return [...new Set(units)].filter((unit) => host.fake.systemd.state(unit).active === 'failed');
  }

  /** What is not in order yet, one sentence. */
  private disorder(): string | undefined {
    const { world } = this;
    // it waits for what found its units (deregistration_delay), say, and what it leaves then moves
    const ending = world.hosts.find((host) => host.ending !== undefined);
    if (ending) return `the daemon of ${ending.name} is being stopped still`;
    const leaders = world.hosts.filter(({ daemon }) => daemon?.election.leading);
    if (leaders.length !== 1) return `${leaders.length} daemons lead`;
    const leader = leaders[0];
    const flapping = world.hosts.some(({ broken }) => broken.size > 0);
    const assignments = leader?.daemon?.leader?.assignments;
    if (!assignments) return 'the leader has placed nothing';
    const parting = world.hosts.find(isParting);
    if (parting) return `${parting.name} is about to stop a unit`;
    const joining = Object.entries(assignments.hosts).find(([, { state }]) => state === 'joining');
    if (joining) return `${joining[0]} is joining still`;
    const spec = this.specInForce();
    if (!spec) return 'there is no readable spec';
    // a unit that ends again and again is never settled, nor one whose script names one that is placed nowhere
    if (!assignments.settled && !flapping && !this.waits())
      return `the leader says that it is not settled (${this.unsettled()})`;
    for (const service of spec.services) {
      const wrong = this.disorderOf(service, spec, flapping);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  /** What the `spec` znode holds, if it can be read. */
  private specInForce(): Spec | undefined {
    const data = this.world.ensemble.tree.get('/spec')?.data;
    if (data !== this.inForce.data) {
      const record = data && decodeSpecRecord(data, '/spec');
      this.inForce = { data, spec: record?.ok ? record.value.spec : undefined };
    }
    return this.inForce.spec;
  }

  /** A unit (this one) waits for what will not come. */
  private waits(unit?: string): boolean {
    return this.world.hosts.some((host) =>
      host.daemon?.executor.observed?.units.some(
        (each) => (unit === undefined || each.unit === unit) && this.isVain(host, each.waiting ?? ''),
      ),
    );
  }

  /** It waits for a unit that is placed nowhere, or for a service of which nothing runs. */
  private isVain(host: SimulatedHost, waiting: string): boolean {
    if (waiting.includes('placed nowhere yet')) return true;
    const [, service = '', where] = /^it starts after (\S+), which is not up on (any|this) host/.exec(waiting) ?? [];
    const hosts = where === 'this' ? [host] : this.world.hosts;
    return (
      where !== undefined && !hosts.some((each) => each.fake.systemd.running().some((unit) => isOf(unit, service)))
    );
  }

  /** Where reports differ from orders. */
  private unsettled(): string {
    return this.world.hosts
      .map(({ name, daemon, fake }) => {
        const { epoch = 0, generation = 0, units = [], refused } = daemon?.executor.observed ?? {};
        const told = this.orders
          .newestOf(name)
          ?.units.map(({ unit, withdrawn }) => `${unit}${withdrawn ? ' withdrawn' : ''}`);
        const seen = units.map(
          ({ unit, failure, waiting }) =>
            `${unit} ${fake.systemd.state(unit).active} ${failure?.kind ?? ''} ${waiting ?? ''}`,
        );
        return `${name} ${epoch}.${generation} ${refused ?? ''} told ${told?.join(', ')}, reports ${seen.join(', ')}`;
      })
      .join('; ');
  }

  private disorderOf(service: Service, spec: Spec, flapping: boolean): string | undefined {
    const { world } = this;
    for (const [unit, count] of wantedOf(service)) {
      const running = world.hosts.filter(({ fake }) => fake.systemd.state(unit).active === 'active');
      const may = world.hosts.filter((host) => this.mayTake(host, unit, spec));
      const wanted = Math.min(count ?? world.hosts.length, may.length);
      const cordoned = world.hosts.filter(({ name }) => this.intentOf(name) !== undefined).length;
      if (running.length > (count ?? world.hosts.length))
        return `${unit} runs ${running.length} times, wanted ${count}`;
      const exclusive = service.type === 'multi' && service.exclusive;
      if (running.length < wanted && !exclusive && !flapping && !this.waits(unit))
        return `${unit} runs on ${running.length} hosts, ${wanted} wanted and possible (${cordoned} cordoned)`;
    }
    return undefined;
  }

  private mayTake(host: SimulatedHost, unit: string, spec: Spec): boolean {
    const { active, load } = host.fake.systemd.state(unit);
    if (active === 'failed' || load !== 'loaded' || this.intentOf(host.name) !== undefined) return false;
    const failed = host.daemon?.executor.observed?.units.some((each) => each.unit === unit && each.failure);
    if (failed) return false;
    const service = serviceOf(spec, unit);
    if (service?.type !== 'multi') return true;
    const forced = service.force[unit.slice(unit.indexOf('@') + 1, -'.service'.length)];
    return forced === undefined || forced === host.name;
  }

  private intentOf(host: string): string | undefined {
    const node = this.world.ensemble.tree.get(`/hosts/${host}`);
    const decoded = node && decodeHostIntent(node.data, '');
    return decoded?.ok ? decoded.value.state : node && 'unreadable';
  }

  private note(event: string): void {
    const now = this.world?.clock.now() ?? 0;
    let { hash } = this;
    this.bits.setFloat64(0, now);
    for (const part of [0, 4]) hash = Math.imul(hash ^ this.bits.getInt32(part), 0x01000193);
    for (let index = 0; index < event.length; index++) hash = Math.imul(hash ^ event.charCodeAt(index), 0x01000193);
    this.hash = hash;
    this.options.trace?.(`${(now / 1000).toFixed(4).padStart(10)}  ${event}`);
  }
}

/** It is about to stop a unit, as soon as others had time to leave it. */
function isParting({ daemon }: SimulatedHost): boolean {
  return daemon?.executor.observed?.units.some(({ waiting }) => waiting?.includes('deregistration_delay')) ?? false;
}
