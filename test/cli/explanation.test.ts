import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { renderUnit } from '../../src/cli/explain.ts';
import { explainUnits, knownNames, type UnitExplanation } from '../../src/cli/explanation.ts';
import type { LeaderNotes } from '../../src/shared/cluster.ts';
import type { Snapshot } from '../../src/shared/snapshot.ts';
import type { Service } from '../../src/shared/spec.ts';
import type { ObservedUnit, Why } from '../../src/shared/state.ts';
import { checkOf } from '../fixtures/health-check.ts';
import { type HostPart, placed, seen, snapshotOf } from '../fixtures/snapshot.ts';

/** As it is where there are no colours. */
const plain = (explanation: Parameters<typeof renderUnit>[0]) => stripVTControlCharacters(renderUnit(explanation));

const base = { enabled: true, isolation: 'keep' } as const;
const web: Service = { ...base, name: 'web', type: 'shared', count: 2 };
const agent: Service = { ...base, name: 'agent', type: 'global' };
const worker: Service = {
  ...base,
  name: 'worker',
  type: 'multi',
  instances: { a: 1, b: 1 },
  force: { a: 'w2' },
  exclusive: true,
};

const NOW = 10_000_000;
const LEAST: Why = { kind: 'least-loaded' };

const failed = (unit: string, message: string): ObservedUnit =>
  seen(unit, { active: 'failed', failure: { kind: 'failed', message } });

/** Of the only unit that the name means. */
function only(name: string, services: readonly Service[], hosts: Readonly<Record<string, HostPart>>): UnitExplanation {
  const [unit, ...more] = explainUnits(name, snapshotOf(services, hosts), NOW);
  if (unit === undefined || more.length > 0) throw new Error(`${name} means ${more.length + 1} units`);
  return unit;
}

/** `HOST: WHY` of the hosts without an instance. */
const absences = ({ elsewhere }: UnitExplanation) => elsewhere.map(({ host, why }) => `${host}: ${why}`);

describe('a name', () => {
  const all = snapshotOf([web, worker], {});

  it.each([
    ['web', ['web.service']],
    ['web.service', ['web.service']],
    ['worker', ['worker@a.service', 'worker@b.service']],
    ['worker@b', ['worker@b.service']],
    ['worker@b.service', ['worker@b.service']],
    ['worker@c', []],
    ['we', []],
  ])('%s means %j', (name, units) => {
    expect(explainUnits(name, all, NOW).map(({ unit }) => unit)).toEqual(units);
  });

  it('is one of those that are suggested', () => {
    expect(knownNames(all)).toEqual(['web', 'worker', 'worker@a', 'worker@b']);
    expect(knownNames({ ...all, spec: undefined })).toEqual([]);
  });
});

describe('an instance', () => {
  it('is explained by its reason, its state and its health', () => {
    const why: Why = { kind: 'moved', from: 'w3', because: { kind: 'excluded', reason: 'failed' } };
    const unit = only('web', [web], {
      w1: { desired: [placed('web.service', { why: LEAST })], observed: [seen('web.service')] },
      w2: {
        desired: [placed('web.service', { why })],
        observed: [
          seen('web.service', {
            health: {
              state: 'unhealthy',
              output: 'HTTP 503',
              action: 'restarted 3 times within an hour: left as it is',
            },
          }),
        ],
      },
    });
    expect({ wanted: unit.wanted, placed: unit.placed }).toEqual({ wanted: 2, placed: 2 });
    expect(unit.instances).toEqual([
      { host: 'w1', state: 'active', why: 'least loaded', notes: [] },
      {
        host: 'w2',
        state: 'active, unhealthy',
        why: 'moved from w3: failed there',
        notes: ['its check said: HTTP 503', 'restarted 3 times within an hour: left as it is'],
      },
    ]);
  });

  it('that waits, or whose host has not reported, is explained by that', () => {
    const { instances } = only('web', [web], {
      w1: {
        desired: [placed('web.service')],
        observed: [seen('web.service', { active: 'inactive', waiting: 'after kafka' })],
      },
      w2: { desired: [placed('web.service')], observed: null },
    });
    expect(instances).toEqual([
      { host: 'w1', state: 'inactive', why: 'kept', notes: ['after kafka'] },
      { host: 'w2', state: 'unknown', why: 'kept', notes: [] },
    ]);
  });

  it('that is to stop is not counted, and its host is explained as without one', () => {
    const unit = only('web', [web], {
      w1: {
        desired: [placed('web.service', { withdrawn: true })],
        observed: [seen('web.service')],
        intent: 'draining',
      },
      w2: { observed: [seen('web.service', { active: 'deactivating' })] },
    });
    expect(unit.placed).toBe(0);
    expect(unit.instances.map(({ host, why, notes }) => [host, why, ...notes])).toEqual([
      ['w1', undefined, 'it is to stop here; another host gets it as soon as it has'],
      ['w2', undefined, 'it is not to run here, and is being stopped'],
    ]);
    expect(unit.elsewhere.map(({ host, reason }) => [host, reason])).toEqual([
      ['w1', 'draining'],
      ['w2', 'eligible'],
    ]);
  });
});

