/**
 * Which ends of running units a fault explains: the host or the unit itself was struck, or the host was cut off for so long
 * that what runs there had to be stopped, or was given to others. Pure.
 */
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import { FAULTS, type FaultKind, type FaultRecord, isOfServers } from './faults.ts';
import type { Run } from './runs.ts';
import { DECLARED, SESSION_TIMEOUT_MS, SETTLE_LIMIT_MS, type UnitClass } from './world.ts';

/**
 * A daemon asks ZooKeeper for a sign of life so often: the last one may be so old when the silence begins. The other parts
 * of the session timeout T count from that sign: the stop of units that may run once only begins after T·2/3.
 */
const HEARTBEAT_MS = SESSION_TIMEOUT_MS / 6;
/** A silence from which units that may run once only may have been stopped. */
export const ISOLATED_AFTER_MS = (SESSION_TIMEOUT_MS * 2) / 3 - HEARTBEAT_MS;
/** A silence from which the host may count as lost. */
export const LOST_AFTER_MS = SESSION_TIMEOUT_MS - HEARTBEAT_MS;
/** After so long a silence the daemon tries another server. */
const NOTICED_AFTER_MS = isolationTiming(SESSION_TIMEOUT_MS).suspectMs;
/** From the quorum's return to the first answer: a connection has to be made again. */
const RECONNECT_MS = 1000;
/** The journal's words on what a fault caused may come this much later than the moment at which all had settled. */
const AFTERMATH_MS = 250;

/**
 * Until when the fault may have consequences that nobody has noticed when it ends: a silence begins with all daemons
 * connected and the cluster settled, and the last that follows from it is the stop of what may run once only.
 */
export function heededBy({ kind, beganAt }: FaultRecord): number {
  return isSilence(kind) ? beganAt + isolationTiming(SESSION_TIMEOUT_MS).stopAfterMs + AFTERMATH_MS : beganAt;
}

function isSilence(kind: FaultKind): boolean {
  return isOfServers(kind) || kind === 'host-cable' || kind === 'daemon-freeze';
}

/** Whether the fault was under way, or its consequences were. */
export function isDuring(fault: FaultRecord, at: number): boolean {
  const over = (fault.settledAt ?? fault.endedAt + SETTLE_LIMIT_MS) + AFTERMATH_MS;
  return fault.beganAt <= at && at <= Math.max(over, heededBy(fault));
}

/** The end of a run, or one that might have been. */
export type Ending = Pick<Run, 'unit' | 'host' | 'endsAt' | 'endedBy'>;

/** The faults that explain that the run ended when it did; each of them explains one end of a unit on a host. */
export function explanations(run: Ending, faults: readonly FaultRecord[]): FaultRecord[] {
  const { endsAt } = run;
  if (endsAt === undefined) return [];
  const during = faults.filter((fault) => isDuring(fault, endsAt));
  const declared = DECLARED.find(({ unit }) => unit === run.unit);
  if (declared === undefined) return [];
  return during.filter((fault) => struck(fault, run) || silenced(fault, during, run.host, declared.class));
}

function struck(fault: FaultRecord, run: Ending): boolean {
  const there = fault.hosts.includes(run.host);
  switch (fault.kind) {
    case 'host-power':
    case 'host-reboot':
    case 'daemon-stop':
      return there;
    case 'reload-changed':
      return fault.unit === run.unit;
    case 'unit-killed':
      return there && fault.unit === run.unit && run.endedBy !== 'stopping';
    default:
      return FAULTS[fault.kind].target === 'unit' && there && fault.unit === run.unit;
  }
}

/** Whether `fault`, with others at the same time, kept the host from ZooKeeper for long enough. */
function silenced(fault: FaultRecord, during: readonly FaultRecord[], host: string, unitClass: UnitClass): boolean {
  const own = silence(fault, host);
  if (own === 0) return false;
  // never: its own report and the order for it stay the same, whatever others are given
  if (unitClass === 'everywhere') return false;
  const atOnce = during.filter((other) => silence(other, host) > 0);
  const total = atOnce.reduce((sum, other) => sum + silence(other, host), 0);
  if (unitClass === 'once') return total >= ISOLATED_AFTER_MS;
  // without a quorum no session ends, and after it each begins anew
  return total >= LOST_AFTER_MS && atOnce.some((other) => !isOfServers(other.kind));
}

/** For how long the fault may keep the host's daemon from being heard, ms. */
function silence(fault: FaultRecord, host: string): number {
  const lasted = fault.endedAt - fault.beganAt;
  switch (fault.kind) {
    case 'host-cable':
      // packets that were lost are sent again after pauses that double, unless the silence was noticed before
      return fault.hosts.includes(host) ? Math.min(2 * lasted, lasted + NOTICED_AFTER_MS) : 0;
    case 'daemon-kill':
    case 'daemon-freeze':
    case 'daemon-restart':
      return fault.hosts.includes(host) ? lasted : 0;
    default:
      if (!isOfServers(fault.kind)) return 0;
      // the loss of one server alone must be survived: by itself it never suffices
      return fault.noQuorumMs > 0 ? fault.noQuorumMs + RECONNECT_MS : Math.min(NOTICED_AFTER_MS, ISOLATED_AFTER_MS - 1);
  }
}
