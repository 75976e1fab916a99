import { describe, expect, test } from 'vitest';
import { place } from '../../../src/leader/place.ts';
import type { HostView, PlacementInput } from '../../../src/leader/placement.ts';
import type { Service } from '../../../src/shared/spec.ts';
import { asPrevious, global, hostsOf, hostsOfUnit, multi, onHosts, shared, specOf } from './worlds.ts';

function input(services: Service[], hosts: HostView[], more: Partial<PlacementInput> = {}): PlacementInput {
  return { spec: specOf(services), hosts, previous: new Map(), running: new Map(), ...more };
}

function whys(given: PlacementInput, unit: string): Record<string, string> {
  return Object.fromEntries(
    place(given)
      .units.get(unit)
      ?.instances.map(({ host, why }) => [host, why.kind]) ?? [],
  );
}

describe('a global service', () => {
  test('runs on every ready and joining host, and on none that is cordoned, draining or held', () => {
    const given = input([global('g')], hostsOf('w1 w2:joining w3:cordoned w4:draining w5:held'));
    expect(whys(given, 'g.service')).toEqual({ w1: 'every-host', w2: 'every-host' });
  });

  test('keeps cordoned and held hosts it was on, and leaves a draining one', () => {
    const previous = onHosts({ 'g.service': 'w3 w4 w5' });
    const given = input([global('g')], hostsOf('w1 w3:cordoned w4:draining w5:held'), { previous });
    expect(whys(given, 'g.service')).toEqual({ w1: 'every-host', w3: 'kept', w5: 'kept' });
    expect(place(given).moves).toEqual([
      { unit: 'g.service', from: 'w4', to: undefined, because: { kind: 'excluded', reason: 'draining' } },
    ]);
  });

  test('is not on a host where it failed, and nothing is unplaced for that', () => {
    const placement = place(input([global('g')], hostsOf('w1 w2', { w2: { 'g.service': 'failed' } })));
    expect(hostsOfUnit(placement, 'g.service')).toEqual(['w1']);
    expect(placement.units.get('g.service')?.wanted).toBe(1);
    expect(placement.unplaced).toEqual([]);
  });
});

describe('a shared service', () => {
  test('runs on count hosts, the least loaded first and ties by name', () => {
    const placement = place(input([shared('a', 2), shared('b', 3)], hostsOf('w3 w1 w2 w4')));
    expect(hostsOfUnit(placement, 'a.service')).toEqual(['w1', 'w2']);
    expect(hostsOfUnit(placement, 'b.service')).toEqual(['w1', 'w3', 'w4']);
  });

  test('with fewer hosts than its count runs on all of them and says what is missing', () => {
    const hosts = hostsOf('w1 w2 w3:cordoned w4:draining w5 w6:joining w7:held', { w5: { 'a.service': 'masked' } });
    expect(place(input([shared('a', 9)], hosts)).unplaced).toEqual([
      {
        unit: 'a.service',
        service: 'a',
        wanted: 9,
        placed: 2,
        why: [
          { reason: 'already-has-one', hosts: 2 },
          { reason: 'cordoned', hosts: 1 },
          { reason: 'draining', hosts: 1 },
          { reason: 'held', hosts: 1 },
          { reason: 'joining', hosts: 1 },
          { reason: 'masked', hosts: 1 },
        ],
      },
    ]);
  });

  test('whose count goes down leaves the most loaded host, and of equal ones the last', () => {
    const previous = onHosts({ 'a.service': 'w1 w2 w3', 'b.service': 'w1' });
    const busy = place(input([shared('a', 2), shared('b', 1)], hostsOf('w1 w2 w3'), { previous }));
    expect(hostsOfUnit(busy, 'a.service')).toEqual(['w2', 'w3']);
    const level = place(
      input([shared('a', 2)], hostsOf('w1 w2 w3'), { previous: onHosts({ 'a.service': 'w1 w2 w3' }) }),
    );
    expect(level.moves).toEqual([{ unit: 'a.service', from: 'w3', to: undefined, because: { kind: 'surplus' } }]);
  });

  test('whose count goes down makes room for others', () => {
    const previous = onHosts({ 'a.service': 'w1 w2 w3' });
    const placement = place(input([shared('a', 1), shared('b', 1)], hostsOf('w1 w2 w3'), { previous }));
    expect(hostsOfUnit(placement, 'a.service')).toEqual(['w1']);
    expect(hostsOfUnit(placement, 'b.service')).toEqual(['w2']);
  });

  test('moves off a lost host, and says from where and why', () => {
    const previous = onHosts({ 'a.service': 'gone w1' });
    const placement = place(input([shared('a', 2)], hostsOf('w1 w2'), { previous }));
    expect(placement.units.get('a.service')?.instances).toEqual([
      { host: 'w1', why: { kind: 'kept' } },
      { host: 'w2', why: { kind: 'moved', from: 'gone', because: { kind: 'host-lost' } } },
    ]);
    expect(placement.moves).toEqual([{ unit: 'a.service', from: 'gone', to: 'w2', because: { kind: 'host-lost' } }]);
  });

  test('that is switched off runs nowhere: what was placed is surplus', () => {
    const previous = onHosts({ 'a.service': 'w1 gone' });
    const placement = place(input([shared('a', 2, false)], hostsOf('w1 w2'), { previous }));
    expect(placement.units.get('a.service')).toEqual({ unit: 'a.service', service: 'a', wanted: 0, instances: [] });
    expect(placement.moves.map(({ from, because }) => [from, because.kind])).toEqual([
      ['gone', 'surplus'],
      ['w1', 'surplus'],
    ]);
    expect(placement.unplaced).toEqual([]);
  });

  test('gives up what a lost host is held for before what runs, when the count goes down', () => {
    const previous = onHosts({ 'a.service': 'w1 w2 w3' });
    const placement = place(input([shared('a', 2)], hostsOf('w1:held w2 w3'), { previous }));
    expect(placement.units.get('a.service')?.instances.map(({ host }) => host)).toEqual(['w2', 'w3']);
  });

  test('placed too often keeps what runs, on however loaded a host, before what only an order speaks of', () => {
    const previous = onHosts({ 'a.service': 'w1 w2', 'b.service': 'w2', 'c.service': 'w2' });
    const services = [shared('a', 1), shared('b', 1), shared('c', 1)];
    const running = onHosts({ 'a.service': 'w2' });
    expect(whys(input(services, hostsOf('w1 w2'), { previous, running }), 'a.service')).toEqual({ w2: 'kept' });
  });

  test('placed too often that runs nowhere yet is kept where more is known than what is written', () => {
    const previous = onHosts({ 'a.service': 'w1 w2', 'b.service': 'w2', 'c.service': 'w2' });
    const services = [shared('a', 1), shared('b', 1), shared('c', 1)];
    expect(whys(input(services, hostsOf('w1:joining w2'), { previous }), 'a.service')).toEqual({ w2: 'kept' });
  });

  test('on a host that vanished under the brake stays there, and takes no other', () => {
    const previous = onHosts({ 'a.service': 'w1' });
    const placement = place(input([shared('a', 1)], hostsOf('w1:held w2'), { previous }));
    expect(placement.units.get('a.service')?.instances).toEqual([{ host: 'w1', why: { kind: 'kept' } }]);
  });
});

