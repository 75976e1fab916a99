import { describe, expect, it } from 'vitest';
import { pickOnce } from '../../src/discovery/pick-once.ts';
import { registrationPath } from '../../src/discovery/registration.ts';
import { TURN_MS } from '../../src/discovery/turn.ts';
import { clientsPath } from '../../src/shared/znodes.ts';
import { FakeProcess } from '../fakes/process.ts';
import { type Held, LABEL, PickWorld } from './pick-world.ts';

async function world(...servers: readonly string[]): Promise<PickWorld> {
  const w = new PickWorld();
  await w.register(...servers);
  return w;
}

/** A client that has been told of a server. */
async function holding(w: PickWorld, client: string): Promise<Held> {
  const held = w.hold(client);
  await w.clock.until(`${client} to have a server`, () => held.told.length > 0);
  return held;
}

const W1 = 'w1@10.0.0.1:1883';
const W2 = 'w2@10.0.0.2:1883';

describe('a client that holds a server', () => {
  it('is told of it and counts for it', async () => {
    const w = await world('w1');
    expect((await holding(w, 'c1')).told).toEqual([W1]);
    expect(w.entries()).toEqual(['c1=w1']);
    expect(w.turns()).toEqual([]);
  });

  it('gets another one when the server is gone, and the log says so', async () => {
    const w = await world('w1');
    const c1 = await holding(w, 'c1');
    await w.write('w2');
    await w.unregister('w1');
    await w.clock.until('another', () => c1.told.length > 1);
    expect(c1.told).toEqual([W1, W2]);
    expect(w.entries()).toEqual(['c1=w2']);
    expect(c1.log.at('warn')).toEqual(['w1 is not registered as mqtt any more; choosing another server for c1']);
  });

  it('gets another one when the server is not healthy any more', async () => {
    const w = await world('w1');
    const c1 = await holding(w, 'c1');
    await w.write('w2');
    await w.write('w1', { healthy: false });
    await w.clock.until('another', () => c1.told.length > 1);
    expect(c1.told).toEqual([W1, W2]);
    expect(c1.log.at('warn')).toEqual(['w1 is not healthy any more; choosing another server for c1']);
  });

  it('stays where it is when another server has fewer clients', async () => {
    const w = await world('w1');
    const held = [await holding(w, 'c1'), await holding(w, 'c2')];
    await w.write('w2');
    await w.clock.advance(30_000);
    expect(held.map(({ told }) => told)).toEqual([[W1], [W1]]);
    expect((await holding(w, 'c3')).told).toEqual([W2]);
  });

  it('waits while there is none, without counting, and gets the first that appears', async () => {
    const w = await world('w1');
    const c1 = await holding(w, 'c1');
    await w.unregister('w1');
    await w.clock.until('nobody to count', () => w.clients().length === 0);
    await w.clock.advance(60_000);
    expect(c1.log.at('warn').at(-1)).toBe('no server is live as mqtt; c1 waits for the first one');
    expect(c1.log.at('warn')).toHaveLength(2);
    await w.write('w2');
    await w.clock.until('the first', () => c1.told.length > 1, 100);
    expect(c1.told).toEqual([W1, W2]);
  });

  it('is told of a server that went and came back, as its connection is gone', async () => {
    const w = await world('w1');
    const c1 = await holding(w, 'c1');
    await w.unregister('w1');
    await w.clock.advance(1_000);
    await w.write('w1');
    await w.clock.until('it again', () => c1.told.length > 1);
    expect(c1.told).toEqual([W1, W1]);
  });

  it('is told when its server is at another address, and goes on counting for it', async () => {
    const w = await world('w1', 'w2');
    const c1 = await holding(w, 'c1');
    const id = w.clients()[0]?.server ?? 'none';
    await w.write(id, { port: 1884 });
    await w.clock.until('the new one', () => c1.told.length > 1);
    expect(c1.told[1]).toBe(`${id}@10.0.0.${id.slice(1)}:1884`);
    await w.write(id, { port: 1884, info: { seen: 'again' } });
    await w.clock.advance(10_000);
    expect(c1.told).toHaveLength(2);
    expect(w.entries()).toEqual([`c1=${id}`]);
  });

  it('keeps a server whose registration cannot be read, and nobody else is given it', async () => {
    const w = await world('w1');
    const c1 = await holding(w, 'c1');
    await w.clock.finish('rubbish', w.operator.set(registrationPath(LABEL, 'w1'), Buffer.from('{')));
    const c2 = w.hold('c2');
    await w.clock.advance(30_000);
    expect(c1.told).toEqual([W1]);
    expect(c2.told).toEqual([]);
    expect(w.entries()).toEqual(['c1=w1']);
    expect(c1.log.at('error')).toEqual([expect.stringMatching(/w1 does not hold JSON .*; c1 keeps it as it was$/)]);
  });

  it('is counted again at the same server after its session was lost, and need not be told', async () => {
    const w = await world('w1');
    const held = [await holding(w, 'c1'), await holding(w, 'c2')];
    await w.write('w2');
    held[0]?.store.cut('silent');
    await w.clock.until('c1 not to count', () => w.clients().length === 1);
    held[0]?.store.heal();
    await w.clock.until('c1 to count', () => w.clients().length === 2);
    expect(w.entries()).toEqual(['c1=w1', 'c2=w1']);
    expect(held[0]?.told).toEqual([W1]);
  });

  it('keeps a server that lost its session, too, and comes back within a session timeout', async () => {
    const w = await world('w1', 'w2');
    const c1 = await holding(w, 'c1');
    const [mine = 'none'] = w.clients().map(({ server }) => server);
    for (const store of [c1.store, w.registrar(mine)]) store.cut('silent');
    await w.clock.until('both to be gone', () => w.clients().length === 0);
    await w.clock.advance(5_000);
    c1.store.heal();
    await w.clock.until('c1 to be back', () => c1.store.state.kind === 'connected');
    await w.clock.advance(2_000);
    w.registrar(mine).heal();
    await w.clock.until('the server to be back', () => w.registrar(mine).state.kind === 'connected');
    await w.write(mine);
    await w.clock.until('c1 to count', () => w.clients().length === 1);
    expect(w.entries()).toEqual([`c1=${mine}`]);
    expect(c1.told).toHaveLength(1);
  });

  it('gives its server that time anew when its session is lost again meanwhile', async () => {
    const w = await world('w1', 'w2');
    const c1 = await holding(w, 'c1');
    const [mine = 'none'] = w.clients().map(({ server }) => server);
    for (const store of [c1.store, w.registrar(mine)]) store.cut('silent');
    await w.clock.until('both to be gone', () => w.clients().length === 0);
    for (const _ of [1, 2]) {
      await w.clock.advance(5_000);
      c1.store.heal();
      await w.clock.until('c1 to be back', () => c1.store.state.kind === 'connected');
      await w.clock.advance(2_000);
      c1.store.cut('silent');
    }
    await w.clock.advance(5_000);
    for (const store of [c1.store, w.registrar(mine)]) store.heal();
    await w.clock.until('c1 to be back', () => c1.store.state.kind === 'connected');
    await w.clock.until('the server to be back', () => w.registrar(mine).state.kind === 'connected');
    await w.clock.advance(2_000);
    await w.write(mine);
    await w.clock.until('c1 to count', () => w.clients().length === 1);
    expect(w.entries()).toEqual([`c1=${mine}`]);
    expect(c1.told).toHaveLength(1);
  });

  it('takes another when its server is not back a session timeout after its own session was lost', async () => {
    const w = await world('w1');
    const c1 = await holding(w, 'c1');
    await w.write('w2');
    for (const store of [c1.store, w.registrar('w1')]) store.cut('silent');
    await w.clock.until('both to be gone', () => w.clients().length === 0);
    await w.clock.advance(5_000);
    c1.store.heal();
    await w.clock.until('c1 to be back', () => c1.store.state.kind === 'connected');
    await w.clock.advance(3_900);
    expect(c1.told).toEqual([W1]);
    await w.clock.until('another', () => c1.told.length > 1, 300);
    expect(c1.told).toEqual([W1, W2]);
    expect(w.entries()).toEqual(['c1=w2']);
  });

  it('keeps its server while ZooKeeper is silent, however long', async () => {
    const w = await world('w1', 'w2');
    const c1 = await holding(w, 'c1');
    const before = w.entries();
    w.ensemble.stop();
    await w.clock.advance(600_000);
    w.ensemble.start();
    await w.clock.advance(30_000);
    expect(c1.told).toHaveLength(1);
    expect(w.entries()).toEqual(before);
  });

  it('counts at once no more when it is told to stop, and within the session timeout when it is killed', async () => {
    const w = await world('w1');
    const [c1, c2] = [await holding(w, 'c1'), await holding(w, 'c2')];
    await w.clock.finish('the end', c1.stop());
    expect(w.entries()).toEqual(['c2=w1']);
    c2.store.kill();
    await w.clock.until('c2 to be gone', () => w.clients().length === 0, 4_000);
  });

  it('is counted again when someone removes its entry', async () => {
    const w = await world('w1');
    const c1 = await holding(w, 'c1');
    await w.clock.finish('removal', w.operator.remove(`${clientsPath(LABEL)}/c1=w1`));
    await w.clock.until('it again', () => w.clients().length === 1);
    expect(c1.told).toEqual([W1]);
    expect(c1.log.at('warn')).toEqual(['the entry of c1 was removed or replaced by someone; looking who counts']);
  });
});

