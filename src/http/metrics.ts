/** The metrics of one daemon, in a registry of its own. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { HookMetrics } from '../discovery/hook-runner.ts';
import type { ExecutorMetrics } from '../executor/executor-options.ts';
import type { Assignments } from '../leader/assignments.ts';
import type { LeaderMetrics } from '../leader/leader.ts';
import { ACTIVE_STATES } from '../shared/state.ts';

const FAST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const SLOW_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** What the daemon itself knows at the moment of a scrape. */
export interface DaemonGauges {
  readonly leading: boolean;
  readonly zookeeperConnected: boolean;
  readonly specStale: boolean;
  /** Events that wait for hooks of this host. */
  readonly hookEvents: number;
  /** Templates of this host whose file could not be brought up to date. */
  readonly failedTemplates: number;
  /** Units of this host that are registered for others to find. */
  readonly registrations: number;
}

export class Metrics {
  readonly registry = new Registry();
  private readonly registers = [this.registry];
  private readonly epoch = this.gauge('epoch', 'Epoch of the leadership, on the leader');
  private readonly members = this.gauge('members', 'Live members of the cluster, on the leader');
  private readonly brake = this.gauge('brake_engaged', '1 while many lost hosts are waited for, on the leader');
  private readonly unplaced = this.gauge(
    'unplaced_instances',
    'Wanted instances that no host can take, on the leader',
    ['service'],
  );
  private readonly failed = this.gauge('failed_instances', 'Instances that failed and stay excluded, on the leader', [
    'service',
  ]);
  private readonly unhealthy = this.gauge('unhealthy_instances', 'Instances whose check fails, on the leader', [
    'service',
  ]);
  private readonly unitStates = this.gauge('units', 'Desired units of this host by state', ['state']);
  private readonly placement = this.histogram(
    'placement_duration_seconds',
    'Time to compute and verify a placement',
    FAST_SECONDS,
  );
  private readonly reconcile = this.histogram(
    'reconcile_duration_seconds',
    'Time from a change to its jobs being queued',
    FAST_SECONDS,
  );
  private readonly convergence = this.histogram(
    'convergence_seconds',
    'Time from an event until everything is settled',
    SLOW_SECONDS,
  );
  private readonly moves = this.counter('moves_total', 'Instances that left a host', ['reason']);
  private readonly drift = this.counter('drift_total', 'Units started or stopped by hand and put right', []);

  private readonly hookRuns = this.counter('hook_runs_total', 'Runs of hooks on this host by how they ended', [
    'result',
  ]);
  private readonly hookLeftOut = this.counter(
    'hook_events_left_out_total',
    'Events that hooks of this host were not told of, as too many waited',
    [],
  );

  private readonly templateWrites = this.counter('template_writes_total', 'Files written from templates', []);

  constructor(read: () => DaemonGauges) {
    this.collected('leader', '1 on the leader', () => Number(read().leading));
    this.collected('zookeeper_connected', '1 while the ZooKeeper session is confirmed', () =>
      Number(read().zookeeperConnected),
    );
    this.collected('spec_stale', "1 when this host's file is not the spec of the cluster", () =>
      Number(read().specStale),
    );
    this.collected('hook_queue_length', 'Events that wait for hooks of this host', () => read().hookEvents);
    this.collected(
      'templates_failed',
      'Templates of this host whose file could not be brought up to date',
      () => read().failedTemplates,
    );
    this.collected('registrations', 'Units of this host that others find', () => read().registrations);
    this.processMetrics();
  }

  readonly executor: ExecutorMetrics = {
    reconciled: (seconds) => this.reconcile.observe(seconds),
    drift: () => this.drift.inc(),
    units: (byState) => {
      for (const state of ACTIVE_STATES) this.unitStates.set({ state }, byState.get(state) ?? 0);
    },
  };

  readonly leader: LeaderMetrics = {
    placed: (seconds) => this.placement.observe(seconds),
    moved: (moves) => {
      for (const { because } of moves)
        this.moves.inc({ reason: because.kind === 'excluded' ? because.reason : because.kind });
    },
    cluster: ({ assignments, brake, members }) => {
      this.epoch.set(assignments.epoch);
      this.members.set(members);
      this.brake.set(brake ? 1 : 0);
      this.countUnplaced(assignments);
      this.countUnhealthy(assignments);
    },
    converged: (seconds) => this.convergence.observe(seconds),
  };

  readonly hooks: HookMetrics = {
    ran: (result) => this.hookRuns.inc({ result }),
    leftOut: (events) => this.hookLeftOut.inc(events),
  };

  /** A file was written from a template. */
  templateWritten(): void {
    this.templateWrites.inc();
  }

  /** What only a leader can know is not shown by one that no longer leads. */
  stoppedLeading(): void {
    for (const gauge of [this.epoch, this.members, this.brake, this.unplaced, this.failed, this.unhealthy])
      gauge.reset();
  }

  private countUnplaced(assignments: Assignments): void {
    this.unplaced.reset();
    for (const { service, wanted, placed } of assignments.unplaced) this.unplaced.inc({ service }, wanted - placed);
    this.failed.reset();
    for (const { unit } of assignments.failed) this.failed.inc({ service: unit.replace(/(@.*)?\.service$/, '') });
  }

  private countUnhealthy({ hosts }: Assignments): void {
    this.unhealthy.reset();
    for (const { units } of Object.values(hosts))
      for (const { service, health } of units) if (health?.state === 'unhealthy') this.unhealthy.inc({ service });
  }

  private gauge(name: string, help: string, labelNames: readonly string[] = []): Gauge<string> {
    return new Gauge({ name: `servicewatcher_${name}`, help, labelNames: [...labelNames], registers: this.registers });
  }

  private counter(name: string, help: string, labelNames: readonly string[]): Counter<string> {
    return new Counter({
      name: `servicewatcher_${name}`,
      help,
      labelNames: [...labelNames],
      registers: this.registers,
    });
  }

  private histogram(name: string, help: string, buckets: readonly number[]): Histogram<string> {
    return new Histogram({ name: `servicewatcher_${name}`, help, buckets: [...buckets], registers: this.registers });
  }

  private collected(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `servicewatcher_${name}`,
      help,
      registers: this.registers,
      collect() {
        this.set(read());
      },
    });
  }

  /** prom-client's own default metrics sample every scrape's event loop delay and more; these two are what operators ask for. */
  private processMetrics(): void {
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Resident memory of the daemon',
      registers: this.registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
    new Counter({
      name: 'process_cpu_seconds_total',
      help: 'Processor time used by the daemon',
      registers: this.registers,
      collect() {
        const { user, system } = process.cpuUsage();
        this.reset();
        this.inc((user + system) / 1e6);
      },
    });
  }
}