describe('a host without an instance', () => {
  const running = { desired: [placed('web.service')], observed: [seen('web.service')] } as const;

  it.each<[string, HostPart, string, string]>([
    ['failed there', { observed: [failed('web.service', 'exit status 1')] }, 'failed', 'exit status 1'],
    [
      'has no unit file',
      {
        observed: [
          seen('web.service', { active: 'inactive', failure: { kind: 'not-found', message: 'no such unit' } }),
        ],
      },
      'not-installed',
      'no such unit',
    ],
    ['is cordoned', { intent: 'cordoned' }, 'cordoned', 'cordoned since 2026 (new disks)'],
    ['is draining', { intent: 'draining' }, 'draining', 'draining since 2026 (new disks)'],
    ['is stopping', { leaving: true }, 'leaving', 'its daemon is stopping'],
    ['has not reported', { observed: null }, 'joining', 'it has not reported yet'],
    [
      'is lost',
      { lost: true, desired: [placed('web.service')] },
      'lost',
      'lost, and what it had has yet to be placed elsewhere',
    ],
    ['failed, and is cordoned', { intent: 'cordoned', observed: [failed('web.service', 'x')] }, 'failed', 'x'],
  ])('is explained when it %s', (_name, part, reason, why) => {
    const { elsewhere } = only('web', [web], { w1: running, w3: part });
    expect(elsewhere).toEqual([{ host: 'w3', reason, why }]);
  });

  it('may be one that is not needed, or one that the leader has yet to choose', () => {
    expect(absences(only('web', [web], { w1: running, w2: running, w3: {} }))).toEqual([
      'w3: not needed: 2 of 2 are placed',
    ]);
    expect(absences(only('web', [web], { w1: running, w3: {} }))).toEqual([
      'w3: nothing excludes it: the leader has yet to place an instance',
    ]);
  });

  it('is explained by force, and by an exclusive template', () => {
    const hosts = {
      w1: { desired: [placed('worker@b.service')] },
      w2: { desired: [placed('worker@a.service', { why: { kind: 'forced' } })] },
      w3: {},
    } as const;
    expect(absences(only('worker@a', [worker], hosts))).toEqual(['w1: it is forced to w2', 'w3: it is forced to w2']);
    expect(absences(only('worker@b', [worker], hosts))).toEqual([
      'w2: worker@a.service is there, and worker is exclusive',
      'w3: not needed: 1 of 1 are placed',
    ]);
    expect(absences(only('worker@a', [worker], { w1: {} }))).toEqual(['w1: it is forced to w2, which is not a member']);
  });

  it('of a global service is wanted unless it is draining, and of a disabled one is not', () => {
    const hosts = { w1: { intent: 'draining' }, w2: { desired: [placed('agent.service')] }, w3: {} } as const;
    const unit = only('agent', [agent], hosts);
    expect([unit.wanted, unit.placed, ...absences(unit)]).toEqual([
      2,
      1,
      'w1: draining since 2026 (new disks)',
      'w3: nothing excludes it: the leader has yet to place an instance',
    ]);
    const off = only('web', [{ ...web, enabled: false }], { w1: {} });
    expect([off.wanted, ...absences(off)]).toEqual([0, 'w1: the service is disabled']);
  });
});