describe('two processes with the same client id', () => {
  it('count once: the newer one takes the place of the earlier one, which ends', async () => {
    const w = await world('w1', 'w2');
    const earlier = await holding(w, 'c1');
    const newer = await holding(w, 'c1');
    expect(await w.clock.finish('the end of the earlier', earlier.end)).toEqual({ kind: 'replaced', by: 'process 2' });
    await w.clock.advance(10_000);
    expect(w.clients()).toHaveLength(1);
    expect(w.entries()).toEqual([`c1=${newer.told[0]?.split('@')[0]}`]);
    expect(newer.told).toHaveLength(1);
  });

  it('do not fight: one that was cut off meanwhile does not take its place back', async () => {
    const w = await world('w1');
    const earlier = await holding(w, 'c1');
    earlier.store.cut('silent');
    const newer = await holding(w, 'c1');
    await w.clock.advance(20_000);
    earlier.store.heal();
    expect(await w.clock.finish('the end of the earlier', earlier.end)).toEqual({ kind: 'replaced', by: 'process 2' });
    expect(w.entries()).toEqual(['c1=w1']);
    expect(newer.told).toEqual([W1]);
  });
});

describe('the queue of those who choose', () => {
  it('waits for one that hangs no longer than a turn may take, and that one begins anew', async () => {
    const w = await world('w1', 'w2');
    const hanging = w.hold('c1', 60_000);
    await w.clock.until('its turn', () => w.turns().length === 1);
    hanging.process.pause();
    const before = w.clock.now();
    const c2 = await holding(w, 'c2');
    expect(w.clock.now() - before).toBeLessThan(TURN_MS + 500);
    hanging.process.resume();
    await w.clock.until('the other', () => hanging.told.length > 0);
    expect(w.spread(['w1', 'w2'])).toBe(0);
    expect(c2.told).toHaveLength(1);
  });
});

