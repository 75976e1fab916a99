/** What a leader tells the hosts, when, and where its terms begin and end. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeHostIntent } from '../../src/shared/payloads.ts';
import type { Service } from '../../src/shared/spec.ts';
import { specOf } from '../fakes/daemon.ts';
import { base, everywhere, failed, LeaderWorld, one, seen, three } from './leader-world.ts';

let world: LeaderWorld;

beforeEach(async () => {
  world = await LeaderWorld.create();
});

describe('a leader', () => {
  it('places every service, with the epoch of its term, and is settled once the hosts obey', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    expect([world.units('w1'), world.units('w2')]).toEqual([
      ['everywhere.service', 'one.service'],
      ['everywhere.service'],
    ]);
    expect(world.desired('w1')?.epoch).toBe(world.terms[0]?.epoch);
    expect(world.convergences).toHaveLength(1);
  });

  it('places nothing without a spec, says so once, and begins when there is one', async () => {
    await world.join('w1');
    await world.observe('w1', []);
    await world.done(world.election.join(undefined));
    await world.clock.advance(30_000);
    expect(world.desired('w1')).toBeUndefined();
    expect(world.log.at('warn').filter((line) => line.includes('no readable spec'))).toHaveLength(1);
    await world.writeSpec(specOf(everywhere));
    await world.clock.until('the placement', () => world.units('w1').length === 1);
  });

  it('writes nothing while nothing changes', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const before = world.versions('w1', 'w2');
    await world.clock.advance(60_000);
    expect(world.versions('w1', 'w2')).toEqual(before);
    expect(world.terms).toHaveLength(1);
  });

  it('writes only the hosts that a change concerns', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2', 'w3');
    const before = world.version('w3');
    await world.observe('w1', [seen('everywhere.service', 'active'), failed('one.service')]);
    await world.clock.until('the move', () => world.units('w2').includes('one.service'));
    expect(world.units('w1')).toEqual(['everywhere.service']);
    expect(world.version('w3')).toBe(before);
    await world.clock.until('the count', () => world.moves.length > 0);
    expect(world.moves).toEqual([
      { unit: 'one.service', from: 'w1', to: 'w2', because: { kind: 'excluded', reason: 'failed' } },
    ]);
  });

  it('obeys an operator’s intent to drain a host: what it has starts elsewhere once it has stopped it', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const since = world.clock.date().toISOString();
    await world.put('/hosts/w1', encodeHostIntent({ host: 'w1', state: 'draining', since, why: 'new disks' }));
    await world.clock.until('the order to stop it', () => world.desired('w1')?.units[0]?.withdrawn === true);
    await world.observe('w1', [seen('one.service', 'deactivating')]);
    await world.clock.advance(20_000);
    expect([world.units('w1'), world.units('w2')]).toEqual([['one.service'], ['everywhere.service']]);
    expect(world.assignments?.hosts.w2?.units.at(-1)?.detail).toBe('it starts once w1 has stopped it');
    expect(world.moves.filter(({ unit }) => unit === 'one.service')).toEqual([]);
    await world.observe('w1', []);
    await world.clock.until('the move', () => world.units('w2').includes('one.service'));
    expect(world.units('w1')).toEqual([]);
    await world.obey('w1', 'w2');
    await world.clock.until('the answer', () => world.assignments?.hosts.w1?.state === 'draining');
    expect(world.moves.filter(({ unit }) => unit === 'one.service')).toHaveLength(1);
  });

  it('shows the reasons of now for what is unplaced, though no host has to be written', async () => {
    const intend = (state: 'cordoned' | 'draining') =>
      world.put('/hosts/w3', encodeHostIntent({ host: 'w3', state, since: '', why: '' }));
    const reasons = () => world.assignments?.unplaced[0]?.why.map(({ reason, hosts }) => `${hosts} ${reason}`);
    await intend('cordoned');
    await world.begin(specOf({ ...three, count: 5 }), 'w1', 'w2', 'w3');
    expect(reasons()).toEqual(['2 already-has-one', '1 cordoned']);
    const before = world.versions('w1', 'w2', 'w3');
    await intend('draining');
    await world.clock.advance(10_000);
    expect(reasons()).toEqual(['2 already-has-one', '1 draining']);
    expect(world.versions('w1', 'w2', 'w3')).toEqual(before);
  });

  it('writes a host anew that refused its desired state, but not all the time', async () => {
    await world.begin(specOf(everywhere), 'w1', 'w2');
    const [before, other] = [world.version('w1') ?? 0, world.version('w2')];
    await world.observe('w1', [], { refused: 'it was damaged' });
    await world.clock.until('it to be written', () => world.version('w1') === before + 1);
    for (const why of ['it was', 'it is', 'it will be']) {
      await world.observe('w1', [], { refused: `${why} damaged` });
      await world.clock.advance(200);
    }
    expect(world.version('w1')).toBe(before + 1);
    await world.clock.until('it to be written again', () => world.version('w1') === before + 2);
    expect(world.version('w2')).toBe(other);
  });

  it('takes a higher epoch when an executor has obeyed a generation of this one that it has not written', async () => {
    await world.begin(specOf(everywhere), 'w1', 'w2');
    const epoch = world.terms.at(-1)?.epoch ?? 0;
    // as after ZooKeeper's data was lost: epochs are counted from the start again
    await world.observe('w2', [seen('everywhere.service', 'active')], { epoch, generation: 50_000 });
    await world.clock.until(
      'a higher epoch',
      () => (world.desired('w2')?.epoch ?? 0) > epoch || world.terms.length > 1,
    );
    await world.observe('w2', [seen('everywhere.service', 'active')], { epoch, generation: 50_000, refused: 'older' });
    await world.clock.until('an order of the higher epoch', () => (world.desired('w2')?.epoch ?? 0) > epoch);
  });

  it('gives no first order to a host that has not reported: what runs there is not known yet', async () => {
    await world.begin(specOf({ ...one, count: 1 }, everywhere), 'w1');
    const forced: Service = {
      ...base,
      name: 'pinned',
      type: 'multi',
      instances: { a: 1 },
      force: { a: 'w2' },
      exclusive: false,
    };
    await world.writeSpec(specOf(one, everywhere, forced));
    await world.obey('w1');
    await world.join('w2');
    await world.clock.advance(10_000);
    expect(world.desired('w2')).toBeUndefined();
    await world.observe('w2', [seen('pinned@a.service', 'active'), seen('everywhere.service', 'active')]);
    await world.clock.until('the order', () => world.desired('w2') !== undefined);
    expect(world.desired('w2')?.units.map(({ unit, why }) => [unit, why.kind])).toEqual([
      ['everywhere.service', 'adopted'],
      ['pinned@a.service', 'adopted'],
    ]);
  });

  it('claims no placement that is too large to be written', async () => {
    await world.begin(specOf(everywhere), 'w1');
    const before = world.log.at('info').filter((line) => line.includes('placement written')).length;
    const many: Service = {
      ...base,
      name: 'many',
      type: 'multi',
      instances: { a: 1, b: 1, c: 1 },
      force: {},
      exclusive: false,
      prestart: 'x'.repeat(400 * 1024),
    };
    await world.writeSpec(specOf(everywhere, many));
    await world.clock.advance(20_000);
    expect(world.log.at('error').some((line) => line.includes('it is not written'))).toBe(true);
    expect(world.log.at('info').filter((line) => line.includes('placement written'))).toHaveLength(before);
    expect(world.units('w1')).toEqual(['everywhere.service']);
    expect(world.assignments?.settled).toBe(false);
  });

  it('takes a higher epoch when an executor has obeyed one above its own', async () => {
    await world.begin(specOf(everywhere), 'w1', 'w2');
    await world.observe('w2', [], { epoch: 70, generation: 3, refused: 'older than (epoch 70, generation 3)' });
    await world.clock.until('a higher epoch', () => (world.desired('w2')?.epoch ?? 0) > 70);
    await world.obey('w1', 'w2');
    await world.clock.until('a settled cluster', () => world.assignments?.settled === true);
  });

  it('begins a new term when someone removed a desired state, and writes it again', async () => {
    await world.begin(specOf(everywhere), 'w1', 'w2');
    await world.done(world.operator.remove('/desired/w2'));
    await world.observe('w2', [seen('everywhere.service', 'active')], { refused: '/desired/w2 was removed' });
    await world.clock.until('it to be written', () => world.units('w2').length === 1, 10_000);
    expect(world.terms.length).toBeGreaterThan(1);
  });

  it('takes over what is written from the leader before, and touches no host', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const before = world.versions('w1', 'w2');
    world.terms[0]?.resign('to try it');
    await world.clock.until('the next term', () => world.terms.length === 2 && world.assignments?.settled === true);
    await world.clock.advance(10_000);
    expect(world.versions('w1', 'w2')).toEqual(before);
    expect(world.assignments?.epoch).toBe(world.terms[1]?.epoch);
  });

  it('writes nothing any more once another has won, whatever it believes', async () => {
    await world.begin(specOf(everywhere), 'w1', 'w2');
    await world.done(world.operator.set('/epoch', Buffer.from('{"version":1,"epoch":99,"leader":"w2"}')));
    const before = world.version('w1');
    const spec = specOf(everywhere, one);
    await world.writeSpec(spec);
    await world.clock.until('the end of its term', () => world.terms[0]?.signal.aborted === true);
    expect(world.version('w1')).toBe(before);
  });

  it('says nothing more of a cluster it does not lead any more', async () => {
    await world.begin(specOf(everywhere), 'w1', 'w2');
    await world.writeSpec(specOf(everywhere, one));
    await world.clock.until('the write', () => world.version('w1') === 1 || world.units('w1').length === 2);
    const told = world.brakes.length;
    world.terms[0]?.resign('to try it');
    await world.clock.advance(150);
    expect(world.terms).toHaveLength(1);
    expect(world.brakes.length).toBe(told);
  });
});
