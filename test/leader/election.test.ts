/** Elections among daemons of one pretended ensemble. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Election, type Leadership } from '../../src/leader/election.ts';
import { decodeEpoch } from '../../src/shared/payloads.ts';
import { StoreError, type Watch, type Znode } from '../../src/shared/store.ts';
import { PARENTS } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

interface Candidate {
  readonly name: string;
  readonly store: FakeStore;
  readonly election: Election;
  readonly log: MemoryLog;
  readonly terms: Leadership[];
  /** Paths of watches that are open, and how often the listener of each was called because its znode was gone. */
  readonly woken: string[];
}

let clock: FakeClock;
let ensemble: FakeEnsemble;
const candidates: Candidate[] = [];

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  const store = await session();
  await clock.finish('the parents', Promise.all(PARENTS.map((parent) => store.ensure(parent))));
});

afterEach(() => {
  candidates.length = 0;
});

async function session(): Promise<FakeStore> {
  const store = ensemble.connect({ sessionTimeoutMs: 4_000 });
  await clock.until('a session', () => store.state.kind === 'connected');
  return store;
}

async function enter(name: string, earlier?: string): Promise<Candidate> {
  const store = await session();
  const terms: Leadership[] = [];
  const woken: string[] = [];
  const log = new MemoryLog();
  const watch = store.watch.bind(store);
  store.watch = (path: string, listener: (node: Znode | undefined) => void): Watch =>
    watch(path, (node) => {
      if (!node) woken.push(path);
      listener(node);
    });
  const election = new Election({
    store,
    host: name,
    machineId: name,
    clock,
    log,
    onLeading: (term) => void terms.push(term),
  });
  const candidate = { name, store, election, log, terms, woken };
  candidates.push(candidate);
  await clock.finish('the election', election.join(earlier));
  await clock.advance(50);
  return candidate;
}

const leading = () => candidates.filter(({ election }) => election.leading).map(({ name }) => name);
const epochOf = ({ terms }: Candidate) => terms.at(-1)?.epoch ?? 0;

function written(): number {
  const node = ensemble.tree.get('/epoch');
  const decoded = node && decodeEpoch(node.data, '/epoch');
  return decoded?.ok ? decoded.value.epoch : 0;
}

/** What comes of a leader's write. */
async function write(term: Leadership, store: FakeStore, path: string): Promise<string> {
  const operations = [term.fence, { op: 'create', path, data: Buffer.alloc(0), mode: 'persistent' }] as const;
  const outcome = store.transaction(operations).then(
    () => 'written',
    (error: unknown) => (error instanceof StoreError ? error.code : String(error)),
  );
  return clock.finish('the write', outcome);
}

