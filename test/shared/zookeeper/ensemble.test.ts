/** What is concluded from the answers of several servers, and how it is said. */
import { createServer } from 'node:net';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { render } from '../../../src/cli/ensemble.ts';
import {
  type AskedServer,
  askEnsemble,
  assess,
  describeEnsemble,
  type EnsembleState,
} from '../../../src/shared/zookeeper/ensemble.ts';
import type { ServerReport } from '../../../src/shared/zookeeper/srvr.ts';
import { askTickTime, tickTimeWarnings } from '../../../src/shared/zookeeper/tick-time.ts';
import { freePort, TestServer } from '../../harness/zookeeper.ts';

/** L a leader, F a follower, S one that stands alone, n one that does not serve, x one that does not answer. */
function servers(letters: string): AskedServer[] {
  return [...letters].map((letter, index) => ({
    server: `zk${index + 1}:2181`,
    report: reportOf(letter),
    answeredInMs: 0.5,
  }));
}

function reportOf(letter: string): ServerReport {
  const serving = { kind: 'serving', latency: { min: 0, avg: 0.5, max: 3 }, connections: 2, zxid: '0x1' } as const;
  switch (letter) {
    case 'L':
      return { ...serving, role: 'leader', version: '3.8.0' };
    case 'F':
      return { ...serving, role: 'follower', version: '3.8.0' };
    case 'S':
      return { ...serving, role: 'standalone', version: '3.8.0' };
    case 'n':
      return { kind: 'not-serving' };
    default:
      return { kind: 'unreachable', why: 'connect ECONNREFUSED' };
  }
}

const CASES: readonly (readonly [string, EnsembleState, string])[] = [
  ['S', 'quorum', 'quorum: 1 of 1 server serves; no further one may be lost'],
  ['FLF', 'quorum', 'quorum: 3 of 3 servers serve, zk2:2181 leads; 1 more may be lost'],
  ['FLFFF', 'quorum', 'quorum: 5 of 5 servers serve, zk2:2181 leads; 2 more may be lost'],
  ['FLFxx', 'quorum', 'quorum: 3 of 5 servers serve, zk2:2181 leads; no further one may be lost'],
  ['FLFFxx', 'quorum', 'quorum: 4 of 6 servers serve, zk2:2181 leads; no further one may be lost'],
  ['FLFFFFF', 'quorum', '3 more may be lost'],
  ['FF', 'quorum', 'quorum: 2 of 2 servers serve; no further one may be lost'],
  ['LFxxx', 'quorum', 'fewer than a quorum: the others are not reached from here'],
  ['FFxFF', 'no-leader', 'no leader: 4 of 5 servers still serve reads, and none of those that answer leads'],
  ['nnxxx', 'no-quorum', 'no quorum: 2 of 5 servers run, 3 are needed; units run on'],
  ['nxx', 'no-quorum', 'until 1 more returns'],
  ['nxxxxx', 'no-quorum', 'no quorum: 1 of 6 servers runs, 4 are needed'],
  ['nnnxxx', 'no-quorum', 'no quorum: 3 of 6 servers run, 4 are needed'],
  ['nnnxx', 'no-quorum', '3 of 5 servers run and 3 are needed, but none serves: they are electing a leader'],
  ['SSS', 'divided', 'not one ensemble: zk1:2181, zk2:2181, zk3:2181 stand alone'],
  ['LFL', 'divided', 'not one ensemble: zk1:2181, zk3:2181 lead'],
  ['SFL', 'divided', 'not one ensemble: zk1:2181 stands alone, zk3:2181 leads'],
  ['xxx', 'unreachable', 'no ZooKeeper server answers (3 asked)'],
];

