/** One leader on a pretended ensemble; the test plays the executors, the operators and the vandals. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Election, type Leadership } from '../../src/leader/election.ts';
import { Leader } from '../../src/leader/leader.ts';
import type { Move } from '../../src/leader/placement.ts';
import { digestOf } from '../../src/shared/digest.ts';
import type { ActiveState, Desired, Member, Observed, ObservedUnit, Service, Spec } from '../../src/shared/model.ts';
import {
  decodeDesired,
  encodeDesired,
  encodeHostIntent,
  encodeMember,
  encodeObserved,
  encodeSpecRecord,
} from '../../src/shared/payloads.ts';
import { PARENTS } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { specOf, TIMINGS } from '../fakes/daemon.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const base = { enabled: true, isolation: 'keep' } as const;
const everywhere: Service = { ...base, name: 'everywhere', type: 'global' };
const one: Service = { ...base, name: 'one', type: 'shared', count: 1 };
const three: Service = { ...base, name: 'three', type: 'shared', count: 3 };

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let operator: FakeStore;
let election: Election;
let leader: Leader | undefined;
let log: MemoryLog;
let terms: Leadership[];
let moves: Move[];
let brakes: boolean[];
let convergences: number[];

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  operator = ensemble.connect({ sessionTimeoutMs: 4_000 });
  await clock.until('the sessions', () => [store, operator].every(({ state }) => state.kind === 'connected'));
  await done(Promise.all(PARENTS.map((parent) => operator.ensure(parent))));
  log = new MemoryLog();
  [terms, moves, brakes, convergences] = [[], [], [], []];
  leader = undefined;
  election = new Election({ store, host: 'w1', machineId: 'w1', clock, log, onLeading: lead });
});

function lead(term: Leadership): void {
  terms.push(term);
  const started = new Leader(term, {
    host: 'w1',
    store,
    clock,
    log,
    metrics: {
      placed: () => {},
      moved: (moved) => void moves.push(...moved),
      cluster: ({ brake }) => void brakes.push(brake),
      converged: (seconds) => void convergences.push(seconds),
    },
    loopTickMs: TIMINGS.loopTickMs,
    reactionMs: TIMINGS.reactionMs,
    boundaryMs: TIMINGS.boundaryMs,
    onEpochTooLow: (epoch) => election.raiseEpochAbove(epoch),
  });
  leader = started;
}

function done<T>(promise: Promise<T>): Promise<T> {
  return clock.finish('an answer', promise);
}

async function put(path: string, data: Buffer | string): Promise<void> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  if (ensemble.tree.get(path)) await done(operator.set(path, bytes));
  else await done(operator.create(path, bytes, 'persistent'));
}

async function writeSpec(spec: Spec): Promise<void> {
  const record = { spec, digest: digestOf(spec), proposedBy: 'w1', at: clock.date().toISOString(), earlier: [] };
  await put('/spec', encodeSpecRecord(record));
}

async function join(host: string, change: Partial<Member> = {}): Promise<void> {
  await put(
    `/members/${host}`,
    encodeMember({
      host,
      machineId: host,
      address: host,
      url: `http://${host}:9780`,
      labels: {},
      software: 'test',
      file: 'sha256:',
      election: '/election/n_0',
      ...change,
    }),
  );
}

async function leave(...hosts: readonly string[]): Promise<void> {
  await done(operator.transaction(hosts.map((host) => ({ op: 'remove', path: `/members/${host}` }))));
}

function seen(unit: string, active: ActiveState, change: Partial<ObservedUnit> = {}): ObservedUnit {
  return { unit, load: 'loaded', active, sub: active, ...change };
}

const failed = (unit: string) => seen(unit, 'failed', { failure: { kind: 'failed', message: 'it failed' } });

async function observe(host: string, units: readonly ObservedUnit[], change: Partial<Observed> = {}): Promise<void> {
  const { epoch, generation } = desired(host) ?? { epoch: 0, generation: 0 };
  await put(`/observed/${host}`, encodeObserved({ host, epoch, generation, units, ...change }));
}

/** Every host obeys at once: what is desired runs. */
async function obey(...hosts: readonly string[]): Promise<void> {
  for (const host of hosts) {
    const wanted = desired(host)?.units.filter(({ withdrawn }) => !withdrawn) ?? [];
    await observe(
      host,
      wanted.map(({ unit }) => seen(unit, 'active')),
    );
  }
}

