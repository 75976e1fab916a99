/** What a daemon tells of its host's units, on two pretended hosts. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Isolation, Spec } from '../../src/shared/spec.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const UNIT = 'a.service';
const service = (isolation: Isolation): Spec =>
  specOf({ name: 'a', type: 'shared', count: 1, enabled: true, isolation });

let clock: FakeClock;
let hosts: FakeHost[];
let daemons: Map<FakeHost, FakeDaemon>;

beforeEach(() => {
  clock = new FakeClock();
  const ensemble = new FakeEnsemble({ clock });
  hosts = ['w1', 'w2'].map((name) => new FakeHost(name, clock, ensemble));
  for (const host of hosts) host.systemd.define(UNIT);
});

async function boot(spec: Spec): Promise<void> {
  daemons = new Map();
  for (const host of hosts) daemons.set(host, await clock.finish('a daemon', host.boot(spec)));
  await clock.until('the unit to run', () => hosts.some(runs));
  await clock.advance(20_000);
}

const runs = (host: FakeHost) => host.systemd.state(UNIT).active === 'active';
function home(): FakeHost {
  const host = hosts.find(runs);
  if (!host) throw new Error('it runs nowhere');
  return host;
}
/** What executors tell of units; what leaders tell has other names. */
const OF_UNITS = new Set(['started', 'stopped', 'adopted', 'failed', 'cleared', 'ended', 'drift']);
const told = (host: FakeHost) =>
  host.log.entries.flatMap(({ fields: { event, reason } }) =>
    OF_UNITS.has(String(event)) ? [`${event} ${reason}`] : [],
  );

describe('a daemon tells of a unit', () => {
  it('that it was started, and that it failed; the other host, that it was started there', async () => {
    await boot(service('keep'));
    const first = home();
    first.systemd.kill(UNIT, 9);
    await clock.until('the move', () => hosts.some((host) => host !== first && runs(host)));
    await clock.advance(1_000);
    expect(told(first)).toEqual(['started placed', 'failed failed']);
    expect(told(home())).toEqual(['started placed']);
    first.systemd.systemctl('reset-failed', UNIT);
    await clock.advance(5_000);
    expect(told(first).at(-1)).toBe('cleared reset');
  });

  it('that it ended by itself, and that it was started again', async () => {
    await boot(service('keep'));
    home().systemd.kill(UNIT, 15);
    await clock.advance(5_000);
    expect(told(home())).toEqual(['started placed', 'ended exited', 'started exited']);
  });

  it('that somebody stopped it, or started it where it does not belong', async () => {
    await boot(service('keep'));
    const first = home();
    const other = hosts.find((host) => host !== first);
    first.systemd.systemctl('stop', UNIT);
    other?.systemd.systemctl('start', UNIT);
    await clock.advance(5_000);
    expect(told(first)).toEqual(['started placed', 'drift stopped-by-hand', 'started stopped-by-hand']);
    expect(other && told(other)).toEqual(['drift started-by-hand', 'stopped started-by-hand']);
  });

  it('that it runs already, once', async () => {
    hosts[0]?.systemd.systemctl('start', UNIT);
    await boot(service('keep'));
    expect(hosts.map(told)).toEqual([['adopted running'], []]);
  });

  it('that it stopped because its daemon is stopping', async () => {
    await boot(service('keep'));
    const first = home();
    const daemon = daemons.get(first);
    await clock.finish('the stop', daemon?.stop() ?? Promise.reject(new Error('no daemon')));
    expect(told(first)).toEqual(['started placed', 'stopped leaving']);
  });

  it('that it was stopped as its host was cut off', async () => {
    await boot(service('stop'));
    const first = home();
    daemons.get(first)?.store.cut('silent');
    await clock.advance(20_000);
    expect(told(first)).toEqual(['started placed', 'stopped isolated']);
  });

  it('that systemd stopped it, as the daemon was frozen', async () => {
    await boot(service('stop'));
    const first = home();
    daemons.get(first)?.process.pause();
    await clock.advance(20_000);
    expect(runs(first)).toBe(false);
    daemons.get(first)?.process.resume();
    await clock.advance(20_000);
    expect(told(first)).toEqual(['started placed', 'stopped guard']);
  });
});
