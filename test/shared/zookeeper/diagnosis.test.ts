/** Why there is no connection: asked while there is none, said once, and forgotten when it is back. */
import { beforeEach, expect, it } from 'vitest';
import { Diagnosis } from '../../../src/shared/zookeeper/diagnosis.ts';
import { assess, type EnsembleStatus } from '../../../src/shared/zookeeper/ensemble.ts';
import type { ServerReport } from '../../../src/shared/zookeeper/srvr.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { MemoryLog } from '../../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../../fakes/store.ts';

const NO_QUORUM = statusOf('not-serving', 'unreachable', 'unreachable');
const QUORUM = statusOf('serving', 'serving', 'unreachable');

function statusOf(...kinds: ServerReport['kind'][]): EnsembleStatus {
  return assess(
    kinds.map((kind, index) => ({ server: `zk${index + 1}:2181`, report: reportOf(kind, index), answeredInMs: 1 })),
  );
}

function reportOf(kind: ServerReport['kind'], index: number): ServerReport {
  switch (kind) {
    case 'serving': {
      const role = index === 0 ? 'leader' : 'follower';
      return { kind, role, latency: { min: 0, avg: 0, max: 0 }, connections: 1, zxid: '0x1', version: '3.8.0' };
    }
    case 'not-serving':
      return { kind };
    case 'unreachable':
      return { kind, why: 'refused' };
  }
}

let clock: FakeClock;
let log: MemoryLog;
let ensemble: FakeEnsemble;
let store: FakeStore;
let answer: EnsembleStatus;
let asked: number;
let diagnosis: Diagnosis;

beforeEach(async () => {
  clock = new FakeClock();
  log = new MemoryLog();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  await clock.until('a session', () => store.state.kind === 'connected');
  answer = NO_QUORUM;
  asked = 0;
  const ask = async () => {
    asked += 1;
    return answer;
  };
  diagnosis = new Diagnosis({ store, clock, log, ask, random: () => 0.5 });
});

it('is not made while there is a connection, nor when one is back at once', async () => {
  await clock.advance(60_000);
  ensemble.stop();
  await clock.advance(300);
  ensemble.start();
  await clock.advance(60_000);
  expect(asked).toBe(0);
  expect(log.entries).toEqual([]);
});

it('says that there is no quorum within a second, once, and that it is over', async () => {
  ensemble.stop();
  await clock.advance(1_000);
  expect(diagnosis.text).toContain('no quorum: 1 of 3 servers runs, 2 are needed');
  await clock.advance(120_000);
  expect(log.at('warn')).toEqual([diagnosis.text]);
  ensemble.start();
  await clock.until('a session', () => store.state.kind === 'connected');
  expect(diagnosis.text).toBeUndefined();
  expect(log.at('info')).toEqual([expect.stringMatching(/^ZooKeeper serves this host again after 121\.\d s$/)]);
});

it('is said anew when it changes', async () => {
  ensemble.stop();
  await clock.advance(1_000);
  answer = statusOf('unreachable', 'unreachable', 'unreachable');
  await clock.advance(2_000);
  expect(log.at('warn')).toHaveLength(2);
  expect(diagnosis.text).toContain('no ZooKeeper server answers (3 asked)');
});

it('does not complain of an ensemble that serves before a second look', async () => {
  answer = QUORUM;
  ensemble.stop();
  await clock.advance(600);
  expect(asked).toBe(1);
  expect(log.at('warn')).toEqual([]);
  await clock.advance(1_500);
  expect(log.at('warn')).toEqual([expect.stringContaining('this host is not connected to it yet')]);
});

it('asks more and more seldom, and no more once it is closed', async () => {
  ensemble.stop();
  await clock.advance(10 * 60_000);
  // 0.5, 1, 2, 4, 8, 16 s and then every 30 s
  expect(asked).toBeLessThan(30);
  expect(asked).toBeGreaterThan(15);
  diagnosis.close();
  const before = asked;
  await clock.advance(10 * 60_000);
  expect(asked).toBe(before);
});