function desired(host: string): Desired | undefined {
  const node = ensemble.tree.get(`/desired/${host}`);
  const decoded = node && decodeDesired(node.data, `/desired/${host}`);
  return decoded?.ok ? decoded.value : undefined;
}

const units = (host: string) => desired(host)?.units.map(({ unit }) => unit) ?? [];
const versionOf = (host: string) => ensemble.tree.get(`/desired/${host}`)?.version;
const holders = (unit: string, ...hosts: readonly string[]) => hosts.filter((host) => units(host).includes(unit));

/** Joins hosts, starts the leader, and has the hosts obey its first placement. */
async function begin(spec: Spec, ...hosts: readonly string[]): Promise<void> {
  await writeSpec(spec);
  for (const host of hosts) {
    await join(host);
    await observe(host, []);
  }
  await done(election.join(undefined));
  await clock.advance(TIMINGS.boundaryMs + 500);
  await obey(...hosts);
  // what may run once is placed when all hosts have said that they obey what is written
  await clock.advance(500);
  await obey(...hosts);
  await clock.until('a settled cluster', () => leader?.assignments?.settled === true);
}

describe('a leader', () => {
  it('places every service, with the epoch of its term, and is settled once the hosts obey', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    expect([units('w1'), units('w2')]).toEqual([['everywhere.service', 'one.service'], ['everywhere.service']]);
    expect(desired('w1')?.epoch).toBe(terms[0]?.epoch);
    expect(convergences).toHaveLength(1);
  });

  it('places nothing without a spec, says so once, and begins when there is one', async () => {
    await join('w1');
    await observe('w1', []);
    await done(election.join(undefined));
    await clock.advance(30_000);
    expect(desired('w1')).toBeUndefined();
    expect(log.at('warn').filter((line) => line.includes('no readable spec'))).toHaveLength(1);
    await writeSpec(specOf(everywhere));
    await clock.until('the placement', () => units('w1').length === 1);
  });

  it('ends the wait of a joining host in time, whatever it was doing at that moment', async () => {
    const many: Service = { ...base, name: 'many', type: 'shared', count: 100 };
    await begin(specOf(many), 'w1');
    for (let offset = 0; offset < 30; offset++) {
      const host = `w${offset + 2}`;
      await join(host);
      await observe(host, []);
      // a change whose placement is being written when the wait is over, for some of the offsets
      await clock.advance(TIMINGS.boundaryMs - 20 + offset);
      await writeSpec(specOf(many, { ...everywhere, name: `everywhere-${offset}` }));
      await clock.advance(500);
      expect(units(host), `offset ${offset}`).toContain('many.service');
    }
  });

  it('has hosts that join together wait for each other before they take what may go anywhere', async () => {
    await writeSpec(specOf(everywhere, three));
    await done(election.join(undefined));
    for (const host of ['w1', 'w2', 'w3']) {
      await join(host);
      await observe(host, []);
      await clock.advance(300);
      expect(holders('everywhere.service', host)).toEqual([host]);
      expect(holders('three.service', 'w1', 'w2', 'w3')).toEqual([]);
    }
    await clock.advance(TIMINGS.boundaryMs);
    expect(holders('three.service', 'w1', 'w2', 'w3')).toEqual(['w1', 'w2', 'w3']);
  });

  it.each([-10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0])(
    'is not kept busy by a host that joins %i ms from the moment at which others have waited long enough',
    async (offset) => {
      await writeSpec(specOf(everywhere, one));
      await done(election.join(undefined));
      await join('w1');
      await observe('w1', []);
      await clock.until('it to wait', () => leader?.assignments?.hosts.w1?.state === 'joining');
      await clock.advance(TIMINGS.boundaryMs + offset);
      await join('w2');
      await clock.until('the end of the wait', () => holders('one.service', 'w1', 'w2').length === 1);
    },
  );

  it('has a host that was away wait no longer than one that is new, though it tells what it obeyed before', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const before = desired('w2');
    await leave('w2');
    await clock.until('the end of its desired state', () => desired('w2') === undefined);
    await join('w2');
    await observe('w2', [], { epoch: before?.epoch ?? 0, generation: before?.generation ?? 0 });
    await clock.until('it to wait', () => leader?.assignments?.hosts.w2?.state === 'joining');
    await clock.until('the end', () => leader?.assignments?.hosts.w2?.state === 'ready', TIMINGS.boundaryMs + 100);
    expect(log.at('warn').filter((line) => line.includes('has lost'))).toEqual([]);
  });

  it('waits for hosts to come back when ZooKeeper holds nothing of what they obeyed', async () => {
    await writeSpec(specOf(everywhere, one));
    await join('w2');
    await observe('w2', [seen('one.service', 'active')], { epoch: 3, generation: 7 });
    await done(election.join(undefined));
    await clock.until('it to be told', () => log.at('warn').some((line) => line.includes('has lost')));
    await clock.advance(TIMINGS.boundaryMs + 1_000);
    expect(leader?.assignments?.hosts.w2?.state).toBe('joining');
    await clock.until('the end', () => leader?.assignments?.hosts.w2?.state === 'ready', 5_000);
  });

  it('writes nothing while nothing changes', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const before = ['w1', 'w2'].map(versionOf);
    await clock.advance(60_000);
    expect(['w1', 'w2'].map(versionOf)).toEqual(before);
    expect(terms).toHaveLength(1);
  });

  it('writes only the hosts that a change concerns', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2', 'w3');
    const before = versionOf('w3');
    await observe('w1', [seen('everywhere.service', 'active'), failed('one.service')]);
    await clock.until('the move', () => units('w2').includes('one.service'));
    expect(units('w1')).toEqual(['everywhere.service']);
    expect(versionOf('w3')).toBe(before);
    await clock.until('the count', () => moves.length > 0);
    expect(moves).toEqual([
      { unit: 'one.service', from: 'w1', to: 'w2', because: { kind: 'excluded', reason: 'failed' } },
    ]);
  });

  it('moves the instances of a lost host, and no other', async () => {
    await begin(specOf(everywhere, three, one), 'w1', 'w2', 'w3', 'w4');
    const before = { w2: units('w2'), w3: units('w3'), w4: units('w4') };
    expect(units('w1')).toEqual(['everywhere.service', 'one.service']);
    await leave('w1');
    await clock.until('the move', () => holders('one.service', 'w2', 'w3', 'w4').length === 1);
    expect(desired('w1')).toBeUndefined();
    const [holder] = holders('one.service', 'w2', 'w3', 'w4');
    for (const host of ['w2', 'w3', 'w4'] as const) {
      expect(units(host).filter((unit) => host !== holder || unit !== 'one.service')).toEqual(before[host]);
    }
  });

  it('obeys an operator’s intent to drain a host: what it has starts elsewhere once it has stopped it', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const since = clock.date().toISOString();
    await put('/hosts/w1', encodeHostIntent({ host: 'w1', state: 'draining', since, why: 'new disks' }));
    await clock.until('the order to stop it', () => desired('w1')?.units[0]?.withdrawn === true);
    await observe('w1', [seen('one.service', 'deactivating')]);
    await clock.advance(20_000);
    expect([units('w1'), units('w2')]).toEqual([['one.service'], ['everywhere.service']]);
    expect(leader?.assignments?.hosts.w2?.units.at(-1)?.detail).toBe('it starts once w1 has stopped it');
    expect(moves.filter(({ unit }) => unit === 'one.service')).toEqual([]);
    await observe('w1', []);
    await clock.until('the move', () => units('w2').includes('one.service'));
    expect(units('w1')).toEqual([]);
    await obey('w1', 'w2');
    await clock.until('the answer', () => leader?.assignments?.hosts.w1?.state === 'draining');
    expect(moves.filter(({ unit }) => unit === 'one.service')).toHaveLength(1);
  });

  it('shows the reasons of now for what is unplaced, though no host has to be written', async () => {
    const intend = (state: 'cordoned' | 'draining') =>
      put('/hosts/w3', encodeHostIntent({ host: 'w3', state, since: '', why: '' }));
    const reasons = () => leader?.assignments?.unplaced[0]?.why.map(({ reason, hosts }) => `${hosts} ${reason}`);
    await intend('cordoned');
    await begin(specOf({ ...three, count: 5 }), 'w1', 'w2', 'w3');
    expect(reasons()).toEqual(['2 already-has-one', '1 cordoned']);
    const before = ['w1', 'w2', 'w3'].map(versionOf);
    await intend('draining');
    await clock.advance(10_000);
    expect(reasons()).toEqual(['2 already-has-one', '1 draining']);
    expect(['w1', 'w2', 'w3'].map(versionOf)).toEqual(before);
  });

  it('writes a host anew that refused its desired state, but not all the time', async () => {
    await begin(specOf(everywhere), 'w1', 'w2');
    const [before, other] = [versionOf('w1') ?? 0, versionOf('w2')];
    await observe('w1', [], { refused: 'it was damaged' });
    await clock.until('it to be written', () => versionOf('w1') === before + 1);
    for (const why of ['it was', 'it is', 'it will be']) {
      await observe('w1', [], { refused: `${why} damaged` });
      await clock.advance(200);
    }
    expect(versionOf('w1')).toBe(before + 1);
    await clock.until('it to be written again', () => versionOf('w1') === before + 2);
    expect(versionOf('w2')).toBe(other);
  });

  it('takes a higher epoch when an executor has obeyed a generation of this one that it has not written', async () => {
    await begin(specOf(everywhere), 'w1', 'w2');
    const epoch = terms.at(-1)?.epoch ?? 0;
    // as after ZooKeeper's data was lost: epochs are counted from the start again
    await observe('w2', [seen('everywhere.service', 'active')], { epoch, generation: 50_000 });
    await clock.until('a higher epoch', () => (desired('w2')?.epoch ?? 0) > epoch || terms.length > 1);
    await observe('w2', [seen('everywhere.service', 'active')], { epoch, generation: 50_000, refused: 'older' });
    await clock.until('an order of the higher epoch', () => (desired('w2')?.epoch ?? 0) > epoch);
  });

  it('gives no first order to a host that has not reported: what runs there is not known yet', async () => {
    await begin(specOf({ ...one, count: 1 }, everywhere), 'w1');
    const forced: Service = {
      ...base,
      name: 'pinned',
      type: 'multi',
      instances: { a: 1 },
      force: { a: 'w2' },
      exclusive: false,
    };
    await writeSpec(specOf(one, everywhere, forced));
    await obey('w1');
    await join('w2');
    await clock.advance(10_000);
    expect(desired('w2')).toBeUndefined();
    await observe('w2', [seen('pinned@a.service', 'active'), seen('everywhere.service', 'active')]);
    await clock.until('the order', () => desired('w2') !== undefined);
    expect(desired('w2')?.units.map(({ unit, why }) => [unit, why.kind])).toEqual([
      ['everywhere.service', 'adopted'],
      ['pinned@a.service', 'adopted'],
    ]);
  });

  it('claims no placement that is too large to be written', async () => {
    await begin(specOf(everywhere), 'w1');
    const before = log.at('info').filter((line) => line.includes('placement written')).length;
    const many: Service = {
      ...base,
      name: 'many',
      type: 'multi',
      instances: { a: 1, b: 1, c: 1 },
      force: {},
      exclusive: false,
      prestart: 'x'.repeat(400 * 1024),
    };
    await writeSpec(specOf(everywhere, many));
    await clock.advance(20_000);
    expect(log.at('error').some((line) => line.includes('it is not written'))).toBe(true);
    expect(log.at('info').filter((line) => line.includes('placement written'))).toHaveLength(before);
    expect(units('w1')).toEqual(['everywhere.service']);
    expect(leader?.assignments?.settled).toBe(false);
  });

  it('takes a higher epoch when an executor has obeyed one above its own', async () => {
    await begin(specOf(everywhere), 'w1', 'w2');
    await observe('w2', [], { epoch: 70, generation: 3, refused: 'older than (epoch 70, generation 3)' });
    await clock.until('a higher epoch', () => (desired('w2')?.epoch ?? 0) > 70);
    await obey('w1', 'w2');
    await clock.until('a settled cluster', () => leader?.assignments?.settled === true);
  });

  it('begins a new term when someone removed a desired state, and writes it again', async () => {
    await begin(specOf(everywhere), 'w1', 'w2');
    await done(operator.remove('/desired/w2'));
    await observe('w2', [seen('everywhere.service', 'active')], { refused: '/desired/w2 was removed' });
    await clock.until('it to be written', () => units('w2').length === 1, 10_000);
    expect(terms.length).toBeGreaterThan(1);
  });

  it('takes over what is written from the leader before, and touches no host', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const before = ['w1', 'w2'].map(versionOf);
    terms[0]?.resign('to try it');
    await clock.until('the next term', () => terms.length === 2 && leader?.assignments?.settled === true);
    await clock.advance(10_000);
    expect(['w1', 'w2'].map(versionOf)).toEqual(before);
    expect(leader?.assignments?.epoch).toBe(terms[1]?.epoch);
  });

  it('writes nothing any more once another has won, whatever it believes', async () => {
    await begin(specOf(everywhere), 'w1', 'w2');
    await done(operator.set('/epoch', Buffer.from('{"version":1,"epoch":99,"leader":"w2"}')));
    const before = versionOf('w1');
    const spec = specOf(everywhere, one);
    await writeSpec(spec);
    await clock.until('the end of its term', () => terms[0]?.signal.aborted === true);
    expect(versionOf('w1')).toBe(before);
  });

  it('says nothing more of a cluster it does not lead any more', async () => {
    await begin(specOf(everywhere), 'w1', 'w2');
    await writeSpec(specOf(everywhere, one));
    await clock.until('the write', () => versionOf('w1') === 1 || units('w1').length === 2);
    const told = brakes.length;
    terms[0]?.resign('to try it');
    await clock.advance(150);
    expect(terms).toHaveLength(1);
    expect(brakes.length).toBe(told);
  });
});

