import { describe, expect, it } from 'vitest';
import { type AssignmentsInput, renderAssignments } from '../../src/leader/assignments.ts';
import { describeCause, describeWhy } from '../../src/leader/why.ts';
import type { ExclusionReason, MoveCause, Observed, ObservedUnit, Why } from '../../src/shared/state.ts';

function observed(host: string, ...units: ObservedUnit[]): [string, Observed] {
  return [host, { host, epoch: 1, generation: 1, units }];
}

const unit = (name: string, change: Partial<ObservedUnit> = {}): ObservedUnit => ({
  unit: name,
  load: 'loaded',
  active: 'active',
  sub: 'running',
  ...change,
});

const INPUT: AssignmentsInput = {
  leader: 'w2',
  epoch: 3,
  generation: 17,
  digest: 'sha256:x',
  settled: true,
  pending: [],
  stays: new Map(),
  placement: {
    units: new Map([
      [
        'a.service',
        {
          unit: 'a.service',
          service: 'a',
          wanted: 2,
          instances: [
            { host: 'w1', why: { kind: 'kept' } },
            { host: 'w2', why: { kind: 'moved', from: 'w3', because: { kind: 'host-lost' } } },
          ],
        },
      ],
    ]),
    unplaced: [
      { unit: 'b.service', service: 'b', wanted: 1, placed: 0, why: [{ reason: 'forced-host-absent', hosts: 2 }] },
    ],
    moves: [],
  },
  hosts: [
    { name: 'w2', state: 'joining', excluded: new Map() },
    { name: 'w10', state: 'ready', excluded: new Map() },
    { name: 'w1', state: 'ready', excluded: new Map() },
  ],
  observed: new Map([observed('w1', unit('a.service'))]),
  brake: false,
  problems: ['/members/w9 is not valid'],
};

describe('the answer of /assignments', () => {
  it('has what the check of an instance says, and why an unhealthy one does not move', () => {
    const health = { state: 'unhealthy', output: 'HTTP 503' } as const;
    const input = {
      ...INPUT,
      observed: new Map([observed('w1', unit('a.service', { health })), observed('w2', unit('a.service'))]),
    };
    const healthOn = (host: string, change: Partial<AssignmentsInput> = {}) =>
      renderAssignments({ ...input, ...change }).hosts[host]?.units[0];
    expect(healthOn('w1')).toMatchObject({ health });
    expect(healthOn('w2')).not.toHaveProperty('health');
    const stays = new Map([['a.service', new Map([['w1', 'no other host']])]]);
    expect(healthOn('w1', { stays })).toMatchObject({ health: { ...health, action: 'no other host' } });
  });

  it('has every host with its state and units, sorted by name, and what no host can take', () => {
    const answer = renderAssignments(INPUT);
    expect(answer).toEqual({
      leader: 'w2',
      epoch: 3,
      generation: 17,
      spec: 'sha256:x',
      settled: true,
      brake: false,
      hosts: {
        w1: { state: 'ready', units: [{ unit: 'a.service', service: 'a', state: 'active', why: 'kept' }] },
        w10: { state: 'ready', units: [] },
        w2: {
          state: 'joining',
          units: [{ unit: 'a.service', service: 'a', state: 'inactive', why: 'moved from w3: host lost' }],
        },
      },
      unplaced: INPUT.placement.unplaced,
      failed: [],
      problems: ['/members/w9 is not valid'],
    });
    expect(Object.keys(answer.hosts)).toEqual(['w1', 'w10', 'w2']);
  });

  it('says why an instance is not active', () => {
    const waiting = unit('a.service', { active: 'inactive', waiting: 'it still waits' });
    const failed = unit('a.service', { active: 'failed', failure: { kind: 'failed', message: 'it failed' } });
    const answer = renderAssignments({
      ...INPUT,
      observed: new Map([observed('w1', waiting), observed('w2', failed)]),
    });
    expect(answer.hosts.w1?.units[0]).toMatchObject({ state: 'inactive', detail: 'it still waits' });
    expect(answer.hosts.w2?.units[0]).toMatchObject({ state: 'failed', detail: 'it failed' });
  });

  it('lists all failures, of hosts that the unit has left, too, by unit and host', () => {
    const failed = (name: string) => unit(name, { active: 'failed', failure: { kind: 'failed', message: 'x' } });
    const answer = renderAssignments({
      ...INPUT,
      observed: new Map([
        observed('w9', failed('z.service'), failed('a.service')),
        observed('w1', failed('z.service')),
      ]),
    });
    expect(answer.failed.map(({ unit: name, host }) => `${name} ${host}`)).toEqual([
      'a.service w9',
      'z.service w1',
      'z.service w9',
    ]);
  });
});

describe('a reason in words', () => {
  it.each<[Why, string]>([
    [{ kind: 'kept' }, 'kept'],
    [{ kind: 'adopted' }, 'adopted'],
    [{ kind: 'forced' }, 'forced'],
    [{ kind: 'every-host' }, 'every host'],
    [{ kind: 'least-loaded' }, 'least loaded'],
    [{ kind: 'moved', from: 'w2', because: { kind: 'surplus' } }, 'moved from w2: no longer wanted'],
  ])('of %j is %s', (why, words) => {
    expect(describeWhy(why)).toBe(words);
  });

  const excluded = (reason: ExclusionReason): MoveCause => ({ kind: 'excluded', reason });
  it.each<[MoveCause, string]>([
    [{ kind: 'host-lost' }, 'host lost'],
    [{ kind: 'displaced', by: 'b.service' }, 'b.service had to have the host'],
    [excluded('draining'), 'host is draining'],
    [excluded('failed'), 'failed there'],
    [excluded('not-installed'), 'not-installed there'],
  ])('of a move by %j is %s', (cause, words) => {
    expect(describeCause(cause)).toBe(words);
  });
});
