/** What waits for others: a stop until they no longer find the unit, a start until they are up or it has its turn. */
import { describe, expect, it } from 'vitest';
import { diff, NO_MEMORY } from '../../src/executor/diff.ts';
import type { TurnState } from '../../src/executor/start-conditions.ts';
import type { DesiredUnit } from '../../src/shared/state.ts';
import {
  after,
  decide,
  desired,
  input,
  memory,
  NOW,
  prestart,
  type Situation,
  start,
  state,
  UNIT,
  wanted,
} from './diff-situation.ts';

describe('a unit that others find', () => {
  const others = memory({ ours: true, ran: true });
  const changed = memory({ ours: true, ran: true, startedWith: '{"c":["w9"]}' });
  const stops: readonly (readonly [string, Situation])[] = [
    ['is not placed here any more', { desired: desired(), memory: others }],
    ['is withdrawn', { desired: desired({ ...wanted(UNIT), withdrawn: true }), memory: others }],
    ['has other values', { desired: desired(wanted(UNIT, prestart('w2'))), memory: changed }],
    ['is unhealthy', { restart: true, memory: others }],
    ['was started by hand', { desired: desired(), memory: NO_MEMORY }],
  ];
  const running = state('active');
  const full = (situation: Situation) => diff(input({ ...situation, state: running }));

  it.each(stops)('and %s is stopped when its time has come, and not before', (_what, situation) => {
    const { actions, parting, wakeAt, waiting } = full({ ...situation, notBefore: NOW + 1 });
    expect([actions, [...parting], wakeAt, waiting.size]).toEqual([[], [UNIT], NOW + 1, 0]);
    const due = full({ ...situation, notBefore: NOW });
    expect([due.actions.map(({ kind }) => kind), due.parting.size]).toEqual([['stop'], 0]);
  });

  it('is stopped at once on a host that is cut off, where it may run once only', () => {
    const once = desired({ ...wanted(UNIT), isolation: 'stop' });
    expect(decide({ desired: once, state: running, memory: others, isolated: true, notBefore: NOW + 1 })).toBe(
      'stop isolated',
    );
  });

  it('and is to run on is left alone', () => {
    const { actions, parting } = full({ memory: others, notBefore: NOW + 1 });
    expect([actions, parting.size]).toEqual([[], 0]);
  });
});

describe('a unit that is to start after others', () => {
  const down = { state: state('inactive'), memory: memory({ ours: true }) };
  const ordered = (change: Partial<DesiredUnit>) => desired({ ...wanted(UNIT), ...change });
  const here = new Set(['disk']);

  it.each([
    ['no other is up', {}, { waitsFor: ['kafka'] }, 'wait: it starts after disk, which is not up on this host yet'],
    [
      'one is not up anywhere',
      { runningHere: here },
      { waitsFor: ['kafka'] },
      'wait: it starts after kafka, which is not up on any host yet',
    ],
    ['all are up', { runningHere: here }, {}, 'start placed'],
    [
      'the order is old',
      { runningHere: here, stale: true },
      {},
      'wait: it starts after kafka, and the leader has yet to say whether that is up',
    ],
  ] as const)('where %s', (_what, starts, change, expected) => {
    expect(decide({ ...down, starts, desired: ordered({ after, ...change }) })).toBe(expected);
  });

  it('runs on when they are down', () => {
    const running = { state: state('active'), memory: memory({ ours: true, ran: true }) };
    expect(decide({ ...running, desired: ordered({ after, waitsFor: ['kafka'] }), starts: { stale: true } })).toBe(
      'nothing',
    );
  });

  it('is not started anew for its check while it would have to wait', () => {
    const running = { state: state('active'), memory: memory({ ours: true, ran: true }), restart: true };
    expect(decide({ ...running, desired: ordered({ after }) })).toBe('nothing');
    expect(decide({ ...running, desired: ordered({ after }), starts: { runningHere: here } })).toBe('stop unhealthy');
  });
});

describe('a unit that needs a turn to start', () => {
  const down = { state: state('inactive'), memory: memory({ ours: true }) };
  const ordered = (change: Partial<DesiredUnit> = {}) => desired({ ...wanted(UNIT), start, ...change });
  const turns = (turn: TurnState) => ({ turns: new Map([[UNIT, turn]]) });
  const wants = (situation: Situation) => [...diff(input(situation)).turnsWanted];

  it('waits for it, and says for whom', () => {
    const situation = { ...down, desired: ordered(), starts: turns({ kind: 'waits', why: 'w2 starts' }) };
    expect(decide(situation)).toBe('wait: w2 starts');
    expect(wants(situation)).toEqual([UNIT]);
  });

  it('is started in it', () => {
    expect(decide({ ...down, desired: ordered(), starts: turns({ kind: 'has' }) })).toBe('start placed');
  });

  it('asks for none as long as it waits for something else, or runs', () => {
    expect(wants({ ...down, memory: memory({ ours: true, notBefore: NOW + 1 }), desired: ordered() })).toEqual([]);
    expect(wants({ ...down, desired: ordered({ after }) })).toEqual([]);
    expect(wants({ ...down, desired: ordered({ prestart: prestart() }) })).toEqual([]);
    expect(wants({ ...down, desired: ordered({ isolation: 'stop' }) })).toEqual([]);
    expect(wants({ ...down, state: state('active'), desired: ordered() })).toEqual([]);
    expect(decide({ state: state('active'), desired: ordered() })).toBe('adopt');
  });
});