describe('the brake of a leader', () => {
  it('holds everything where it was when most hosts are lost at once, and lets go when they come back', async () => {
    await begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    const before = ['w1', 'w2', 'w3', 'w4', 'w5'].map(versionOf);
    await leave('w1', 'w2', 'w3');
    await clock.advance(30_000);
    expect(leader?.assignments?.brake).toBe(true);
    expect(log.at('error').join()).toContain('many hosts were lost at once (w1, w2, w3)');
    for (const host of ['w1', 'w2', 'w3']) await join(host);
    await clock.advance(1_000);
    expect(leader?.assignments?.brake).toBe(false);
    expect(['w1', 'w2', 'w3', 'w4', 'w5'].map(versionOf)).toEqual(before);
  });

  it('moves them when they have not come back within the time it holds', async () => {
    await begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    await leave('w1', 'w2', 'w3');
    await clock.advance(59_000);
    expect(moves).toEqual([]);
    await clock.advance(2_000);
    expect(leader?.assignments?.brake).toBe(false);
    expect(holders('one.service', 'w4', 'w5')).toHaveLength(1);
    expect(holders('three.service', 'w4', 'w5')).toHaveLength(2);
    expect(desired('w1')).toBeUndefined();
  });

  it('holds what is left to hold when their sessions end one after the other', async () => {
    await begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    for (const host of ['w1', 'w2', 'w3']) {
      await leave(host);
      await clock.advance(700);
    }
    expect(leader?.assignments?.brake).toBe(true);
    expect(desired('w3')).toBeDefined();
  });

  it('does not hold hosts that said they would leave', async () => {
    await begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    for (const host of ['w1', 'w2', 'w3']) await join(host, { leaving: true });
    await clock.advance(1_000);
    await leave('w1', 'w2', 'w3');
    await clock.advance(1_000);
    expect(leader?.assignments?.brake).toBe(false);
    expect(holders('three.service', 'w4', 'w5')).toHaveLength(2);
  });

  it('does not hold a few', async () => {
    await begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4', 'w5');
    await leave('w1', 'w2');
    await clock.advance(1_000);
    expect(leader?.assignments?.brake).toBe(false);
    expect(desired('w1')).toBeUndefined();
  });
});

