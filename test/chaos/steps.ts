/** What faults are made of: single steps on a host, and the waits until what was struck is up again. */
import type { Host } from '../harness/host.ts';
import { until } from '../harness/until.ts';
import { type ChaosCluster, resetFailed } from './cluster.ts';
import { DAEMON } from './journal.ts';
import { FLAGS } from './world.ts';

/** Longest for a daemon to be ready again: it may have to wait for a quorum. */
const READY_MS = 60_000;
/** For the waits for what comes up again. */
export const WAIT = { deadlineMs: READY_MS, everyMs: 50 };
/** Longest for systemd to start a unit again by itself. */
const RETURNED_MS = 10_000;

/** A fault that is under way. */
export interface Effect {
  /** When the last process of a host that was switched off was gone, ms of CLOCK_MONOTONIC. */
  readonly offAt?: number;
  /**
   * Undoes it; resolves when what was struck is up again, as far as it comes up by itself. `told` learns when a daemon was
   * told to start, ms of CLOCK_MONOTONIC, if the fault ends with that.
   */
  undo(told: (at: number) => void): Promise<void>;
}

/** Resolves when the host is up and its daemon is ready, with the time at which that was started, ms of CLOCK_MONOTONIC. */
export async function boot(host: Host): Promise<number> {
  await host.start();
  const ready = async () => (await host.unitState(DAEMON)).active === 'active';
  await until(ready, { ...WAIT, what: `the daemon of ${host.name} to be ready` });
  const started = await host.systemctl('show', '--value', '--property=ExecMainStartTimestampMonotonic', DAEMON);
  return Number(started) / 1000;
}

export async function untilOtherDaemon(host: Host, before: number): Promise<void> {
  const other = async () => {
    const { active, mainPid } = await host.unitState(DAEMON);
    return active === 'active' && mainPid !== before;
  };
  await until(other, { ...WAIT, what: `a new daemon on ${host.name}` });
}

/** Or until it should have: the checker tells of a unit that did not return. */
export async function untilReturned(host: Host, unit: string, before: number): Promise<void> {
  const returned = async () => {
    const { active, mainPid } = await host.unitState(unit);
    return active === 'active' && mainPid !== before;
  };
  await until(returned, { deadlineMs: RETURNED_MS, what: `${unit} to return on ${host.name}` }).catch(() => undefined);
}

export async function replaceFiles(cluster: ChaosCluster, host: Host, changed: boolean): Promise<void> {
  await cluster.writeFiles(changed);
  const replaced = async () => {
    await systemctl(host, 'reload', DAEMON);
    const status = JSON.parse((await cluster.lab.http(host, '/status')).body);
    return status.spec.file === status.spec.cluster && status.spec.file;
  };
  await until(replaced, { ...WAIT, everyMs: 500, what: `the file of ${host.name} to be the cluster's` });
}

export async function stopByHand(host: Host, unit: string): Promise<Effect> {
  await systemctl(host, 'stop', unit);
  // one that had to be killed in the end counts as failed: it was not ServiceWatcher that stopped it
  return { undo: () => resetFailed(host, unit) };
}

export async function fail(host: Host, unit: string): Promise<void> {
  await systemctl(host, 'kill', '--signal=KILL', unit);
}

export async function raiseFlag(host: Host, unit: string): Promise<void> {
  await host.mustSh('sh', '-c', `mkdir -p ${FLAGS} && touch ${FLAGS}/${unit}`);
}

/** Hosts that were, or are being, switched off have no flag any more. */
export async function lowerFlags(flagged: readonly Host[], failed: readonly Host[], unit: string): Promise<void> {
  const on = flagged.filter((host) => host.running);
  await Promise.allSettled(on.map((host) => host.mustSh('rm', '-f', `${FLAGS}/${unit}`)));
  await Promise.all(failed.map((host) => resetFailed(host, unit)));
}

export async function signalDaemon(host: Host, signal: 'KILL' | 'STOP' | 'CONT'): Promise<void> {
  await systemctl(host, 'kill', `--signal=${signal}`, '--kill-who=main', DAEMON);
}

export async function systemctl(host: Host, ...args: string[]): Promise<void> {
  const { code, stderr } = await host.run(['systemctl', ...args], { deadlineMs: READY_MS });
  if (code !== 0) throw new Error(`systemctl ${args.join(' ')} on ${host.name}: exit ${code} ${stderr.trim()}`);
}
