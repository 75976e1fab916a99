/** A rebalance as it is carried out: commands and whole daemons on one pretended ensemble. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { MoveEnd } from '../../src/cli/moved.ts';
import { carryOut, type RunEnd, type RunOptions } from '../../src/cli/rebalance-run.ts';
import { encodeHostIntent } from '../../src/shared/payloads.ts';
import { encodeNotes, encodeWish } from '../../src/shared/rebalance.ts';
import { readSnapshot } from '../../src/shared/snapshot.ts';
import type { Isolation, Service } from '../../src/shared/spec.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const one = (name: string, isolation: Isolation = 'keep'): Service => ({
  name,
  type: 'shared',
  count: 1,
  enabled: true,
  isolation,
});
const NAMES = ['a', 'b', 'c', 'd'];
const SPEC = specOf(...['a', 'b', 'c'].map((name) => one(name)), one('d', 'stop'));

let clock: FakeClock;
let ensemble: FakeEnsemble;
let hosts: FakeHost[];
let daemons: Map<string, FakeDaemon>;
let store: FakeStore;
let ends: string[];

/** a and c run on w1, b and d on w2; w3 joined late and has nothing. */
beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  hosts = ['w1', 'w2', 'w3'].map((name) => new FakeHost(name, clock, ensemble));
  daemons = new Map();
  ends = [];
  for (const each of hosts) {
    for (const name of NAMES) each.systemd.define(`${name}.service`);
    if (each.name === 'w3') await clock.until('the first placement', () => assignments()?.settled === true);
    daemons.set(each.name, await each.boot(SPEC));
    await clock.advance(5);
  }
  await clock.until('w3 to be ready', () => assignments()?.hosts.w3?.state === 'ready');
  store = ensemble.connect();
  await clock.until('a session', () => store.state.kind === 'connected');
  for (const each of hosts) each.asked.length = 0;
});

const assignments = () => [...daemons.values()].find(({ election }) => election.leading)?.leader?.assignments;
const running = () => Object.fromEntries(hosts.map(({ name, systemd }) => [name, systemd.running().join(' ')]));
const asked = () =>
  hosts.flatMap((each) => each.asked.map((line) => `${each.name}: ${line}`)).filter((line) => !line.includes('guard'));

function host(name: string): FakeHost {
  const found = hosts.find((each) => each.name === name);
  if (!found) throw new Error(`no host ${name}`);
  return found;
}

const move = (name: string, from: string, to: string) => ({ unit: `${name}.service`, service: name, from, to });

interface Going {
  readonly end: () => RunEnd | undefined;
  readonly stop: AbortController;
  readonly leave: AbortController;
}

function begin(moves: RunOptions['moves'], more: Partial<RunOptions> = {}): Going {
  const stop = new AbortController();
  const leave = new AbortController();
  let end: RunEnd | undefined;
  const onEnd = ({ unit }: { unit: string }, { kind }: MoveEnd) => void ends.push(`${unit} ${kind}`);
  const given = { store, clock, id: 'x', by: 'w1', moves, atOnce: 1, deadlineMs: 60_000, onEnd };
  void carryOut({ ...given, stop: stop.signal, leave: leave.signal, ...more }).then((how) => {
    end = how;
  });
  return { end: () => end, stop, leave };
}

async function finish(going: Going): Promise<RunEnd | undefined> {
  await clock.until('its end', () => going.end() !== undefined);
  return going.end();
}

