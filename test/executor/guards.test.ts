import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Guards } from '../../src/executor/guards.ts';
import { GUARD_PREFIX, type Guard, type Systemd } from '../../src/executor/systemd.ts';
import { guardSlackMs, isolationTiming, stopBudgetMs } from '../../src/shared/isolation-timing.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeSystemd } from '../fakes/systemd.ts';

const SESSION_MS = 4_000;
const SLACK_MS = guardSlackMs(SESSION_MS);
const { stopAfterMs, pingMs } = isolationTiming(SESSION_MS);

/** A guard of the pretended systemd, from its start to its end. */
interface Seen {
  readonly guard: Guard;
  readonly firesAt: number;
  endedAt: number | undefined;
}

/** One host, and the guards that a daemon keeps there; the test plays the rest of the daemon. */
class Rig {
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

const A = 'a.service';
const B = 'b.service';
const afterOf = (seen: Seen | undefined) => seen?.guard.afterMs ?? Number.NaN;

describe('guards', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = new Rig();
    await rig.clock.until('the connection', () => rig.connection.connected);
  });

  it('are started with what they stop, when, and how long that may take', async () => {
    rig.latencyMs = 0;
    rig.renew([A, B]);
    await rig.clock.advance(10);
    expect(rig.seen).toHaveLength(1);
    expect(rig.seen[0]?.guard).toMatchObject({ units: [A, B], stopMs: stopBudgetMs(SESSION_MS) });
    expect(afterOf(rig.seen[0])).toBeCloseTo(stopAfterMs);
    expect(rig.seen[0]?.guard.unit).toMatch(new RegExp(`^${GUARD_PREFIX}.+\\.service$`));
  });

  it('cover a unit only once systemd has said that they run', async () => {
    rig.latencyMs = 10;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    expect(rig.guards.covers(A)).toBe(false);
    await rig.clock.advance(10);
    expect(rig.guards.covers(A)).toBe(true);
    expect(rig.guards.covers(B)).toBe(false);
  });

  it('cover it by the clock, whatever else this process does not get round to', async () => {
    const until = rig.renew([A]);
    await rig.clock.advance(10);
    rig.process.pause();
    await rig.clock.advance(until - rig.clock.now() - 3);
    expect(rig.guards.covers(A)).toBe(true);
    await rig.clock.advance(3);
    expect(rig.guards.covers(A)).toBe(false);
  });

  it('are replaced by a fresh one first, and ended then', async () => {
    for (let i = 0; i < 3; i++) {
      rig.renew([A]);
      await rig.clock.advance(300);
    }
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1', 'start 3', 'end 2']);
  });

  it('are ended only when the answer says that the fresh one runs', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.latencyMs = 50;
    rig.renew([A]);
    await rig.clock.until('the second', () => rig.done.length === 2);
    rig.process.pause();
    await rig.clock.advance(1_000);
    expect(rig.done).toEqual(['start 1', 'start 2']);
  });

  it('have as much less time as systemd took to start the last one', async () => {
    rig.latencyMs = 40;
    const until = rig.renew([A]);
    await rig.clock.advance(500);
    expect(rig.seen[0]?.firesAt).toBeCloseTo(until + 40);
    const next = rig.renew([A]);
    await rig.clock.advance(500);
    expect(rig.seen[1]?.firesAt).toBeCloseTo(next - 40);
  });

  it('expect the worst of the last ones for a while, and less and less of it', async () => {
    rig.latencyMs = 50;
    rig.renew([A]);
    await rig.clock.advance(500);
    rig.latencyMs = 0;
    const early: number[] = [];
    for (let i = 0; i < 30; i++) {
      const until = rig.renew([A]);
      await rig.clock.advance(10);
      early.push(until - (rig.seen.at(-1)?.firesAt ?? 0));
    }
    expect(early[0]).toBeCloseTo(100);
    for (const [i, ms] of early.entries()) if (i > 0) expect(ms).toBeLessThan(early[i - 1] ?? 0);
    expect(early[5]).toBeGreaterThan(50);
    expect(early[29]).toBeLessThan(10);
  });

  it('have no less time than is left after one ping, however long systemd took', async () => {
    rig.latencyMs = 500;
    rig.renew([A]);
    await rig.clock.advance(3_000);
    rig.latencyMs = 0;
    rig.renew([A]);
    await rig.clock.advance(10);
    expect(afterOf(rig.seen[1])).toBeCloseTo(stopAfterMs - pingMs);
  });

  it('that took too long to start are ended, the earlier one is kept, and the next one is made at once and in time', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.latencyMs = SLACK_MS / 2 + 3;
    rig.renew([A]);
    await rig.clock.until('the end of the second', () => rig.done.length === 3);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 2']);
    expect(rig.waiting(A).map(({ guard }) => guard.unit)).toEqual([rig.seen[0]?.guard.unit]);
    expect(rig.guards.covers(A)).toBe(true);
    await rig.clock.advance(2 * SLACK_MS + 20);
    expect(rig.log.at('warn')).toHaveLength(1);
    expect(rig.done.slice(3)).toEqual(['start 3', 'end 1']);
    expect(rig.guards.covers(A)).toBe(true);
  });

  it('that took just as long as is bearable count', async () => {
    rig.latencyMs = SLACK_MS / 2 - 1;
    const until = rig.renew([A]);
    await rig.clock.advance(500);
    expect(rig.guards.covers(A)).toBe(true);
    expect(rig.seen[0]?.firesAt).toBeLessThanOrEqual(until + SLACK_MS);
  });

  it('cover nothing any more from the moment at which they may have fired', async () => {
    rig.latencyMs = 60;
    rig.renew([A]);
    await rig.clock.advance(500);
    rig.latencyMs = 1;
    rig.renew([A]);
    await rig.clock.advance(500);
    const [, last] = rig.seen;
    await rig.clock.advance((last?.firesAt ?? 0) - rig.clock.now());
    expect(rig.waiting(A)).toEqual([]);
    expect(rig.guards.covers(A)).toBe(false);
  });

  it('do not cover a unit that the next guard, under way already, leaves out', async () => {
    rig.renew([A, B]);
    await rig.clock.advance(100);
    rig.latencyMs = 20;
    rig.renew([B]);
    await rig.clock.until('its start', () => rig.done.length === 2);
    const until = rig.renew([A, B]);
    expect([rig.guards.covers(A), rig.guards.covers(B)]).toEqual([false, true]);
    await rig.clock.until('the third', () => rig.guards.covers(A));
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1', 'start 3']);
    expect(rig.seen[2]?.firesAt).toBeLessThanOrEqual(until);
  });

  it('cover what they did when the next one cannot be started', async () => {
    rig.renew([A]);
    await rig.clock.advance(100);
    rig.refusal = { start: 'no memory' };
    rig.renew([B]);
    expect(rig.guards.covers(A)).toBe(false);
    await rig.clock.advance(100);
    expect([rig.guards.covers(A), rig.guards.covers(B)]).toEqual([true, false]);
  });

  it('asked for while one is being made are made as the last wish says, and only that', async () => {
    rig.latencyMs = 20;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    for (let i = 0; i < 5; i++) rig.renew([A], 100 - i);
    const until = rig.renew([A, B]);
    await rig.clock.advance(500);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1']);
    expect(rig.seen[1]?.guard.units).toEqual([A, B]);
    expect(rig.seen[1]?.firesAt).toBeCloseTo(until - 20);
  });

  it('are not made anew when the one that runs is as good', async () => {
    const until = rig.renew([A, B]);
    await rig.clock.advance(100);
    rig.guards.renew({ units: new Set([B, A]), until, sessionTimeoutMs: SESSION_MS });
    await rig.clock.advance(100);
    expect(rig.done).toEqual(['start 1']);
    for (const units of [[A], [A, 'c.service'], [A, B], [A, B, 'c.service']]) {
      rig.guards.renew({ units: new Set(units), until, sessionTimeoutMs: SESSION_MS });
      await rig.clock.advance(100);
    }
    expect(rig.seen.map(({ guard }) => guard.units.length)).toEqual([2, 1, 2, 2, 3]);
  });

  it('tell, when they cover what they did not cover before, though it is for the second time', async () => {
    const covered = () => [A, B].filter((unit) => rig.guards.covers(unit));
    let heard: string[] = [];
    rig.onChange = () => {
      heard = covered();
    };
    for (const units of [[A], [A, B], [B], [A, B]]) {
      rig.renew(units);
      await rig.clock.advance(100);
      expect(heard).toEqual(units);
    }
    await rig.clock.advance(stopAfterMs);
    expect(covered()).toEqual([]);
    heard = [];
    rig.renew([A]);
    await rig.clock.advance(100);
    expect(heard).toEqual([A]);
  });

  it('are not made when there is no time left', async () => {
    rig.renew([A], stopAfterMs);
    rig.renew([A], stopAfterMs + 1);
    await rig.clock.advance(500);
    expect(rig.done).toEqual([]);
    expect(rig.guards.covers(A)).toBe(false);
  });

  it('are not made when no time is left once systemd has told which ones there are', async () => {
    rig.latencyMs = 60;
    rig.renew([A], stopAfterMs - 100);
    await rig.clock.advance(500);
    expect(rig.done).toEqual([]);
  });

  it('of an earlier process are ended only when one of ours counts', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.restart();
    await rig.clock.until('the connection', () => rig.connection.connected);
    await rig.clock.advance(200);
    expect(rig.done).toEqual(['start 1']);
    rig.renew([A]);
    await rig.clock.advance(200);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1']);
  });

  it('of an earlier process are kept when ours cannot be started', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.restart();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.refusal = { start: 'no memory' };
    for (let i = 0; i < 3; i++) {
      rig.renew([A]);
      await rig.clock.advance(200);
    }
    expect(rig.done).toEqual(['start 1']);
  });

  it('are all ended when none is needed, those of an earlier process, too', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.renew([]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'end 1']);
    expect(rig.guards.covers(A)).toBe(false);
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.restart();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.renew([]);
    await rig.clock.advance(300);
    expect(rig.done.slice(2)).toEqual(['start 2', 'end 2']);
  });

  it('have names of their own, whichever process makes them', async () => {
    for (let process = 0; process < 3; process++) {
      rig.latencyMs = 0;
      for (const units of [[A], [B], [A, B], [A], [B]]) {
        rig.renew(units);
        await rig.clock.advance(0);
      }
      await rig.clock.advance(20);
      rig.restart();
      await rig.clock.until('the connection', () => rig.connection.connected);
    }
    const names = rig.seen.map(({ guard }) => guard.unit);
    expect(names).toHaveLength(15);
    expect(new Set(names).size).toBe(15);
  });

  it('are not asked for while systemd cannot be reached, and made when it can', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.systemd.disconnect();
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1']);
    expect(rig.log.at('warn')).toEqual([]);
    rig.systemd.reconnect();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1']);
  });

  it('whose start was under way when the connection broke are found and ended after the next one', async () => {
    rig.latencyMs = 20;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    rig.systemd.disconnect();
    await rig.clock.advance(100);
    expect(rig.guards.covers(A)).toBe(false);
    rig.systemd.reconnect();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2', 'end 1']);
  });

  it('that came to be while the connection was broken are found and ended after the next one', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.systemd.disconnect();
    const unit = `${GUARD_PREFIX}of-an-earlier-process.service`;
    rig.systemd.guards.start({ unit, units: [A], afterMs: 5_000, stopMs: 1_000 });
    rig.systemd.reconnect();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done.slice(2, 3)).toEqual(['start 3']);
    expect(rig.done.slice(3).sort()).toEqual(['end 1', 'end 2']);
  });

  it('cover nothing while one that has fired is not known to be over', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.refusal = { end: 'too busy' };
    for (let i = 0; i < 8; i++) {
      rig.renew([A]);
      await rig.clock.advance(300);
      expect(rig.guards.covers(A)).toBe(rig.clock.now() < (rig.seen[0]?.firesAt ?? 0));
    }
    rig.refusal = {};
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.guards.covers(A)).toBe(true);
  });

  it('cover nothing for longer than the present one takes to fire, and than an earlier one that is not known to be over', async () => {
    const left = 500;
    rig.renew([A], stopAfterMs - left);
    await rig.clock.advance(100);
    expect([rig.guards.covers(A), rig.guards.covers(A, left)]).toEqual([true, false]);
    rig.refusal = { end: 'too busy' };
    rig.renew([A]);
    await rig.clock.advance(100);
    expect(rig.done).toEqual(['start 1', 'start 2']);
    expect([rig.guards.covers(A), rig.guards.covers(A, left)]).toEqual([true, false]);
    rig.refusal = {};
    rig.renew([A]);
    await rig.clock.advance(100);
    expect([rig.guards.covers(A), rig.guards.covers(A, left)]).toEqual([true, true]);
  });

  it('cover nothing while those of an earlier process are there, which may fire at any time', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.restart();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.refusal = { end: 'too busy' };
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2']);
    expect(rig.guards.covers(A)).toBe(false);
    rig.refusal = {};
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.guards.covers(A)).toBe(true);
  });

  it('cover what they did when the connection was made anew, and the next one cannot be started', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.systemd.disconnect();
    await rig.clock.advance(10);
    rig.systemd.reconnect();
    await rig.clock.until('the connection', () => rig.connection.connected);
    rig.refusal = { start: 'no memory' };
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.guards.covers(A)).toBe(true);
  });

  it('that may have been started, though the call failed, are ended after the next one', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    const start = rig.connection.startGuard.bind(rig.connection);
    vi.spyOn(rig.connection, 'startGuard').mockImplementationOnce(async (guard) => {
      await start(guard);
      throw new Error('no answer in time');
    });
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2']);
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done.slice(2, 3)).toEqual(['start 3']);
    expect(rig.done.slice(3).sort()).toEqual(['end 1', 'end 2']);
  });

  it('that took too long give way to a newer wish', async () => {
    rig.latencyMs = SLACK_MS;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    rig.renew([A, B]);
    await rig.clock.advance(3_000);
    expect(rig.seen.map(({ guard }) => guard.units)).toEqual([[A], [A, B]]);
  });

  it('that could not be ended are ended after the next one, and the failure concerns nobody else', async () => {
    rig.renew([A]);
    await rig.clock.advance(300);
    rig.refusal = { end: 'too busy' };
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.guards.covers(A)).toBe(true);
    rig.refusal = {};
    rig.renew([A]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1', 'start 2', 'start 3', 'end 1', 'end 2']);
  });

  it('that cannot be started are complained of once for each reason in a row', async () => {
    for (const start of ['no memory', 'no memory', 'no room', undefined, 'no room']) {
      rig.refusal = start === undefined ? {} : { start };
      rig.renew([A]);
      await rig.clock.advance(100);
    }
    expect(rig.log.at('warn').map((line) => /no [a-z]+/.exec(line)?.[0])).toEqual(['no memory', 'no room', 'no room']);
  });

  it('are left as they are when the daemon ends, and no more are made', async () => {
    rig.latencyMs = 20;
    rig.renew([A]);
    await rig.clock.until('its start', () => rig.done.length === 1);
    rig.renew([A, B]);
    await rig.clock.finish('the end', rig.guards.close());
    // what was under way has been waited for
    expect(rig.guards.covers(A)).toBe(true);
    rig.renew([A, B]);
    await rig.clock.advance(300);
    expect(rig.done).toEqual(['start 1']);
  });
});

