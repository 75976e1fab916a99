import { beforeEach, describe, expect, it } from 'vitest';
import { type Claim, claimEphemeral } from '../../src/shared/ephemeral.ts';
import { StoreError, type Znode } from '../../src/shared/store.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let mine: FakeStore;
let theirs: FakeStore;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  [mine, theirs] = [ensemble.connect(), ensemble.connect()];
  await clock.until('the sessions', () => [mine, theirs].every(({ state }) => state.kind === 'connected'));
});

const claim = (store: FakeStore, text: string, mayReplace: (node: Znode) => boolean = () => false): Promise<Claim> =>
  clock.finish('the claim', claimEphemeral(store, '/x', Buffer.from(text), mayReplace));
const text = () => ensemble.tree.get('/x')?.data.toString();
const sessionOf = (store: FakeStore) => (store.state.kind === 'connected' ? store.state.session : undefined);

describe('a claim', () => {
  it('makes the znode where there is none, owned by the present session', async () => {
    expect(await claim(mine, 'a')).toEqual({ kind: 'claimed', was: 'absent' });
    expect(text()).toBe('a');
    expect(ensemble.tree.get('/x')?.owner).toBe(sessionOf(mine));
  });

  it('rewrites what the same session owns, without asking', async () => {
    await claim(mine, 'a');
    expect(await claim(mine, 'b')).toEqual({ kind: 'claimed', was: 'own' });
    expect(text()).toBe('b');
  });

  it('is told who holds the znode of another session that may not be replaced', async () => {
    await claim(theirs, 'a');
    const answer = await claim(mine, 'b');
    expect(answer.kind === 'held' && answer.by.owner).toBe(sessionOf(theirs));
    expect(text()).toBe('a');
  });

  it('replaces the znode of another session so that nobody sees it missing', async () => {
    await claim(theirs, 'a');
    const seen: (string | undefined)[] = [];
    theirs.watch('/x', (node) => void seen.push(node?.data.toString()));
    await clock.advance(100);
    expect(await claim(mine, 'b', () => true)).toEqual({ kind: 'claimed', was: 'replaced' });
    await clock.advance(100);
    expect(seen).toEqual(['a', 'b']);
    theirs.kill();
    await clock.advance(10_000);
    expect(text()).toBe('b');
  });

  it('of two sessions at the same moment is won by one at a time, and each knows', async () => {
    const both = Promise.all([
      claimEphemeral(mine, '/x', Buffer.from('mine'), () => false),
      claimEphemeral(theirs, '/x', Buffer.from('theirs'), () => false),
    ]);
    const kinds = (await clock.finish('both claims', both)).map(({ kind }) => kind);
    expect(kinds.sort()).toEqual(['claimed', 'held']);
  });

  it('rejects with what ZooKeeper says when it cannot be made', async () => {
    const hopeless = claimEphemeral(mine, '/no/parent', Buffer.alloc(0), () => true);
    await expect(clock.finish('the claim', hopeless)).rejects.toBeInstanceOf(StoreError);
  });
});
