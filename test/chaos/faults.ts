/** The kinds of faults, what each strikes, and how long it lasts. */

export const FAULT_KINDS = [
  'host-power',
  'host-reboot',
  'host-cable',
  'daemon-kill',
  'daemon-freeze',
  'daemon-stop',
  'daemon-restart',
  'reload',
  'reload-changed',
  'dbus-restart',
  'systemd-reload',
  'systemd-reexec',
  'disk-full',
  'server-kill',
  'server-freeze',
  'server-stop',
  'server-cable',
  'quorum-kill',
  'quorum-freeze',
  'quorum-cable',
  'unit-fail',
  'unit-exit',
  'unit-killed',
  'unit-hangs-at-stop',
  'unit-hangs-at-start',
  'unit-fails-on-hosts',
  'unit-stopped-by-hand',
  'unit-started-by-hand',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/**
 * `host`: one host. `server`: one ZooKeeper server. `quorum`: so many of them that no majority is left. `unit`: one unit on
 * one host. `cluster`: the configuration of all.
 */
export type Target = 'host' | 'server' | 'quorum' | 'unit' | 'cluster';

export interface FaultTraits {
  readonly target: Target;
  readonly does: string;
  /** Ranges of how long it lasts, ms, one of which is taken; none: as long as it takes. */
  readonly lasts: readonly (readonly [least: number, most: number])[];
  /** Units of which one is struck (`unit` only). */
  readonly units?: readonly string[];
  /** It strikes the daemon's process itself: two of these do not meet on one host. */
  readonly ofDaemon?: boolean;
}

/** Shorter than what may be noticed; long enough for units that may run once only; long enough to lose the session of 4 s. */
const SILENCES = [
  [300, 700],
  [2000, 4500],
  [5000, 9000],
] as const;
/** A unit that is held up for some time. */
const WHILE = [[1000, 5000]] as const;
const AT_ONCE = [] as const;

export const FAULTS: Readonly<Record<FaultKind, FaultTraits>> = {
  'host-power': { target: 'host', does: 'power off, and on again', lasts: [[500, 9000]] },
  'host-reboot': { target: 'host', does: 'orderly power off, and on again', lasts: [[0, 3000]] },
  'host-cable': { target: 'host', does: 'cable out, and in again', lasts: SILENCES },
  'daemon-kill': { target: 'host', does: 'SIGKILL to the daemon', lasts: AT_ONCE, ofDaemon: true },
  'daemon-freeze': { target: 'host', does: 'SIGSTOP, SIGCONT to the daemon', lasts: SILENCES, ofDaemon: true },
  'daemon-stop': { target: 'host', does: 'systemctl stop, start of the daemon', lasts: [[0, 6000]], ofDaemon: true },
  'daemon-restart': { target: 'host', does: 'systemctl restart of the daemon', lasts: AT_ONCE, ofDaemon: true },
  reload: { target: 'host', does: 'reload, the file unchanged', lasts: AT_ONCE, ofDaemon: true },
  'reload-changed': { target: 'cluster', does: 'one instance less in every file, reload, and back', lasts: WHILE },
  'dbus-restart': { target: 'host', does: 'systemctl restart dbus', lasts: AT_ONCE },
  'systemd-reload': { target: 'host', does: 'systemctl daemon-reload', lasts: AT_ONCE },
  'systemd-reexec': { target: 'host', does: 'systemctl daemon-reexec', lasts: AT_ONCE },
  'disk-full': { target: 'host', does: 'the state directory’s disk full, and free again', lasts: [[1000, 8000]] },
  'server-kill': { target: 'server', does: 'SIGKILL to a ZooKeeper server, and start', lasts: [[0, 6000]] },
  'server-freeze': { target: 'server', does: 'SIGSTOP, SIGCONT to a ZooKeeper server', lasts: SILENCES },
  'server-stop': { target: 'server', does: 'SIGTERM to a ZooKeeper server, and start', lasts: [[0, 6000]] },
  'server-cable': { target: 'server', does: 'cable of a ZooKeeper server out, and in again', lasts: SILENCES },
  'quorum-kill': { target: 'quorum', does: 'SIGKILL to a majority of servers, and start', lasts: [[0, 9000]] },
  'quorum-freeze': { target: 'quorum', does: 'SIGSTOP, SIGCONT to a majority of servers', lasts: [[500, 9000]] },
  'quorum-cable': { target: 'quorum', does: 'cables of a majority of servers out, and in again', lasts: [[500, 9000]] },
  'unit-fail': {
    target: 'unit',
    does: 'SIGKILL to a unit, reset-failed',
    lasts: WHILE,
    units: ['everywhere', 'one', 'two', 'three', 'part@a', 'part@b', 'single', 'stubborn'],
  },
  'unit-exit': {
    target: 'unit',
    does: 'a unit ends in good order',
    lasts: AT_ONCE,
    units: ['everywhere', 'one', 'two', 'three', 'part@b', 'part@c'],
  },
  'unit-killed': {
    target: 'unit',
    does: 'SIGKILL to a unit that systemd starts again by itself',
    lasts: AT_ONCE,
    units: ['restarting'],
  },
  'unit-hangs-at-stop': { target: 'unit', does: 'stop by hand, SIGTERM ignored', lasts: AT_ONCE, units: ['lingering'] },
  'unit-hangs-at-start': { target: 'unit', does: 'fails, and hangs in every start', lasts: WHILE, units: ['slow'] },
  'unit-fails-on-hosts': {
    target: 'unit',
    does: 'fails wherever it runs, at every start',
    lasts: WHILE,
    units: ['flaky'],
  },
  'unit-stopped-by-hand': {
    target: 'unit',
    does: 'systemctl stop of a unit',
    lasts: AT_ONCE,
    units: ['everywhere', 'one', 'two', 'three', 'part@a', 'single', 'stubborn'],
  },
  'unit-started-by-hand': {
    target: 'unit',
    does: 'systemctl start of a unit where it is not placed',
    lasts: AT_ONCE,
    // not one that may run once only: it would be the hand that broke the rule
    units: ['one', 'two', 'part@a', 'part@b', 'part@c'],
  },
};

/** One fault of the schedule. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** Which of the possible targets when it begins, in the order of their names: at least 0, less than 1. */
  readonly rank: number;
  /** The host that leads, or the ensemble's leader, rather than any. */
  readonly atLeader: boolean;
  /** The host that the round's first fault struck, too (second faults only). */
  readonly sameHost: boolean;
  readonly unit?: string;
  /** Milliseconds from the round's beginning. */
  readonly afterMs: number;
  readonly lastsMs: number;
}

/** A fault as it happened. Times in ms of CLOCK_MONOTONIC. */
export interface FaultRecord {
  readonly kind: FaultKind;
  readonly round: number;
  /** Struck directly; empty for those of servers and of the whole cluster. */
  readonly hosts: readonly string[];
  readonly servers: readonly string[];
  /** Unit that was struck, with its ending; of `reload-changed`: the one that has an instance less meanwhile. */
  readonly unit?: string;
  readonly beganAt: number;
  /** It was undone, and what it had struck was up again. */
  readonly endedAt: number;
  /** When a daemon was told to start, if the fault ended with that (`endedAt`: it was ready). */
  readonly daemonToldAt?: number;
  /** When the last process on the host was gone (`host-power`, `host-reboot`). */
  readonly offAt?: number;
  /** How long the ensemble served nobody, or not all, for want of a quorum. */
  readonly noQuorumMs: number;
  /** When the cluster had settled after the round; absent: it did not. */
  readonly settledAt?: number;
}

export function isOfServers(kind: FaultKind): boolean {
  const { target } = FAULTS[kind];
  return target === 'server' || target === 'quorum';
}
