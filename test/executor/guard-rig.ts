import { vi } from 'vitest';
import { Guards } from '../../src/executor/guards.ts';
import type { Guard, Systemd } from '../../src/executor/systemd.ts';
import { guardSlackMs, isolationTiming } from '../../src/shared/isolation-timing.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeSystemd } from '../fakes/systemd.ts';

export const SESSION_MS = 4_000;
export const SLACK_MS = guardSlackMs(SESSION_MS);
export const { stopAfterMs, pingMs } = isolationTiming(SESSION_MS);

export const A = 'a.service';
export const B = 'b.service';

/** A guard of the pretended systemd, from its start to its end. */
export interface Seen {
  readonly guard: Guard;
  readonly firesAt: number;
  endedAt: number | undefined;
}

/** One host, and the guards that a daemon keeps there; the test plays the rest of the daemon. */
export class GuardRig {
  readonly clock: FakeClock;
  readonly systemd: FakeSystemd;
  readonly log = new MemoryLog();
  /** `start 1`, `end 1`: as carried out by systemd, guards numbered in the order of their starts. */
  readonly done: string[] = [];
  readonly seen: Seen[] = [];
  latencyMs = 1;
  /** What systemd answers instead of starting, or ending, a guard. */
  refusal: { start?: string; end?: string } = {};
  process: FakeProcess;
  connection: Systemd;
  guards: Guards;
  onChange: () => void = () => {};

  constructor(onSettled: () => void = () => {}) {
    this.clock = new FakeClock({ files: false, onSettled });
    this.systemd = new FakeSystemd(this.clock, { latencyMs: () => this.latencyMs });
    const { guards } = this.systemd;
    const start = guards.start.bind(guards);
    const end = guards.end.bind(guards);
    vi.spyOn(guards, 'start').mockImplementation((guard) => {
      if (this.refusal.start !== undefined) throw new Error(this.refusal.start);
      start(guard);
      this.seen.push({ guard, firesAt: this.clock.now() + guard.afterMs, endedAt: undefined });
      this.done.push(`start ${this.seen.length}`);
    });
    vi.spyOn(guards, 'end').mockImplementation((unit) => {
      if (this.refusal.end !== undefined) throw new Error(this.refusal.end);
      end(unit);
      const at = this.seen.findLastIndex(({ guard, endedAt }) => guard.unit === unit && endedAt === undefined);
      const ended = this.seen[at];
      if (ended) ended.endedAt = this.clock.now();
      this.done.push(`end ${ended ? at + 1 : unit}`);
    });
    const first = this.boot();
    this.process = first.process;
    this.connection = first.connection;
    this.guards = first.guards;
  }

  /** One that is connected. */
  static async open(): Promise<GuardRig> {
    const rig = new GuardRig();
    await rig.clock.until('the connection', () => rig.connection.connected);
    return rig;
  }

  /** A new process of the daemon; the one before is dead. */
  restart(): void {
    this.process.kill();
    Object.assign(this, this.boot());
  }

  private boot(): { process: FakeProcess; connection: Systemd; guards: Guards } {
    const process = new FakeProcess(this.clock);
    const connection = this.systemd.connect(
      { onConnected: () => this.onConnected(), onDisconnected: () => {}, onUnit: () => {}, onReloaded: () => {} },
      process,
    );
    const { log } = this;
    const guards = new Guards({ systemd: connection, clock: process, log, onChange: () => this.onChange() });
    return { process, connection, guards };
  }

  onConnected = () => this.guards.forget();

  /** As at a confirmation `agoMs` ago. */
  renew(units: readonly string[], agoMs = 0): number {
    const until = this.clock.now() + stopAfterMs - agoMs;
    this.guards.renew({ units: new Set(units), until, sessionTimeoutMs: SESSION_MS });
    return until;
  }

  /** Guards that run and have not fired. */
  waiting(unit: string): Seen[] {
    const now = this.clock.now();
    return this.seen.filter((each) => isOpen(each, now) && each.guard.units.includes(unit));
  }
}

function isOpen({ endedAt, firesAt }: Seen, now: number): boolean {
  return endedAt === undefined && now < firesAt;
}
