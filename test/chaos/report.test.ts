import { expect, it } from 'vitest';
import type { FaultRecord } from './faults.ts';
import { report } from './report.ts';
import type { RunResult } from './run.ts';

const POWER: FaultRecord = {
  kind: 'host-power',
  round: 1,
  hosts: ['w3'],
  servers: [],
  beganAt: 1000,
  endedAt: 4000,
  settledAt: 4500,
  noQuorumMs: 0,
};
const FREEZE: FaultRecord = { ...POWER, kind: 'server-freeze', round: 2, hosts: [], servers: ['zk1'] };

const CALM: RunResult = {
  seed: 7,
  hosts: 5,
  servers: 5,
  durationMs: 90_000,
  faults: [POWER, FREEZE, { ...FREEZE, round: 3 }],
  settlings: [
    { round: 1, ms: 500, withStartMs: 3900, faults: [POWER] },
    { round: 2, ms: 3210, withStartMs: 3210, faults: [FREEZE] },
    { round: 3, ms: 700, withStartMs: 700, faults: [FREEZE] },
  ],
  violations: [],
};

it('tells faults by kind, violations, needless restarts and the longest time to settle, without and with a daemon’s start', () => {
  expect(report(CALM)).toBe(`seed 7, 1.5 minutes, 5 hosts, 5 ZooKeeper servers
faults: 3 in 3 rounds
  host-power                  1
  server-freeze               2
violations: 0
healthy units restarted without need: 0
longest time to settle: 3.21 s after server-freeze zk1, round 2 (median 0.70 s, limit 6.50 s)
longest with the start of the daemon itself: 3.90 s after host-power w3, round 1`);
});

it('tells each violation with its time, host and evidence, and where the journals are', () => {
  const text = report({
    ...CALM,
    violations: [
      { kind: 'needless-restart', at: 1500, host: 'w2', evidence: 'two.service on w2: Stopping' },
      { kind: 'not-settled', at: 2500, evidence: 'too late' },
    ],
    broken: 'round 4: no such host',
    evidence: '/tmp/kept',
  });
  expect(text).toContain('violations: 2\n  1.500  w2  needless-restart: two.service on w2: Stopping\n');
  expect(text).toContain('  2.500  cluster  not-settled: too late\nhealthy units restarted without need: 1\n');
  expect(text).toContain('\nended before its time: round 4: no such host\njournals and logs are kept in /tmp/kept');
});

it('tells that no fault was made', () => {
  expect(report({ ...CALM, faults: [], settlings: [] })).toContain('longest time to settle: no fault was made');
});
