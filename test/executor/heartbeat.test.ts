/** When a heartbeat is written, and what is said by it. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Heartbeat } from '../../src/executor/heartbeat.ts';
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import { beatPath } from '../../src/shared/znodes.ts';
import { HeartbeatRig, PATH, SESSION_MS } from './heartbeat-rig.ts';

const { beatMs, touchLagMs, pingMs, suspectMs } = isolationTiming(SESSION_MS);

describe('a heartbeat', () => {
  let rig: HeartbeatRig;
  const ages = () => rig.said.map(({ confirmedAt, at }) => at - confirmedAt);

  beforeEach(async () => {
    rig = new HeartbeatRig();
    await rig.connected();
  });

  it('neither writes nor says anything while nobody needs it', async () => {
    await rig.clock.advance(5_000);
    expect([rig.beats, rig.said]).toEqual([[], []]);
    expect(rig.ensemble.tree.get(PATH)).toBeUndefined();
  });

  it('begins, in a young session, with the time at which the handshake was sent', () => {
    rig.heartbeat.need(true);
    expect(rig.said.map(({ confirmedAt }) => confirmedAt)).toEqual([20]);
  });

  it('begins, later on, with the newest request that the leader must have heard of by now', async () => {
    const began = rig.clock.now();
    await rig.clock.advance(2 * pingMs + touchLagMs - 10);
    rig.heartbeat.need(true);
    expect(rig.said[0]?.confirmedAt).toBeCloseTo(began + pingMs);
    rig.heartbeat.need(false);
    await rig.clock.advance(20);
    rig.said.length = 0;
    rig.heartbeat.need(true);
    expect(rig.said[0]?.confirmedAt).toBeCloseTo(began + 2 * pingMs);
  });

  it('begins with nothing before there is a session, and with the first proof of it then', async () => {
    const early = new HeartbeatRig();
    early.heartbeat.need(true);
    expect(early.said).toEqual([]);
    await early.connected();
    expect(early.said).toEqual([]);
    await early.clock.until('a proof', () => early.said.length > 0);
    expect(early.beats).toHaveLength(1);
    expect(early.said[0]?.confirmedAt).toBe(0);
  });

  it('is one write every twelfth of the session timeout, a little more at most', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(20 * beatMs);
    expect(rig.beats.length).toBeGreaterThanOrEqual(18);
    expect(rig.beats.length).toBeLessThanOrEqual(21);
    expect(rig.ensemble.tree.get(PATH)?.owner).toBe(rig.session);
  });

  it('says, with each answer, what was sent and answered a lag before the beat, and is never old', async () => {
    rig.latencyMs = 5;
    rig.heartbeat.need(true);
    await rig.clock.advance(10_000);
    const settled = rig.said.filter(({ at }) => at > 2_000);
    expect(settled.length).toBeGreaterThan(20);
    for (const { confirmedAt, at } of settled) {
      // there and back it took 10 ms, once for what is proven and once for the proof
      expect(at - confirmedAt).toBeGreaterThanOrEqual(touchLagMs + 20 - 1e-6);
      expect(at - confirmedAt).toBeLessThan(touchLagMs + beatMs);
    }
  });

  it.each([20, 200, 2_000])('is never old where %i other requests are answered in a second', async (perSecond) => {
    await rig.clock.finish('a znode', rig.store.create('/other', Buffer.alloc(0), 'persistent'));
    rig.heartbeat.need(true);
    for (let sent = 0; sent < 5 * perSecond; sent++) {
      void rig.store.set('/other', Buffer.alloc(0));
      await rig.clock.advance(1_000 / perSecond);
    }
    const settled = rig.said.filter(({ at }) => at > 1_000);
    expect(settled.length).toBeGreaterThan(9);
    for (const { confirmedAt, at } of settled) expect(at - confirmedAt).toBeLessThan(touchLagMs + beatMs);
  });

  it('waits for the answer before it sends the next one', async () => {
    let [underWay, most] = [0, 0];
    const set = rig.store.set.bind(rig.store);
    vi.spyOn(rig.store, 'set').mockImplementation((...request) => {
      underWay += 1;
      most = Math.max(most, underWay);
      return set(...request).finally(() => {
        underWay -= 1;
      });
    });
    rig.latencyMs = 300;
    rig.heartbeat.need(true);
    await rig.clock.advance(6_000);
    await rig.clock.until('one under way', () => underWay === 1);
    rig.heartbeat.need(false);
    rig.heartbeat.need(true);
    await rig.clock.advance(4_000);
    expect(rig.beats.length).toBeGreaterThanOrEqual(5);
    expect(most).toBe(1);
  });

  it('says nothing any more when it is not needed, though a beat is under way', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    const { length } = rig.beats;
    await rig.clock.until('the next beat', () => rig.beats.length > length);
    const said = rig.said.length;
    rig.heartbeat.need(false);
    await rig.clock.advance(2_000);
    expect([rig.beats.length, rig.said.length]).toEqual([length + 1, said]);
  });

  it('goes on when it is needed again', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    rig.heartbeat.need(false);
    rig.heartbeat.need(true);
    const said = rig.said.length;
    await rig.clock.advance(2_000);
    expect(rig.said.length - said).toBeGreaterThanOrEqual(5);
  });

  it('is not said twice because it is asked for twice', async () => {
    rig.heartbeat.need(true);
    rig.heartbeat.need(true);
    expect(rig.said).toHaveLength(1);
    await rig.clock.advance(10 * beatMs);
    expect(rig.beats.length).toBeLessThanOrEqual(11);
  });

  it('proves, when a connection was lost and the session lives on, that it was taken up after the loss', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    rig.store.cut('reset');
    const lostAt = rig.clock.now();
    rig.said.length = 0;
    await rig.clock.advance(1_000);
    rig.store.heal();
    await rig.connected();
    expect(rig.said).toEqual([]);
    await rig.clock.until('the next proof', () => rig.said.length > 0);
    expect(rig.said[0]?.confirmedAt).toBe(lostAt);
    expect(rig.clock.now() - lostAt).toBeLessThan(1_000 + 30);
  });

  it('goes on when an answer comes late, and when it never comes', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    for (const ms of [suspectMs - 700, suspectMs + 500]) {
      rig.store.cut('answers');
      await rig.clock.advance(200);
      rig.said.length = 0;
      await rig.clock.advance(ms);
      expect(rig.said).toEqual([]);
      rig.store.heal();
      await rig.clock.advance(1_500);
      expect(rig.said.length).toBeGreaterThanOrEqual(3);
      expect(ages().at(-1)).toBeLessThan(2 * beatMs + touchLagMs);
    }
  });

  it('says nothing of one session in another: neither what was heard of it, nor an answer that comes late', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    let answer = (_version: number) => {};
    vi.spyOn(rig.store, 'set').mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)));
    await rig.clock.advance(500);
    rig.said.length = 0;
    const { session } = rig;
    if (session === undefined) throw new Error('there is no session');
    rig.ensemble.expire(session);
    await rig.clock.until('the loss', () => rig.store.state.kind === 'lost');
    const lostAt = rig.clock.now();
    await rig.connected();
    expect(rig.session).not.toBe(session);
    answer(7);
    await rig.clock.advance(1);
    expect(rig.said).toEqual([]);
    await rig.clock.advance(2_000);
    expect(rig.said.length).toBeGreaterThanOrEqual(4);
    for (const each of rig.said) expect(each.confirmedAt).toBeGreaterThanOrEqual(lostAt);
    expect(rig.ensemble.tree.get(PATH)?.owner).toBe(rig.session);
  });

  it.each([true, false])('proves a new session with its first beat (needed before: %s)', async (before) => {
    if (before) rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    if (rig.session !== undefined) rig.ensemble.expire(rig.session);
    await rig.clock.until('the loss', () => rig.store.state.kind === 'lost');
    const lostAt = rig.clock.now();
    rig.said.length = 0;
    await rig.connected();
    rig.heartbeat.need(true);
    await rig.clock.advance(50);
    expect(rig.said.length).toBeGreaterThanOrEqual(1);
    for (const each of rig.said) expect(each.confirmedAt).toBeGreaterThanOrEqual(lostAt);
    expect(rig.beats.at(-1)).toBeGreaterThan(lostAt);
  });

  it('makes its znode again when somebody removed it, and proves nothing until then', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    const person = rig.ensemble.connect();
    await rig.clock.until('their session', () => person.state.kind === 'connected');
    await rig.clock.finish('the removal', person.remove(PATH));
    const removedAt = rig.clock.now();
    const said = rig.said.length;
    await rig.clock.until('the next one', () => rig.ensemble.tree.get(PATH) !== undefined);
    expect(rig.said).toHaveLength(said);
    expect(rig.clock.now() - removedAt).toBeLessThan(3 * beatMs);
    await rig.clock.advance(1_000);
    expect(rig.said.length).toBeGreaterThan(said);
  });

  it('takes over the znode that an earlier process of the host left', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    rig.process.kill();
    const store = rig.ensemble.connect({ sessionTimeoutMs: SESSION_MS });
    await rig.clock.until('the session', () => store.state.kind === 'connected');
    const said: number[] = [];
    const onConfirmed = (confirmedAt: number) => void said.push(confirmedAt);
    const next = new Heartbeat({ store, host: 'w1', clock: rig.clock, sessionTimeoutMs: SESSION_MS, onConfirmed });
    next.need(true);
    await rig.clock.advance(1_000);
    expect(rig.ensemble.tree.get(PATH)?.owner).toBe(store.state.kind === 'connected' && store.state.session);
    expect(said.length).toBeGreaterThanOrEqual(2);
  });

  it('counts with the session timeout that was granted', async () => {
    const store = rig.ensemble.connect({ sessionTimeoutMs: 3 * SESSION_MS });
    await rig.clock.until('the session', () => store.state.kind === 'connected');
    const beats: number[] = [];
    rig.ensemble.onApplied = (_session, [operation]) => {
      if (operation?.op === 'set' || operation?.path === beatPath('w2')) beats.push(rig.clock.now());
    };
    const options = { store, host: 'w2', clock: rig.clock, sessionTimeoutMs: SESSION_MS, onConfirmed: () => {} };
    new Heartbeat(options).need(true);
    await rig.clock.advance(30 * beatMs);
    expect(beats.length).toBeLessThanOrEqual(11);
    expect(beats.length).toBeGreaterThanOrEqual(9);
  });

  it('ends with the daemon, and waits for what is under way', async () => {
    rig.heartbeat.need(true);
    await rig.clock.advance(1_000);
    const { length } = rig.beats;
    await rig.clock.until('the next beat', () => rig.beats.length > length);
    const said = rig.said.length;
    const answerAt = rig.clock.now() + rig.latencyMs;
    await rig.clock.finish('the end', rig.heartbeat.close());
    expect(rig.clock.now()).toBeGreaterThanOrEqual(answerAt);
    rig.heartbeat.need(true);
    await rig.clock.advance(2_000);
    expect([rig.beats.length, rig.said.length]).toEqual([length + 1, said]);
  });
});