describe('the election', () => {
  it('has the first to enter lead, with an epoch of at least 1 and a fence on a version that is never 0', async () => {
    const first = await enter('w1');
    await enter('w2');
    await enter('w3');
    expect(leading()).toEqual(['w1']);
    expect(epochOf(first)).toBeGreaterThanOrEqual(1);
    expect(written()).toBe(epochOf(first));
    const fence = first.terms[0]?.fence;
    expect(fence?.op === 'check' && fence.version).toBeGreaterThanOrEqual(1);
  });

  it('wakes exactly one daemon when the leader dies', async () => {
    const first = await enter('w1');
    const others = [await enter('w2'), await enter('w3'), await enter('w4')];
    first.store.kill();
    await clock.until('the next leader', () => leading().includes('w2'));
    await clock.advance(5_000);
    expect(others.map(({ woken }) => woken.length)).toEqual([1, 0, 0]);
  });

  it('wakes exactly one daemon, and changes no leader, when one in the middle dies', async () => {
    const first = await enter('w1');
    const middle = await enter('w2');
    const last = await enter('w3');
    middle.store.kill();
    await clock.until('it to be noticed', () => last.woken.length === 1);
    await clock.advance(10_000);
    expect(first.woken).toEqual([]);
    expect(first.terms).toHaveLength(1);
    expect(leading()).toContain('w1');
    expect(last.election.leading).toBe(false);
  });

  it('gives each leadership a higher epoch than all before', async () => {
    const epochs: number[] = [];
    for (const name of ['w1', 'w2', 'w3', 'w4']) await enter(name);
    for (const candidate of candidates) {
      await clock.until(`${candidate.name} to lead`, () => candidate.election.leading);
      epochs.push(epochOf(candidate));
      await clock.finish('its leaving', candidate.election.leave());
    }
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    expect(epochs).toHaveLength(4);
  });

  it('has the next lead at once when the leader leaves', async () => {
    const first = await enter('w1');
    await enter('w2');
    const leftAt = clock.now();
    const left = first.election.leave();
    expect(first.terms[0]?.signal.aborted).toBe(true);
    await clock.until('the next leader', () => leading().includes('w2'));
    expect(clock.now() - leftAt).toBeLessThan(100);
    await clock.finish('the leaving', left);
  });

  it('fails the write of a deposed leader, and changes nothing by it', async () => {
    const first = await enter('w1');
    const second = await enter('w2');
    const [term] = first.terms;
    if (!term) throw new Error('w1 never led');
    expect(await write(term, first.store, '/desired/w8')).toBe('written');
    first.store.cut('silent');
    await clock.until('the next leader', () => second.election.leading);
    first.store.heal();
    await clock.until('the deposed one to be connected again', () => first.store.state.kind === 'connected');
    expect(await write(term, first.store, '/desired/w9')).toBe('bad-version');
    expect(ensemble.tree.get('/desired/w9')).toBeUndefined();
  });

  it('ends a term at the first doubt, long before the session is lost', async () => {
    const first = await enter('w1');
    await enter('w2');
    first.store.cut('silent');
    await clock.until('the end of the term', () => first.terms[0]?.signal.aborted === true, 3_000);
    expect(first.election.leading).toBe(false);
    expect(leading()).toEqual([]);
  });

  it('has the same daemon lead again, with a higher epoch, when its session outlives a broken connection', async () => {
    const first = await enter('w1');
    await enter('w2');
    first.store.cut('reset');
    await clock.advance(500);
    expect(leading()).toEqual([]);
    first.store.heal();
    await clock.until('it to lead again', () => first.terms.length === 2);
    expect(leading()).toEqual(['w1']);
    expect(first.terms[1]?.epoch).toBeGreaterThan(first.terms[0]?.epoch ?? 0);
  });

  it('leaves a daemon whose session expired out until it enters again, behind the others', async () => {
    const first = await enter('w1');
    const second = await enter('w2');
    if (first.store.state.kind !== 'connected') throw new Error('no session');
    ensemble.expire(first.store.state.session);
    await clock.until('the next leader', () => second.election.leading);
    await clock.until('a new session', () => first.store.state.kind === 'connected');
    await clock.advance(1_000);
    expect(first.election.leading).toBe(false);
    await clock.finish('the election', first.election.join(undefined));
    await clock.advance(1_000);
    expect(leading()).toEqual(['w2']);
    await clock.finish('the leaving', second.election.leave());
    await clock.until('it to lead', () => first.election.leading);
    expect(epochOf(first)).toBeGreaterThan(epochOf(second));
  });

  it('removes the election znode of its host’s earlier session, so that nobody waits for it', async () => {
    const earlier = await enter('w1');
    const path = await clock.finish('its path', earlier.election.join(undefined));
    const second = await enter('w2');
    earlier.store.kill();
    await enter('w1', path);
    await clock.until('the next leader', () => second.election.leading, 500);
  });

  it('removes nothing outside of the election, whatever it is told is its earlier znode', async () => {
    const store = await session();
    await clock.finish('a znode', store.create('/hosts/w9', Buffer.alloc(0), 'persistent'));
    await enter('w1', '/hosts/w9');
    expect(ensemble.tree.get('/hosts/w9')).toBeDefined();
  });

  it('enters again when someone removes its znode', async () => {
    const first = await enter('w1');
    const second = await enter('w2');
    const path = await clock.finish('its path', second.election.join(undefined));
    await clock.finish('the removal', first.store.remove(path));
    // it watches its predecessor only: the loss is seen as soon as that one changes
    await clock.finish('the leaving', first.election.leave());
    await clock.until('it to lead', () => second.election.leading);
    expect(second.log.at('warn').join()).toContain('was removed by someone');
  });

  it('goes on after a term was resigned, with a higher epoch', async () => {
    const first = await enter('w1');
    first.terms[0]?.resign('a write was refused');
    expect(first.election.leading).toBe(false);
    await clock.until('the next term', () => first.terms.length === 2);
    expect(first.terms[1]?.epoch).toBeGreaterThan(first.terms[0]?.epoch ?? 0);
  });

  it('pauses between two terms that are resigned at once', async () => {
    const store = await session();
    let terms = 0;
    const election = new Election({
      store,
      host: 'w1',
      machineId: 'w1',
      clock,
      log: new MemoryLog(),
      onLeading: (term) => {
        terms += 1;
        term.resign('nothing can be written');
      },
    });
    await clock.finish('the election', election.join(undefined));
    await clock.advance(10_000);
    expect(terms).toBeGreaterThan(1);
    expect(terms).toBeLessThan(100);
    await clock.finish('the leaving', election.leave());
  });

  it('takes an epoch above the one that an executor has obeyed', async () => {
    const first = await enter('w1');
    first.election.raiseEpochAbove(41);
    first.terms[0]?.resign('an executor has obeyed epoch 41');
    await clock.until('the next term', () => first.terms.length === 2);
    expect(first.terms[1]?.epoch).toBe(42);
    expect(written()).toBe(42);
  });

  it.each(['nonsense', '{"version":1,"epoch":-3,"leader":"w1"}', ''])(
    'leads over an epoch that reads %j',
    async (text) => {
      const store = await session();
      await clock.finish('the epoch', store.create('/epoch', Buffer.from(text), 'persistent'));
      await clock.finish('the epoch', store.set('/epoch', Buffer.from(text)));
      const first = await enter('w1');
      await clock.until('it to lead', () => first.election.leading);
      expect(epochOf(first)).toBeGreaterThanOrEqual(2);
      expect(first.log.at('error').join()).toContain('/epoch');
    },
  );

  it('leads although the answer to its claim was lost', async () => {
    const store = await session();
    const terms: Leadership[] = [];
    const election = new Election({
      store,
      host: 'w1',
      machineId: 'w1',
      clock,
      log: new MemoryLog(),
      onLeading: (term) => void terms.push(term),
    });
    store.loseNextAnswer();
    const joined = election.join(undefined).then(
      () => 'joined',
      () => 'failed',
    );
    expect(await clock.finish('the first attempt', joined)).toBe('failed');
    await clock.until('the connection', () => store.state.kind === 'connected');
    await clock.finish('the second attempt', election.join(undefined));
    await clock.until('it to lead', () => terms.length === 1);
    expect(ensemble.tree.get('/election')?.children.size).toBe(1);
  });
});
