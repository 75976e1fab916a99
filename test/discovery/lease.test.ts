/** Startup leases on a pretended ensemble: who gets one, when, and how it ends. */
import { describe, expect, it } from 'vitest';
import { type AcquireOptions, type Acquisition, acquireLease } from '../../src/discovery/acquire-lease.ts';
import { decodeHolder, holderPath, isLeaseId, releaseLease } from '../../src/discovery/lease.ts';
import { leasePath } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeProcess } from '../fakes/process.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

class Rig {
  readonly clock = new FakeClock({ files: false });
  readonly ensemble = new FakeEnsemble({ clock: this.clock });
  readonly store = this.ensemble.connect();
  /** Labelled outcomes, in the order in which they came. */
  readonly got: string[] = [];

  /** One command in a session of its own, as `acquire-lease` runs it. */
  command(id: string, change: Partial<AcquireOptions> = {}): { store: FakeStore; done: Promise<Acquisition> } {
    const store = this.ensemble.connect();
    const done = acquireLease({
      store,
      clock: this.clock,
      label: 'db',
      id,
      host: `host-of-${id}`,
      acquireTimeoutMs: 60_000,
      leaseTimeoutMs: 300_000,
      signal: new AbortController().signal,
      ...change,
    }).then(async (acquisition) => {
      this.got.push(`${id} ${acquisition.kind}`);
      await store.close();
      return acquisition;
    });
    return { store, done };
  }

  acquire(id: string, change: Partial<AcquireOptions> = {}): Promise<Acquisition> {
    return this.clock.finish(`the answer to ${id}`, this.command(id, change).done, 400_000);
  }

  release(id: string, label = 'db') {
    return this.clock.finish('the release', releaseLease(this.store, label, id));
  }

  async holder(label = 'db'): Promise<string | undefined> {
    const node = await this.clock.finish('the holder', this.store.get(holderPath(label)));
    const decoded = node && decodeHolder(node.data, node.path);
    return decoded?.ok ? decoded.value.id : undefined;
  }

  /** Names of those in the queue. */
  async queue(): Promise<string[]> {
    const names = await this.clock.finish('the queue', this.store.children(leasePath('db')));
    return (names ?? []).filter((name) => name !== 'holder');
  }
}