type Step =
  | { readonly kind: 'renew'; readonly units: readonly string[]; readonly agoMs: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'latency'; readonly ms: number }
  | { readonly kind: 'refuse'; readonly start: boolean; readonly end: boolean }
  | { readonly kind: 'disconnect' | 'reconnect' | 'pause' | 'resume' | 'restart' };

/** A promise to the rest of the daemon: the unit is stopped by systemd at `deadline` at the latest. */
interface Promised {
  readonly at: number;
  readonly deadline: number;
}

/** Watches a rig, and throws when a unit that was covered is left alone. */
class Watched {
  readonly rig = new Rig(() => this.check());
  private until = Number.NEGATIVE_INFINITY;
  private wanted: readonly string[] = [];
  private readonly promised = new Map<string, Promised>();

  constructor() {
    this.rig.onConnected = () => {
      this.rig.guards.forget();
      if (this.rig.clock.now() < this.until) this.renew(this.wanted, this.until);
    };
  }

  async take(step: Step): Promise<void> {
    const { rig } = this;
    switch (step.kind) {
      case 'renew': {
        if (rig.process.paused) return;
        this.renew(step.units, Math.max(this.until, rig.clock.now() + stopAfterMs - step.agoMs));
        return;
      }
      case 'wait':
        await rig.clock.advance(step.ms);
        return;
      case 'latency':
        rig.latencyMs = step.ms;
        return;
      case 'refuse':
        rig.refusal = { ...(step.start && { start: 'no' }), ...(step.end && { end: 'no' }) };
        return;
      case 'disconnect':
        rig.systemd.disconnect();
        return;
      case 'reconnect':
        rig.systemd.reconnect();
        return;
      case 'pause':
        rig.process.pause();
        return;
      case 'resume':
        rig.process.resume();
        return;
      case 'restart':
        rig.restart();
        return;
    }
  }

