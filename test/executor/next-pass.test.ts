/** When an executor makes its next pass. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SESSION_MS } from '../fakes/daemon.ts';
import { checkOf } from '../fixtures/health-check.ts';
import { placed } from '../fixtures/snapshot.ts';
import { A, FAILED_TICK_MS, ReconcilerRig, TICK_MS } from './reconciler-rig.ts';

let rig: ReconcilerRig;
beforeEach(async () => {
  rig = await ReconcilerRig.begin();
});
afterEach(() => rig.end());

describe('the next pass is due', () => {
  it('after the tick, when nothing waits for time', async () => {
    await rig.desire(A);
    await rig.boot();
    expect(rig.reconciler.nextTick()).toBe(TICK_MS);
    await rig.settle();
    expect(rig.reconciler.nextTick()).toBe(TICK_MS);
  });

  it('earlier while a unit of this host has failed', async () => {
    rig.host.systemd.define('a.service', { start: 'fails', exitStatus: 1 });
    await rig.desire(A);
    await rig.boot();
    await rig.settle();
    expect(rig.seen(A)?.failure).toBeDefined();
    expect(rig.reconciler.nextTick()).toBe(FAILED_TICK_MS);
  });

  it('when the pause of a unit that ended is over; at once, and never earlier, when that was a while ago', async () => {
    await rig.desire(A);
    await rig.boot();
    await rig.settle();
    rig.host.systemd.kill('a.service', 15);
    await rig.clock.advance(10);
    await rig.pass();
    expect(rig.seen(A)?.waiting).toContain('after a pause');
    const pause = rig.reconciler.nextTick();
    expect(pause).toBeGreaterThan(50);
    expect(pause).toBeLessThanOrEqual(100);
    await rig.clock.advance(pause - 1);
    expect(rig.reconciler.nextTick()).toBe(1);
    await rig.clock.advance(1_000);
    expect(rig.reconciler.nextTick()).toBe(0);
    await rig.settle();
    expect(rig.host.asked).toEqual(['start a.service', 'start a.service']);
  });

  it('when a unit that is to part has given those that found it the time to leave', async () => {
    await part();
    rig.found.clear();
    await rig.pass();
    expect(rig.reconciler.nextTick()).toBe(1_000);
    expect(rig.host.asked).toEqual(['start a.service']);
    await rig.clock.advance(1_000);
    await rig.settle();
    expect(rig.host.asked).toEqual(['start a.service', 'stop a.service']);
  });

  it('when it has waited long enough for the end of a registration that does not end', async () => {
    await part();
    await rig.pass();
    await rig.clock.advance(SESSION_MS);
    expect(rig.reconciler.nextTick()).toBeLessThanOrEqual(1_000);
    await rig.pass();
    expect(rig.host.asked).toEqual(['start a.service']);
    await rig.clock.advance(1_000);
    await rig.settle();
    expect(rig.host.asked).toEqual(['start a.service', 'stop a.service']);
  });

  /** A unit that others find is not wanted here any more. */
  async function part(): Promise<void> {
    rig.found.add('a.service');
    const discovery = { label: 'web', onlyHealthy: true, deregistrationDelayMs: 1_000 };
    await rig.desire(placed('a.service', { discovery }));
    await rig.boot();
    await rig.settle();
    await rig.desire();
    await rig.pass();
  }

  it('when a start has had its turn for too long', async () => {
    rig.host.systemd.define('a.service', { startMs: 60_000 });
    await rig.desire(placed('a.service', { start: { atOnce: 1, until: 'active', timeoutMs: 3_000 } }));
    await rig.boot();
    await rig.pass();
    expect(rig.reconciler.nextTick()).toBe(3_000);
  });

  it('after the tick alone once nothing is decided any more, though something waits', async () => {
    await rig.desire(A);
    await rig.boot();
    await rig.settle();
    rig.host.systemd.kill('a.service', 15);
    await rig.clock.advance(10);
    await rig.pass();
    rig.reconciler.end();
    await rig.clock.advance(1_000);
    expect(rig.reconciler.nextTick()).toBe(TICK_MS);
  });
});

describe('a unit whose check asks for a restart', () => {
  const check = checkOf({
    probe: { kind: 'http', url: 'http://{address}:80/' },
    intervalMs: 1_000,
    timeoutMs: 500,
    unhealthyAfter: 1,
    onUnhealthy: 'restart',
    limitPerHour: 2,
  });

  it('is restarted once for it, which counts, and looked at again when the pause before the next one is over', async () => {
    await rig.desire(placed('a.service', { check }));
    await rig.boot();
    await rig.settle();
    rig.unhealthy = true;
    for (let each = 0; each < 80; each++) {
      await rig.settle(1);
      await rig.clock.advance(90);
    }
    const once = ['start a.service', 'stop a.service', 'start a.service'];
    expect(rig.host.asked).toEqual(once);
    expect(rig.seen(A)?.health?.action).toContain('restarted 1 time within the last hour');
    expect(rig.reconciler.nextTick()).toBeLessThan(TICK_MS);
    await rig.clock.advance(rig.reconciler.nextTick());
    await rig.settle();
    expect(rig.host.asked).toEqual([...once, 'stop a.service', 'start a.service']);
  });
});
