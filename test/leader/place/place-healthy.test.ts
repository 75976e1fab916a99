import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { place } from '../../../src/leader/place.ts';
import { placeHealthy } from '../../../src/leader/place-healthy.ts';
import type { Placement, PlacementInput } from '../../../src/leader/placement.ts';
import { verify } from '../../../src/leader/verify.ts';
import { unitsOf } from '../../../src/shared/names.ts';
import type { Service } from '../../../src/shared/spec.ts';
import { global, hostsOf, hostsOfUnit, multi, onHosts, shared, specOf, worlds } from './worlds.ts';

function input(services: readonly Service[], hosts: string, previous: Record<string, string>): PlacementInput {
  return { spec: specOf(services), hosts: hostsOf(hosts), previous: onHosts(previous), running: onHosts(previous) };
}

/** `w1 → w2` for each move of the unit, or `stays`. */
function moves(placement: Placement, unit: string): string {
  const texts = placement.moves.filter((move) => move.unit === unit).map(({ from, to }) => `${from} → ${to}`);
  return texts.join(', ') || 'stays';
}

function ask(given: PlacementInput, leave: Record<string, string>, avoid: Record<string, string> = {}): Placement {
  const { placement, input: asked } = placeHealthy(given, { leave: onHosts(leave), avoid: onHosts(avoid) });
  expect(verify(asked, placement)).toEqual([]);
  return placement;
}

describe('an unhealthy instance', () => {
  it('goes to another host, and says why', () => {
    const placement = ask(input([shared('a', 1)], 'w1 w2', { 'a.service': 'w1' }), { 'a.service': 'w1' });
    expect(placement.moves).toEqual([
      { unit: 'a.service', from: 'w1', to: 'w2', because: { kind: 'excluded', reason: 'unhealthy' } },
    ]);
    expect(placement.units.get('a.service')?.instances).toEqual([
      { host: 'w2', why: { kind: 'moved', from: 'w1', because: { kind: 'excluded', reason: 'unhealthy' } } },
    ]);
  });

  it.each([
    ['there is no other host', 'w1', { 'a.service': 'w1' }],
    ['all others take nothing', 'w1 w2:draining w3:cordoned w4:joining', { 'a.service': 'w1' }],
  ])('stays when %s', (_why, hosts, previous) => {
    const placement = ask(input([shared('a', 1)], hosts, previous), { 'a.service': 'w1' });
    expect(hostsOfUnit(placement, 'a.service')).toEqual(['w1']);
    expect(placement.unplaced).toEqual([]);
  });

  it('stays when every other host has one already, or the unit lacks instances anyway', () => {
    const two = input([shared('a', 2)], 'w1 w2', { 'a.service': 'w1 w2' });
    expect(hostsOfUnit(ask(two, { 'a.service': 'w1' }), 'a.service')).toEqual(['w1', 'w2']);
    const five = input([shared('a', 5)], 'w1 w2', { 'a.service': 'w1 w2' });
    expect(hostsOfUnit(ask(five, { 'a.service': 'w1' }), 'a.service')).toEqual(['w1', 'w2']);
  });

  it('is the one that goes when the count goes down', () => {
    const placement = ask(input([shared('a', 1)], 'w1 w2', { 'a.service': 'w1 w2' }), { 'a.service': 'w1' });
    expect(hostsOfUnit(placement, 'a.service')).toEqual(['w2']);
  });

  it('moves nothing else', () => {
    const given = input([shared('a', 2), shared('b', 2), global('g')], 'w1 w2 w3', {
      'a.service': 'w1 w2',
      'b.service': 'w1 w2',
      'g.service': 'w1 w2 w3',
    });
    const placement = ask(given, { 'a.service': 'w1' });
    expect(placement.moves.map(({ unit, from, to }) => [unit, from, to])).toEqual([['a.service', 'w1', 'w3']]);
  });

  it('makes no other instance of an exclusive template give way, healthy or missing', () => {
    const template = multi('m', { a: 1, b: 1 }, { exclusive: true });
    const full = input([template], 'w1 w2', { 'm@a.service': 'w1', 'm@b.service': 'w2' });
    expect(ask(full, { 'm@a.service': 'w1' }).moves).toEqual([]);
    const missing = input([template], 'w1 w2', { 'm@a.service': 'w1' });
    const placement = ask(missing, { 'm@a.service': 'w1' });
    expect([moves(placement, 'm@a.service'), hostsOfUnit(placement, 'm@b.service')]).toEqual(['w1 → w2', ['w1']]);
    const onlyThere = { ...missing, hosts: hostsOf('w1 w2', { w1: { 'm@b.service': 'failed' } }) };
    const other = ask(onlyThere, { 'm@a.service': 'w1' });
    expect([moves(other, 'm@a.service'), hostsOfUnit(other, 'm@b.service')]).toEqual(['stays', ['w2']]);
    const room = input([template], 'w1 w2 w3', { 'm@a.service': 'w1', 'm@b.service': 'w2' });
    expect(moves(ask(room, { 'm@a.service': 'w1' }), 'm@a.service')).toBe('w1 → w3');
  });

  it('of a service that is on every host stays', () => {
    const placement = ask(input([global('g')], 'w1 w2', { 'g.service': 'w1 w2' }), { 'g.service': 'w1' });
    expect(placement.moves).toEqual([]);
  });

  it('that cannot move keeps no other one from it', () => {
    const given = input([shared('a', 2), shared('b', 1)], 'w1 w2', { 'a.service': 'w1 w2', 'b.service': 'w1' });
    const placement = ask(given, { 'a.service': 'w1', 'b.service': 'w1' });
    expect([moves(placement, 'a.service'), moves(placement, 'b.service')]).toEqual(['stays', 'w1 → w2']);
  });
});