describe('a unit that runs already', () => {
  test('is adopted where it runs, joining hosts included, before a less loaded host is taken', () => {
    const running = onHosts({ 'b.service': 'w1 w2' });
    const given = input([shared('a', 1), shared('b', 2)], hostsOf('w1 w2:joining w3'), { running });
    expect(whys(given, 'b.service')).toEqual({ w1: 'adopted', w2: 'adopted' });
  });

  test('is adopted on a cordoned host, whose placement was forgotten while it was away', () => {
    const running = onHosts({ 'a.service': 'w1', 'g.service': 'w1' });
    const given = input([shared('a', 1), global('g')], hostsOf('w1:cordoned w2'), { running });
    expect(whys(given, 'a.service')).toEqual({ w1: 'adopted' });
    expect(whys(given, 'g.service')).toEqual({ w1: 'adopted', w2: 'every-host' });
  });

  test('is not adopted on a draining host, nor where it failed', () => {
    const running = onHosts({ 'a.service': 'w2 w3' });
    const hosts = hostsOf('w2:draining w3 w4', { w3: { 'a.service': 'failed' } });
    expect(whys(input([shared('a', 1)], hosts, { running }), 'a.service')).toEqual({ w4: 'least-loaded' });
  });

  test('does not draw away an instance that was placed before', () => {
    const more = { previous: onHosts({ 'a.service': 'w1' }), running: onHosts({ 'a.service': 'w2' }) };
    expect(whys(input([shared('a', 1)], hostsOf('w1 w2'), more), 'a.service')).toEqual({ w1: 'kept' });
  });
});

