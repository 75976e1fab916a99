import { beforeEach, describe, expect, it } from 'vitest';
import { StopTimes } from '../../src/executor/stop-times.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeSystemd } from '../fakes/systemd.ts';

const SESSION_MS = 4_000;
let clock: FakeClock;
let systemd: FakeSystemd;
let log: MemoryLog;
let times: StopTimes;

beforeEach(async () => {
  clock = new FakeClock();
  systemd = new FakeSystemd(clock);
  log = new MemoryLog();
  const nothing = () => {};
  times = new StopTimes(
    systemd.connect({ onConnected: nothing, onDisconnected: nothing, onUnit: nothing, onReloaded: nothing }),
    log,
  );
  await clock.advance(100);
});

describe('a unit that may run once only', () => {
  it('is said to be killed early when it may take longer to stop than its host has once it is cut off', async () => {
    systemd.define('slow.service', { stopTimeoutMs: 1_001 });
    times.check(['slow.service'], SESSION_MS);
    await clock.advance(100);
    expect(log.at('warn')).toEqual([
      'slow.service has isolation: stop and TimeoutStopSec of 1.001 s, but with a session of 4 s it has 1 s to stop in when this host is cut off, and is killed then; set TimeoutStopSec to what it needs, or session_timeout to 4.004 s',
    ]);
  });

  it('is not mentioned when it has the time that it may take', async () => {
    systemd.define('quick.service', { stopTimeoutMs: 1_000 });
    times.check(['quick.service'], SESSION_MS);
    await clock.advance(100);
    expect(log.at('warn')).toEqual([]);
  });

  it('that is never killed by systemd is told so, without a session timeout that would do', async () => {
    systemd.define('for-ever.service', { stopTimeoutMs: Number.POSITIVE_INFINITY });
    times.check(['for-ever.service'], SESSION_MS);
    await clock.advance(100);
    expect(log.at('warn').join()).toMatch(/TimeoutStopSec of no limit, .* set TimeoutStopSec to what it needs$/);
  });

  it('is looked at once for each session timeout', async () => {
    systemd.define('slow.service', { stopTimeoutMs: 1_500 });
    for (const timeoutMs of [SESSION_MS, SESSION_MS, 5_000, 6_000, SESSION_MS]) {
      times.check(['slow.service'], timeoutMs);
      await clock.advance(100);
    }
    expect(log.at('warn').map((text) => /a session of (\S+) s/.exec(text)?.[1])).toEqual(['4', '5']);
  });

  it('is looked at again when systemd did not answer', async () => {
    systemd.define('slow.service', { stopTimeoutMs: 2_000 });
    times.check(['slow.service'], SESSION_MS);
    systemd.disconnect();
    await clock.advance(100);
    expect(log.at('warn')).toEqual([]);
    systemd.reconnect();
    await clock.advance(100);
    times.check(['slow.service'], SESSION_MS);
    await clock.advance(100);
    expect(log.at('warn')).toHaveLength(1);
  });
});

describe('a session shorter than isolation: stop can do with', () => {
  it('is an error, told once, as soon as there is such a unit', () => {
    times.check([], 2_000);
    expect(log.at('error')).toEqual([]);
    times.check(['a.service'], 2_000);
    times.check(['a.service'], 2_000);
    expect(log.at('error')).toEqual([
      "none of a.service is started here: the session of this host with ZooKeeper is 2 s, too short to be sure that a unit with isolation: stop runs nowhere else: set session_timeout in this host's file to 3 s or more, which maxSessionTimeout of the ensemble must allow",
    ]);
  });

  it('is none from its least length on', () => {
    times.check(['a.service'], 3_000);
    expect(log.at('error')).toEqual([]);
  });
});