describe('a host that an instance left', () => {
  it('does not get it back while another one can have it', () => {
    const given = input([shared('a', 1)], 'w1 w3', { 'a.service': 'w2' });
    expect(moves(ask(given, {}, { 'a.service': 'w1' }), 'a.service')).toBe('w2 → w3');
  });

  it('gets it back when no other one can have it: better there than nowhere', () => {
    const given = input([shared('a', 1)], 'w1', { 'a.service': 'w2' });
    expect(moves(ask(given, {}, { 'a.service': 'w1' }), 'a.service')).toBe('w2 → w1');
  });

  it('does not get it back for its health: it stays', () => {
    const given = input([shared('a', 1)], 'w1 w2', { 'a.service': 'w2' });
    expect(moves(ask(given, { 'a.service': 'w2' }, { 'a.service': 'w1' }), 'a.service')).toBe('stays');
  });
});

describe('whatever is wished', () => {
  const cases = worlds({ contended: true }).chain((world) => {
    const units = world.spec.services.flatMap(unitsOf);
    const names = world.hosts.map(({ name }) => name);
    const wishes = () =>
      fc
        .array(fc.tuple(fc.constantFrom(...units), fc.subarray(names, { minLength: Math.min(1, names.length) })), {
          maxLength: 4,
        })
        .map((entries) => new Map<string, readonly string[]>(entries));
    return fc.record({ world: fc.constant(world), leave: wishes(), avoid: wishes() });
  });

  it('the placement keeps every rule, has no instance less than without, and moves nothing that nobody wished to', () => {
    fc.assert(
      fc.property(cases, ({ world, leave, avoid }) => {
        const plain = place(world);
        const { placement, input: asked } = placeHealthy(world, { leave, avoid });
        expect(verify(asked, placement)).toEqual([]);
        for (const [unit, { instances }] of plain.units) {
          const service = world.spec.services.find((each) => unitsOf(each).includes(unit));
          if (service?.type === 'global') continue;
          expect(hostsOfUnit(placement, unit).length).toBeGreaterThanOrEqual(instances.length);
          if (leave.has(unit) || avoid.has(unit)) continue;
          const before = new Set(world.previous.get(unit));
          // which ones of too many stay depends on what else is there
          const kept = (hosts: readonly string[]) => hosts.filter((host) => before.has(host)).length;
          expect(kept(hostsOfUnit(placement, unit))).toBeGreaterThanOrEqual(kept(instances.map(({ host }) => host)));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
