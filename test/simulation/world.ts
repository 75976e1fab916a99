/** The pretended cluster of one run: hosts with whole daemons, the way between each and ZooKeeper, and an operator. */

import type { ProbeResult } from '../../src/health/probe.ts';
import type { Probe } from '../../src/shared/attachments.ts';
import { digestOf } from '../../src/shared/digest.ts';
import type { Spec } from '../../src/shared/spec.ts';
import { proposeSpec } from '../../src/shared/spec-store.ts';
import type { ActiveState } from '../../src/shared/state.ts';
import type { WireOperation } from '../../src/shared/zookeeper/calls.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost } from '../fakes/daemon.ts';
import type { LogEntry } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import type { Random } from './random.ts';
import { type Scenario, STRANGERS } from './scenario.ts';

/** What the way between a host and ZooKeeper lets through. */
export type Way = 'whole' | 'silent' | 'requests' | 'answers' | 'reset';

const BACKED_UP = 20;
/** How long a check takes. */
const PROBE_MS = 20;

export interface SimulatedHost {
  readonly name: string;
  readonly fake: FakeHost;
  daemon: FakeDaemon | undefined;
  powered: boolean;
  way: Way;
  busUp: boolean;
  /** The daemon is ending in good order: it stops all units, or those that may run once only, or is started again. */
  ending: 'all' | 'once-only' | 'restart' | undefined;
  /** Index of its configuration file. */
  file: number;
  /** Unit files that do not behave as they should. */
  readonly broken: Set<string>;
  /** Services whose checks fail here. */
  readonly sick: Set<string>;
  /** When the daemon sent the newest request that ZooKeeper has answered, ms. */
  confirmedAt: number;
  /** When the daemon was paused, or cut off from ZooKeeper, last, ms. */
  hinderedAt: number;
  /** When its bus was away last, ms. */
  busGoneAt: number;
  /** Happens to the daemon right after it has asked systemd for a start the next time. */
  atStart: { readonly of: 'any' | 'once-only'; readonly act: () => void } | undefined;
}

export interface WorldHooks {
  onState(host: string, unit: string, active: ActiveState): void;
  onAsked(host: SimulatedHost, line: string): void;
  /** What the daemon of another machine with the host's name asks its systemd for. */
  onImpostor(host: SimulatedHost, line: string): void;
  onLogged(host: string, entry: LogEntry): void;
  onSettled(): void;
}

function found({ sick }: SimulatedHost, probe: Probe): ProbeResult {
  const isSick = probe.kind === 'exec' && sick.has(probe.command[1] ?? '');
  return isSick ? { ok: false, output: 'sick' } : { ok: true };
}

export class World {
  readonly clock: FakeClock;
  readonly ensemble: FakeEnsemble;
  readonly hosts: readonly SimulatedHost[];
  readonly operator: FakeStore;
  private readonly impostors: FakeDaemon[] = [];
  /** The last desired states that were written, as a backup would hold them. */
  private readonly desiredWritten: { readonly path: string; readonly data: Buffer }[] = [];
  /** All data of the ensemble is lost; it may serve again from this time on. */
  lostUntil: number | undefined;

  constructor(
    readonly scenario: Scenario,
    readonly random: Random,
    private readonly hooks: WorldHooks,
  ) {
    const { zookeeperMs, tickMs, sessionTimeoutMs, timings, systemdMs } = scenario;
    this.clock = new FakeClock({ files: false, onSettled: () => hooks.onSettled() });
    const jitter = random.fork();
    this.ensemble = new FakeEnsemble({
      clock: this.clock,
      latencyMs: zookeeperMs,
      tickMs,
      random: () => jitter.next(),
    });
    this.hosts = scenario.hosts.map((name) => {
      const fake: FakeHost = new FakeHost(name, this.clock, this.ensemble, `/scripts-of-${name}`, {
        timings,
        sessionTimeoutMs,
        systemd: { latencyMs: systemdMs, onState: (unit, active) => hooks.onState(name, unit, active) },
        onAsked: (line) => hooks.onAsked(host, line),
        onLogged: (entry) => hooks.onLogged(name, entry),
        probe: (process) => (probe) =>
          new Promise((resolve) => process.after(PROBE_MS, () => resolve(found(host, probe)))),
      });
      const host: SimulatedHost = {
        name,
        fake,
        daemon: undefined,
        powered: true,
        way: 'whole',
        busUp: true,
        ending: undefined,
        file: 0,
        broken: new Set(),
        sick: new Set(),
        confirmedAt: Number.NEGATIVE_INFINITY,
        hinderedAt: Number.NEGATIVE_INFINITY,
        busGoneAt: Number.NEGATIVE_INFINITY,
        atStart: undefined,
      };
      for (const [file, script] of scenario.scripts) fake.systemd.define(file, script);
      for (const stranger of [...STRANGERS.running, ...STRANGERS.idle]) fake.systemd.define(stranger);
      for (const stranger of STRANGERS.running) fake.systemd.systemctl('start', stranger);
      return host;
    });
    this.operator = this.ensemble.connect({ sessionTimeoutMs: 60_000 });
  }