describe('a leader that had lost its own session a moment ago', () => {
  const comeBack = async () => {
    await begin(specOf(one, three), 'w1', 'w2', 'w3', 'w4');
    await clock.advance(60_000);
    const { epoch } = terms.at(-1) ?? { epoch: 0 };
    if (store.state.kind !== 'connected') throw new Error('no session');
    const { session } = store.state;
    ensemble.expire(session);
    await clock.until('a new session', () => store.state.kind === 'connected' && store.state.session !== session);
    await leave('w1');
    await done(election.join(undefined));
    await clock.until('a new term', () => (terms.at(-1)?.epoch ?? 0) > epoch);
  };

  it('waits for hosts that are missing: all sessions may have ended at once, and theirs are on the way back', async () => {
    await comeBack();
    await clock.advance(4_000);
    expect(units('w1')).toContain('one.service');
    await join('w1');
    await obey('w1');
    await clock.advance(20_000);
    expect(units('w1')).toContain('one.service');
    expect(moves).toEqual([]);
  });

  it('takes them for lost 5 s later', async () => {
    await comeBack();
    await clock.advance(3_000);
    expect(units('w1')).toContain('one.service');
    await clock.until('the move', () => moves.some(({ unit, from }) => unit === 'one.service' && from === 'w1'), 3_000);
  });
});