describe('a multi service', () => {
  test('has each key as often as its count says, a key once per host', () => {
    const placement = place(input([multi('m', { x: 2, y: 1 })], hostsOf('w1 w2')));
    expect(hostsOfUnit(placement, 'm@x.service')).toEqual(['w1', 'w2']);
    expect(hostsOfUnit(placement, 'm@y.service')).toEqual(['w1']);
  });

  test('has a forced key on the named host only, even while that host is joining', () => {
    const service = multi('m', { x: 1 }, { force: { x: 'w2' } });
    expect(whys(input([service], hostsOf('w1 w2:joining')), 'm@x.service')).toEqual({ w2: 'forced' });
    const absent = place(input([service], hostsOf('w1 w3 w4')));
    expect(absent.unplaced).toEqual([
      { unit: 'm@x.service', service: 'm', wanted: 1, placed: 0, why: [{ reason: 'forced-host-absent', hosts: 3 }] },
    ]);
    const cordoned = place(input([service], hostsOf('w1 w2:cordoned w3')));
    expect(cordoned.unplaced[0]?.why).toEqual([
      { reason: 'cordoned', hosts: 1 },
      { reason: 'forced-elsewhere', hosts: 2 },
    ]);
  });

  test('moves a key to the host it is newly forced to', () => {
    const previous = onHosts({ 'm@x.service': 'w1' });
    const placement = place(input([multi('m', { x: 1 }, { force: { x: 'w2' } })], hostsOf('w1 w2'), { previous }));
    expect(placement.moves).toEqual([
      { unit: 'm@x.service', from: 'w1', to: 'w2', because: { kind: 'excluded', reason: 'forced-elsewhere' } },
    ]);
  });

  test('treats a key called like an object member as any other', () => {
    const service = multi('m', { constructor: 1, toString: 1 });
    expect(hostsOfUnit(place(input([service], hostsOf('w1'))), 'm@constructor.service')).toEqual(['w1']);
  });
});

