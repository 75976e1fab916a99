/** What happens is told at least once, whatever is killed, hangs or is silent meanwhile. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeEpoch } from '../../src/shared/payloads.ts';
import { StoreError } from '../../src/shared/store.ts';
import { EPOCH, HISTORY } from '../../src/shared/znodes.ts';
import { FakeStore } from '../fakes/store.ts';
import { HookWorld, hook } from './hook-world.ts';

let world: HookWorld;

beforeEach(async () => {
  world = await HookWorld.create();
});

afterEach(() => world.end());

describe('at least once', () => {
  const all = hook({ events: ['member-join', 'member-leave', 'member-failed'] });

  it('holds when the daemon is killed while the program runs', async () => {
    await world.propose([all]);
    const first = await world.boot();
    world.outcomeOf = () => new Promise(() => {});
    await world.join('w1');
    await world.clock.advance(1_000);
    world.kill(first);
    world.outcomeOf = async () => ({ kind: 'done' });
    await world.boot();
    expect(world.told).toEqual(['/told: member-join w1 10.0.0.1 - -', '/told: member-join w1 10.0.0.1 - -']);
  });

  it('holds for a return that follows what the killed daemon had begun to tell', async () => {
    await world.propose([all]);
    await world.join('w1');
    const first = await world.boot();
    world.told = [];
    await world.vanish('w1');
    await world.clock.until('the departure to be told', () => world.told.length > 0);
    world.kill(first);
    await world.join('w1');
    await world.boot();
    expect(world.told.map((line) => line.split(' ')[1])).toEqual(['member-failed', 'member-failed', 'member-join']);
  });

  it('holds for what happens while there is no daemon', async () => {
    await world.propose([all]);
    await world.join('w1');
    const first = await world.boot();
    world.kill(first);
    await world.vanish('w1');
    await world.join('w2');
    world.told = [];
    await world.boot();
    expect(world.told).toEqual(['/told: member-failed w1 10.0.0.1 - -', '/told: member-join w2 10.0.0.2 - -']);
  });

  it('tells of those who left in good order meanwhile that they did, as far as the leader has told', async () => {
    await world.propose([all]);
    for (const host of ['w1', 'w2', 'w3', 'w4', 'w5']) await world.join(host);
    await world.decide('member-left', 'w5');
    const first = await world.boot();
    world.kill(first);
    for (const host of ['w1', 'w2', 'w3', 'w5']) await world.vanish(host);
    await world.decide('member-left', 'w1');
    await world.decide('member-left', 'w2');
    await world.decide('member-joined', 'w2');
    await world.decide('member-lost', 'w3');
    await world.decide('member-joined', 'w5');
    for (let each = 0; each < 150; each++) await world.decide('placed', 'w4');
    world.told = [];
    await world.boot();
    expect(world.told).toEqual([
      '/told: member-leave w1 10.0.0.1 - -',
      '/told: member-failed w2 10.0.0.2 - -; w3 10.0.0.3 - -; w5 10.0.0.5 - -',
    ]);
  });

  it('waits for the word of the leader when the history cannot be read at first', async () => {
    await world.propose([all]);
    await world.join('w1');
    const first = await world.boot();
    world.kill(first);
    await world.vanish('w1');
    await world.decide('member-left', 'w1');
    world.told = [];
    const unread = vi.spyOn(FakeStore.prototype, 'children');
    unread.mockRejectedValueOnce(new StoreError('deadline', HISTORY, 'no answer'));
    await world.boot();
    expect(world.told).toEqual([]);
    await world.clock.advance(1_000);
    expect(world.told).toEqual(['/told: member-leave w1 10.0.0.1 - -']);
    unread.mockRestore();
  });

  it('does not tell again what was told when nothing happened', async () => {
    await world.propose([all, hook({ events: ['registered', 'leader-changed'], run: ['/other'] })]);
    await world.join('w1');
    await world.register('web', 'w1');
    await world.put(EPOCH, encodeEpoch({ epoch: 1, leader: 'w1' }));
    const first = await world.boot();
    world.kill(first);
    world.told = [];
    const second = await world.boot();
    await world.clock.finish('the end', second.hooks.close());
    await world.boot();
    expect(world.told).toEqual([]);
  });

  it('holds for each hook by itself: a new time limit or place in the file changes nothing, a new program is told all', async () => {
    await world.propose([all]);
    await world.join('w1');
    await world.boot();
    world.told = [];
    await world.propose([hook({ run: ['/new'] }), { ...all, timeoutMs: 9_000 }]);
    await world.clock.advance(1_000);
    expect(world.told).toEqual(['/new: member-join w1 10.0.0.1 - -']);
  });

  it('holds while a program hangs: nothing that comes and goes meanwhile is left out', async () => {
    await world.propose([all]);
    await world.boot();
    let end = () => {};
    world.outcomeOf = () =>
      new Promise((resolve) => {
        end = () => resolve({ kind: 'done' });
      });
    await world.join('w1');
    await world.clock.advance(1_000);
    await world.join('w2');
    await world.clock.advance(1_000);
    await world.vanish('w2');
    await world.clock.advance(1_000);
    world.outcomeOf = async () => ({ kind: 'done' });
    end();
    await world.clock.advance(1_000);
    expect(world.told.slice(1)).toEqual(['/told: member-join w2 10.0.0.2 - -', '/told: member-failed w2 10.0.0.2 - -']);
  });
});

it('a hook that hangs delays no other', async () => {
  await world.propose([hook({ run: ['/hangs'] }), hook({ run: ['/quick'] })]);
  await world.boot();
  world.outcomeOf = ({ argv }) => (argv[0] === '/hangs' ? new Promise(() => {}) : Promise.resolve({ kind: 'done' }));
  await world.join('w1');
  await world.clock.advance(1_000);
  await world.join('w2');
  await world.clock.advance(1_000);
  expect(world.told.filter((line) => line.startsWith('/quick'))).toHaveLength(2);
  expect(world.told.filter((line) => line.startsWith('/hangs'))).toHaveLength(1);
  expect(world.running[0]?.hooks.waiting).toBe(2);
  world.running = [];
});

it('while ZooKeeper is silent nothing happens, and afterwards what changed meanwhile', async () => {
  await world.propose([hook({ events: ['member-join', 'member-failed'] })]);
  await world.join('w1');
  await world.boot();
  world.told = [];
  world.ensemble.stop();
  await world.clock.advance(10_000);
  expect(world.told).toEqual([]);
  world.ensemble.start();
  await world.clock.until('a session', () => world.others.state.kind === 'connected');
  await world.join('w2');
  await world.clock.advance(5_000);
  expect(world.told).toEqual(['/told: member-join w2 10.0.0.2 - -']);
});