describe('a unit that may run once only', () => {
  const once = { ...one, isolation: 'stop' } as const;

  it('is given to no host before one whose order was spoilt has said that it obeys the new one', async () => {
    await begin(specOf(once), 'w1', 'w2');
    const [holder] = holders('one.service', 'w1', 'w2');
    if (holder === undefined) throw new Error('nobody has it');
    const other = holder === 'w1' ? 'w2' : 'w1';
    const obeyed = desired(holder);
    if (!obeyed) throw new Error('no order');
    // it is down for a moment, and nobody can read that its host was told to run it
    await observe(holder, []);
    await put(`/desired/${holder}`, 'nonsense');
    const { epoch } = terms.at(-1) ?? { epoch: 0 };
    terms.at(-1)?.resign('a test');
    await clock.until('a new term', () => (terms.at(-1)?.epoch ?? 0) > epoch);
    await put(`/hosts/${holder}`, encodeHostIntent({ host: holder, state: 'draining', since: '', why: '' }));
    await clock.advance(20_000);
    expect(units(other)).toEqual([]);
    await observe(holder, []);
    await clock.until('it to be placed', () => units(other).includes('one.service'));
  });
});

describe('a desired state that somebody put back', () => {
  it('is taken for nothing: its host obeys a newer one, and is written anew what it shall run', async () => {
    await begin(specOf(one), 'w1', 'w2');
    const [holder] = holders('one.service', 'w1', 'w2');
    if (holder === undefined) throw new Error('nobody has it');
    const other = holder === 'w1' ? 'w2' : 'w1';
    const old = desired(holder);
    if (!old) throw new Error('no order');
    await put(`/hosts/${holder}`, encodeHostIntent({ host: holder, state: 'draining', since: '', why: '' }));
    await clock.until('the order to stop it', () => desired(holder)?.units[0]?.withdrawn === true);
    await observe(holder, []);
    await clock.until('the move', () => units(other).includes('one.service'));
    await obey('w1', 'w2');
    await done(operator.remove(`/hosts/${holder}`));
    await clock.advance(20_000);
    const obeyed = desired(holder);
    const { epoch } = terms.at(-1) ?? { epoch: 0 };
    await put(`/desired/${holder}`, encodeDesired(old));
    terms.at(-1)?.resign('a test');
    await clock.until('a new term', () => (terms.at(-1)?.epoch ?? 0) > epoch);
    await observe(holder, [], { epoch: obeyed?.epoch ?? 0, generation: obeyed?.generation ?? 0 });
    await clock.until('a new order', () => (desired(holder)?.epoch ?? 0) > epoch);
    expect(units(holder)).toEqual([]);
    expect(units(other)).toEqual(['one.service']);
    expect(log.at('error').join()).toContain(`the desired state of ${holder} is older than what it obeys`);
  });

  it('takes nothing from the host that runs it while its own host has not said yet what it obeys', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    await obey('w1', 'w2');
    const [holder] = holders('one.service', 'w1', 'w2');
    const other = holder === 'w1' ? 'w2' : 'w1';
    const order = holder === undefined ? undefined : desired(holder);
    const told = desired(other);
    if (!order || !told) throw new Error('nobody has it');
    await done(operator.remove(`/observed/${other}`));
    // with this unit alone it is the less loaded host
    const alone = order.units.filter(({ unit }) => unit === 'one.service');
    await put(`/desired/${other}`, encodeDesired({ ...told, units: alone }));
    const { epoch } = terms.at(-1) ?? { epoch: 0 };
    terms.at(-1)?.resign('a test');
    await clock.until('the order to leave it', () => (desired(other)?.epoch ?? 0) > epoch);
    expect(units(other)).toEqual(['everywhere.service']);
    expect(desired(order.host)?.units.map(({ unit, withdrawn }) => [unit, withdrawn])).toEqual([
      ['everywhere.service', undefined],
      ['one.service', undefined],
    ]);
  });
});

