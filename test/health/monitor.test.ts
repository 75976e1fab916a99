/** Checkers on a pretended clock, with pretended probes. */
import { beforeEach, describe, expect, it } from 'vitest';
import { HealthMonitor, type Running } from '../../src/health/monitor.ts';
import type { ProbeResult } from '../../src/health/probe.ts';
import type { Probe } from '../../src/shared/attachments.ts';
import { FakeClock } from '../fakes/clock.ts';
import { checkOf } from '../fixtures/health-check.ts';

const CHECK = checkOf({
  probe: { kind: 'exec', command: ['/check', '{instance}'] },
  intervalMs: 1_000,
  timeoutMs: 500,
  healthyAfter: 2,
  unhealthyAfter: 2,
});

let clock: FakeClock;
let monitor: HealthMonitor;
let changes: number;
/** Time and unit of each probe that began. */
let begun: { readonly unit: string; readonly at: number }[];
let running: Map<string, number>;
let most: number;
/** What a unit's probes answer; default: that all is well, after 10 ms. */
let answers: Map<string, { readonly afterMs: number; readonly result: ProbeResult }>;

beforeEach(() => {
  clock = new FakeClock();
  changes = 0;
  begun = [];
  running = new Map();
  most = 0;
  answers = new Map();
  monitor = new HealthMonitor({
    host: 'w1',
    address: () => '198.18.0.1',
    clock,
    onChange: () => {
      changes += 1;
    },
    probe: (probe, timeoutMs, signal) => pretend(nameOf(probe), timeoutMs, signal),
  });
});

function nameOf(probe: Probe): string {
  return probe.kind === 'exec' ? (probe.command[1] ?? '') : '';
}

