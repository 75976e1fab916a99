/** What a leader does about hosts that are lost: one, most of them at once, and all when it was away itself. */
import { beforeEach, describe, expect, it } from 'vitest';
import { specOf } from '../fakes/daemon.ts';
import { everywhere, LeaderWorld, one, three } from './leader-world.ts';

let world: LeaderWorld;

beforeEach(async () => {
  world = await LeaderWorld.create();
});

describe('a leader', () => {
  it('moves the instances of a lost host, and no other', async () => {
    await world.begin(specOf(everywhere, three, one), 'w1', 'w2', 'w3', 'w4');
    const before = { w2: world.units('w2'), w3: world.units('w3'), w4: world.units('w4') };
    expect(world.units('w1')).toEqual(['everywhere.service', 'one.service']);
    await world.leave('w1');
    await world.clock.until('the move', () => world.holders('one.service', 'w2', 'w3', 'w4').length === 1);
    expect(world.desired('w1')).toBeUndefined();
    const [holder] = world.holders('one.service', 'w2', 'w3', 'w4');
    for (const host of ['w2', 'w3', 'w4'] as const) {
      expect(world.units(host).filter((unit) => host !== holder || unit !== 'one.service')).toEqual(before[host]);
    }
  });
});

describe('the brake of a leader', () => {
  it('holds everything where it was when most hosts are lost at once, and lets go when they come back', async () => {
    await world.begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    const before = world.versions('w1', 'w2', 'w3', 'w4', 'w5');
    await world.leave('w1', 'w2', 'w3');
    await world.clock.advance(30_000);
    expect(world.assignments?.brake).toBe(true);
    expect(world.log.at('error').join()).toContain('many hosts were lost at once (w1, w2, w3)');
    for (const host of ['w1', 'w2', 'w3']) await world.join(host);
    await world.clock.advance(1_000);
    expect(world.assignments?.brake).toBe(false);
    expect(world.versions('w1', 'w2', 'w3', 'w4', 'w5')).toEqual(before);
  });

  it('moves them when they have not come back within the time it holds', async () => {
    await world.begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    await world.leave('w1', 'w2', 'w3');
    await world.clock.advance(59_000);
    expect(world.moves).toEqual([]);
    await world.clock.advance(2_000);
    expect(world.assignments?.brake).toBe(false);
    expect(world.holders('one.service', 'w4', 'w5')).toHaveLength(1);
    expect(world.holders('three.service', 'w4', 'w5')).toHaveLength(2);
    expect(world.desired('w1')).toBeUndefined();
  });

  it('holds what is left to hold when their sessions end one after the other', async () => {
    await world.begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    for (const host of ['w1', 'w2', 'w3']) {
      await world.leave(host);
      await world.clock.advance(700);
    }
    expect(world.assignments?.brake).toBe(true);
    expect(world.desired('w3')).toBeDefined();
  });

  it('does not hold hosts that said they would leave', async () => {
    await world.begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    for (const host of ['w1', 'w2', 'w3']) await world.join(host, { leaving: true });
    await world.clock.advance(1_000);
    await world.leave('w1', 'w2', 'w3');
    await world.clock.advance(1_000);
    expect(world.assignments?.brake).toBe(false);
    expect(world.holders('three.service', 'w4', 'w5')).toHaveLength(2);
  });

  it('does not hold a few', async () => {
    await world.begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    await world.leave('w1', 'w2');
    await world.clock.advance(1_000);
    expect(world.assignments?.brake).toBe(false);
    expect(world.desired('w1')).toBeUndefined();
  });
});

describe('a leader that had lost its own session a moment ago', () => {
  const comeBack = async () => {
    await world.begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4');
    await world.clock.advance(60_000);
    const { epoch } = world.terms.at(-1) ?? { epoch: 0 };
    if (world.store.state.kind !== 'connected') throw new Error('no session');
    const { session } = world.store.state;
    world.ensemble.expire(session);
    await world.clock.until(
      'a new session',
      () => world.store.state.kind === 'connected' && world.store.state.session !== session,
    );
    await world.leave('w1');
    await world.done(world.election.join(undefined));
    await world.clock.until('a new term', () => (world.terms.at(-1)?.epoch ?? 0) > epoch);
  };

  it('waits for hosts that are missing: all sessions may have ended at once, and theirs are on the way back', async () => {
    await comeBack();
    await world.clock.advance(4_000);
    expect(world.units('w1')).toContain('one.service');
    await world.join('w1');
    await world.obey('w1');
    await world.clock.advance(20_000);
    expect(world.units('w1')).toContain('one.service');
    expect(world.moves).toEqual([]);
  });

  it('takes them for lost 5 s later', async () => {
    await comeBack();
    await world.clock.advance(3_000);
    expect(world.units('w1')).toContain('one.service');
    await world.clock.until(
      'the move',
      () => world.moves.some(({ unit, from }) => unit === 'one.service' && from === 'w1'),
      3_000,
    );
  });
});
