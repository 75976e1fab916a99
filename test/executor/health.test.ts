/** What an executor makes of the health of its units; the test plays the leader, and answers the probes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UnitEvent } from '../../src/executor/unit-events.ts';
import type { ProbeResult } from '../../src/health/probe.ts';
import type { HealthCheck, Probe } from '../../src/shared/attachments.ts';
import { delay } from '../../src/shared/clock.ts';
import type { DesiredUnit, Health } from '../../src/shared/state.ts';
import { checkOf } from '../fixtures/health-check.ts';
import { ExecutorRig } from './executor-rig.ts';

const CHECK = checkOf({
  probe: { kind: 'http', url: 'http://{address}:80/{instance}' },
  intervalMs: 1_000,
  timeoutMs: 500,
  unhealthyAfter: 3,
  limitPerHour: 2,
});
const HOUR = 3_600_000;

let rig: ExecutorRig;
let events: UnitEvent[];
let probed: Probe[];
/** By unit; the others are well. */
let sick: Map<string, string | 'hangs'>;

beforeEach(async () => {
  rig = await ExecutorRig.begin();
  events = [];
  probed = [];
  sick = new Map();
  for (const name of ['a.service', 'b.service']) rig.host.systemd.define(name, { startMs: 20, stopMs: 20 });
  await rig.boot({ probe, onEvent: (event) => void events.push(event) });
  await rig.writeSpec();
});
afterEach(() => rig.end());

async function probe(probed_: Probe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  probed.push(probed_);
  const name = probed_.kind === 'http' ? (probed_.url.split('/').at(-1) ?? '') : '';
  const wrong = sick.get(name);
  try {
    await delay(rig.clock, wrong === 'hangs' ? timeoutMs : 5, signal);
    return wrong === undefined ? { ok: true } : { ok: false, output: wrong };
  } catch {
    return { ok: false, output: 'given up' };
  }
}

function unit(name: string, change: Partial<HealthCheck> = {}, more: Partial<DesiredUnit> = {}): DesiredUnit {
  const check = { ...CHECK, ...change };
  return { unit: `${name}.service`, service: name, isolation: 'keep', why: { kind: 'kept' }, check, ...more };
}

/** As others read it. */
const health = (name: string) => rig.seen(name)?.health;
const isIn = (name: string, state: Health['state']) =>
  rig.clock.until(`${name} to be ${state}`, () => health(name)?.state === state, HOUR);

