import { describe, expect, it } from 'vitest';
import { clusterStatus } from '../../src/cli/cluster-status.ts';
import { deadEnds } from '../../src/cli/dead-ends.ts';
import { explainUnits } from '../../src/cli/explanation.ts';
import type { StartAfter } from '../../src/shared/attachments.ts';
import type { Snapshot } from '../../src/shared/snapshot.ts';
import type { Service } from '../../src/shared/spec.ts';
import type { DesiredUnit, ObservedUnit } from '../../src/shared/state.ts';
import { placed, seen, snapshotOf } from '../fixtures/snapshot.ts';

const keep = { enabled: true, isolation: 'keep' } as const;
const db: Service = { ...keep, name: 'db', type: 'shared', count: 1 };
const web: Service = { ...keep, name: 'web', type: 'global' };

/** One host, `w1`, with these services and these units. */
function snapshot(services: readonly Service[], desired: readonly DesiredUnit[], observed: ObservedUnit[]): Snapshot {
  return snapshotOf(services, { w1: { desired, observed } });
}

const anywhere: readonly StartAfter[] = [{ service: 'db', where: 'anywhere' }];
const sameHost: readonly StartAfter[] = [{ service: 'db', where: 'same-host' }];

describe('a unit that waits for another service', () => {
  it.each<[string, Service, readonly StartAfter[], readonly DesiredUnit[], string[]]>([
    ['may be started soon when that is placed somewhere', db, anywhere, [], []],
    [
      'waits in vain for what is disabled',
      { ...db, enabled: false },
      anywhere,
      [],
      ['db runs nowhere, as it is disabled: this is not started until that changes'],
    ],
    [
      'waits in vain for what has a count of 0',
      { ...db, count: 0 },
      sameHost,
      [],
      ['db runs nowhere, as its count is 0: this is not started until that changes'],
    ],
    ['may be started soon when that is placed on the same host', db, sameHost, [placed('db.service')], []],
    [
      'waits in vain on a host that is not to have the other one',
      db,
      sameHost,
      [placed('db.service', { withdrawn: true })],
      ['db is not placed on w1: this is not started there until it is'],
    ],
  ])('%s', (_, other, after, others, expected) => {
    const order = placed('web.service', { after });
    expect(deadEnds(order, 'w1', snapshot([other, web], [...others, order], []))).toEqual(expected);
  });

  it('is shown with both, what it waits for and that it does so in vain, as long as it is not started', () => {
    const waiting = 'it starts after db, which is not up on any host yet';
    const waits = seen('web.service', { active: 'inactive', waiting });
    const vain = 'db runs nowhere, as it is disabled: this is not started until that changes';
    const at = (unit: ObservedUnit) =>
      snapshot([{ ...db, enabled: false }, web], [placed('web.service', { after: anywhere })], [unit]);
    const notes = (unit: ObservedUnit) => explainUnits('web', at(unit), 0).flatMap((each) => each.instances[0]?.notes);
    const rows = (unit: ObservedUnit) => clusterStatus(at(unit)).units.find((row) => row.name === 'web')?.notes;
    expect(notes(waits)).toEqual([waiting, vain]);
    expect(rows(waits)).toEqual([`w1: ${waiting}`, `w1: ${vain}`]);
    const runs = seen('web.service');
    expect([notes(runs), rows(runs)]).toEqual([[], []]);
  });
});
