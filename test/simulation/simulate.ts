/**
 * The deterministic simulation of a whole cluster: real executors, elections, leaders and memberships of 3 to 5 hosts on
 * a pretended clock, ZooKeeper and systemd. One seed decides everything: hosts, files, latencies, what fails and when. The
 * same seed gives the same run, event for event. After every event the invariants must hold (`invariants.ts`).
 */
import { Asked } from './asked.ts';
import { isCutOff } from './cut-off.ts';
import { Disorder } from './disorder.ts';
import { FAULTS, mendAll, STRUCK_AT_START, TIME_PASSES } from './faults.ts';
import type { Invariant, Violation } from './invariants.ts';
import type { Kind } from './kind.ts';
import { OPERATOR, Orders } from './orders.ts';
import { wantedOf } from './placement-check.ts';
import { Random } from './random.ts';
import { drawScenario, ONCE_ONLY, STRANGERS } from './scenario.ts';
import { Starts } from './starts.ts';
import { Trace } from './trace.ts';
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
  private readonly disorder: Disorder;
  private readonly trace: Trace;
  private readonly holders = new Map([...ONCE_ONLY].map((unit) => [unit, new Set<string>()]));

  constructor(private readonly options: RunOptions) {
    this.random = new Random(options.seed);
    this.trace = new Trace(options.trace);
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
    this.disorder = new Disorder(this.world, this.orders);
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
    return { seed, violations: this.violations, counts: this.counts, hash: this.trace.hash, simulatedMs };
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
    let wrong = this.disorder.find();
    while (inOrder < LOOKS && world.clock.now() < end && this.violations.length === 0) {
      // a stop that was under way has ended meanwhile
      for (const host of world.hosts) if (!host.daemon) await world.boot(host);
      await world.clock.advance(500);
      wrong = this.disorder.find();
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
    wrong = this.disorder.find();
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

  private note(event: string): void {
    this.trace.note(this.world?.clock.now() ?? 0, event);
  }
}
