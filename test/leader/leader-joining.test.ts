/** How a leader reckons with hosts that come, or come back. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Service } from '../../src/shared/spec.ts';
import { specOf, TIMINGS } from '../fakes/daemon.ts';
import { base, everywhere, LeaderWorld, one, seen, three } from './leader-world.ts';

let world: LeaderWorld;

beforeEach(async () => {
  world = await LeaderWorld.create();
});

describe('a leader', () => {
  it('ends the wait of a joining host in time, whatever it was doing at that moment', async () => {
    const many: Service = { ...base, name: 'many', type: 'shared', count: 100 };
    await world.begin(specOf(many), 'w1');
    for (let offset = 0; offset < 30; offset++) {
      const host = `w${offset + 2}`;
      await world.join(host);
      await world.observe(host, []);
      // a change whose placement is being written when the wait is over, for some of the offsets
      await world.clock.advance(TIMINGS.boundaryMs - 20 + offset);
      await world.writeSpec(specOf(many, { ...everywhere, name: `everywhere-${offset}` }));
      await world.clock.advance(500);
      expect(world.units(host), `offset ${offset}`).toContain('many.service');
    }
  });

  it('has hosts that join together wait for each other before they take what may go anywhere', async () => {
    await world.writeSpec(specOf(everywhere, three));
    await world.done(world.election.join(undefined));
    for (const host of ['w1', 'w2', 'w3']) {
      await world.join(host);
      await world.observe(host, []);
      await world.clock.advance(300);
      expect(world.holders('everywhere.service', host)).toEqual([host]);
      expect(world.holders('three.service', 'w1', 'w2', 'w3')).toEqual([]);
    }
    await world.clock.advance(TIMINGS.boundaryMs);
    expect(world.holders('three.service', 'w1', 'w2', 'w3')).toEqual(['w1', 'w2', 'w3']);
  });

  it.each([-10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0])(
    'is not kept busy by a host that joins %i ms from the moment at which others have waited long enough',
    async (offset) => {
      await world.writeSpec(specOf(everywhere, one));
      await world.done(world.election.join(undefined));
      await world.join('w1');
      await world.observe('w1', []);
      await world.clock.until('it to wait', () => world.assignments?.hosts.w1?.state === 'joining');
      await world.clock.advance(TIMINGS.boundaryMs + offset);
      await world.join('w2');
      await world.clock.until('the end of the wait', () => world.holders('one.service', 'w1', 'w2').length === 1);
    },
  );

  it('has a host that was away wait no longer than one that is new, though it tells what it obeyed before', async () => {
    await world.begin(specOf(everywhere, one), 'w1', 'w2');
    const before = world.desired('w2');
    await world.leave('w2');
    await world.clock.until('the end of its desired state', () => world.desired('w2') === undefined);
    await world.join('w2');
    await world.observe('w2', [], { epoch: before?.epoch ?? 0, generation: before?.generation ?? 0 });
    await world.clock.until('it to wait', () => world.assignments?.hosts.w2?.state === 'joining');
    await world.clock.until('the end', () => world.assignments?.hosts.w2?.state === 'ready', TIMINGS.boundaryMs + 100);
    expect(world.log.at('warn').filter((line) => line.includes('has lost'))).toEqual([]);
  });

  it('waits for hosts to come back when ZooKeeper holds nothing of what they obeyed', async () => {
    await world.writeSpec(specOf(everywhere, one));
    await world.join('w2');
    await world.observe('w2', [seen('one.service', 'active')], { epoch: 3, generation: 7 });
    await world.done(world.election.join(undefined));
    await world.clock.until('it to be told', () => world.log.at('warn').some((line) => line.includes('has lost')));
    await world.clock.advance(TIMINGS.boundaryMs + 1_000);
    expect(world.assignments?.hosts.w2?.state).toBe('joining');
    await world.clock.until('the end', () => world.assignments?.hosts.w2?.state === 'ready', 5_000);
  });
});