describe('a startup lease', () => {
  it('is had at once while nobody holds it, and held on when the session has ended', async () => {
    const rig = new Rig();
    expect(await rig.acquire('a')).toEqual({ kind: 'acquired', how: 'free' });
    await rig.clock.advance(60_000);
    expect(await rig.holder()).toBe('a');
    expect(await rig.queue()).toEqual([]);
  });

  it('has one holder: the next waits, and is told who it was and since when', async () => {
    const rig = new Rig();
    await rig.acquire('a', { address: '198.18.0.1' });
    const began = rig.clock.now();
    const answer = await rig.acquire('b', { acquireTimeoutMs: 5_000 });
    expect(rig.clock.now() - began).toBeGreaterThanOrEqual(5_000);
    expect(rig.clock.now() - began).toBeLessThan(5_100);
    expect(answer).toMatchObject({
      kind: 'timeout',
      holder: { id: 'a', host: 'host-of-a', address: '198.18.0.1', timeoutMs: 300_000 },
      before: 0,
    });
    expect(await rig.queue()).toEqual([]);
  });

  it('is not that of another label', async () => {
    const rig = new Rig();
    await rig.acquire('a');
    expect(await rig.acquire('b', { label: 'web' })).toMatchObject({ kind: 'acquired' });
    expect(await rig.release('a', 'web')).toMatchObject({ kind: 'held', by: { id: 'b' } });
    expect(await rig.holder()).toBe('a');
  });

  it('is had again at once by the id that holds it, though others wait, and lasts no longer for that', async () => {
    const rig = new Rig();
    await rig.acquire('a', { leaseTimeoutMs: 30_000 });
    const other = rig.command('b');
    await rig.clock.advance(20_000);
    expect(await rig.acquire('a', { acquireTimeoutMs: 100, leaseTimeoutMs: 30_000 })).toEqual({
      kind: 'acquired',
      how: 'own',
    });
    expect(await rig.queue()).toHaveLength(1);
    await rig.clock.advance(9_000);
    expect(await rig.holder()).toBe('a');
    await rig.clock.advance(1_500);
    expect(await other.done).toEqual({ kind: 'acquired', how: 'ran-out' });
    expect(await rig.holder()).toBe('b');
  });

  it('goes to who came first, one after the other', async () => {
    const rig = new Rig();
    await rig.acquire('a');
    const ids = ['c', 'b', 'e', 'd'];
    for (const id of ids) {
      rig.command(id, { acquireTimeoutMs: 400_000 });
      await rig.clock.advance(100);
    }
    for (const id of ['a', ...ids]) {
      expect(await rig.holder()).toBe(id);
      expect(await rig.release(id)).toEqual({ kind: 'released' });
      await rig.clock.advance(100);
    }
    expect(rig.got).toEqual(['a', ...ids].map((id) => `${id} acquired`));
    expect(await rig.holder()).toBeUndefined();
  });

  it('wakes one waiter when it becomes free, however many there are', async () => {
    const rig = new Rig();
    await rig.acquire('a');
    const ids = Array.from({ length: 30 }, (_, index) => `w${index}`);
    for (const id of ids) rig.command(id, { acquireTimeoutMs: 400_000 });
    await rig.clock.advance(1_000);
    let reads = 0;
    const { tree } = rig.ensemble;
    const get = tree.get.bind(tree);
    tree.get = (path) => {
      reads += 1;
      return get(path);
    };
    await rig.release('a');
    await rig.clock.advance(1_000);
    expect(rig.got).toEqual(['a acquired', 'w0 acquired']);
    // the release, the one that takes it, and the one that is the first then: some ten each, and not thirty times as many
    expect(reads).toBeLessThan(60);
  });

  it('is not kept from those behind by one that stops waiting', async () => {
    const rig = new Rig();
    await rig.acquire('a');
    const abort = new AbortController();
    rig.command('b', { signal: abort.signal });
    await rig.clock.advance(100);
    const dead = rig.command('c');
    await rig.clock.advance(100);
    rig.command('d');
    await rig.clock.advance(100);
    abort.abort();
    dead.store.kill();
    await rig.release('a');
    await rig.clock.until('the one behind them to have it', () => rig.got.includes('d acquired'), 6_000);
    expect(rig.got).toEqual(['a acquired', 'b timeout', 'd acquired']);
  });

  it('is released by its holder only, and not again', async () => {
    const rig = new Rig();
    expect(await rig.release('a')).toEqual({ kind: 'free' });
    await rig.acquire('a');
    expect(await rig.release('b')).toMatchObject({ kind: 'held', by: { id: 'a', host: 'host-of-a' } });
    expect(await rig.holder()).toBe('a');
    expect(await rig.release('a')).toEqual({ kind: 'released' });
    expect(await rig.release('a')).toEqual({ kind: 'free' });
  });

  it('is not ended by one whose time runs out while it releases it, when the next one has it already', async () => {
    const rig = new Rig();
    await rig.acquire('a', { leaseTimeoutMs: 10_000 });
    rig.command('b');
    await rig.clock.advance(1_000);
    const transaction = rig.store.transaction.bind(rig.store);
    rig.store.transaction = async (operations) => {
      rig.store.transaction = transaction;
      await new Promise<void>((resolve) => void rig.clock.after(15_000, resolve));
      return transaction(operations);
    };
    expect(await rig.release('a')).toMatchObject({ kind: 'held', by: { id: 'b' } });
    expect(await rig.holder()).toBe('b');
  });

  it('ends when it has lasted too long, not earlier, whatever the clocks of hosts show', async () => {
    const rig = new Rig();
    await rig.acquire('a', { leaseTimeoutMs: 20_000 });
    await rig.clock.advance(15_000);
    // one that came late counts the time before it came
    rig.clock.stepWall(-3_600_000);
    rig.command('b');
    await rig.clock.advance(4_950);
    expect(rig.got).toEqual(['a acquired']);
    expect(await rig.holder()).toBe('a');
    await rig.clock.advance(100);
    expect(rig.got).toEqual(['a acquired', 'b acquired']);
  });

  it('that has run out is had by whoever comes next, its old holder included, and then lasts anew', async () => {
    const rig = new Rig();
    await rig.acquire('a', { leaseTimeoutMs: 1_000 });
    await rig.clock.advance(10_000);
    expect(await rig.acquire('a', { leaseTimeoutMs: 20_000 })).toEqual({ kind: 'acquired', how: 'ran-out' });
    expect(await rig.acquire('b', { acquireTimeoutMs: 15_000 })).toMatchObject({ kind: 'timeout' });
  });

  it('whose holder cannot be read ends all the same, after the usual time', async () => {
    const rig = new Rig();
    await rig.clock.finish('the parent', rig.store.ensure(leasePath('db')));
    const junk = Buffer.from('junk');
    await rig.clock.finish('the junk', rig.store.create(holderPath('db'), junk, 'persistent'));
    expect(await rig.release('a')).toEqual({ kind: 'held', by: undefined });
    expect(await rig.acquire('a', { acquireTimeoutMs: 290_000 })).toMatchObject({ kind: 'timeout', holder: undefined });
    expect(await rig.acquire('a')).toEqual({ kind: 'acquired', how: 'ran-out' });
  });

  it('is still waited for when somebody removed the waiter from the queue', async () => {
    const rig = new Rig();
    await rig.acquire('a');
    rig.command('b');
    await rig.clock.advance(1_000);
    for (const name of await rig.queue())
      await rig.clock.finish('the removal', rig.store.remove(`${leasePath('db')}/${name}`));
    await rig.clock.advance(15_000);
    expect(await rig.queue()).toHaveLength(1);
    await rig.release('a');
    await rig.clock.until('b to have it', () => rig.got.includes('b acquired'), 1_000);
  });

  it('is had although the answer to the transaction that took it was lost', async () => {
    const rig = new Rig();
    for (let lost = 0; lost < 8; lost++) {
      const store = rig.ensemble.connect({ process: new FakeProcess(rig.clock) });
      await rig.clock.until('the session', () => store.state.kind === 'connected');
      let requests = 0;
      const count = <T>(work: () => Promise<T>): Promise<T> => {
        if (requests === lost) store.loseNextAnswer();
        requests += 1;
        return work();
      };
      const { get, create, children, transaction } = {
        get: store.get.bind(store),
        create: store.create.bind(store),
        children: store.children.bind(store),
        transaction: store.transaction.bind(store),
      };
      store.get = (path) => count(() => get(path));
      store.create = (path, data, mode) => count(() => create(path, data, mode));
      store.children = (path) => count(() => children(path));
      store.transaction = (operations) => count(() => transaction(operations));
      const acquisition = await rig.clock.finish(
        'the lease',
        acquireLease({
          store,
          clock: rig.clock,
          label: 'db',
          id: `a${lost}`,
          host: 'w1',
          acquireTimeoutMs: 30_000,
          leaseTimeoutMs: 300_000,
          signal: new AbortController().signal,
        }),
      );
      expect(acquisition.kind).toBe('acquired');
      expect(await rig.holder()).toBe(`a${lost}`);
      expect(await rig.queue()).toEqual([]);
      await rig.release(`a${lost}`);
      await rig.clock.finish('the end', store.close());
    }
  });

  it('of which nothing is heard any more is said to be so', async () => {
    const rig = new Rig();
    await rig.acquire('a');
    const command = rig.command('b', { acquireTimeoutMs: 10_000 });
    await rig.clock.advance(1_000);
    command.store.cut('silent');
    expect(await rig.clock.finish('the answer', command.done)).toEqual({ kind: 'unreachable' });
  });
});

describe('an id', () => {
  it.each(['a', 'Service-0x3241dc3', 'es-3 of w1', 'x'.repeat(200)])('may be %j', (id) => {
    expect(isLeaseId(id)).toBe(true);
  });
  it.each(['', ' a', 'a ', 'a\nb', 'é', 'x'.repeat(201), '\u001b[2J'])('may not be %j', (id) => {
    expect(isLeaseId(id)).toBe(false);
  });
});