/** A choice takes fewer: from the moment that its turn is there until it is made, with messages that take 1 ms. */
const MOMENTS = Array.from({ length: 12 }, (_, ms) => ms);

describe('one that chooses, and is interrupted', () => {
  /** A client that has had its turn for so long. */
  async function choosing(w: PickWorld, ms: number): Promise<Held> {
    const held = w.hold('c1', 60_000);
    await w.clock.until('its turn', () => w.turns().length === 1);
    await w.clock.advance(ms);
    return held;
  }

  it.each(MOMENTS)(
    'by a stop after %i ms of its turn, while others choose, does not by what it had read',
    async (ms) => {
      // which of the equally loaded ones comes first depends on how many were there before
      for (const earlier of [0, 1, 2]) {
        const w = await world('w1', 'w2', 'w3');
        for (let n = 0; n < earlier; n++) await w.clock.finish('its end', (await holding(w, `earlier${n}`)).stop());
        const stopped = await choosing(w, ms);
        stopped.process.pause();
        for (const client of ['c2', 'c3']) await holding(w, client);
        stopped.process.resume('messages');
        await w.clock.until('its server', () => stopped.told.length > 0);
        await w.clock.advance(1_000);
        expect(w.clients()).toHaveLength(3);
        expect(w.spread(['w1', 'w2', 'w3'])).toBe(0);
      }
    },
  );

  it.each(MOMENTS)('by the end of the server after %i ms of its turn, does not count for that', async (ms) => {
    const w = await world('w1', 'w2');
    const late: string[] = [];
    let gone = '';
    w.ensemble.onApplied = (_session, operations) => {
      for (const { op, path } of operations) {
        if (op === 'remove' && path.startsWith('/discovery/')) gone = path.slice(path.lastIndexOf('/') + 1);
        if (op === 'create' && gone !== '' && path.endsWith(`=${gone}`)) late.push(path);
      }
    };
    const held = await choosing(w, ms);
    // the one that it is about to take, as nobody else is there
    await w.unregister('w1');
    await w.clock.advance(1_000);
    expect(gone).toBe('w1');
    expect(late).toEqual([]);
    expect(w.entries()).toEqual(['c1=w2']);
    expect(held.told.at(-1)).toContain('w2@');
  });
});

