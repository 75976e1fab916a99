import { describe, expect, it } from 'vitest';
import { clusterStatus } from '../../src/cli/cluster-status.ts';
import { render } from '../../src/cli/status.ts';
import type { LeaderNotes } from '../../src/shared/cluster.ts';
import type { Snapshot } from '../../src/shared/snapshot.ts';
import type { Service } from '../../src/shared/spec.ts';
import type { ActiveState } from '../../src/shared/state.ts';
import { checkOf } from '../fixtures/health-check.ts';
import { type HostPart, placed, seen, snapshotOf } from '../fixtures/snapshot.ts';

const base = { enabled: true, isolation: 'keep' } as const;
const everywhere: Service = { ...base, name: 'everywhere', type: 'global' };
const some: Service = { ...base, name: 'some', type: 'shared', count: 2 };
const many: Service = {
  ...base,
  name: 'many',
  type: 'multi',
  instances: { b: 1, a: 2 },
  force: {},
  exclusive: false,
};

const EMPTY = { active: [], inactive: [], failed: [], activating: [], deactivating: [] };

describe('the status of a cluster', () => {
  it('has one row for each unit, in the order of the file, with its type and instance', () => {
    const { units } = clusterStatus(snapshotOf([some, many, everywhere], { w1: {} }));
    expect(units.map(({ name, type, instance, unit }) => [name, type, instance, unit])).toEqual([
      ['some', 'shared', undefined, 'some.service'],
      ['many', 'multi', 'b', 'many@b.service'],
      ['many', 'multi', 'a', 'many@a.service'],
      ['everywhere', 'global', undefined, 'everywhere.service'],
    ]);
  });

  it('wants of a global unit one for each member that is not draining, of others their count, of disabled ones none', () => {
    const services = [everywhere, some, many, { ...some, name: 'off', enabled: false }];
    const hosts = { w1: {}, w2: { intent: 'cordoned' }, w3: {}, w4: { intent: 'draining' } } as const;
    const { units } = clusterStatus(snapshotOf(services, hosts));
    expect(units.map(({ wanted }) => wanted)).toEqual([3, 2, 1, 2, 0]);
  });

  const columns: Record<ActiveState, keyof typeof EMPTY> = {
    active: 'active',
    reloading: 'active',
    inactive: 'inactive',
    maintenance: 'inactive',
    failed: 'failed',
    activating: 'activating',
    deactivating: 'deactivating',
  };
  const states: readonly ActiveState[] = [
    'active',
    'reloading',
    'inactive',
    'maintenance',
    'failed',
    'activating',
    'deactivating',
  ];

  it.each(states)('shows a host whose unit is %s in the right column', (active) => {
    const part = { desired: [placed('some.service')], observed: [seen('some.service', { active })] };
    const [row] = clusterStatus(snapshotOf([some], { w1: part })).units;
    expect(row?.hosts).toEqual({ ...EMPTY, [columns[active]]: ['w1'] });
  });

  it('counts a unit as healthy only where it is placed and active', () => {
    const running = [seen('some.service')];
    const [row] = clusterStatus(
      snapshotOf([some], {
        w1: { desired: [placed('some.service')], observed: running },
        w2: { desired: [placed('some.service')], observed: [seen('some.service', { active: 'activating' })] },
        w3: { observed: running },
      }),
    ).units;
    expect(row).toMatchObject({ healthy: 1, hosts: { active: ['w1', 'w3'], activating: ['w2'] } });
  });

  it('shows a placed unit that its host has not reported as inactive', () => {
    const [row] = clusterStatus(snapshotOf([some], { w1: { desired: [placed('some.service')] } })).units;
    expect(row?.hosts).toEqual({ ...EMPTY, inactive: ['w1'] });
  });

  it('shows a unit that cannot run as failed, with the reason, and one that waits with what it waits for', () => {
    const failure = { kind: 'not-found', message: 'there is no unit file' } as const;
    const [row] = clusterStatus(
      snapshotOf([some], {
        w2: { observed: [seen('some.service', { active: 'inactive', failure })] },
        w1: {
          desired: [placed('some.service')],
          observed: [seen('some.service', { active: 'inactive', waiting: 'it waits for c' })],
        },
      }),
    ).units;
    expect(row?.hosts).toMatchObject({ failed: ['w2'], inactive: ['w1'] });
    expect(row?.notes).toEqual(['w1: it waits for c', 'w2: there is no unit file']);
  });

  it('lists hosts by name, with what operators intend and whose file is another', () => {
    const { hosts } = clusterStatus(
      snapshotOf([some], { w10: {}, w2: { file: 'sha256:old' }, w1: { intent: 'draining' } }),
    );
    expect(hosts).toEqual([
      { name: 'w1', state: 'draining', stale: false, intent: { since: '2026', why: 'new disks' } },
      { name: 'w10', state: 'ready', stale: false },
      { name: 'w2', state: 'ready', stale: true },
    ]);
  });

  it('is empty, and calls no file stale, as long as there is no spec', () => {
    const status = clusterStatus({ ...snapshotOf([], { w1: {} }), spec: undefined, leader: undefined });
    expect(status).toMatchObject({ leader: undefined, spec: undefined, units: [] });
    expect(status.hosts).toEqual([{ name: 'w1', state: 'ready', stale: false }]);
  });

  it.each(['w1.example.org', 'W_1', '10'])('takes a host called %s', (host) => {
    const part = { desired: [placed('some.service')], observed: [seen('some.service')] };
    const [row] = clusterStatus(snapshotOf([some], { [host]: part })).units;
    expect(row?.hosts.active).toEqual([host]);
  });
});

