/** The health of all instances of one host that have a check: a checker for each run of each, as long as it runs. */
import type { HealthCheck, Probe } from '../shared/attachments.ts';
import type { Clock } from '../shared/clock.ts';
import type { Health } from '../shared/state.ts';
import { Checker } from './checker.ts';
import { fillProbe, instanceOf, type Placeholders } from './fill.ts';
import { type Progress, STARTING, toHealth } from './health-state.ts';
import { type ProbeResult, runProbe } from './probe.ts';
import { Turns } from './turns.ts';

/** An instance that runs. */
export interface Running {
  readonly unit: string;
  readonly check: HealthCheck;
  /** When it became active, ms of the clock: another time is another run, whose health begins anew. */
  readonly activeSince: number;
}

export interface MonitorOptions {
  /** Of this host, for the placeholders. */
  readonly host: string;
  readonly address: () => string;
  readonly clock: Clock;
  /** An instance's health, as it is reported, has changed. */
  readonly onChange: () => void;
  /** Default: the real ones. */
  readonly probe?: ((probe: Probe, timeoutMs: number, signal: AbortSignal) => Promise<ProbeResult>) | undefined;
}

/** Probes at once on one host, however many instances it has. */
const AT_ONCE = 32;
/** Between the first probes of two instances: those of a host that has just started do not all begin at once. */
const SPREAD_MS = 10;

interface Followed {
  readonly running: Running;
  readonly key: string;
  readonly checker: Checker;
}

export class HealthMonitor {
  private readonly followed = new Map<string, Followed>();
  /** Unit → the end of its last checker, where that is not over yet. */
  private readonly ending = new Map<string, Promise<void>>();
  private readonly turns = new Turns(AT_ONCE);
  private nextFirst = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: MonitorOptions) {}

  /** Checks just these from now on. A run whose check was changed keeps what is known of it. */
  follow(instances: readonly Running[]): void {
    const units = new Set(instances.map(({ unit }) => unit));
    for (const [unit, { checker }] of this.followed) {
      if (units.has(unit)) continue;
      this.end(unit, checker);
      this.followed.delete(unit);
    }
    for (const running of instances) this.followOne(running);
  }

  /** What is known now, by unit. */
  get health(): ReadonlyMap<string, Health> {
    return new Map([...this.followed].map(([unit, { checker }]) => [unit, toHealth(checker.progress)]));
  }

  /** No probe is begun any more; those under way are given up. */
  close(): void {
    this.follow([]);
  }

  private end(unit: string, checker: Checker): void {
    checker.close();
    const ended = checker.ended.then(() => {
      if (this.ending.get(unit) === ended) this.ending.delete(unit);
    });
    this.ending.set(unit, ended);
  }

  private followOne(running: Running): void {
    const known = this.followed.get(running.unit);
    const sameRun = known?.running.activeSince === running.activeSince;
    // the leader writes a check anew with each order: it is the same one as long as it says the same
    const key = sameRun && known.running.check === running.check ? known.key : JSON.stringify(running.check);
    if (sameRun && known.key === key) return;
    if (known) this.end(running.unit, known.checker);
    this.followed.set(running.unit, {
      running,
      key,
      checker: this.check(running, sameRun ? known.checker.progress : undefined),
    });
  }

  private check({ unit, check, activeSince }: Running, from: Progress | undefined): Checker {
    const { clock, host, address, onChange, probe = runProbe } = this.options;
    const values: Placeholders = { host, address: address(), instance: instanceOf(unit) };
    const filled = fillProbe(check.probe, values);
    const now = clock.now();
    const first = Math.max(now, this.nextFirst + SPREAD_MS);
    this.nextFirst = first;
    const before = this.ending.get(unit);
    let told = JSON.stringify(toHealth(from ?? STARTING));
    return new Checker({
      check,
      activeSince,
      firstAfterMs: first - now,
      ...(from && { from }),
      ...(before && { after: before }),
      clock,
      turns: this.turns,
      probe: (timeoutMs, signal) => probe(filled, timeoutMs, signal),
      onLooked: (progress) => {
        const health = JSON.stringify(toHealth(progress));
        if (health === told) return;
        told = health;
        onChange();
      },
    });
  }
}
