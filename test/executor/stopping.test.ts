/** Orderly stops of a daemon that does not know everything yet, or any more: whole daemons of two hosts. */
import { beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/shared/digest.ts';
import type { Service } from '../../src/shared/spec.ts';
import { proposeSpec } from '../../src/shared/spec-store.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, SESSION_MS, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const UNIT = 'once.service';
const once: Service = { name: 'once', type: 'shared', count: 1, enabled: true, isolation: 'stop' };

let clock: FakeClock;
let hosts: FakeHost[];
let daemons: Map<FakeHost, FakeDaemon>;
let operator: FakeStore;

beforeEach(async () => {
  clock = new FakeClock();
  const ensemble = new FakeEnsemble({ clock });
  hosts = ['w1', 'w2'].map((name) => new FakeHost(name, clock, ensemble));
  daemons = new Map();
  operator = ensemble.connect({ sessionTimeoutMs: 60_000 });
  for (const host of hosts) {
    host.systemd.define(UNIT, { stop: 'ignores-sigterm', stopTimeoutMs: 8_000, startMs: 10 });
    daemons.set(host, await host.boot(specOf(once)));
  }
  await clock.until('it to run', () => hosts.some(runs));
  await clock.advance(2_000);
});

const active = (host: FakeHost) => host.systemd.state(UNIT).active;
const runs = (host: FakeHost) => active(host) === 'active';
const isUp = (host: FakeHost) => active(host) !== 'inactive' && active(host) !== 'failed';

function home(): FakeHost {
  const host = hosts.find(runs);
  if (!host) throw new Error('it runs nowhere');
  return host;
}

function daemonOf(host: FakeHost): FakeDaemon {
  const daemon = daemons.get(host);
  if (!daemon) throw new Error('it has no daemon');
  return daemon;
}

function propose(service: Service): void {
  const spec = specOf(service);
  const at = clock.date().toISOString();
  void proposeSpec(operator, { spec, digest: digestOf(spec), proposedBy: 'operator', at, intent: 'replace' });
}

/** Lets time pass, looking again and again whether it runs twice. */
async function watch(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 20) {
    await clock.advance(20);
    expect(hosts.filter(isUp).length).toBeLessThanOrEqual(1);
  }
}

/** The process ends when its stop is over, as a real one does. */
function stop(daemon: FakeDaemon, which: 'all' | 'once-only'): void {
  void daemon.stop(which).then(() => daemon.kill());
}

describe('what may run once only', () => {
  const moments = [0, 1, 2, 3, 10, 30].flatMap((ms) => [[ms, 'all'] as const, [ms, 'once-only'] as const]);
  it.each(moments)(
    'does not run on unguarded when its daemon is stopped %i ms after a start (%s)',
    async (ms, which) => {
      const host = home();
      daemonOf(host).kill();
      const next = await host.boot(specOf(once));
      await clock.advance(ms);
      stop(next, which);
      await watch(5 * SESSION_MS);
      expect(isUp(host)).toBe(false);
      expect(home()).not.toBe(host);
    },
  );

  it.each(['all', 'once-only'] as const)(
    'and is still stopping, is waited for when its daemon is stopped, though it is not placed there any more (%s)',
    async (which) => {
      const host = home();
      const other = hosts.find((each) => each !== host);
      if (!other) throw new Error('there are two');
      propose({ ...once, enabled: false });
      await clock.until('it to stop', () => active(host) === 'deactivating');
      await clock.advance(200);
      stop(daemonOf(host), which);
      await clock.advance(200);
      propose(once);
      await watch(5 * SESSION_MS);
      expect(home()).toBe(other);
    },
  );
});