describe('an order that somebody put back before its host saw the newer one', () => {
  it('is written anew: the host obeys the old one, and refuses nothing', async () => {
    await begin(specOf(one), 'w1', 'w2');
    const [before, versions] = [desired('w2'), ['w1', 'w2'].map(versionOf)];
    if (!before) throw new Error('no order');
    await writeSpec(specOf(one, everywhere));
    await clock.until('the new order', () => units('w2').includes('everywhere.service'));
    await obey('w1');
    await put('/desired/w2', encodeDesired(before));
    await observe(
      'w2',
      before.units.map(({ unit }) => seen(unit, 'active')),
      { epoch: before.epoch, generation: before.generation },
    );
    await clock.until('it to be written anew', () => units('w2').includes('everywhere.service'), 20_000);
    expect(desired('w2')?.generation).toBeGreaterThan(before.generation + 1);
    expect(['w1', 'w2'].map(versionOf)).toEqual([(versions[0] ?? 0) + 1, (versions[1] ?? 0) + 3]);
    expect(terms).toHaveLength(1);
    expect(log.at('error').join()).toContain('the desired state of w2 is not what was written');
  });

  it('is told from one whose host is slow: that is not written again', async () => {
    await begin(specOf(one), 'w1', 'w2');
    await writeSpec(specOf(one, everywhere));
    await clock.until('the new order', () => units('w2').includes('everywhere.service'));
    const version = versionOf('w2');
    await clock.advance(30_000);
    expect(versionOf('w2')).toBe(version);
    await obey('w1', 'w2');
    await clock.until('the rest', () => leader?.assignments?.settled === true);
    expect(log.at('error')).toEqual([]);
  });
});