  async boot(host: SimulatedHost): Promise<void> {
    host.daemon = await host.fake.boot(this.file(host.file));
    host.confirmedAt = this.clock.now();
    host.daemon.store.onConfirmed((at) => {
      host.confirmedAt = at;
    });
    this.applyWay(host);
  }

  /** Another machine with the host's name, and nothing running on it: its daemon. */
  async impersonate(host: SimulatedHost): Promise<FakeDaemon> {
    const { timings, sessionTimeoutMs } = this.scenario;
    const other = new FakeHost(host.name, this.clock, this.ensemble, '/scripts-of-another', {
      timings,
      sessionTimeoutMs,
      onAsked: (line) => this.hooks.onImpostor(host, line),
    });
    other.machineId = 'another-machine';
    const impostor = await other.boot(this.file(host.file));
    this.impostors.push(impostor);
    return impostor;
  }

  /** A desired state of an earlier time, and where it was. */
  oldDesired(): { readonly path: string; readonly data: Buffer } | undefined {
    return this.desiredWritten.length > 0 ? this.random.pick(this.desiredWritten) : undefined;
  }

  /** The session is that of a second machine of a host's name. */
  isImpostor(session: string): boolean {
    return this.impostors.some(({ store: { state } }) => state.kind === 'connected' && state.session === session);
  }

  /** A transaction was applied: what it wrote is backed up. */
  backUp(operations: readonly WireOperation[]): void {
    for (const operation of operations) {
      const { op, path } = operation;
      if (!path.startsWith('/desired/') || (op !== 'set' && op !== 'create')) continue;
      this.desiredWritten.push({ path, data: operation.data });
      if (this.desiredWritten.length > BACKED_UP) this.desiredWritten.shift();
    }
  }

  /** The configuration file of this number. */
  file(index: number): Spec {
    const spec = this.scenario.files[index];
    if (!spec) throw new Error(`there is no file ${index}`);
    return spec;
  }

  kill(host: SimulatedHost): void {
    host.daemon?.kill();
    host.daemon = undefined;
    host.ending = undefined;
  }

  /** `systemctl stop` of the daemon. */
  stop(host: SimulatedHost, which: 'all' | 'once-only'): void {
    const { daemon } = host;
    if (!daemon) return;
    host.ending = which;
    // a promise that never ends is one of a daemon that was killed meanwhile
    void daemon.stop(which).then(() => {
      if (host.daemon === daemon) this.kill(host);
    });
  }

  /** `systemctl restart` of the daemon: the next process starts when the one before has ended. */
  restart(host: SimulatedHost): void {
    const { daemon } = host;
    if (!daemon) return;
    host.ending = 'restart';
    void daemon.makeWay().then(async () => {
      if (host.daemon !== daemon) return;
      this.kill(host);
      await this.boot(host);
    });
  }

  powerOff(host: SimulatedHost): void {
    this.kill(host);
    host.fake.systemd.powerOff();
    host.powered = false;
    host.busUp = true;
  }

  async powerOn(host: SimulatedHost): Promise<void> {
    host.powered = true;
    host.fake.systemd.reconnect();
    for (const stranger of STRANGERS.running) host.fake.systemd.systemctl('start', stranger);
    await this.boot(host);
  }

  setWay(host: SimulatedHost, way: Way): void {
    if (host.way !== 'whole') host.daemon?.store.heal();
    host.way = way;
    this.applyWay(host);
  }

  /** The bus of the host goes away, or comes back. */
  setBus(host: SimulatedHost, up: boolean): void {
    if (host.busUp === up) return;
    host.busGoneAt = this.clock.now();
    host.busUp = up;
    if (up) host.fake.systemd.reconnect();
    else host.fake.systemd.disconnect();
  }

  /** An operator puts another spec in force, with `servicewatcher apply`. */
  async propose(spec: Spec): Promise<void> {
    await proposeSpec(this.operator, {
      spec,
      digest: digestOf(spec),
      proposedBy: 'operator',
      at: this.clock.date().toISOString(),
      intent: 'replace',
    }).catch(() => undefined);
  }

  /** `systemctl reload` of the host's daemon. */
  reload(host: SimulatedHost): void {
    void host.daemon?.reload(this.file(host.file));
  }

  /** Every server is gone, and all that was written with them; others come in their place, but not before every session is over. */
  loseStore(): void {
    this.ensemble.wipe();
    this.lostUntil = this.clock.now() + this.scenario.sessionTimeoutMs + this.scenario.tickMs;
  }

  private applyWay(host: SimulatedHost): void {
    if (host.way !== 'whole') host.daemon?.store.cut(host.way);
  }
}
