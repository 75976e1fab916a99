/** What an executor makes of the health of its units; the test plays the leader, and answers the probes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Executor } from '../../src/executor/executor.ts';
import type { UnitEvent } from '../../src/executor/unit-events.ts';
import type { ProbeResult } from '../../src/health/probe.ts';
import type { HealthCheck, Probe } from '../../src/shared/attachments.ts';
import { delay } from '../../src/shared/clock.ts';
import { digestOf } from '../../src/shared/digest.ts';
import { decodeObserved, encodeDesired, encodeSpecRecord } from '../../src/shared/payloads.ts';
import type { DesiredUnit, Health } from '../../src/shared/state.ts';
import { PARENTS } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import { NO_ORDER } from '../fakes/turns.ts';
import { checkOf } from '../fixtures/health-check.ts';

const SPEC = specOf(
  { name: 'a', type: 'global', enabled: true, isolation: 'keep' },
  { name: 'b', type: 'global', enabled: true, isolation: 'keep' },
);
const CHECK = checkOf({
  probe: { kind: 'http', url: 'http://{address}:80/{instance}' },
  intervalMs: 1_000,
  timeoutMs: 500,
  unhealthyAfter: 3,
  limitPerHour: 2,
});
const HOUR = 3_600_000;

let clock: FakeClock;
let ensemble: FakeEnsemble;
let host: FakeHost;
let store: FakeStore;
let folder: string;
let executor: Executor;
let events: UnitEvent[];
let probed: Probe[];
/** By unit; the others are well. */
let sick: Map<string, string | 'hangs'>;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-health-'));
  host = new FakeHost('w1', clock, ensemble, folder);
  events = [];
  probed = [];
  sick = new Map();
  store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  await clock.until('the session', () => store.state.kind === 'connected');
  await done(Promise.all(PARENTS.map((parent) => store.ensure(parent))));
  for (const unit of ['a.service', 'b.service']) host.systemd.define(unit, { startMs: 20, stopMs: 20 });
  executor = new Executor({
    host: 'w1',
    store,
    connectSystemd: (systemdEvents) => host.watched(host.systemd.connect(systemdEvents)),
    memory: host.memory,
    prestartFolder: host.prestartFolder,
    clock,
    log: host.log,
    metrics: { reconciled: () => {}, drift: (unit) => void host.drift.push(unit), units: () => {} },
    events: { record: (event) => void events.push(event) },
    loopTickMs: 5_000,
    failedLoopTickMs: 2_000,
    sessionTimeoutMs: 4_000,
    onSystemdConnected: () => {},
    ...NO_ORDER,
    onReport: () => {},
    address: () => '198.18.0.1',
    probe,
  });
  await done(executor.start());
  executor.joined(true);
  const record = { spec: SPEC, digest: digestOf(SPEC), proposedBy: 'w1', at: clock.date().toISOString(), earlier: [] };
  await done(store.create('/spec', encodeSpecRecord(record), 'persistent'));
});

afterEach(async () => {
  await done(executor.close());
  await rm(folder, { recursive: true });
});

function done<T>(promise: Promise<T>): Promise<T> {
  return clock.finish('an answer', promise);
}

async function probe(probed_: Probe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  probed.push(probed_);
  const name = probed_.kind === 'http' ? (probed_.url.split('/').at(-1) ?? '') : '';
  const wrong = sick.get(name);
  try {
    await delay(clock, wrong === 'hangs' ? timeoutMs : 5, signal);
    return wrong === undefined ? { ok: true } : { ok: false, output: wrong };
  } catch {
    return { ok: false, output: 'given up' };
  }
}

function unit(name: string, change: Partial<HealthCheck> = {}, more: Partial<DesiredUnit> = {}): DesiredUnit {
  const check = { ...CHECK, ...change };
  return { unit: `${name}.service`, service: name, isolation: 'keep', why: { kind: 'kept' }, check, ...more };
}

let generation = 0;

async function desire(...units: readonly DesiredUnit[]): Promise<void> {
  generation += 1;
  const data = encodeDesired({ host: 'w1', epoch: 1, generation, spec: digestOf(SPEC), units });
  if (ensemble.tree.get('/desired/w1')) await done(store.set('/desired/w1', data));
  else await done(store.create('/desired/w1', data, 'persistent'));
}

/** As others read it. */
function health(name: string): Health | undefined {
  const node = ensemble.tree.get('/observed/w1');
  const decoded = node && decodeObserved(node.data, '/observed/w1');
  return decoded?.ok ? decoded.value.units.find((each) => each.unit === `${name}.service`)?.health : undefined;
}

const asked = (what: string) => host.asked.filter((each) => each === what).length;
const isIn = (name: string, state: Health['state']) =>
  clock.until(`${name} to be ${state}`, () => health(name)?.state === state, HOUR);

