/** From when on the lease of what may run once only counts, never from a request that ZooKeeper's leader may not know of; and in which sessions. */
import { describe, expect, it } from 'vitest';
import { Heartbeat } from '../../src/executor/heartbeat.ts';
import { Lease } from '../../src/executor/lease.ts';
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble } from '../fakes/store.ts';
import { FakeSystemd } from '../fakes/systemd.ts';

const SESSION_MS = 4_000;
const { touchLagMs, pingMs, beatMs } = isolationTiming(SESSION_MS);

function begin() {
  const clock = new FakeClock();
  const ensemble = new FakeEnsemble({ clock });
  const store = ensemble.connect({ sessionTimeoutMs: SESSION_MS });
  const ages: number[] = [];
  const heartbeat = new Heartbeat({
    store,
    host: 'w1',
    clock,
    sessionTimeoutMs: SESSION_MS,
    onConfirmed: (confirmedAt) => void ages.push(clock.now() - confirmedAt),
  });
  return { clock, store, heartbeat, ages };
}

describe('the lease', () => {
  it('counts from a request that is older than the way of its word to ZooKeeper’s leader', async () => {
    const { clock, heartbeat, ages } = begin();
    await clock.advance(10_000);
    heartbeat.need(true);
    await clock.advance(10_000);
    expect(ages.length).toBeGreaterThan(10);
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(touchLagMs);
    expect(Math.max(...ages)).toBeLessThan(touchLagMs + pingMs + beatMs);
  });

  it('of a host that is told of its first such unit counts from no newer one', async () => {
    for (let ms = 0; ms < pingMs; ms += 50) {
      const { clock, heartbeat, ages } = begin();
      await clock.advance(10_000 + ms);
      heartbeat.need(true);
      expect(ages).toHaveLength(1);
      expect(ages[0]).toBeGreaterThanOrEqual(touchLagMs);
    }
  });

  it('of a young session begins at once, with its handshake', async () => {
    const { clock, store, heartbeat, ages } = begin();
    await clock.until('a session', () => store.state.kind === 'connected');
    heartbeat.need(true);
    expect(ages).toHaveLength(1);
    expect(ages[0]).toBeLessThan(touchLagMs);
  });
});

describe('a session', () => {
  it.each([
    [1_000, 4_000, false],
    [2_999, 2_999, false],
    [3_000, 3_000, true],
    [4_000, 1_000, true],
  ])('of %i ms, asked for as %i ms, clears units to be started: %s', async (grantedMs, sessionTimeoutMs, clears) => {
    const clock = new FakeClock();
    const store = new FakeEnsemble({ clock }).connect({ sessionTimeoutMs: grantedMs });
    const nothing = () => {};
    const events = { onConnected: nothing, onDisconnected: nothing, onUnit: nothing, onReloaded: nothing };
    const systemd = new FakeSystemd(clock).connect(events);
    const units = new Set(['a.service']);
    const log = new MemoryLog();
    const options = { store, host: 'w1', systemd, clock, log, sessionTimeoutMs };
    const lease = new Lease({ ...options, runOnce: () => units, onChange: nothing });
    await clock.until('a session', () => store.state.kind === 'connected' && systemd.connected);
    await clock.finish('where beats are written', store.ensure('/beats'));
    lease.join(true);
    lease.renew();
    let cleared = 0;
    for (let ms = 0; ms < 10_000; ms += 100) {
      await clock.advance(100);
      cleared += lease.cleared.size;
      expect(lease.isolated, `after ${ms} ms`).toBe(false);
    }
    expect(cleared > 0).toBe(clears);
    expect(lease.hindrance === undefined).toBe(clears);
    await clock.finish('its end', lease.close());
  });
});
