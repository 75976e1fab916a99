/** From when on the lease of what may run once only counts: never from a request that ZooKeeper's leader may not know of. */
import { describe, expect, it } from 'vitest';
import { Heartbeat } from '../../src/executor/heartbeat.ts';
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble } from '../fakes/store.ts';

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