describe('an exclusive template', () => {
  const flink = (more = {}) => multi('flink', { jobmanager: 1, taskmanager: 3 }, { exclusive: true, ...more });

  test('places its counts of 1 first, and says that the template takes the hosts from the rest', () => {
    const placement = place(input([flink()], hostsOf('w1 w2')));
    expect(hostsOfUnit(placement, 'flink@jobmanager.service')).toEqual(['w1']);
    expect(hostsOfUnit(placement, 'flink@taskmanager.service')).toEqual(['w2']);
    expect(placement.unplaced[0]?.why).toEqual([
      { reason: 'already-has-one', hosts: 1 },
      { reason: 'exclusive', hosts: 1 },
    ]);
  });

  test('gives a host of a key with several instances to a count of 1 that has none', () => {
    const previous = onHosts({ 'flink@taskmanager.service': 'w1 w2', 'flink@jobmanager.service': 'gone' });
    const placement = place(input([flink()], hostsOf('w1 w2'), { previous }));
    expect(placement.moves).toEqual([
      { unit: 'flink@jobmanager.service', from: 'gone', to: 'w1', because: { kind: 'host-lost' } },
      {
        unit: 'flink@taskmanager.service',
        from: 'w1',
        to: undefined,
        because: { kind: 'displaced', by: 'flink@jobmanager.service' },
      },
    ]);
  });

  test('takes a free host rather than one that is in use', () => {
    const previous = onHosts({ 'flink@taskmanager.service': 'w1 w2 w3' });
    const placement = place(input([flink()], hostsOf('w1 w2 w3 w4'), { previous }));
    expect(hostsOfUnit(placement, 'flink@jobmanager.service')).toEqual(['w4']);
    expect(placement.moves).toEqual([]);
  });

  test('moves an instance on when that alone lets another one be placed', () => {
    const hosts = hostsOf('w1 w2', { w2: { 'flink@jobmanager.service': 'not-installed' } });
    const previous = onHosts({ 'flink@taskmanager.service': 'w1' });
    const service = multi('flink', { jobmanager: 1, taskmanager: 1 }, { exclusive: true });
    const placement = place(input([service], hosts, { previous }));
    expect(hostsOfUnit(placement, 'flink@jobmanager.service')).toEqual(['w1']);
    expect(placement.units.get('flink@taskmanager.service')?.instances).toEqual([
      {
        host: 'w2',
        why: { kind: 'moved', from: 'w1', because: { kind: 'displaced', by: 'flink@jobmanager.service' } },
      },
    ]);
  });

  test('moves it to the least-loaded host that is free', () => {
    const onlyFirst = { 'm@job.service': 'not-installed' } as const;
    const hosts = hostsOf('w1 w2 w3', { w2: onlyFirst, w3: onlyFirst });
    const previous = onHosts({ 'm@task.service': 'w1', 'busy.service': 'w2' });
    const services = [multi('m', { job: 1, task: 1 }, { exclusive: true }), shared('busy', 1)];
    expect(hostsOfUnit(place(input(services, hosts, { previous })), 'm@task.service')).toEqual(['w3']);
  });

  test('wins back a host for what may stay there before it adopts another instance of it', () => {
    const more = {
      previous: onHosts({ 'm@a.service': 'w1 w3', 'm@b.service': 'w1', 'busy.service': 'w3', 'busy2.service': 'w3' }),
      running: onHosts({ 'm@b.service': 'w2' }),
    };
    const services = [multi('m', { a: 1, b: 1 }, { exclusive: true }), shared('busy', 1), shared('busy2', 1)];
    const placement = place(input(services, hostsOf('w1 w2 w3'), more));
    expect(hostsOfUnit(placement, 'm@a.service')).toEqual(['w3']);
    expect(hostsOfUnit(placement, 'm@b.service')).toEqual(['w1']);
    expect(placement.moves.map(({ unit, from, because }) => [unit, from, because.kind])).toEqual([
      ['m@a.service', 'w1', 'surplus'],
    ]);
  });

  test('placed too often keeps the instance that runs', () => {
    const previous = onHosts({ 'm@a.service': 'w1 w2', 'b.service': 'w2' });
    const running = onHosts({ 'm@a.service': 'w2' });
    const services = [multi('m', { a: 1 }, { exclusive: true }), shared('b', 1)];
    expect(whys(input(services, hostsOf('w1 w2'), { previous, running }), 'm@a.service')).toEqual({ w2: 'kept' });
  });

  test('serves the smaller of two counts first when there is nothing yet', () => {
    const placement = place(input([multi('m', { a: 3, b: 2 }, { exclusive: true })], hostsOf('w1 w2 w3')));
    expect(hostsOfUnit(placement, 'm@b.service')).toEqual(['w1', 'w2']);
    expect(hostsOfUnit(placement, 'm@a.service')).toEqual(['w3']);
  });

  test('clears the named host for a forced key', () => {
    const previous = onHosts({ 'flink@taskmanager.service': 'w1 w2 w3' });
    const placement = place(input([flink({ force: { jobmanager: 'w2' } })], hostsOf('w1 w2 w3 w4'), { previous }));
    expect(hostsOfUnit(placement, 'flink@jobmanager.service')).toEqual(['w2']);
    expect(hostsOfUnit(placement, 'flink@taskmanager.service')).toEqual(['w1', 'w3', 'w4']);
  });

  test('that becomes exclusive parts its instances and moves no more than it must', () => {
    const previous = onHosts({ 'flink@taskmanager.service': 'w1 w2 w3', 'flink@jobmanager.service': 'w1' });
    const placement = place(input([flink()], hostsOf('w1 w2 w3 w4'), { previous }));
    expect(asPrevious(placement)).toEqual(
      onHosts({ 'flink@jobmanager.service': 'w1', 'flink@taskmanager.service': 'w2 w3 w4' }),
    );
    expect(placement.moves.length).toBe(1);
  });

  test('finds hosts for thirty keys of which each may be on two hosts only', () => {
    const names = Array.from({ length: 31 }, (_, i) => `w${String(i).padStart(2, '0')}`);
    const keys = Array.from({ length: 30 }, (_, i) => `k${String(i).padStart(2, '0')}`);
    const hosts = names.map((name, h): HostView => {
      const elsewhere = keys.filter((_, k) => h !== k && h !== k + 1);
      return { name, state: 'ready', excluded: new Map(elsewhere.map((key) => [`m@${key}.service`, 'not-installed'])) };
    });
    const service = multi('m', Object.fromEntries(keys.map((key) => [key, 1])), { exclusive: true });
    // Each is where its neighbour should be, so that the first free host is thirty moves away.
    const previous = new Map(keys.slice(1).map((key, k) => [`m@${key}.service`, [names[k + 1] ?? '']]));
    const first = { name: 'w00', state: 'cordoned', excluded: new Map() } as const;
    const placement = place(input([service], [first, ...hosts.slice(1)], { previous }));
    expect(placement.unplaced).toEqual([]);
    expect(placement.moves.length).toBe(29);
  });
});

describe('whatever else', () => {
  test('no hosts: nothing is placed, and nobody is to blame', () => {
    const placement = place(input([global('g'), shared('a', 1)], []));
    expect(placement.unplaced).toEqual([{ unit: 'a.service', service: 'a', wanted: 1, placed: 0, why: [] }]);
  });

  test('a unit that is no longer declared is surplus where it was', () => {
    const previous = onHosts({ 'old.service': 'w2 w1' });
    expect(
      place(input([], hostsOf('w1 w2'), { previous })).moves.map(({ from, because }) => [from, because.kind]),
    ).toEqual([
      ['w1', 'surplus'],
      ['w2', 'surplus'],
    ]);
  });

  test('a host named twice in the past counts once', () => {
    const previous = onHosts({ 'a.service': 'w1 w1 gone gone' });
    const placement = place(input([shared('a', 2)], hostsOf('w1 w2'), { previous }));
    expect(hostsOfUnit(placement, 'a.service')).toEqual(['w1', 'w2']);
    expect(placement.moves.length).toBe(1);
  });
});
