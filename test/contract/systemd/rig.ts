/** What the contract tests need of a systemd beside its `Systemd` interface; there is a rig for the fake and one for the real. */
import type { Systemd, SystemdEvents } from '../../../src/executor/systemd.ts';
import type { ActiveState } from '../../../src/shared/state.ts';
import type { CommandScript, UnitScript } from '../../fakes/systemd-script.ts';
import { until } from '../../harness/until.ts';

export interface Rig {
  connect(events: SystemdEvents): Systemd;
  /** Writes unit files that behave as told and makes systemd read them. */
  define(units: Readonly<Record<string, Partial<UnitScript>>>): Promise<void>;
  mask(unit: string): Promise<void>;
  /** A unit file that systemd refuses to load (`bad-setting`). */
  breakFile(unit: string): Promise<void>;
  alias(alias: string, unit: string): Promise<void>;
  /** By an operator's hand; not waited for. */
  systemctl(verb: 'start' | 'stop' | 'reset-failed', unit: string): Promise<void>;
  kill(unit: string, signal: number): Promise<void>;
  daemonReload(): Promise<void>;
  restartBus(): Promise<void>;
  /** Command line of a program that does as told. */
  command(script: CommandScript): readonly [string, ...string[]];
  close(): Promise<void>;
}

/** Waits as long as a slow machine may need, and not longer. */
const DEADLINE_MS = 15_000;

/** A connection and everything it told. */
export class Watched {
  readonly systemd: Systemd;
  connects = 0;
  disconnects = 0;
  reloads = 0;
  readonly states: { readonly unit: string; readonly active: ActiveState; readonly sub: string }[] = [];

  constructor(rig: Rig) {
    this.systemd = rig.connect({
      onConnected: () => {
        this.connects++;
      },
      onDisconnected: () => {
        this.disconnects++;
      },
      onUnit: (unit, active, sub) => {
        this.states.push({ unit, active, sub });
      },
      onReloaded: () => {
        this.reloads++;
      },
    });
  }

  static async open(rig: Rig): Promise<Watched> {
    const watched = new Watched(rig);
    await watched.until('the connection', () => watched.systemd.connected);
    return watched;
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await until(condition, { what, deadlineMs: DEADLINE_MS, everyMs: 5 });
  }

  /** Waits until the last state told of the unit is this one. */
  async untilTold(unit: string, active: ActiveState): Promise<void> {
    const last = () => this.states.findLast((state) => state.unit === unit)?.active;
    await until(() => last() === active, { what: `${unit} to be told ${active}`, deadlineMs: DEADLINE_MS, everyMs: 5 });
  }

  /** ActiveStates told of the unit, in order, repetitions left out. */
  told(unit: string): ActiveState[] {
    const all = this.states.filter((state) => state.unit === unit).map((state) => state.active);
    return all.filter((active, index) => active !== all[index - 1]);
  }

  async active(unit: string): Promise<ActiveState | undefined> {
    return (await this.systemd.list([unit]))[0]?.active;
  }
}
