/** Znodes that somebody spoils, removes or puts back while a leader reckons with them. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeDesired, encodeHostIntent } from '../../src/shared/payloads.ts';
import { specOf } from '../fakes/daemon.ts';
import { everywhere, failed, LeaderWorld, one, seen, three } from './leader-world.ts';

let world: LeaderWorld;

beforeEach(async () => {
  world = await LeaderWorld.create();
});

describe('a unit that may run once only', () => {
  const once = { ...one, isolation: 'stop' } as const;

  it('is given to no host before one whose order was spoilt has said that it obeys the new one', async () => {
    await world.begin(specOf(once), 'w1', 'w2');
    const [holder] = world.holders('one.service', 'w1', 'w2');
    if (holder === undefined) throw new Error('nobody has it');
    const other = holder === 'w1' ? 'w2' : 'w1';
    const obeyed = world.desired(holder);
    if (!obeyed) throw new Error('no order');
    // it is down for a moment, and nobody can read that its host was told to run it
    await world.observe(holder, []);
    await world.put(`/desired/${holder}`, 'nonsense');
    const { epoch } = world.terms.at(-1) ?? { epoch: 0 };
    world.terms.at(-1)?.resign('a test');
    await world.clock.until('a new term', () => (world.terms.at(-1)?.epoch ?? 0) > epoch);
    await world.put(`/hosts/${holder}`, encodeHostIntent({ host: holder, state: 'draining', since: '', why: '' }));
    await world.clock.advance(20_000);
    expect(world.units(other)).toEqual([]);
    await world.observe(holder, []);
    await world.clock.until('it to be placed', () => world.units(other).includes('one.service'));
  });
});

describe('a desired state that somebody put back', () => {
  it('is taken for nothing: its host obeys a newer one, and is written anew what it shall run', async () => {
    await world.begin(specOf(one), 'w1', 'w2');
    const [holder] = world.holders('one.service', 'w1', 'w2');
    if (holder === undefined) throw new Error('nobody has it');
    const other = holder === 'w1' ? 'w2' : 'w1';
    const old = world.desired(holder);
    if (!old) throw new Error('no order');
    await world.put(`/hosts/${holder}`, encodeHostIntent({ host: holder, state: 'draining', since: '', why: '' }));
    await world.clock.until('the order to stop it', () => world.desired(holder)?.units[0]?.withdrawn === true);
    await world.observe(holder, []);
    await world.clock.until('the move', () => world.units(other).includes('one.service'));
    await world.obey('w1', 'w2');
    await world.done(world.operator.remove(`/hosts/${holder}`));
    await world.clock.advance(20_000);
    const obeyed = world.desired(holder);
    const { epoch } = world.terms.at(-1) ?? { epoch: 0 };
    await world.put(`/desired/${holder}`, encodeDesired(old));
    world.terms.at(-1)?.resign('a test');
    await world.clock.until('a new term', () => (world.terms.at(-1)?.epoch ?? 0) > epoch);
    await world.observe(holder, [], { epoch: obeyed?.epoch ?? 0, generation: obeyed?.generation ?? 0 });
    await world.clock.until('a new order', () => (world.desired(holder)?.epoch ?? 0) > epoch);
    expect(world.units(holder)).toEqual([]);
    expect(world.units(other)).toEqual(['one.service']);
    expect(world.log.at('error').join()).toContain(`the desired state of ${holder} is older than what it obeys`);
  });

  it('takes nothing from the host that runs it while its own host has not said yet what it obeys', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    await world.obey('w1', 'w2');
    const [holder] = world.holders('one.service', 'w1', 'w2');
    const other = holder === 'w1' ? 'w2' : 'w1';
    const order = holder === undefined ? undefined : world.desired(holder);
    const told = world.desired(other);
    if (!order || !told) throw new Error('nobody has it');
    await world.done(world.operator.remove(`/observed/${other}`));
    // with this unit alone it is the less loaded host
    const alone = order.units.filter(({ unit }) => unit === 'one.service');
    await world.put(`/desired/${other}`, encodeDesired({ ...told, units: alone }));
    const { epoch } = world.terms.at(-1) ?? { epoch: 0 };
    world.terms.at(-1)?.resign('a test');
    await world.clock.until('the order to leave it', () => (world.desired(other)?.epoch ?? 0) > epoch);
    expect(world.units(other)).toEqual(['everywhere.service']);
    expect(world.desired(order.host)?.units.map(({ unit, withdrawn }) => [unit, withdrawn])).toEqual([
      ['everywhere.service', undefined],
      ['one.service', undefined],
    ]);
  });
});

describe('an order that somebody put back before its host saw the newer one', () => {
  it('is written anew: the host obeys the old one, and refuses nothing', async () => {
    await world.begin(specOf(one), 'w1', 'w2');
    const [before, versions] = [world.desired('w2'), world.versions('w1', 'w2')];
    if (!before) throw new Error('no order');
    await world.writeSpec(specOf(one, everywhere));
    await world.clock.until('the new order', () => world.units('w2').includes('everywhere.service'));
    await world.obey('w1');
    await world.put('/desired/w2', encodeDesired(before));
    await world.observe(
      'w2',
      before.units.map(({ unit }) => seen(unit, 'active')),
      { epoch: before.epoch, generation: before.generation },
    );
    await world.clock.until('it to be written anew', () => world.units('w2').includes('everywhere.service'), 20_000);
    expect(world.desired('w2')?.generation).toBeGreaterThan(before.generation + 1);
    expect(world.versions('w1', 'w2')).toEqual([(versions[0] ?? 0) + 1, (versions[1] ?? 0) + 3]);
    expect(world.terms).toHaveLength(1);
    expect(world.log.at('error').join()).toContain('the desired state of w2 is not what was written');
  });

  it('is told from one whose host is slow: that is not written again', async () => {
    await world.begin(specOf(one), 'w1', 'w2');
    await world.writeSpec(specOf(one, everywhere));
    await world.clock.until('the new order', () => world.units('w2').includes('everywhere.service'));
    const version = world.version('w2');
    await world.clock.advance(30_000);
    expect(world.version('w2')).toBe(version);
    await world.obey('w1', 'w2');
    await world.clock.until('the rest', () => world.assignments?.settled === true);
    expect(world.log.at('error')).toEqual([]);
  });
});

describe('what a leader cannot read', () => {
  it('is reported and changes nothing: a member', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const before = world.versions('w1', 'w2');
    await world.put('/members/w1', 'nonsense');
    await world.clock.until('the report', () => world.assignments?.problems.length === 1);
    expect(world.assignments?.problems[0]).toContain('/members/w1');
    await world.clock.advance(30_000);
    expect(world.versions('w1', 'w2')).toEqual(before);
  });

  it('is reported and changes nothing: a host’s report', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const before = world.versions('w1', 'w2');
    await world.put('/observed/w1', '{"version":1,"host":"w1","units":"none"}');
    await world.clock.until('the report', () => world.assignments?.problems.length === 1);
    await world.clock.advance(30_000);
    expect(world.versions('w1', 'w2')).toEqual(before);
    await world.obey('w1');
    await world.clock.until('the end of the report', () => world.assignments?.problems.length === 0);
  });

  it('is reported and changes nothing: an operator’s intent', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const before = world.versions('w1', 'w2');
    await world.put('/hosts/w1', '{"version":1,"host":"w1","state":"exploded"}');
    await world.clock.until('the report', () => world.assignments?.problems.length === 1);
    await world.clock.advance(30_000);
    expect(world.versions('w1', 'w2')).toEqual(before);
  });

  it('is reported and changes nothing: the spec', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const before = world.versions('w1', 'w2');
    await world.put('/spec', '{"version":2}');
    await world.clock.until('the report', () => world.log.at('error').some((line) => line.includes('/spec')));
    await world.observe('w1', [seen('everywhere.service', 'active'), failed('one.service')]);
    await world.clock.until('the last readable one to stay in force', () => world.units('w2').includes('one.service'));
    expect(world.version('w1')).toBe((before[0] ?? 0) + 1);
  });

  it('is reported and written anew: a desired state', async () => {
    await world.writeSpec(specOf(everywhere));
    await world.join('w1');
    await world.observe('w1', []);
    await world.put('/desired/w1', 'nonsense');
    await world.done(world.election.join(undefined));
    await world.clock.until('it to be written', () => world.units('w1').length === 1);
    expect(world.log.at('error').join()).toContain('/desired/w1');
  });

  it('places nothing that only a damaged report stands against when it begins to lead', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const before = world.versions('w1', 'w2');
    for (const path of ['/members/w1', '/observed/w1']) await world.put(path, 'nonsense');
    world.terms[0]?.resign('to try it');
    await world.clock.until('the next term', () => world.terms.length === 2 && world.assignments !== undefined);
    await world.clock.advance(30_000);
    expect(world.versions('w1', 'w2')).toEqual(before);
  });

  it('makes nobody a host: a member entry that was never readable', async () => {
    await world.begin(specOf(everywhere, three), 'w1', 'w2');
    await world.put('/members/w3', 'nonsense');
    await world.clock.advance(30_000);
    expect(world.desired('w3')).toBeUndefined();
    expect(world.assignments?.problems[0]).toContain('/members/w3');
    expect(Object.keys(world.assignments?.hosts ?? {})).toEqual(['w1', 'w2']);
  });

  it('removes the desired state of a host that is gone, however damaged', async () => {
    await world.begin(specOf(everywhere), 'w1', 'w2');
    await world.put('/desired/w7', encodeDesired({ host: 'w7', epoch: 1, generation: 1, spec: '', units: [] }));
    await world.put('/desired/w8', 'nonsense');
    world.terms[0]?.resign('to try it');
    await world.clock.until('both to be gone', () =>
      ['w7', 'w8'].every((host) => world.ensemble.tree.get(`/desired/${host}`) === undefined),
    );
  });
});