describe('a server that is told and not held', () => {
  const never = new AbortController().signal;
  const once = (w: PickWorld, client: string, waitMs = 0) => {
    const options = w.options(client);
    return w.clock.finish(`${client} to be answered`, pickOnce(options, waitMs, never));
  };

  it('is the least loaded one, and nobody counts for it', async () => {
    const w = await world('w1', 'w2');
    const c1 = await holding(w, 'c1');
    const other = c1.told[0] === W1 ? 'w2' : 'w1';
    expect((await once(w, 'c2'))?.id).toBe(other);
    expect((await once(w, 'c2'))?.id).toBe(other);
    expect(w.clients()).toHaveLength(1);
    expect(w.turns()).toEqual([]);
  });

  it('is each of the equally loaded ones in turn, for those who ask at the same moment', async () => {
    const w = await world('w1', 'w2', 'w3');
    const answers = Array.from({ length: 10 }, (_, n) => pickOnce(w.options(`c${n}`), 0, never));
    const ids = (await w.clock.finish('all', Promise.all(answers))).map((server) => server?.id);
    const counts = ['w1', 'w2', 'w3'].map((id) => ids.filter((each) => each === id).length);
    expect(counts.sort()).toEqual([3, 3, 4]);
  });

  it('is none where there is none, at once or after the time given, and nothing is made', async () => {
    const w = new PickWorld();
    expect(await once(w, 'c1')).toBeUndefined();
    const before = w.clock.now();
    expect(await once(w, 'c1', 5_000)).toBeUndefined();
    expect(w.clock.now() - before).toBe(5_000);
    expect(w.ensemble.tree.get(clientsPath(LABEL))).toBeUndefined();
  });

  it('is none when all are unhealthy, and the first that gets well for who waits', async () => {
    const w = await world('w1');
    await w.write('w1', { healthy: false });
    expect(await once(w, 'c1')).toBeUndefined();
    const answer = pickOnce(w.options('c1', new FakeProcess(w.clock)), 60_000, never);
    await w.clock.advance(1_000);
    await w.write('w1');
    expect((await w.clock.finish('the answer', answer, 500))?.id).toBe('w1');
  });
});