describe('an executor', () => {
  it('reports the health of a unit with a check as soon as it is known, and of no other', async () => {
    const { check: _none, ...plain } = unit('b');
    await desire(unit('a'), plain);
    await isIn('a', 'healthy');
    expect(probed[0]).toEqual({ kind: 'http', url: 'http://198.18.0.1:80/a' });
    expect(clock.now()).toBeLessThan(1_000);
    expect(health('b')).toBeUndefined();
  });

  it('reports that it is starting until then', async () => {
    sick.set('a', 'not yet');
    await desire(unit('a', { startPeriodMs: 60_000 }));
    await isIn('a', 'starting');
    await clock.advance(30_000);
    expect(health('a')).toEqual({ state: 'starting', output: 'not yet' });
    sick.clear();
    await isIn('a', 'healthy');
  });

  it('reports a change at once, with what the probe said, and tells the history', async () => {
    await desire(unit('a'));
    await isIn('a', 'healthy');
    sick.set('a', 'HTTP 503');
    const before = clock.now();
    await isIn('a', 'unhealthy');
    expect(clock.now() - before).toBeLessThan(3_500);
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
    await desire(unit('a', { onUnhealthy }));
    await isIn('a', 'unhealthy');
    await clock.advance(600_000);
    expect(host.asked).toEqual(['start a.service']);
  });

  it('ends the checks of a unit that it stops, or that ends', async () => {
    await desire(unit('a'));
    await isIn('a', 'healthy');
    await desire();
    await clock.until('the stop', () => host.systemd.state('a.service').active === 'inactive');
    const before = probed.length;
    await clock.advance(20_000);
    expect(probed).toHaveLength(before);
    expect(health('a')).toBeUndefined();
  });

  it('finds out anew after each start', async () => {
    await desire(unit('a'));
    await isIn('a', 'healthy');
    sick.set('a', 'not yet');
    host.systemd.kill('a.service', 15);
    await isIn('a', 'starting');
    await isIn('a', 'unhealthy');
  });

  it('lets a check that hangs delay no other unit', async () => {
    sick.set('a', 'hangs');
    await desire(unit('a', { timeoutMs: 60_000 }), unit('b'));
    await isIn('b', 'healthy');
    expect(clock.now()).toBeLessThan(1_000);
    sick.set('b', 'HTTP 500');
    await isIn('b', 'unhealthy');
    expect(clock.now()).toBeLessThan(5_000);
  });

  it('restarts an unhealthy unit when it is told to, and says so', async () => {
    await desire(unit('a', { onUnhealthy: 'restart' }));
    await isIn('a', 'healthy');
    sick.set('a', 'HTTP 503');
    await isIn('a', 'unhealthy');
    await clock.until('the restart', () => asked('start a.service') === 2);
    sick.clear();
    await isIn('a', 'healthy');
    expect(host.asked).toEqual(['start a.service', 'stop a.service', 'start a.service']);
    expect(health('a')).toEqual({ state: 'healthy', action: 'restarted 1 time within the last hour' });
    expect(events.map(({ kind, reason }) => `${kind} ${reason}`)).toContain('stopped unhealthy');
    expect(host.drift).toEqual([]);
  });

  it('restarts it no more often than it may in any hour, then leaves it running and says why', async () => {
    sick.set('a', 'HTTP 503');
    await desire(unit('a', { onUnhealthy: 'restart' }));
    await clock.advance(HOUR / 2);
    expect(asked('stop a.service')).toBe(2);
    expect(asked('start a.service')).toBe(3);
    expect(host.systemd.state('a.service').active).toBe('active');
    expect(health('a')).toEqual({
      state: 'unhealthy',
      output: 'HTTP 503',
      action: 'restarted 2 times within the last hour, as often as it may be (limit_per_hour): it is left as it is',
    });
    await clock.advance(HOUR);
    expect(asked('stop a.service')).toBe(4);
  });

  it('makes a pause before the next restart, which grows', async () => {
    sick.set('a', 'HTTP 503');
    const times: number[] = [];
    await desire(unit('a', { onUnhealthy: 'restart', limitPerHour: 5 }));
    for (const count of [1, 2, 3, 4]) {
      await clock.until('a restart', () => asked('stop a.service') === count, HOUR);
      times.push(clock.now());
    }
    const pauses = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(pauses.map((pause) => Math.round(pause / 1_000))).toEqual([10, 20, 40]);
  });

  it('does not restart what could not be started again just now', async () => {
    sick.set('a', 'HTTP 503');
    await desire(unit('a', { onUnhealthy: 'restart' }, { prestart: { script: 'x', values: {} } }));
    await isIn('a', 'starting');
    await desire(unit('a', { onUnhealthy: 'restart' }, { prestart: { script: 'x', values: { b: [] } } }));
    await isIn('a', 'unhealthy');
    await clock.advance(60_000);
    expect(asked('stop a.service')).toBe(0);
  });

  it('has never two jobs for one unit, though its restart hangs', async () => {
    host.systemd.define('a.service', { startMs: 20, stopMs: 30_000 });
    sick.set('a', 'HTTP 503');
    await desire(unit('a', { onUnhealthy: 'restart' }), unit('b'));
    await clock.until('the stop', () => asked('stop a.service') === 1);
    await clock.advance(25_000);
    expect(host.asked.filter((each) => each.endsWith(' a.service'))).toEqual(['start a.service', 'stop a.service']);
    await clock.until('the start', () => asked('start a.service') === 2);
  });

  it('goes on with its checks while ZooKeeper is silent, and stops nothing for it', async () => {
    await desire(unit('a'));
    await isIn('a', 'healthy');
    executor.left();
    const before = probed.length;
    await clock.advance(10_000);
    expect(probed.length).toBeGreaterThan(before + 5);
    expect(host.asked).toEqual(['start a.service']);
  });
});
