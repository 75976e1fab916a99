/** What the programs of hooks are told when the cluster changes, and on which hosts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registrationPath } from '../../src/discovery/registration.ts';
import { encodeEpoch } from '../../src/shared/payloads.ts';
import { EPOCH, HISTORY, memberPath, SPEC } from '../../src/shared/znodes.ts';
import { HookWorld, hook, memberOf } from './hook-world.ts';

let world: HookWorld;

beforeEach(async () => {
  world = await HookWorld.create();
});

afterEach(() => world.end());

describe('a hook for members', () => {
  const all = hook({ events: ['member-join', 'member-leave', 'member-failed'] });

  it('that is new on a host is told of all who are there, in one run', async () => {
    await world.propose([all]);
    await world.join('w1', 'backend');
    await world.join('w2');
    await world.boot();
    expect(world.told).toEqual(['/told: member-join w1 10.0.0.1 backend role=backend; w2 10.0.0.2 - -']);
  });

  it('is told who comes, who leaves in good order and who fails, with role and labels', async () => {
    await world.propose([all]);
    await world.boot();
    await world.join('w1', 'backend');
    await world.join('w2');
    await world.clock.advance(1_000);
    await world.vanish('w1');
    await world.clock.advance(1_000);
    await world.put(memberPath('w2'), memberOf('w2', { leaving: true }));
    await world.clock.advance(1_000);
    await world.vanish('w2');
    await world.clock.advance(1_000);
    expect(world.told).toEqual([
      '/told: member-join w1 10.0.0.1 backend role=backend; w2 10.0.0.2 - -',
      '/told: member-failed w1 10.0.0.1 backend role=backend',
      '/told: member-leave w2 10.0.0.2 - -',
    ]);
  });

  it('is told that a host left in good order also when it said so a moment before it was gone', async () => {
    await world.propose([all]);
    await world.join('w1');
    await world.boot();
    world.told = [];
    await world.put(memberPath('w1'), memberOf('w1', { leaving: true }));
    await world.clock.advance(20);
    await world.vanish('w1');
    await world.clock.advance(1_000);
    expect(world.told).toEqual(['/told: member-leave w1 10.0.0.1 - -']);
  });

  it('that asks for a role is told of no other', async () => {
    await world.propose([hook({ filter: { role: 'backend' } })]);
    await world.boot();
    await world.join('w1', 'frontend');
    await world.join('w2', 'backend');
    await world.join('w3');
    await world.clock.advance(1_000);
    expect(world.told).toEqual(['/told: member-join w2 10.0.0.2 backend role=backend']);
  });

  it('is told of an unreadable entry nothing at all', async () => {
    await world.propose([all]);
    await world.boot();
    await world.join('w1');
    await world.clock.advance(1_000);
    await world.put(memberPath('w1'), Buffer.from('?'));
    await world.put(memberPath('w2'), Buffer.from('?'));
    await world.clock.advance(1_000);
    expect(world.told).toEqual(['/told: member-join w1 10.0.0.1 - -']);
  });
});

describe('a hook for registrations', () => {
  it('is told what is registered and what is gone, of its label and role alone', async () => {
    await world.propose([hook({ events: ['registered', 'unregistered'], filter: { label: 'web', role: 'backend' } })]);
    await world.join('w1');
    await world.boot();
    await world.register('web', 'w1', { role: 'backend' });
    await world.register('web', 'w2', { role: 'other' });
    await world.register('db', 'w1', { role: 'backend' });
    await world.clock.advance(1_000);
    await world.done(world.others.remove(registrationPath('web', 'w1')));
    await world.clock.advance(1_000);
    expect(world.told).toEqual([
      '/told: registered w1 a backend - web 80 w1',
      '/told: unregistered w1 a backend - web 80 w1',
    ]);
  });

  it('without a label is told of all labels', async () => {
    await world.propose([hook({ events: ['registered'] })]);
    await world.boot();
    await world.register('web', 'w1');
    await world.register('db', 'w2');
    await world.clock.advance(1_000);
    expect(world.told.join(' ')).toContain('web 80 w1');
    expect(world.told.join(' ')).toContain('db 80 w2');
  });
});

describe('a hook for units', () => {
  const units = hook({ events: ['unit-started', 'unit-moved', 'unit-failed'] });

  it('is told of what happens from now on, with service, role and reason, and not of the past', async () => {
    await world.propose([units]);
    await world.join('w1', 'node');
    await world.happen('started', 'w1');
    await world.boot();
    await world.happen('failed', 'w1');
    await world.clock.advance(20);
    await world.happen('moved', 'w2', { from: 'w1', to: 'w2' });
    await world.clock.advance(20);
    await world.happen('started', 'w2');
    await world.clock.advance(1_000);
    expect(world.told).toEqual([
      '/told: unit-failed w1 10.0.0.1 backend role=node web.service web so',
      '/told: unit-moved w2 - backend - web.service web w1 w2 so',
      '/told: unit-started w2 - backend - web.service web',
    ]);
  });

  it('is told by the times of events, though hosts tell some of them late', async () => {
    await world.propose([units]);
    await world.boot();
    const [early, late] = ['2026-01-01T00:00:10.000Z', '2026-01-01T00:00:10.001Z'];
    await world.happen('moved', 'w2', { from: 'w1', to: 'w2', at: late });
    await world.happen('failed', 'w1', { at: early });
    await world.clock.advance(1_000);
    expect(world.told.map((line) => line.split(' ')[1])).toEqual(['unit-failed', 'unit-moved']);
  });

  it('is told after a crash of what happened meanwhile, once', async () => {
    await world.propose([units]);
    const first = await world.boot();
    await world.happen('failed', 'w1');
    await world.clock.advance(1_000);
    expect(world.told).toHaveLength(1);
    world.kill(first);
    await world.happen('failed', 'w2');
    await world.clock.advance(10_000);
    await world.boot();
    expect(world.told.map((line) => line.split(' ').slice(1, 3).join(' '))).toEqual([
      'unit-failed w1',
      'unit-failed w2',
    ]);
  });

  it('is told that something is missing when the history is too short for what happened meanwhile', async () => {
    await world.propose([units]);
    const first = await world.boot();
    await world.happen('failed', 'w1');
    await world.clock.advance(1_000);
    world.kill(first);
    for (let each = 0; each < 1_010; each++) await world.happen('drift', 'w2');
    const names = (await world.done(world.others.children(HISTORY))) ?? [];
    for (const name of names.slice(0, 11)) await world.done(world.others.remove(`${HISTORY}/${name}`));
    await world.happen('failed', 'w3');
    await world.boot();
    expect(world.told.at(-1)).toContain('unit-failed w3');
    expect(world.log.at('warn').join()).toContain('the history no longer holds up to 10 batches');
  });

  it('begins with the new history when ZooKeeper has lost the old one', async () => {
    await world.propose([units]);
    for (let each = 0; each < 5; each++) await world.happen('drift', 'w2');
    const first = await world.boot();
    world.kill(first);
    for (const name of (await world.done(world.others.children(HISTORY))) ?? [])
      await world.done(world.others.remove(`${HISTORY}/${name}`));
    await world.done(world.others.remove(HISTORY));
    await world.done(world.others.ensure(HISTORY));
    await world.happen('failed', 'w3');
    await world.boot();
    expect(world.told).toEqual(['/told: unit-failed w3 - backend - web.service web so']);
  });
});

describe('a hook for the leadership', () => {
  it('is told who leads now and who led before', async () => {
    await world.propose([hook({ events: ['leader-changed'] })]);
    await world.put(EPOCH, encodeEpoch({ epoch: 1, leader: 'w1' }));
    await world.boot();
    await world.put(EPOCH, encodeEpoch({ epoch: 2, leader: 'w1' }));
    await world.clock.advance(1_000);
    await world.put(EPOCH, encodeEpoch({ epoch: 3, leader: 'w2' }));
    await world.clock.advance(1_000);
    expect(world.told).toEqual(['/told: leader-changed w1 - - - -', '/told: leader-changed w2 - - - w1']);
  });

  it('is told with address, role and labels of the host that leads, though that is read later than who leads', async () => {
    await world.propose([hook({ events: ['leader-changed'], filter: { role: 'db' } })]);
    for (const name of ['w1', 'w2']) await world.join(name, 'db');
    await world.put(EPOCH, encodeEpoch({ epoch: 1, leader: 'w1' }));
    world.latencyMs = 90;
    await world.boot();
    world.latencyMs = 1;
    await world.put(EPOCH, encodeEpoch({ epoch: 2, leader: 'w2' }));
    await world.clock.advance(1_000);
    expect(world.told).toEqual([
      '/told: leader-changed w1 10.0.0.1 db role=db -',
      '/told: leader-changed w2 10.0.0.2 db role=db w1',
    ]);
  });
});

describe('the hosts of a hook', () => {
  it('are those with its labels', async () => {
    await world.propose([
      hook({ on: { labels: { zone: 'a' } }, run: ['/a'] }),
      hook({ on: { labels: { zone: 'b' } }, run: ['/b'] }),
    ]);
    await world.join('w1');
    await world.boot({ zone: 'a' });
    expect(world.told).toEqual(['/a: member-join w1 10.0.0.1 - -']);
  });

  it('are those that are to run an instance of its service, as long as they are', async () => {
    await world.propose([hook({ on: { service: 'web' } })]);
    await world.join('w1');
    await world.boot();
    expect(world.told).toEqual([]);
    await world.place('w9', 'web');
    await world.clock.advance(1_000);
    expect(world.told).toEqual(['/told: member-join w1 10.0.0.1 - -']);
    await world.place('w9');
    await world.clock.advance(1_000);
    await world.join('w2');
    await world.clock.advance(1_000);
    expect(world.told).toHaveLength(1);
    await world.place('w9', 'web');
    await world.clock.advance(1_000);
    expect(world.told.slice(1)).toEqual(['/told: member-join w1 10.0.0.1 - -; w2 10.0.0.2 - -']);
  });
});

it('an unreadable spec leaves the hooks as they are', async () => {
  await world.propose([hook({})]);
  await world.boot();
  await world.put(SPEC, Buffer.from('?'));
  await world.clock.advance(1_000);
  await world.join('w1');
  await world.clock.advance(1_000);
  expect(world.told).toHaveLength(1);
});

it('a host without hooks reads nothing but the spec and its own order', async () => {
  await world.propose([hook({ on: { service: 'web' } })]);
  await world.join('w1');
  const { hooks } = await world.boot();
  expect(hooks.waiting).toBe(0);
  expect(world.state.seen.members.size).toBe(0);
});