describe('a rebalance', () => {
  it('moves one instance after the other, each when the one before is up, and touches nothing else', async () => {
    host('w3').systemd.define('a.service', { startMs: 5_000 });
    const going = begin([move('a', 'w1', 'w3'), move('b', 'w2', 'w3')]);
    await clock.until('the first to begin', () => host('w3').asked.length > 0);
    await clock.advance(3_000);
    expect(asked()).toEqual(['w1: stop a.service', 'w3: start a.service']);
    expect(await finish(going)).toEqual({ kind: 'done' });
    expect(asked()).toEqual(['w1: stop a.service', 'w2: stop b.service', 'w3: start a.service', 'w3: start b.service']);
    expect(ends).toEqual(['a.service moved', 'b.service moved']);
    expect(ensemble.tree.get('/rebalance')).toBeUndefined();
    await clock.advance(30_000);
    expect(running()).toEqual({ w1: 'c.service', w2: 'd.service', w3: 'a.service b.service' });
  });

  it('has as many under way at once as it may, in their order, and never two of one service', async () => {
    for (const name of NAMES) host('w3').systemd.define(`${name}.service`, { startMs: 5_000 });
    const going = begin([move('a', 'w1', 'w3'), { ...move('b', 'w2', 'w3'), service: 'a' }, move('c', 'w1', 'w3')], {
      atOnce: 3,
    });
    await clock.until('the first to begin', () => host('w3').asked.length > 0);
    await clock.advance(3_000);
    expect(asked()).toEqual(['w1: stop a.service', 'w3: start a.service']);
    await finish(going);
  });

  it('hands over what may run once only: it is down before it starts', async () => {
    host('w2').systemd.define('d.service', { stopMs: 3_000 });
    const going = begin([move('d', 'w2', 'w3')]);
    await clock.until('it to be stopped', () => host('w2').asked.includes('stop d.service'));
    await clock.advance(2_000);
    expect(running()).toMatchObject({ w3: '' });
    expect(await finish(going)).toEqual({ kind: 'done' });
    expect(running()).toMatchObject({ w2: 'b.service', w3: 'd.service' });
  });

  it.each(['a', 'd'])('is neither lost nor doubled when another leads in the middle of a move of %s', async (name) => {
    const from = name === 'a' ? 'w1' : 'w2';
    host(from).systemd.define(`${name}.service`, { stopMs: 3_000 });
    host('w3').systemd.define(`${name}.service`, { startMs: 2_000 });
    const going = begin([move(name, from, 'w3')]);
    await clock.until('it to be stopped', () => host(from).asked.includes(`stop ${name}.service`));
    const leader = [...daemons.values()].find(({ election }) => election.leading);
    leader?.term?.resign('a test asks for it');
    expect(await finish(going)).toEqual({ kind: 'done' });
    await clock.advance(20_000);
    expect(asked()).toEqual([`${from}: stop ${name}.service`, `w3: start ${name}.service`]);
  });

  it('stops at the first that fails, says so, and the unit runs elsewhere', async () => {
    host('w3').systemd.define('a.service', { start: 'fails', exitStatus: 1 });
    const going = begin([move('a', 'w1', 'w3'), move('b', 'w2', 'w3')]);
    expect(await finish(going)).toMatchObject({
      kind: 'stopped',
      move: { unit: 'a.service' },
      end: { kind: 'failed' },
    });
    await clock.until('it to run elsewhere', () =>
      Object.values(running()).some((units) => units.includes('a.service')),
    );
    await clock.advance(30_000);
    expect(asked().filter((line) => line.includes('b.service'))).toEqual([]);
    expect(running().w3).toBe('');
  });

  it('stops when the leader refuses, and nothing is moved', async () => {
    await clock.finish(
      'a drain',
      store.create('/hosts/w3', encodeHostIntent({ host: 'w3', state: 'cordoned', since: '', why: '' }), 'persistent'),
    );
    const end = await finish(begin([move('a', 'w1', 'w3')]));
    expect(end).toMatchObject({ kind: 'stopped', end: { kind: 'refused', why: 'w3 is cordoned' } });
    expect(asked()).toEqual([]);
  });

  it('stops when the unit is not up in time', async () => {
    host('w3').systemd.define('a.service', { startMs: 50_000 });
    const end = await finish(begin([move('a', 'w1', 'w3')], { deadlineMs: 20_000 }));
    expect(end).toMatchObject({ kind: 'stopped', end: { kind: 'late', why: 'on w3 it is activating' } });
  });

  it('that is interrupted waits for what is under way, and begins no more', async () => {
    host('w3').systemd.define('a.service', { startMs: 5_000 });
    const going = begin([move('a', 'w1', 'w3'), move('b', 'w2', 'w3')]);
    await clock.until('the first to begin', () => host('w3').asked.length > 0);
    going.stop.abort();
    await clock.advance(1_000);
    expect(going.end()).toBeUndefined();
    expect(await finish(going)).toEqual({ kind: 'interrupted' });
    expect(ends).toEqual(['a.service moved']);
    await clock.advance(30_000);
    expect(running()).toEqual({ w1: 'c.service', w2: 'b.service d.service', w3: 'a.service' });
  });

  it('whose command dies leaves each instance running somewhere, and asks for nothing any more', async () => {
    host('w2').systemd.define('d.service', { stopMs: 20_000 });
    begin([move('d', 'w2', 'w3'), move('a', 'w1', 'w3')]);
    await clock.until('it to be stopped', () => host('w2').asked.includes('stop d.service'));
    store.kill();
    await clock.advance(60_000);
    expect(running()).toEqual({ w1: 'a.service c.service', w2: 'b.service d.service', w3: '' });
    expect(ensemble.tree.get('/rebalance')).toBeUndefined();
  });

  it('does not begin while another is under way', async () => {
    const other = ensemble.connect();
    await clock.until('a session', () => other.state.kind === 'connected');
    const wish = { id: 'y', by: 'w2', at: 'noon', moves: [] };
    await clock.finish('the other', other.create('/rebalance', encodeWish(wish), 'ephemeral'));
    expect(await finish(begin([move('a', 'w1', 'w3')]))).toEqual({ kind: 'busy', by: 'w2, since noon' });
    expect(asked()).toEqual([]);
  });

  it('says that its session was lost, and begins no more', async () => {
    host('w3').systemd.define('a.service', { startMs: 20_000 });
    const going = begin([move('a', 'w1', 'w3'), move('b', 'w2', 'w3')]);
    await clock.until('it to begin', () => host('w3').asked.length > 0);
    if (store.state.kind !== 'connected') throw new Error(store.state.kind);
    ensemble.expire(store.state.session);
    expect(await finish(going)).toMatchObject({ kind: 'unreachable' });
    await clock.advance(30_000);
    expect(running()).toEqual({ w1: 'c.service', w2: 'b.service d.service', w3: 'a.service' });
  });
});