  private renew(units: readonly string[], until: number): void {
    this.until = until;
    this.wanted = units;
    for (const [unit, { at }] of [...this.promised]) {
      // a later lease may be held to instead of the earlier one
      if (units.includes(unit)) this.promised.set(unit, { at, deadline: until + SLACK_MS });
      else this.promised.delete(unit);
    }
    this.rig.guards.renew({ units: new Set(units), until, sessionTimeoutMs: SESSION_MS });
  }

  /** Whatever the process has come to, and will. */
  check(): void {
    const now = this.rig.clock.now();
    const deadline = this.until + SLACK_MS;
    for (const unit of this.wanted) {
      if (this.rig.guards.covers(unit)) {
        const inTime = this.rig.waiting(unit).some(({ firesAt }) => firesAt <= deadline + 1e-6);
        if (!inTime) throw new Error(`${unit} is covered at ${now}, but no guard stops it until ${deadline}`);
        this.promised.set(unit, { at: now, deadline });
      }
      const promise = this.promised.get(unit);
      if (promise && now > promise.deadline + 1 && !this.stopped(unit, promise))
        throw new Error(`${unit} was covered at ${promise.at}, but not stopped until ${promise.deadline}`);
    }
  }

  private stopped(unit: string, { at, deadline }: Promised): boolean {
    return this.rig.seen.some(
      ({ guard, firesAt, endedAt }) =>
        guard.units.includes(unit) && firesAt >= at && firesAt <= deadline + 1e-6 && (endedAt ?? firesAt) >= firesAt,
    );
  }
}

describe('from the first guard on, whatever happens', () => {
  const aStep: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('renew'),
        units: fc.constantFrom([A], [A], [A], [A, B], [B]),
        agoMs: fc.integer({ min: 0, max: 1_300 }),
      }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 0, max: 900 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('latency'), ms: fc.integer({ min: 0, max: 300 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('refuse'), start: fc.boolean(), end: fc.boolean() }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom('disconnect', 'reconnect', 'pause', 'resume', 'restart') }),
    },
  );

  it('each covered unit has a guard that stops it in time, though the process is frozen or dies at any moment', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 10, maxLength: 60 }), async (steps) => {
        const watched = new Watched();
        await watched.rig.clock.advance(10);
        for (const step of steps) {
          await watched.take(step);
          watched.check();
        }
        watched.rig.process.kill();
        await watched.rig.clock.advance(2 * SESSION_MS);
        watched.check();
      }),
      { numRuns: 500 },
    );
  });
});