describe('an unhealthy instance that should move', () => {
  const health = { state: 'unhealthy', output: 'HTTP 503' } as const;
  const sick = { desired: [placed('one.service')], observed: [seen('one.service', { health })] };

  it.each<[string, number, Readonly<Record<string, HostPart>>, string]>([
    ['can', 1, { w1: sick, w2: {} }, 'w1: unhealthy: HTTP 503'],
    [
      'has nowhere to go',
      1,
      { w1: sick, w2: { intent: 'cordoned' } },
      'w1: unhealthy: HTTP 503 (no other host can take it at present: it stays where it is)',
    ],
    [
      'may not yet',
      2,
      { w1: { ...sick, desired: [placed('one.service', { moves: [{ from: 'w2', at: 995_000 }] })] }, w2: {}, w3: {} },
      'w1: unhealthy: HTTP 503 (moved 1 time within the last hour, and moves again after a pause of 10 s)',
    ],
    [
      'may not',
      0,
      { w1: sick, w2: {} },
      'w1: unhealthy: HTTP 503 (it may not move (limit_per_hour is 0): it stays where it is)',
    ],
  ])('and %s is noted with that', (_what, limitPerHour, hosts, note) => {
    const check = checkOf({ onUnhealthy: 'move', limitPerHour });
    const one: Service = { ...base, name: 'one', type: 'shared', count: 1, check };
    expect(clusterStatus(snapshotOf([one], hosts), 1_000_000).units[0]?.notes).toEqual([note]);
  });
});

describe('what only the leader knows', () => {
  const told = (notes: Partial<LeaderNotes>): Snapshot => ({
    ...snapshotOf([some], { w1: {}, w2: {} }),
    notes: { epoch: 4, held: [], brake: false, joining: [], ...notes },
  });

  it.each<[Partial<LeaderNotes>, string[]]>([
    [{}, []],
    [{ joining: ['w2', 'w7'] }, ['w2 joined a moment ago: new instances wait until no more hosts join']],
    [{ held: ['w2'], brake: true }, []],
    [{ held: ['w3', 'w4'] }, ['w3, w4 may be on the way back: what they had is not moved yet']],
    [
      { held: ['w3', 'w4'], brake: true },
      ['the brake is engaged, as many hosts were lost at once (w3, w4): what they had is moved when 0.001 s are over'],
    ],
  ])('is said: %j', (notes, waits) => {
    const now = clusterStatus(told(notes));
    expect(now.waits).toEqual(waits);
    for (const line of waits) expect(render(now)).toContain(line);
  });
});

describe('the table of the status', () => {
  /** Without colours and frames. */
  const lines = (text: string) =>
    text
      .replace(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '')
      .split('\n')
      .filter((line) => !/^[─┌└├┬┴┼┤┘┐]+$/.test(line))
      .map((line) => line.replaceAll('│', '|').replace(/\s+/g, ' ').trim());
  const running = (unit: string) => ({ desired: [placed(unit)], observed: [seen(unit)] });

  it('has the columns and rows that users know', () => {
    const text = render(
      clusterStatus(snapshotOf([some, many], { w1: running('some.service'), w2: running('many@a.service') })),
    );
    expect(lines(text)).toEqual([
      'leader w1, epoch 4; 2 host(s): w1, w2',
      '| name | type | instance | active | inactive | failed | activating | deactivating | health |',
      '| some | shared | | w1 | | | | | 1 / 2 ok |',
      '| many | multi | b | | | | | | 0 / 1 ok |',
      '| many | multi | a | w2 | | | | | 1 / 2 ok |',
    ]);
  });

  it('says that there is no leader, what cannot be read, why units fail, why hosts are out, and whose file is another', () => {
    const failure = { kind: 'masked', message: 'it is masked' } as const;
    const now = clusterStatus({
      ...snapshotOf([some], {
        w1: { file: 'sha256:old', observed: [seen('some.service', { active: 'inactive', failure })] },
        w2: { intent: 'cordoned' },
      }),
      leader: undefined,
      problems: ['/observed/w3 is not valid'],
    });
    const said = lines(render(now));
    expect(said[0]).toBe('no leader; 2 host(s): w1, w2 (cordoned)');
    expect(said).toContain('some.service on w1: it is masked');
    expect(said).toContain('w2: cordoned since 2026 (new disks)');
    expect(said).toContain('/observed/w3 is not valid');
    expect(said).toContain("w1: its configuration file is not the cluster's");
  });

  it('says of a disabled service whether it still runs', () => {
    const off = { ...some, enabled: false };
    expect(render(clusterStatus(snapshotOf([off], { w1: running('some.service') })))).toContain('disabled, stopping');
    expect(render(clusterStatus(snapshotOf([off], { w1: {} })))).not.toContain('stopping');
  });

  it('cuts long lists of hosts, and says how many there are', () => {
    const hosts = Array.from({ length: 12 }, (_, index) => `w${index + 10}`);
    const parts = Object.fromEntries(hosts.map((host) => [host, running('some.service')]));
    const text = lines(render(clusterStatus(snapshotOf([some], parts)))).join(' ');
    expect(text).toContain('12 host(s): w10, w11, w12, w13, w14, w15, w16, w17, … (12)');
    expect(text).not.toContain('w21');
  });
});