function pretend(name: string, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  begun.push({ unit: name, at: clock.now() });
  running.set(name, (running.get(name) ?? 0) + 1);
  most = Math.max(
    most,
    [...running.values()].reduce((sum, each) => sum + each, 0),
  );
  const { afterMs, result } = answers.get(name) ?? { afterMs: 10, result: { ok: true } };
  return new Promise((resolve) => {
    const end = (with_: ProbeResult) => {
      running.set(name, (running.get(name) ?? 0) - 1);
      cancel();
      signal.removeEventListener('abort', onAbort);
      resolve(with_);
    };
    const onAbort = () => end({ ok: false, output: 'given up' });
    const tooLate = afterMs > timeoutMs;
    const cancel = clock.after(Math.min(afterMs, timeoutMs), () =>
      end(tooLate ? { ok: false, output: 'too late' } : result),
    );
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

const instance = (name: string, change: Partial<Running> = {}): Running => ({
  unit: `${name}.service`,
  check: CHECK,
  activeSince: 0,
  ...change,
});
const health = (name: string) => monitor.health.get(`${name}.service`);
const bad = (output = 'no') => ({ afterMs: 10, result: { ok: false, output } as const });
const timesOf = (name: string) => begun.filter(({ unit }) => unit === name).map(({ at }) => at);

describe('a monitor', () => {
  it('finds out the health of each instance, and tells each change once', async () => {
    answers.set('b', bad('full'));
    monitor.follow([instance('a'), instance('b')]);
    expect(health('a')).toEqual({ state: 'starting' });
    await clock.advance(10_000);
    expect(health('a')).toEqual({ state: 'healthy' });
    expect(health('b')).toEqual({ state: 'unhealthy', output: 'full' });
    // b: what it said at first, and that it is unhealthy; a: that it is healthy
    expect(changes).toBe(3);
    answers.delete('b');
    await clock.advance(10_000);
    expect(health('b')).toEqual({ state: 'healthy' });
    expect(changes).toBe(4);
  });

  it('waits from the end of one probe to the start of the next, and never makes two at once', async () => {
    answers.set('a', { afterMs: 400, result: { ok: true } });
    monitor.follow([instance('a')]);
    await clock.advance(3_000);
    expect(timesOf('a')).toEqual([0, 1_400, 2_800]);
  });

  it('does not begin all at once', async () => {
    const many = Array.from({ length: 300 }, (_, index) => instance(`u${index}`));
    monitor.follow(many);
    await clock.advance(60_000);
    const perMs = new Map<number, number>();
    for (const { at } of begun) perMs.set(at, (perMs.get(at) ?? 0) + 1);
    expect(Math.max(...perMs.values())).toBeLessThanOrEqual(4);
    expect(new Set(begun.map(({ unit }) => unit)).size).toBe(300);
  });

  it('makes at most 32 probes at once, and lets none wait for ever', async () => {
    const many = Array.from({ length: 100 }, (_, index) => instance(`u${index}`));
    for (const { unit } of many) answers.set(unit.replace('.service', ''), { afterMs: 60_000, result: { ok: true } });
    monitor.follow(many);
    await clock.advance(20_000);
    expect(most).toBe(32);
    const counts = many.map(({ unit }) => timesOf(unit.replace('.service', '')).length);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.max(...counts) - 1);
  });

  it('is not held up by an instance whose probes hang', async () => {
    answers.set('a', { afterMs: 60_000, result: { ok: true } });
    monitor.follow([instance('a', { check: { ...CHECK, timeoutMs: 50_000 } }), instance('b')]);
    await clock.advance(5_000);
    expect(timesOf('a')).toHaveLength(1);
    expect(timesOf('b').length).toBeGreaterThanOrEqual(4);
    expect(health('b')?.state).toBe('healthy');
  });

  it('makes no more probes of what does not run any more, and forgets it', async () => {
    monitor.follow([instance('a'), instance('b')]);
    await clock.advance(5_000);
    monitor.follow([instance('b')]);
    const before = timesOf('a').length;
    await clock.advance(5_000);
    expect(timesOf('a')).toHaveLength(before);
    expect(health('a')).toBeUndefined();
    monitor.close();
    const all = begun.length;
    await clock.advance(5_000);
    expect(begun).toHaveLength(all);
  });

  it('lets the result of a probe count for nothing that was under way when its run ended', async () => {
    answers.set('a', { afterMs: 300, result: { ok: true } });
    const check = { ...CHECK, healthyAfter: 1 };
    monitor.follow([instance('a', { check })]);
    await clock.advance(100);
    monitor.follow([instance('a', { check, activeSince: 100 })]);
    await clock.advance(250);
    expect(health('a')).toEqual({ state: 'starting' });
    expect(changes).toBe(0);
    await clock.advance(500);
    expect(health('a')).toEqual({ state: 'healthy' });
  });

  it('begins no probe of a run before the last one of the run before is over, though it is slow to end', async () => {
    const passes = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));
    let inside = 0;
    let together = 0;
    const slow = new HealthMonitor({
      host: 'w1',
      address: () => 'w1',
      clock,
      onChange: () => {},
      probe: async (_probe, _timeoutMs, signal) => {
        inside += 1;
        together = Math.max(together, inside);
        await passes(200);
        if (signal.aborted) await passes(1_500);
        inside -= 1;
        return { ok: true };
      },
    });
    for (let run = 0; run < 4; run += 1) {
      slow.follow([instance('a', { activeSince: run })]);
      await clock.advance(100);
      slow.follow([]);
      slow.follow([instance('a', { activeSince: run + 0.5 })]);
      await clock.advance(100);
    }
    await clock.advance(20_000);
    expect(together).toBe(1);
    expect(slow.health.get('a.service')?.state).toBe('healthy');
    slow.close();
  });

  it('begins anew with another run, but goes on when only the check was changed', async () => {
    monitor.follow([instance('a')]);
    await clock.advance(5_000);
    expect(health('a')?.state).toBe('healthy');
    monitor.follow([instance('a', { check: { ...CHECK, intervalMs: 200 } })]);
    expect(health('a')?.state).toBe('healthy');
    const before = begun.length;
    await clock.advance(2_000);
    expect(begun.length - before).toBeGreaterThan(8);
    monitor.follow([instance('a', { activeSince: 7_000 })]);
    expect(health('a')).toEqual({ state: 'starting' });
  });

  it('is not disturbed by being told the same again', async () => {
    for (let index = 0; index < 30; index += 1) {
      monitor.follow([instance('a', { check: structuredClone(CHECK) })]);
      await clock.advance(100);
    }
    expect(timesOf('a')).toEqual([0, 1_010, 2_020]);
  });

  it('lets a check of no interval become no busy loop', async () => {
    monitor.follow([instance('a', { check: { ...CHECK, intervalMs: 0, timeoutMs: 0 } })]);
    await clock.advance(1_000);
    expect(begun.length).toBeLessThanOrEqual(11);
  });
});
