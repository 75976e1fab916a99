import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/shared/clock.ts';
import type { Logger } from '../../../src/shared/log.ts';
import { Dialer, parseServer } from '../../../src/shared/zookeeper/dialer.ts';

const warnings: string[] = [];
const log: Logger = {
  debug() {},
  info() {},
  error() {},
  warn: (text, fields) => void warnings.push(`${text} ${fields?.server}`),
};
const signal = new AbortController().signal;

/** A clock whose waits end at once, and are noted. */
function impatientClock(): { clock: Clock; waits: number[] } {
  const waits: number[] = [];
  let now = 0;
  const clock: Clock = {
    now: () => now,
    date: () => new Date(0),
    after(ms, fn) {
      waits.push(ms);
      const soon = setImmediate(() => {
        now += ms;
        fn();
      });
      return () => clearImmediate(soon);
    },
  };
  return { clock, waits };
}

function dialer(servers: string[], random = () => 0, sessionTimeoutMs = 4000) {
  const { clock, waits } = impatientClock();
  return { dialer: new Dialer({ servers, sessionTimeoutMs, clock, log, random }), waits };
}

afterEach(() => {
  warnings.length = 0;
});

describe('an address of a server', () => {
  it.each([
    ['zk1:2182', { host: 'zk1', port: 2182 }],
    [' zk1.example.org ', { host: 'zk1.example.org', port: 2181 }],
    ['10.0.0.1:2181', { host: '10.0.0.1', port: 2181 }],
    ['[::1]:2183', { host: '::1', port: 2183 }],
    ['[fe80::1]', { host: 'fe80::1', port: 2181 }],
  ])('%j is understood', (text, expected) => {
    expect(parseServer(text)).toEqual(expected);
  });

  it.each(['', 'zk1:', 'zk1:0', 'zk1:65536', 'zk1:x', 'zk1/path', 'a:1,b:2', '::1'])(
    '%j is refused by name',
    (text) => {
      expect(() => parseServer(text)).toThrow(`zookeeper.quorum: ${JSON.stringify(text)}`);
    },
  );
});

describe('the dialer', () => {
  it('gives every server its turn before it pauses, and pauses longer each time, up to a limit', async () => {
    const { dialer: dial, waits } = dialer(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    const hosts: string[] = [];
    const pausesAfterRounds: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      for (let i = 0; i < 3; i += 1) hosts.push((await dial.next(signal, true)).host);
      pausesAfterRounds.push(waits.length);
    }
    expect(hosts.slice(0, 6)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.1', '10.0.0.2', '10.0.0.3']);
    expect(pausesAfterRounds).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // Half of 50 ms, 100 ms and so on: the jitter takes up to half away.
    expect(waits).toEqual([25, 50, 100, 200, 400, 500, 500, 500, 500]);
  });

  it('waits up to 3 s when no session can be saved any more', async () => {
    const { dialer: dial, waits } = dialer(['10.0.0.1'], () => 0, 30_000);
    for (let i = 0; i < 12; i += 1) await dial.next(signal, false);
    expect(waits.at(-1)).toBe(1500);
  });

  it.each([1000, 2000, 4000, 10_000])(
    'comes back in time for a session of %i ms that lives on when a long outage is over, past a server that is dead',
    async (sessionTimeoutMs) => {
      const { dialer: dial, waits } = dialer(['10.0.0.1', '10.0.0.2', '10.0.0.3'], () => 0.999, sessionTimeoutMs);
      let longestAttempt = 0;
      for (let i = 0; i < 60; i += 1)
        longestAttempt = Math.max(longestAttempt, (await dial.next(signal, false)).timeoutMs);
      expect(Math.max(...waits) + longestAttempt).toBeLessThan(sessionTimeoutMs * 0.8);
    },
  );

  it('begins anew with the next server after a success', async () => {
    const { dialer: dial, waits } = dialer(['10.0.0.1', '10.0.0.2']);
    for (let i = 0; i < 5; i += 1) await dial.next(signal, true);
    dial.succeeded();
    const before = waits.length;
    const hosts = [await dial.next(signal, true), await dial.next(signal, true)].map(({ host }) => host);
    expect(hosts).toEqual(['10.0.0.2', '10.0.0.1']);
    expect(waits).toHaveLength(before);
  });

  it('gives all servers a turn within what is left of a session, then allows more time each round', async () => {
    const { dialer: dial } = dialer(['10.0.0.1', '10.0.0.2']);
    const limits: number[] = [];
    for (let i = 0; i < 10; i += 1) limits.push((await dial.next(signal, true)).timeoutMs);
    expect((limits[0] ?? 0) * 2).toBeLessThanOrEqual(4000 / 3 + 1);
    expect(limits[2]).toBe((limits[0] ?? 0) * 2);
    expect(limits.at(-1)).toBe(2000);
  });

  it('spreads hosts over the servers', async () => {
    const { dialer: dial } = dialer(['10.0.0.1', '10.0.0.2', '10.0.0.3'], () => 0.99);
    expect((await dial.next(signal, true)).host).toBe('10.0.0.3');
  });

  it('tries each address of a name', async () => {
    const { dialer: dial } = dialer(['localhost:2181']);
    expect(await dial.next(signal, true)).toMatchObject({ server: 'localhost:2181', port: 2181 });
  });

  it('goes past a name that cannot be looked up, and says so once', async () => {
    const { dialer: dial } = dialer(['no-such-host.invalid:2181', '10.0.0.2:2181']);
    const servers = [await dial.next(signal, true), await dial.next(signal, true)].map(({ server }) => server);
    expect(servers).toEqual(['10.0.0.2:2181', '10.0.0.2:2181']);
    expect(warnings).toEqual(['ZooKeeper server cannot be used no-such-host.invalid:2181']);
  });

  it('stops when it is told to', async () => {
    const abort = new AbortController();
    const { dialer: dial } = dialer(['10.0.0.1']);
    await dial.next(abort.signal, true);
    abort.abort();
    await expect(dial.next(abort.signal, true)).rejects.toThrow();
  });
});
