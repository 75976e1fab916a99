/** Instances that move for their health: whole daemons of three hosts on pretended systemds, with pretended checks. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { ProbeResult } from '../../src/health/probe.ts';
import type { Probe } from '../../src/shared/attachments.ts';
import type { Isolation, Service } from '../../src/shared/spec.ts';
import { FakeClock } from '../fakes/clock.ts';
import { type FakeDaemon, FakeHost, specOf } from '../fakes/daemon.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const MINUTE = 60_000;

function service(change: { isolation?: Isolation; count?: number; limitPerHour?: number } = {}): Service {
  const { isolation = 'keep', count = 1, limitPerHour = 3 } = change;
  return {
    name: 'web',
    type: 'shared',
    count,
    enabled: true,
    isolation,
    check: {
      probe: { kind: 'exec', command: ['/check', '{host}'] },
      intervalMs: 1_000,
      timeoutMs: 200,
      healthyAfter: 1,
      unhealthyAfter: 2,
      startPeriodMs: 0,
      onUnhealthy: 'move',
      limitPerHour,
    },
  };
}

describe('an unhealthy instance that is to move', () => {
  let clock: FakeClock;
  let hosts: FakeHost[];
  let daemons: Map<string, FakeDaemon>;
  let sick: Set<string>;
  /** `w1: start web.service`, in order. */
  let asked: string[];
  /** The most hosts that had it at once, each time systemd was asked for something. */
  let most: number;

  beforeEach(() => {
    sick = new Set();
    asked = [];
    most = 0;
  });

  async function begin(spec: Service, ...names: readonly string[]): Promise<void> {
    clock = new FakeClock();
    const ensemble = new FakeEnsemble({ clock });
    hosts = names.map(
      (name) =>
        new FakeHost(name, clock, ensemble, '/nonexistent', {
          probe: () => probe,
          systemd: { onState: () => void note() },
          onAsked: (line) => {
            if (!line.startsWith('guard')) asked.push(`${name}: ${line}`);
          },
        }),
    );
    daemons = new Map();
    for (const host of hosts) {
      host.systemd.define('web.service', { startMs: 50, stopMs: 300 });
      daemons.set(host.name, await host.boot(specOf(spec)));
      await clock.advance(5);
    }
    await clock.until('the first placement to be settled', () => assignments()?.settled === true);
    await clock.advance(2_000);
    asked.length = 0;
  }

  function probe(given: Probe): Promise<ProbeResult> {
    const host = given.kind === 'exec' ? (given.command[1] ?? '') : '';
    return Promise.resolve(sick.has(host) ? { ok: false, output: 'no' } : { ok: true });
  }

  function note(): void {
    most = Math.max(most, hosts.filter(({ systemd }) => systemd.running().includes('web.service')).length);
  }

  const leading = () => [...daemons].find(([, daemon]) => daemon.election.leading)?.[0] ?? '';
  const assignments = () => daemons.get(leading())?.leader?.assignments;
  const on = () => hosts.filter(({ systemd }) => systemd.running().includes('web.service')).map(({ name }) => name);
  const actionOn = (host: string) => assignments()?.hosts[host]?.units[0]?.health?.action;
  const untilOn = (...names: string[]) =>
    clock.until(`web on ${names}`, () => on().join() === names.join(), 90 * MINUTE);

  it('runs elsewhere, and does not come back when its first host would do again', async () => {
    await begin(service(), 'w1', 'w2', 'w3');
    const [first = ''] = on();
    sick.add(first);
    await clock.until('the move', () => on().length === 1 && on()[0] !== first);
    expect(daemons.get(leading())?.moves).toMatchObject([
      { unit: 'web.service', from: first, because: { kind: 'excluded', reason: 'unhealthy' } },
    ]);
    const [second = ''] = on();
    sick.clear();
    await clock.advance(61 * MINUTE);
    expect(on()).toEqual([second]);
    expect(asked.sort()).toEqual([`${first}: stop web.service`, `${second}: start web.service`].sort());
  });

  it('is stopped before it is started elsewhere, where it may run once only', async () => {
    await begin(service({ isolation: 'stop' }), 'w1', 'w2', 'w3');
    const [first = ''] = on();
    most = 0;
    sick.add(first);
    await clock.until('the move', () => on().length === 1 && on()[0] !== first);
    await clock.advance(10 * MINUTE);
    expect(most).toBe(1);
    expect(asked).toEqual([`${first}: stop web.service`, `${on()[0]}: start web.service`]);
  });

  it('runs on where it is when no other host can take it, and moves when one comes', async () => {
    await begin(service({ count: 2 }), 'w1', 'w2');
    sick.add('w1');
    await clock.advance(10 * MINUTE);
    expect([on(), asked]).toEqual([['w1', 'w2'], []]);
    expect(actionOn('w1')).toBe('no other host can take it at present: it stays where it is');
    expect(assignments()?.unplaced).toEqual([]);
    sick.clear();
    await clock.advance(MINUTE);
    expect(actionOn('w1')).toBeUndefined();
  });

  it('ends up where it was not yet, if it is sick everywhere, and stays there', async () => {
    await begin(service({ limitPerHour: 9 }), 'w1', 'w2', 'w3');
    for (const { name } of hosts) sick.add(name);
    await clock.advance(30 * MINUTE);
    expect(asked.filter((line) => line.includes('start')).map((line) => line.slice(0, 2))).toEqual(['w2', 'w3']);
    expect(on()).toEqual(['w3']);
    expect(actionOn('w3')).toBe('no other host can take it at present: it stays where it is');
  });

  it.each(['keep', 'stop'] as const)(
    'moves on after a pause that doubles, at its end, and is shown to wait (isolation: %s)',
    async (isolation) => {
      await begin(service({ isolation, limitPerHour: 9 }), 'w1', 'w2', 'w3', 'w4');
      for (const { name } of hosts) sick.add(name);
      const times: number[] = [];
      for (const [index, name] of ['w2', 'w3', 'w4'].entries()) {
        await untilOn(name);
        times.push(clock.now());
        if (index === 0) {
          await clock.advance(5_000);
          expect(actionOn('w2')).toBe('moved 1 time within the last hour, and moves again after a pause of 10 s');
        }
      }
      const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
      expect(gaps.map((ms) => Math.round(ms / 1_000))).toEqual([10, 20]);
    },
  );

  it.each(['keep', 'stop'] as const)(
    'moves no more often than it may in an hour, though the leader changes (isolation: %s)',
    async (isolation) => {
      await begin(service({ isolation, limitPerHour: 1 }), 'w1', 'w2', 'w3');
      for (const { name } of hosts) sick.add(name);
      await untilOn('w2');
      await clock.advance(MINUTE);
      const leader = leading();
      daemons.get(leader)?.kill();
      const host = hosts.find(({ name }) => name === leader);
      if (host) daemons.set(leader, await host.boot(specOf(service({ isolation, limitPerHour: 1 }))));
      await clock.advance(50 * MINUTE);
      expect(leading()).not.toBe(leader);
      expect(on()).toEqual(['w2']);
      expect(actionOn('w2')).toContain('1 of the 1 moves that it may make in an hour');
      await clock.advance(15 * MINUTE);
      expect(on()).toHaveLength(1);
      expect(on()).not.toEqual(['w2']);
      expect(asked.filter((line) => line.endsWith('start web.service'))).toHaveLength(2);
    },
  );

  it('is run where it was sick rather than nowhere, when its new host is lost', async () => {
    await begin(service(), 'w1', 'w2');
    const [first = ''] = on();
    sick.add(first);
    await clock.until('the move', () => on().length === 1 && on()[0] !== first);
    const [second = ''] = on();
    daemons.get(second)?.kill();
    hosts.find(({ name }) => name === second)?.systemd.powerOff();
    await untilOn(first);
    await clock.advance(MINUTE);
    expect(on()).toEqual([first]);
  });
});
