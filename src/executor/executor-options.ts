/** What an executor is given: who it is for, what it works on, and whom it tells. */
import type { MonitorOptions } from '../health/monitor.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import type { ActiveState, Observed, RegistrableUnit } from '../shared/state.ts';
import type { Store } from '../shared/store.ts';
import type { MemoryFile } from './memory-file.ts';
import type { Systemd, SystemdEvents } from './systemd.ts';
import type { Turns } from './turns.ts';
import type { UnitEvents } from './unit-events.ts';

export interface ExecutorMetrics {
  reconciled(seconds: number): void;
  drift(unit: string): void;
  units(byState: ReadonlyMap<ActiveState, number>): void;
}

export interface ExecutorOptions {
  readonly host: string;
  readonly store: Store;
  readonly connectSystemd: (events: SystemdEvents) => Systemd;
  readonly memory: MemoryFile;
  readonly prestartFolder: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: ExecutorMetrics;
  readonly events: UnitEvents;
  readonly loopTickMs: number;
  readonly failedLoopTickMs: number;
  /** The session timeout that is asked for. */
  readonly sessionTimeoutMs: number;
  /** Called each time systemd can be talked to (again). */
  readonly onSystemdConnected: () => void;
  /** Where others reach this host, for checks that name it. */
  readonly address: () => string;
  /** How a check is made; default: really. */
  readonly probe?: MonitorOptions['probe'];
  /** Tells by `look` when the turn of a unit has come, or is lost. */
  readonly turns: Turns;
  /** A unit of this host is registered for others to find; when that changes, `look` is called. */
  readonly isRegistered: (unit: string) => boolean;
  /** Something of the unit may be registered; `look` is called when it is not any more. */
  readonly mayBeFound: (unit: string) => boolean;
  /** Called with each report, and the units that it is about, right before it is published; not while no order is known. */
  readonly onReport: (report: Observed, units: readonly RegistrableUnit[]) => void;
}