describe('an executor', () => {
  it('reports the health of a unit with a check as soon as it is known, and of no other', async () => {
    const { check: _none, ...plain } = unit('b');
    await rig.desire([unit('a'), plain]);
    await isIn('a', 'healthy');
    expect(probed[0]).toEqual({ kind: 'http', url: 'http://198.18.0.1:80/a' });
    expect(rig.clock.now()).toBeLessThan(1_000);
    expect(health('b')).toBeUndefined();
  });

  it('reports that it is starting until then', async () => {
    sick.set('a', 'not yet');
    await rig.desire([unit('a', { startPeriodMs: 60_000 })]);
    await isIn('a', 'starting');
    await rig.clock.advance(30_000);
    expect(health('a')).toEqual({ state: 'starting', output: 'not yet' });
    sick.clear();
    await isIn('a', 'healthy');
  });

  it('reports a change at once, with what the probe said, and tells the history', async () => {
    await rig.desire([unit('a')]);
    await isIn('a', 'healthy');
    sick.set('a', 'HTTP 503');
    const before = rig.clock.now();
    await isIn('a', 'unhealthy');
    expect(rig.clock.now() - before).toBeLessThan(3_500);
    expect(health('a')).toEqual({ state: 'unhealthy', output: 'HTTP 503' });
    sick.clear();
    await isIn('a', 'healthy');
    expect(events.filter(({ reason }) => reason === 'check')).toEqual([
      { kind: 'unhealthy', unit: 'a.service', reason: 'check', why: 'HTTP 503' },
      { kind: 'healthy', unit: 'a.service', reason: 'check', why: 'its check succeeds again' },
    ]);
  });

  it.each(['report', 'move'] as const)('never stops an unhealthy unit by itself (%s)', async (onUnhealthy) => {
    sick.set('a', 'HTTP 503');
    await rig.desire([unit('a', { onUnhealthy })]);
    await isIn('a', 'unhealthy');
    await rig.clock.advance(600_000);
    expect(rig.host.asked).toEqual(['start a.service']);
  });

  it('ends the checks of a unit that it stops, or that ends', async () => {
    await rig.desire([unit('a')]);
    await isIn('a', 'healthy');
    await rig.desire([]);
    await rig.clock.until('the stop', () => rig.host.systemd.state('a.service').active === 'inactive');
    const before = probed.length;
    await rig.clock.advance(20_000);
    expect(probed).toHaveLength(before);
    expect(health('a')).toBeUndefined();
  });

  it('finds out anew after each start', async () => {
    await rig.desire([unit('a')]);
    await isIn('a', 'healthy');
    sick.set('a', 'not yet');
    rig.host.systemd.kill('a.service', 15);
    await isIn('a', 'starting');
    await isIn('a', 'unhealthy');
  });

  it('lets a check that hangs delay no other unit', async () => {
    sick.set('a', 'hangs');
    await rig.desire([unit('a', { timeoutMs: 60_000 }), unit('b')]);
    await isIn('b', 'healthy');
    expect(rig.clock.now()).toBeLessThan(1_000);
    sick.set('b', 'HTTP 500');
    await isIn('b', 'unhealthy');
    expect(rig.clock.now()).toBeLessThan(5_000);
  });

  it('restarts an unhealthy unit when it is told to, and says so', async () => {
    await rig.desire([unit('a', { onUnhealthy: 'restart' })]);
    await isIn('a', 'healthy');
    sick.set('a', 'HTTP 503');
    await isIn('a', 'unhealthy');
    await rig.clock.until('the restart', () => rig.asked('start a.service') === 2);
    sick.clear();
    await isIn('a', 'healthy');
    expect(rig.host.asked).toEqual(['start a.service', 'stop a.service', 'start a.service']);
    expect(health('a')).toEqual({ state: 'healthy', action: 'restarted 1 time within the last hour' });
    expect(events.map(({ kind, reason }) => `${kind} ${reason}`)).toContain('stopped unhealthy');
    expect(rig.host.drift).toEqual([]);
  });

  it('restarts it no more often than it may in any hour, then leaves it running and says why', async () => {
    sick.set('a', 'HTTP 503');
    await rig.desire([unit('a', { onUnhealthy: 'restart' })]);
    await rig.clock.advance(HOUR / 2);
    expect(rig.asked('stop a.service')).toBe(2);
    expect(rig.asked('start a.service')).toBe(3);
    expect(rig.host.systemd.state('a.service').active).toBe('active');
    expect(health('a')).toEqual({
      state: 'unhealthy',
      output: 'HTTP 503',
      action: 'restarted 2 times within the last hour, as often as it may be (limit_per_hour): it is left as it is',
    });
    await rig.clock.advance(HOUR);
    expect(rig.asked('stop a.service')).toBe(4);
  });

  it('makes a pause before the next restart, which grows', async () => {
    sick.set('a', 'HTTP 503');
    const times: number[] = [];
    await rig.desire([unit('a', { onUnhealthy: 'restart', limitPerHour: 5 })]);
    for (const count of [1, 2, 3, 4]) {
      await rig.clock.until('a restart', () => rig.asked('stop a.service') === count, HOUR);
      times.push(rig.clock.now());
    }
    const pauses = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(pauses.map((pause) => Math.round(pause / 1_000))).toEqual([10, 20, 40]);
  });

  it('does not restart what could not be started again just now', async () => {
    sick.set('a', 'HTTP 503');
    await rig.desire([unit('a', { onUnhealthy: 'restart' }, { prestart: { script: 'x', values: {} } })]);
    await isIn('a', 'starting');
    await rig.desire([unit('a', { onUnhealthy: 'restart' }, { prestart: { script: 'x', values: { b: [] } } })]);
    await isIn('a', 'unhealthy');
    await rig.clock.advance(60_000);
    expect(rig.asked('stop a.service')).toBe(0);
  });

  it('has never two jobs for one unit, though its restart hangs', async () => {
    rig.host.systemd.define('a.service', { startMs: 20, stopMs: 30_000 });
    sick.set('a', 'HTTP 503');
    await rig.desire([unit('a', { onUnhealthy: 'restart' }), unit('b')]);
    await rig.clock.until('the stop', () => rig.asked('stop a.service') === 1);
    await rig.clock.advance(25_000);
    expect(rig.host.asked.filter((each) => each.endsWith(' a.service'))).toEqual(['start a.service', 'stop a.service']);
    await rig.clock.until('the start', () => rig.asked('start a.service') === 2);
  });

  it('goes on with its checks while ZooKeeper is silent, and stops nothing for it', async () => {
    await rig.desire([unit('a')]);
    await isIn('a', 'healthy');
    rig.executor.left();
    const before = probed.length;
    await rig.clock.advance(10_000);
    expect(probed.length).toBeGreaterThan(before + 5);
    expect(rig.host.asked).toEqual(['start a.service']);
  });
});