describe('servers that answer', () => {
  it.each(CASES)('%s: the state is %s, and is said plainly', (letters, state, sentence) => {
    const status = assess(servers(letters));
    expect(status.state).toBe(state);
    expect(status.quorum).toBe(state === 'quorum');
    expect(describeEnsemble(status)).toContain(sentence);
  });

  it('are shown in the order of the configuration, each with its role, latency and connections', () => {
    const lines = stripVTControlCharacters(render(assess(servers('FLnx'))))
      .split('\n')
      .filter((line) => line.startsWith('│'))
      .slice(1);
    expect(lines.map((line) => line.split('│').map((cell) => cell.trim()))).toEqual([
      ['', 'zk1:2181', 'follower', '0.5', '0/0.5/3', '2', '0x1', '3.8.0', ''],
      ['', 'zk2:2181', 'leader', '0.5', '0/0.5/3', '2', '0x1', '3.8.0', ''],
      ['', 'zk3:2181', 'not serving', '0.5', '', '', '', '', ''],
      ['', 'zk4:2181', 'unreachable: connect ECONNREFUSED', '', '', '', '', '', ''],
    ]);
  });
});

describe('a tick', () => {
  const warned = (tickTimeMs: number | null, sessionTimeoutMs: number) =>
    tickTimeWarnings([{ server: 'zk1:2181', tickTimeMs }], sessionTimeoutMs);

  it.each([
    [500, 4_000],
    [666, 4_000],
    [2_000, 12_000],
  ])('of %i ms is not mentioned where sessions are %i ms', (tickTimeMs, sessionMs) => {
    expect(warned(tickTimeMs, sessionMs)).toEqual([]);
  });

  it('longer than a sixth of a session is warned of, with what to do, before the sentence on the whole', () => {
    const [warning, ...others] = warned(2_000, 4_000);
    expect(others).toEqual([]);
    expect(warning).toBe(
      "tickTime of zk1:2181 (2000 ms) is above a sixth of this host's session_timeout (4 s): two hosts may run a unit with isolation: stop for a moment; set it to 666 at most in zoo.cfg there, or session_timeout of every host to 12 s",
    );
    expect(warned(667, 4_000)).toHaveLength(1);
    const lines = stripVTControlCharacters(render(assess(servers('S')), warned(2_000, 4_000))).split('\n');
    expect(lines.at(-2)).toBe(`warning: ${warning}`);
    expect(lines.at(-1)).toContain('quorum: 1 of 1');
  });

  it('that a server does not tell is said to be unknown, with what to do', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (word) => socket.end(`${word} is not executed because it is not in the whitelist.\n`));
    });
    const port = await freePort();
    await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
    const refused = await askTickTime(`127.0.0.1:${port}`, 2_000);
    await new Promise((resolve) => void server.close(resolve));
    expect(refused).toEqual({ server: `127.0.0.1:${port}`, tickTimeMs: null });
    expect(await askTickTime(`127.0.0.1:${port}`, 2_000)).toEqual(refused);
    expect(tickTimeWarnings([refused], 4_000)).toEqual([
      `tickTime not known of 127.0.0.1:${port}: allow conf in 4lw.commands.whitelist of zoo.cfg there`,
    ]);
  });
});

describe('a real server', () => {
  it('that is frozen is shown as unreachable within the time limit, and the others are not kept waiting', async () => {
    const [frozen, well] = await Promise.all([TestServer.start(), TestServer.start()]);
    try {
      frozen.signal('SIGSTOP');
      const status = await askEnsemble([frozen.server, well.server, `127.0.0.1:${await freePort()}`], 500);
      expect(status.servers.map(({ report }) => report.kind)).toEqual(['unreachable', 'serving', 'unreachable']);
      expect(status.servers[0]?.report).toMatchObject({ why: 'no complete answer within 500 ms' });
      expect(status.servers[0]?.answeredInMs).toBeLessThan(3000);
      expect(status.servers[1]?.answeredInMs).toBeLessThan(500);
    } finally {
      frozen.signal('SIGCONT');
      await Promise.all([frozen.stop(), well.stop()]);
    }
  });
});