describe('what only the leader knows', () => {
  const running = { desired: [placed('web.service')], observed: [seen('web.service')] } as const;
  const told = (notes: Partial<LeaderNotes>): Snapshot => ({
    ...snapshotOf([web], { w1: running, w2: { lost: true, desired: [placed('web.service')] }, w3: {} }),
    notes: { epoch: 4, held: [], brake: false, joining: [], ...notes },
  });

  it.each<[string, Partial<LeaderNotes>, string[]]>([
    [
      'a host that joined a moment ago',
      { joining: ['w3'] },
      [
        'w2 lost: lost, and what it had has yet to be placed elsewhere',
        'w3 joining: it joined a moment ago: new instances wait until no more hosts join',
      ],
    ],
    [
      'one that the brake holds',
      { held: ['w2'], brake: true },
      [
        'w2 held: lost, as many hosts at once: the brake holds what it had, and nothing of it is moved yet',
        'w3 eligible: nothing excludes it: the leader has yet to place an instance',
      ],
    ],
    [
      'one that may be on the way back',
      { held: ['w2'] },
      [
        'w2 held: lost, or on its way back: what it had is not moved yet',
        'w3 eligible: nothing excludes it: the leader has yet to place an instance',
      ],
    ],
  ])('explains %s', (_what, notes, expected) => {
    const [unit] = explainUnits('web', told(notes), NOW);
    expect(unit?.elsewhere.map(({ host, reason, why }) => `${host} ${reason}: ${why}`)).toEqual(expected);
  });
});

describe('a unit that moves for its health', () => {
  const check = checkOf({ onUnhealthy: 'move' });
  const one: Service = { ...base, name: 'web', type: 'shared', count: 1, check };
  const unhealthy = [seen('web.service', { health: { state: 'unhealthy' } })];

  it('is going to, while it may', () => {
    const { instances } = only('web', [one], { w1: { desired: [placed('web.service')], observed: unhealthy }, w2: {} });
    expect(instances[0]?.notes).toEqual(['it goes to another host']);
  });

  it('has nowhere to go', () => {
    const { instances } = only('web', [one], {
      w1: { desired: [placed('web.service')], observed: unhealthy },
      w2: { intent: 'cordoned' },
    });
    expect(instances[0]?.notes).toEqual(['no other host can take it at present: it stays where it is']);
  });

  it('may not any more, and does not come back to where it was, for an hour', () => {
    const at = (ago: number) =>
      only('web', [one], {
        w1: { desired: [placed('web.service', { moves: [{ from: 'w2', at: NOW - ago }] })], observed: unhealthy },
        w2: {},
      });
    expect(at(3_500_000).elsewhere.map(({ reason }) => reason)).toEqual(['unhealthy']);
    expect(at(3_500_000).instances[0]?.notes).toEqual([
      '1 of the 1 moves that it may make in an hour are made (limit_per_hour): it stays where it is',
    ]);
    expect(at(3_600_000).elsewhere.map(({ reason }) => reason)).toEqual(['not-needed']);
  });
});

describe('the text', () => {
  it('names hosts with the same reason together, and cuts what would fill the screen', () => {
    const hosts: Record<string, HostPart> = {
      w1: { desired: [placed('web.service', { why: LEAST })], observed: [seen('web.service')] },
      w2: {
        desired: [placed('web.service')],
        observed: [seen('web.service', { health: { state: 'starting', output: 'a\u001b[31m' } })],
      },
      w3: { observed: [failed('web.service', 'exit status 1')] },
    };
    for (let i = 10; i < 20; i += 1) hosts[`x${i}`] = {};
    expect(plain(only('web', [web], hosts)).split('\n')).toEqual([
      'web.service (shared): 2 of 2 placed',
      '  w1: active; least loaded',
      '  w2: active, starting; kept',
      '    its check said: a\\x1b[31m',
      '  not on w3: exit status 1',
      '  not on x10, x11, x12, x13, x14, x15, x16, x17, … (10): not needed: 2 of 2 are placed',
    ]);
  });

  it('of a disabled unit says so, and no more', () => {
    expect(plain(only('web', [{ ...web, enabled: false }], { w1: {} }))).toBe('web.service (shared): disabled');
  });
});