describe('a wish that makes no sense', () => {
  it.each([
    ['is not readable', Buffer.from('{"version":1,"moves":7}')],
    [
      'names units and hosts that there are not',
      encodeWish({ id: 'y', by: 'w2', at: '', moves: [move('nothing', 'w1', 'w9'), move('a', 'w2', 'w1')] }),
    ],
    [
      'sends an instance to and fro',
      encodeWish({
        id: 'y',
        by: 'w2',
        at: '',
        moves: [move('a', 'w1', 'w3'), move('a', 'w3', 'w1'), move('a', 'w3', 'w2')],
      }),
    ],
  ])('and %s delays nobody', async (_what, data) => {
    await clock.finish('the wish', store.create('/rebalance', data, 'ephemeral'));
    await clock.advance(20_000);
    host('w2').systemd.kill('b.service', 9);
    await clock.until(
      'it to run elsewhere',
      () => running().w1?.includes('b.service') || running().w3?.includes('b.service') || false,
    );
    await clock.until('all to be settled', () => assignments()?.settled === true);
  });
});

it('what the leader waits for is told: who is joining, what is held, what is refused', async () => {
  const notes = async () => (await clock.finish('a snapshot', readSnapshot(store))).notes;
  expect(await notes()).toMatchObject({ held: [], brake: false, joining: [] });
  const late = new FakeHost('w4', clock, ensemble);
  daemons.set('w4', await late.boot(SPEC));
  await clock.until('w4 to join', () => assignments()?.hosts.w4?.state === 'joining');
  await clock.advance(100);
  expect(await notes()).toMatchObject({ joining: ['w4'] });
  await clock.until('w4 to be ready', () => assignments()?.hosts.w4?.state === 'ready');
  await clock.advance(100);
  expect(await notes()).toMatchObject({ joining: [] });
  const wish = encodeWish({ id: 'y', by: 'w2', at: '', moves: [move('a', 'w1', 'w9')] });
  await clock.finish('the wish', store.create('/rebalance', wish, 'ephemeral'));
  await clock.advance(200);
  expect((await notes())?.rebalance).toMatchObject({
    id: 'y',
    refused: [{ unit: 'a.service', why: 'w9 is not a member' }],
  });
  const stale = encodeNotes({ epoch: 99, held: ['w9'], brake: true, joining: [] });
  await clock.finish('another term', store.set('/leader', stale));
  expect(await notes(), 'of a leader that leads no more').toBeUndefined();
});
