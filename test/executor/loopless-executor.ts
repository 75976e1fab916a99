/** The parts of an executor, as it wires them, without its loop: nothing makes a pass but the test. */
import { Departures } from '../../src/executor/departures.ts';
import type { ExecutorOptions } from '../../src/executor/executor-options.ts';
import { HealthWatch } from '../../src/executor/health-watch.ts';
import { Lease } from '../../src/executor/lease.ts';
import { MemoryKeeper } from '../../src/executor/memory-keeper.ts';
import { OrderedStarts } from '../../src/executor/ordered-starts.ts';
import { Orders } from '../../src/executor/orders.ts';
import { Prestart } from '../../src/executor/prestart.ts';
import { Publisher } from '../../src/executor/publisher.ts';
import { Reconciler } from '../../src/executor/reconciler.ts';
import { StandingOrder } from '../../src/executor/standing-order.ts';
import { StopFailures } from '../../src/executor/stop-failures.ts';
import type { Systemd } from '../../src/executor/systemd.ts';
import { Teller } from '../../src/executor/teller.ts';
import { UnitJobs } from '../../src/executor/unit-jobs.ts';
import { UnitTable } from '../../src/executor/unit-table.ts';

export class LooplessExecutor {
  readonly reconciler: Reconciler;
  readonly teller: Teller;
  readonly jobs: UnitJobs;
  private readonly table: UnitTable;
  private readonly orders: Orders;
  private readonly lease: Lease;
  private readonly publisher: Publisher;
  private readonly keeper: MemoryKeeper;
  private readonly health: HealthWatch;
  private readonly systemd: Systemd;

  constructor(private readonly options: ExecutorOptions) {
    const { clock, log, host, store, mayBeFound, sessionTimeoutMs } = options;
    const onChange = () => {};
    this.table = new UnitTable(
      clock,
      () => this.keeper.save(),
      () => {},
    );
    this.systemd = options.connectSystemd({
      onConnected: options.onSystemdConnected,
      onDisconnected: () => {},
      onUnit: (unit, active, sub) => void this.table.signalled(unit, active, sub, this.jobs.isBusy(unit)),
      onReloaded: () => {},
    });
    const { table, systemd } = this;
    this.orders = new Orders(host, log, { onChange, onAccepted: () => this.lease.confirmed() });
    const { orders } = this;
    this.lease = new Lease({ ...options, systemd, runOnce: () => orders.runOnce, onChange });
    this.publisher = new Publisher(store, host, clock, log);
    const departures = new Departures({ clock, mayBeFound, limitMs: sessionTimeoutMs });
    this.keeper = new MemoryKeeper(
      options.memory,
      () => ({
        applied: orders.applied,
        runOnce: orders.runOnce,
        units: table.ours(),
        farewells: departures.remembered,
      }),
      log,
    );
    const { lease, publisher, keeper } = this;
    this.health = new HealthWatch({ ...options, onChange });
    const orderedStarts = new OrderedStarts({ ...options, onChange });
    const standing = new StandingOrder(orders, lease);
    this.jobs = new UnitJobs({
      ...options,
      systemd,
      table,
      prestart: new Prestart(systemd, options.prestartFolder, host),
      stillDesired: (unit, scriptHasRun) => !this.reconciler.ended && standing.asksFor(unit, scriptHasRun),
      inTurn: (unit) => orderedStarts.mayAsk(unit),
      onChange,
      onDrift: (unit) => options.metrics.drift(unit),
      saved: () => {
        keeper.saveApplied(orders.applied);
        return keeper.saved;
      },
    });
    const { jobs, health } = this;
    const stopFailures = new StopFailures({ log, resetIfStopped: (unit) => jobs.resetIfStopped(unit), onChange });
    const parts = { ...options, table, orders, jobs, stopFailures, health, departures };
    this.teller = new Teller({ ...parts, publisher });
    const { teller } = this;
    this.reconciler = new Reconciler({ ...parts, systemd, standing, lease, orderedStarts, keeper, teller });
  }

  /** Recalls what was ours before, joins, and begins to watch. */
  async start(): Promise<void> {
    const remembered = await this.keeper.load();
    this.table.recall(remembered.units);
    this.orders.open(this.options.store, remembered.applied, remembered.runOnce);
    this.lease.join(true);
    this.publisher.enable();
  }

  /** It knows whether there is an order, and systemd can be asked. */
  get ready(): boolean {
    return this.orders.read && this.systemd.connected;
  }

  async close(): Promise<void> {
    this.orders.close();
    this.health.close();
    await Promise.all([this.jobs.close(), this.lease.close(), this.publisher.close(), this.systemd.close()]);
  }
}
