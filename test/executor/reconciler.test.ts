/** Passes of an executor: what each asks systemd for, sets off, keeps on disk and tells. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { placed } from '../fixtures/snapshot.ts';
import { A, B, C, ReconcilerRig, TICK_MS } from './reconciler-rig.ts';

let rig: ReconcilerRig;
beforeEach(async () => {
  rig = await ReconcilerRig.begin();
});
afterEach(() => rig.end());

describe('a pass', () => {
  it('carries out what follows from the order and from what systemd says, each for itself, and waits for none of it', async () => {
    rig.host.systemd.define('a.service', { start: 'hangs' });
    rig.host.systemd.define('b.service', {}, 'masked');
    rig.host.systemd.systemctl('start', 'c.service');
    await rig.desire(A, B);
    await rig.boot();
    const begun = rig.clock.now();
    await rig.pass();
    // the answer of systemd alone
    expect(rig.clock.now() - begun).toBeLessThan(10);
    await rig.clock.advance(10);
    expect([...rig.host.asked].sort()).toEqual(['start a.service', 'stop c.service']);
    expect([rig.state(A), rig.state(C)]).toEqual(['activating', 'inactive']);
    expect([rig.seen(A)?.waiting, rig.seen(B)?.failure?.kind]).toEqual([undefined, 'masked']);
  });

  it('asks for nothing twice while what it has set off is under way', async () => {
    rig.host.systemd.onCommand = () => ({ afterMs: 1_000, exitStatus: 0 });
    rig.host.systemd.define('b.service', { startMs: 1_000 });
    await rig.desire(placed('a.service', { prestart: { script: 'true', values: {} } }), B);
    await rig.boot();
    await rig.settle(20);
    expect([...rig.host.asked].sort()).toEqual(['run servicewatcher-prestart-a.service', 'start b.service']);
    expect(rig.reconciled).toHaveLength(1);
  });

  it('gives up a start under way that is not wanted any more, though it would hang for hours', async () => {
    rig.host.systemd.define('a.service', { start: 'hangs' });
    await rig.desire(A);
    await rig.boot();
    await rig.settle();
    await rig.desire();
    await rig.settle();
    expect(rig.host.asked).toEqual(['start a.service', 'stop a.service']);
    expect(rig.state(A)).toBe('inactive');
  });

  it('starts nothing that comes after others by an order of long ago, and asks the leader for a new one', async () => {
    const second = placed('a.service', { after: [{ service: 'b', where: 'anywhere' }] });
    await rig.desire(second);
    await rig.boot();
    await rig.settle();
    expect(rig.host.asked).toEqual([]);
    expect(rig.latest?.refused).toContain('may have been written long ago');
    await rig.desire(second);
    await rig.settle();
    expect(rig.host.asked).toEqual(['start a.service']);
    expect(rig.latest?.refused).toBeUndefined();
  });

  it('does nothing, and is not counted, when all is as it should be', async () => {
    await rig.desire(A);
    await rig.boot();
    await rig.settle(5);
    const before = [rig.host.asked.length, rig.reconciled.length];
    await rig.settle(20);
    expect([rig.host.asked.length, rig.reconciled.length]).toEqual(before);
  });

  it('that has set something off is counted with the time that it took, in seconds', async () => {
    await rig.desire(A);
    await rig.boot();
    await rig.pass();
    expect(rig.reconciled).toHaveLength(1);
    // a list of the pretended systemd is there and back again
    expect(rig.reconciled[0]).toBeCloseTo(0.002, 3);
  });

  it('asks for a thousand units at once, and starts all of them', async () => {
    const units = Array.from({ length: 1_000 }, (_, index) => placed(`many-${index}.service`));
    for (const { unit } of units) rig.host.systemd.define(unit);
    await rig.desire(...units);
    await rig.boot();
    await rig.settle();
    expect(rig.listed).toHaveLength(1);
    expect(units.every((unit) => rig.state(unit) === 'active')).toBe(true);
  });

  it('does nothing, and tells nothing, while no order is known', async () => {
    rig.host.systemd.systemctl('start', 'a.service');
    await rig.boot();
    await rig.settle();
    expect([rig.host.asked, rig.state(A), rig.seen(A)?.active]).toEqual([[], 'active', 'active']);
  });
});

describe('without systemd a pass', () => {
  it('sets nothing off by what was known before, but keeps and tells what it obeys', async () => {
    await rig.desire(A);
    await rig.boot();
    await rig.settle();
    rig.host.systemd.disconnect();
    await rig.desire(A, B);
    await rig.settle();
    expect(rig.host.asked).toEqual(['start a.service']);
    expect([rig.saved.at(-1), rig.latest?.generation]).toEqual([2, 2]);
    expect(rig.seen(A)?.active).toBe('active');
  });

  it('keeps nobody else waiting for the turn of a unit that it cannot start', async () => {
    const serial = placed('a.service', { start: { atOnce: 1, until: 'active', timeoutMs: 10_000 } });
    rig.host.systemd.disconnect();
    const connected = rig.boot();
    await rig.clock.advance(100);
    rig.host.systemd.reconnect();
    await rig.done(connected);
    await rig.pass();
    rig.host.systemd.disconnect();
    await rig.desire(serial);
    await rig.settle();
    expect([...rig.wishes.keys()]).toEqual([]);
    rig.host.systemd.reconnect();
    await rig.clock.advance(100);
    await rig.pass();
    expect([...rig.wishes.keys()]).toEqual(['a.service']);
  });

  it('tells nothing before systemd has answered once', async () => {
    await rig.desire(A);
    await rig.boot();
    rig.listRefusal = 'the bus is busy';
    await rig.settle();
    expect([rig.latest, rig.host.asked]).toEqual([undefined, []]);
    expect(rig.host.log.at('warn')[0]).toBe('systemd did not list the units: the bus is busy');
    rig.listRefusal = undefined;
    await rig.settle();
    expect(rig.seen(A)?.active).toBe('active');
  });
});

describe('what a pass asks systemd for', () => {
  beforeEach(() => rig.bootWithA());

  it('are all units of interest the first time, and then only those that are new, until the tick', async () => {
    await rig.desire(A, placed('d.service'));
    await rig.settle();
    expect(rig.listed.map((units) => units.sort())).toEqual([['a.service', 'b.service', 'c.service'], ['d.service']]);
    await rig.clock.advance(TICK_MS);
    await rig.settle();
    expect(rig.listed).toHaveLength(3);
    expect(rig.listed[2]).toHaveLength(4);
  });

  it('are all units, once, when it was told to look at all of them', async () => {
    rig.reconciler.relist();
    await rig.settle();
    expect(rig.listed).toHaveLength(2);
    expect(rig.listed[1]).toHaveLength(3);
  });

  it('are all units again when systemd did not answer', async () => {
    rig.reconciler.relist();
    rig.listRefusal = 'a timeout';
    await rig.pass();
    rig.listRefusal = undefined;
    await rig.settle();
    expect(rig.listed.map(({ length }) => length)).toEqual([3, 3, 3]);
    expect(rig.state(A)).toBe('active');
  });

  it('includes what is ours though neither the order nor the configuration names it any more', async () => {
    await rig.desire(A, placed('d.service'));
    rig.host.systemd.define('d.service');
    await rig.settle();
    await rig.desire(A);
    rig.reconciler.relist();
    await rig.pass();
    expect(rig.listed.at(-1)).toContain('d.service');
    await rig.settle();
    expect(rig.host.asked.at(-1)).toBe('stop d.service');
  });
});

describe('what is kept on disk', () => {
  it('before a start is one write, with the order and the unit', async () => {
    await rig.desire(A);
    await rig.boot();
    await rig.settle();
    expect(rig.host.asked).toEqual(['start a.service']);
    expect(rig.saved).toEqual([1]);
    expect(rig.savedWhenAsked).toMatchObject({
      applied: { epoch: 1, generation: 1 },
      units: new Map([['a.service', undefined]]),
    });
  });

  it('is the order that is obeyed, as soon as it is, when nothing is to be started', async () => {
    await rig.boot();
    await rig.desire();
    expect(rig.saved).toEqual([]);
    await rig.settle();
    expect(rig.saved).toEqual([1]);
  });

  it('is the order, too, while a script runs before the start', async () => {
    rig.host.systemd.onCommand = () => ({ afterMs: 60_000, exitStatus: 0 });
    await rig.desire(placed('a.service', { prestart: { script: 'true', values: {} } }));
    await rig.boot();
    await rig.settle(1);
    expect(rig.saved).toEqual([1]);
    expect(rig.host.asked).toEqual(['run servicewatcher-prestart-a.service']);
  });

  it('is not written anew by passes that find nothing new', async () => {
    await rig.desire(A);
    await rig.boot();
    await rig.settle(20);
    expect(rig.saved).toEqual([1]);
  });
});

describe('units that were stopped while nobody looked', () => {
  const once = placed('a.service', { isolation: 'stop' });
  const failWith143 = async () => {
    rig.host.systemd.define('a.service', { stop: 'exit-143' });
    rig.host.systemd.systemctl('start', 'a.service');
    await rig.clock.advance(10);
    rig.host.systemd.systemctl('stop', 'a.service');
    await rig.clock.advance(10);
    expect(rig.state(A)).toBe('failed');
  };

  it('by a guard are no failures for a process that sees them for the first time', async () => {
    await failWith143();
    await rig.desire(once);
    await rig.boot();
    await rig.settle();
    expect(rig.host.asked).toContain('reset a.service');
    expect(rig.seen(A)?.failure).toBeUndefined();
  });

  it('are failures where no guard can have stopped them', async () => {
    await failWith143();
    await rig.desire(A);
    await rig.boot();
    await rig.settle();
    expect(rig.host.asked).not.toContain('reset a.service');
    expect(rig.seen(A)?.failure).toBeDefined();
  });

  it('are failures when it has seen them run, and nobody was seen to stop them', async () => {
    rig.host.systemd.define('a.service', { stop: 'exit-143' });
    await rig.desire(once);
    await rig.boot();
    for (let passes = 0; rig.state(A) !== 'active'; passes++) {
      expect(passes).toBeLessThan(100);
      await rig.settle(1);
    }
    await rig.settle();
    rig.host.systemd.kill('a.service', 15);
    await rig.settle();
    expect(rig.host.asked).not.toContain('reset a.service');
    expect(rig.seen(A)?.failure?.kind).toBe('failed');
  });
});