describe('what a leader cannot read', () => {
  it('is reported and changes nothing: a member', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const before = ['w1', 'w2'].map(versionOf);
    await put('/members/w1', 'nonsense');
    await clock.until('the report', () => leader?.assignments?.problems.length === 1);
    expect(leader?.assignments?.problems[0]).toContain('/members/w1');
    await clock.advance(30_000);
    expect(['w1', 'w2'].map(versionOf)).toEqual(before);
  });

  it('is reported and changes nothing: a host’s report', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const before = ['w1', 'w2'].map(versionOf);
    await put('/observed/w1', '{"version":1,"host":"w1","units":"none"}');
    await clock.until('the report', () => leader?.assignments?.problems.length === 1);
    await clock.advance(30_000);
    expect(['w1', 'w2'].map(versionOf)).toEqual(before);
    await obey('w1');
    await clock.until('the end of the report', () => leader?.assignments?.problems.length === 0);
  });

  it('is reported and changes nothing: an operator’s intent', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const before = ['w1', 'w2'].map(versionOf);
    await put('/hosts/w1', '{"version":1,"host":"w1","state":"exploded"}');
    await clock.until('the report', () => leader?.assignments?.problems.length === 1);
    await clock.advance(30_000);
    expect(['w1', 'w2'].map(versionOf)).toEqual(before);
  });

  it('is reported and changes nothing: the spec', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const before = ['w1', 'w2'].map(versionOf);
    await put('/spec', '{"version":2}');
    await clock.until('the report', () => log.at('error').some((line) => line.includes('/spec')));
    await observe('w1', [seen('everywhere.service', 'active'), failed('one.service')]);
    await clock.until('the last readable one to stay in force', () => units('w2').includes('one.service'));
    expect(versionOf('w1')).toBe((before[0] ?? 0) + 1);
  });

  it('is reported and written anew: a desired state', async () => {
    await writeSpec(specOf(everywhere));
    await join('w1');
    await observe('w1', []);
    await put('/desired/w1', 'nonsense');
    await done(election.join(undefined));
    await clock.until('it to be written', () => units('w1').length === 1);
    expect(log.at('error').join()).toContain('/desired/w1');
  });

  it('places nothing that only a damaged report stands against when it begins to lead', async () => {
    await begin(specOf(everywhere, one), 'w1', 'w2');
    const before = ['w1', 'w2'].map(versionOf);
    for (const path of ['/members/w1', '/observed/w1']) await put(path, 'nonsense');
    terms[0]?.resign('to try it');
    await clock.until('the next term', () => terms.length === 2 && leader?.assignments !== undefined);
    await clock.advance(30_000);
    expect(['w1', 'w2'].map(versionOf)).toEqual(before);
  });

  it('makes nobody a host: a member entry that was never readable', async () => {
    await begin(specOf(everywhere, three), 'w1', 'w2');
    await put('/members/w3', 'nonsense');
    await clock.advance(30_000);
    expect(desired('w3')).toBeUndefined();
    expect(leader?.assignments?.problems[0]).toContain('/members/w3');
    expect(Object.keys(leader?.assignments?.hosts ?? {})).toEqual(['w1', 'w2']);
  });

  it('removes the desired state of a host that is gone, however damaged', async () => {
    await begin(specOf(everywhere), 'w1', 'w2');
    await put('/desired/w7', encodeDesired({ host: 'w7', epoch: 1, generation: 1, spec: '', units: [] }));
    await put('/desired/w8', 'nonsense');
    terms[0]?.resign('to try it');
    await clock.until('both to be gone', () =>
      ['w7', 'w8'].every((host) => ensemble.tree.get(`/desired/${host}`) === undefined),
    );
  });
});
