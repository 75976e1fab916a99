import { beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/shared/digest.ts';
import { decodeSpecRecord } from '../../src/shared/payloads.ts';
import type { Spec, SpecRecord } from '../../src/shared/spec.ts';
import { describeOutcome, type Proposal, type ProposalOutcome, proposeSpec } from '../../src/shared/spec-store.ts';
import { MAX_DATA_BYTES } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { specOf } from '../fakes/daemon.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const named = (name: string): Spec => specOf({ name, type: 'global', enabled: true, isolation: 'keep' });

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let latencyMs: number;

beforeEach(async () => {
  clock = new FakeClock();
  latencyMs = 1;
  ensemble = new FakeEnsemble({ clock, latencyMs: () => latencyMs });
  store = await session();
});

async function session(): Promise<FakeStore> {
  const made = ensemble.connect();
  await clock.until('a session', () => made.state.kind === 'connected');
  return made;
}

function proposal(spec: Spec, intent: Proposal['intent'], proposedBy = 'w1'): Proposal {
  return { spec, digest: digestOf(spec), proposedBy, at: clock.date().toISOString(), intent };
}

const propose = (spec: Spec, intent: Proposal['intent']): Promise<ProposalOutcome> =>
  clock.finish('the outcome', proposeSpec(store, proposal(spec, intent)));

function record(): SpecRecord | undefined {
  const node = ensemble.tree.get('/spec');
  const decoded = node && decodeSpecRecord(node.data, '/spec');
  return decoded?.ok ? decoded.value : undefined;
}

describe('a proposal', () => {
  it('creates the first spec, at a version that can be checked', async () => {
    expect(await propose(named('a'), 'start')).toEqual({ kind: 'created' });
    expect(record()).toMatchObject({ digest: digestOf(named('a')), proposedBy: 'w1', earlier: [] });
    expect(ensemble.tree.get('/spec')?.version).toBeGreaterThanOrEqual(1);
  });

  it('of the very spec changes nothing', async () => {
    await propose(named('a'), 'start');
    const before = ensemble.tree.get('/spec')?.version;
    expect(await propose(named('a'), 'start')).toEqual({ kind: 'same' });
    expect(await propose(named('a'), 'replace')).toEqual({ kind: 'same' });
    expect(ensemble.tree.get('/spec')?.version).toBe(before);
  });

  it('that objects to itself replaces nothing, and says why', async () => {
    await propose(named('a'), 'start');
    const objecting = { ...proposal(named('b'), 'replace'), object: async () => 'it would stop everything' };
    const outcome = await clock.finish('the outcome', proposeSpec(store, objecting));
    expect(outcome).toEqual({ kind: 'refused', why: 'it would stop everything' });
    expect(record()?.digest).toBe(digestOf(named('a')));
  });

  it('that was refused once is not proposed by a daemon that starts later, but by an operator', async () => {
    await propose(named('a'), 'start');
    const refused = async (intent: Proposal['intent']) => {
      const objecting = { ...proposal(named('b'), intent), object: async () => 'it would stop everything' };
      return await clock.finish('the outcome', proposeSpec(store, objecting));
    };
    expect(await refused('start')).toMatchObject({ kind: 'refused' });
    expect(record()).toMatchObject({ digest: digestOf(named('a')), earlier: [digestOf(named('b'))] });
    const before = ensemble.tree.get('/spec')?.version;
    expect(await refused('replace')).toMatchObject({ kind: 'refused' });
    expect(ensemble.tree.get('/spec')?.version, 'it is remembered once').toBe(before);
    expect(await propose(named('b'), 'start')).toEqual({ kind: 'stale', current: digestOf(named('a')) });
    expect(await propose(named('b'), 'replace')).toEqual({ kind: 'replaced' });
  });

  it('of a file never seen before replaces the spec', async () => {
    await propose(named('a'), 'start');
    expect(await propose(named('b'), 'start')).toEqual({ kind: 'replaced' });
    expect(record()).toMatchObject({ digest: digestOf(named('b')), earlier: [digestOf(named('a'))] });
  });

  it('of a file that was replaced before is stale when a daemon starts, and accepted when an operator asks', async () => {
    await propose(named('a'), 'start');
    await propose(named('b'), 'start');
    expect(await propose(named('a'), 'start')).toEqual({ kind: 'stale', current: digestOf(named('b')) });
    expect(record()?.digest).toBe(digestOf(named('b')));
    expect(await propose(named('a'), 'replace')).toEqual({ kind: 'replaced' });
    expect(record()).toMatchObject({ digest: digestOf(named('a')), earlier: [digestOf(named('b'))] });
  });

  it('remembers the last 100 specs that were replaced', async () => {
    for (let index = 0; index <= 101; index++) await propose(named(`s${index}`), 'start');
    expect(record()?.earlier).toHaveLength(100);
    expect(record()?.earlier[0]).toBe(digestOf(named('s100')));
    expect(await propose(named('s1'), 'start')).toMatchObject({ kind: 'stale' });
  });

  it('replaces a spec that cannot be read only when an operator asks', async () => {
    await clock.finish('the damage', store.create('/spec', Buffer.from('nonsense'), 'persistent'));
    expect(await propose(named('a'), 'start')).toMatchObject({ kind: 'unreadable' });
    expect(record()).toBeUndefined();
    expect(await propose(named('a'), 'replace')).toEqual({ kind: 'replaced' });
    expect(record()?.digest).toBe(digestOf(named('a')));
  });

  it('that ZooKeeper would not take is refused before it is sent', async () => {
    const large = specOf({
      name: 'a',
      type: 'global',
      enabled: true,
      isolation: 'keep',
      prestart: 'x'.repeat(1_000_000),
    });
    expect(await propose(large, 'start')).toMatchObject({ kind: 'too-large' });
    expect(ensemble.tree.get('/spec')).toBeUndefined();
    await propose(named('a'), 'start');
    expect(await propose(large, 'replace')).toMatchObject({ kind: 'too-large' });
    expect(record()?.digest).toBe(digestOf(named('a')));
  });

  it('may be nearly as large as ZooKeeper takes', async () => {
    const sized = (length: number) =>
      specOf({ name: 'a', type: 'global', enabled: true, isolation: 'keep', prestart: 'x'.repeat(length) });
    const other = await propose(sized(1_000_000), 'start');
    const overhead = other.kind === 'too-large' ? other.bytes - 1_000_000 : 0;
    const largest = sized(MAX_DATA_BYTES - overhead);
    expect(await propose(sized(MAX_DATA_BYTES - overhead + 1), 'start')).toMatchObject({ kind: 'too-large' });
    expect(await propose(largest, 'start')).toEqual({ kind: 'created' });
    expect(ensemble.tree.get('/spec')?.data).toHaveLength(MAX_DATA_BYTES);
  });

  it.each([0, 1, 2, 3, 4, 5])('of two daemons %i ms apart is decided upon one after the other', async (apart) => {
    const other = await session();
    const first = proposeSpec(store, proposal(named('a'), 'start', 'w1'));
    await clock.advance(apart);
    const second = proposeSpec(other, proposal(named('b'), 'start', 'w2'));
    const outcomes = await clock.finish('both outcomes', Promise.all([first, second]));
    const kinds = outcomes.map(({ kind }) => kind);
    // whoever replaced is the last one: the other one's spec is known as an earlier one
    const [winner, loser] = kinds[0] === 'replaced' ? ['a', 'b'] : ['b', 'a'];
    expect(kinds.sort()).toEqual(['created', 'replaced']);
    expect(record()).toMatchObject({ digest: digestOf(named(winner)), earlier: [digestOf(named(loser))] });
  });

  it('of a daemon on a slow line does not undo the one that came after it', async () => {
    const other = await session();
    const first = proposeSpec(store, proposal(named('a'), 'start', 'w1'));
    await clock.until('the first spec', () => ensemble.tree.get('/spec') !== undefined);
    latencyMs = 50;
    await clock.advance(1);
    latencyMs = 1;
    const second = proposeSpec(other, proposal(named('b'), 'start', 'w2'));
    const outcomes = await clock.finish('both outcomes', Promise.all([first, second]));
    expect(outcomes).toEqual([{ kind: 'created' }, { kind: 'replaced' }]);
    expect(record()).toMatchObject({ digest: digestOf(named('b')), earlier: [digestOf(named('a'))] });
  });

  it('of two operators at the same moment loses neither', async () => {
    await propose(named('first'), 'start');
    const other = await session();
    const outcomes = await clock.finish(
      'both outcomes',
      Promise.all([
        proposeSpec(store, proposal(named('a'), 'replace')),
        proposeSpec(other, proposal(named('b'), 'replace')),
      ]),
    );
    expect(outcomes).toEqual([{ kind: 'replaced' }, { kind: 'replaced' }]);
    expect([record()?.digest, ...(record()?.earlier ?? [])].sort()).toEqual(
      ['first', 'a', 'b'].map((name) => digestOf(named(name))).sort(),
    );
  });

  it('rejects when ZooKeeper does not answer', async () => {
    ensemble.stop();
    await expect(propose(named('a'), 'start')).rejects.toMatchObject({ name: 'StoreError' });
  });
});

describe('the words for an outcome', () => {
  it.each([
    [{ kind: 'created' }, 'info', 'first configuration'],
    [{ kind: 'replaced' }, 'info', 'is the cluster’s configuration now'],
    [{ kind: 'same' }, 'info', 'is what the cluster has'],
    [{ kind: 'stale', current: 'sha256:x' }, 'warn', 'sha256:x'],
    [{ kind: 'unreadable', problem: 'it is no JSON' }, 'error', 'it is no JSON'],
    [{ kind: 'too-large', bytes: 12_345_678 }, 'error', '12345678 bytes'],
  ] as const)('of %j are at level %s and say %s', (outcome, level, words) => {
    const said = describeOutcome(outcome, '/etc/x.yml');
    expect(said.level).toBe(level);
    expect(said.text).toContain(words.replace('’', "'"));
    expect(said.text).toContain('/etc/x.yml'.slice(0, outcome.kind === 'unreadable' ? 0 : undefined));
  });
});
