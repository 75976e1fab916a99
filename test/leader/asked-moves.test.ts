import { describe, expect, it } from 'vitest';
import { grantMoves } from '../../src/leader/asked-moves.ts';
import { decide } from '../../src/leader/decision.ts';
import { place } from '../../src/leader/place.ts';
import type { PlacementInput } from '../../src/leader/placement.ts';
import { verify } from '../../src/leader/verify.ts';
import type { AskedMove } from '../../src/shared/cluster.ts';
import type { Service } from '../../src/shared/spec.ts';
import { global, hostsOf, hostsOfUnit, multi, onHosts, shared, specOf } from './place/worlds.ts';

const SERVICES: readonly Service[] = [
  shared('a', 1),
  shared('b', 1),
  shared('two', 2),
  shared('off', 1, false),
  global('g'),
  multi('m', { x: 1, y: 1 }, { exclusive: true }),
  multi('f', { x: 1 }, { force: { x: 'w1' } }),
];
const PLACED = {
  'a.service': 'w1',
  'b.service': 'w1',
  'two.service': 'w1 w2',
  'g.service': 'w1 w2 w3',
  'm@x.service': 'w1',
  'm@y.service': 'w2',
  'f@x.service': 'w1',
};

function cluster(
  hosts: string,
  placed: Record<string, string> = PLACED,
  failed: Record<string, string> = {},
): PlacementInput {
  const excluded = Object.fromEntries(
    Object.entries(failed).map(([host, unit]) => [host, { [unit]: 'failed' as const }]),
  );
  return {
    spec: specOf(SERVICES),
    hosts: hostsOf(hosts, excluded),
    previous: onHosts(placed),
    running: onHosts(placed),
  };
}

const move = (unit: string, from: string, to: string): AskedMove => ({ unit: `${unit}.service`, from, to });

function grant(input: PlacementInput, moves: readonly AskedMove[], braking = false) {
  return grantMoves(input, place(input), { moves, by: 'w1', braking });
}

/** What is said of the move, what it is, and why it is refused; default cluster: three hosts with what is placed. */
type Refusal = [what: string, asked: AskedMove, why: string, input?: PlacementInput];
const BUSY = 'it is being placed anew anyway: try again when that is done';

function isRefused(...[_what, asked, why, input = cluster('w1 w2 w3')]: Refusal): void {
  const { placement, refused } = grant(input, [asked]);
  expect(refused).toEqual([{ ...asked, why }]);
  expect(placement).toEqual(place(input));
}

describe('a move that is asked for', () => {
  it('is made, says why, and leaves everything else where it is', () => {
    const input = cluster('w1 w2 w3');
    const { placement, granted, refused } = grant(input, [move('a', 'w1', 'w3')]);
    expect({ granted, refused }).toEqual({ granted: [move('a', 'w1', 'w3')], refused: [] });
    const because = { kind: 'rebalanced', by: 'w1' };
    expect(placement.moves).toEqual([{ unit: 'a.service', from: 'w1', to: 'w3', because }]);
    expect(placement.units.get('a.service')?.instances).toEqual([
      { host: 'w3', why: { kind: 'moved', from: 'w1', because } },
    ]);
    for (const unit of Object.keys(PLACED))
      if (unit !== 'a.service') expect(hostsOfUnit(placement, unit)).toEqual(hostsOfUnit(place(input), unit));
    expect(verify(input, placement, granted)).toEqual([]);
  });

  it.each<Refusal>([
    ['a host that is joining', move('a', 'w1', 'w3'), 'w3 is joining', cluster('w1 w2 w3:joining')],
    ['a cordoned host', move('a', 'w1', 'w3'), 'w3 is cordoned', cluster('w1 w2 w3:cordoned')],
    ['a draining host', move('a', 'w1', 'w3'), 'w3 is draining', cluster('w1 w2 w3:draining')],
    ['a host that is gone', move('a', 'w1', 'w3'), 'w3 is held', cluster('w1 w2 w3:held')],
    ['nowhere', move('a', 'w1', 'w9'), 'w9 is not a member'],
    [
      'a host where it failed',
      move('a', 'w1', 'w3'),
      'it cannot go to w3: failed there',
      cluster('w1 w2 w3', PLACED, { w3: 'a.service' }),
    ],
    ['a host that has one', move('two', 'w1', 'w2'), 'w2 has one already'],
    ['another of its exclusive template', move('m@x', 'w1', 'w2'), 'w2 has another of m, which is exclusive'],
    [
      'a host with as much to run',
      move('two', 'w2', 'w3'),
      'w3 has as much to run as w2 by now',
      cluster('w1 w2 w3', { ...PLACED, 'm@y.service': 'w3' }),
    ],
  ])('to %s is refused', isRefused);

  it.each<Refusal>([
    ['that is not there', move('a', 'w2', 'w3'), 'a.service is not placed on w2 any more'],
    ['on a cordoned host', move('a', 'w1', 'w3'), 'w1 is cordoned', cluster('w1:cordoned w2 w3')],
    ['of a global service', move('g', 'w1', 'w3'), 'g runs on every host'],
    ['that is forced', move('f@x', 'w1', 'w3'), 'it is forced to w1'],
    ['of a disabled service', move('off', 'w1', 'w3'), 'off is disabled'],
    ['of no service', move('z', 'w1', 'w3'), "z.service is no unit of the cluster's configuration"],
    [
      'of a unit that lacks one',
      move('two', 'w1', 'w3'),
      BUSY,
      cluster('w1 w2:cordoned w3:joining', { ...PLACED, 'two.service': 'w1' }),
    ],
    ['of a unit that moves anyway', move('two', 'w1', 'w4'), BUSY, cluster('w1 w2:draining w3 w4')],
    ['of an exclusive template that does', move('m@x', 'w1', 'w4'), BUSY, cluster('w1 w2:draining w3 w4')],
  ])('of an instance %s is refused', isRefused);

  it('is refused while the brake is engaged', () => {
    const { placement, refused } = grant(cluster('w1 w2 w3'), [move('a', 'w1', 'w3')], true);
    expect(refused).toMatchObject([{ why: expect.stringContaining('brake') }]);
    expect(placement).toEqual(place(cluster('w1 w2 w3')));
  });

  it('and was made is neither made again nor refused', () => {
    const input = cluster('w1 w2 w3', { ...PLACED, 'a.service': 'w3' });
    const { placement, granted, refused } = grant(input, [move('a', 'w1', 'w3')]);
    expect({ moves: placement.moves, granted, refused }).toEqual({ moves: [], granted: [], refused: [] });
  });

  it('waits for another of the same service', () => {
    const input = cluster('w1 w2 w3 w4');
    const asked = [move('two', 'w1', 'w3'), move('two', 'w2', 'w4'), move('two', 'w3', 'w4'), move('a', 'w1', 'w4')];
    const { placement, granted, refused } = grant(input, asked);
    expect({ granted, refused }).toEqual({ granted: [asked[0], asked[3]], refused: [] });
    expect(verify(input, placement, granted)).toEqual([]);
  });
});

describe('the verifier', () => {
  const input = cluster('w1 w2 w3');
  const { placement } = grant(input, [move('a', 'w1', 'w3')]);

  it.each([
    ['that nobody asked for', []],
    ['that was asked for to another host', [move('a', 'w1', 'w2')]],
    ['of another unit', [move('b', 'w1', 'w3')]],
  ])('takes no move %s', (_what, asked) => {
    expect(verify(input, placement, asked).map(({ message }) => message)).toEqual([
      'a.service on w1: "rebalanced by w1" is not why it left',
    ]);
  });
});

it('a decision goes on without what is refused', () => {
  const hosts = hostsOf('w1 w2 w3');
  const given = {
    spec: specOf([shared('a', 1)]),
    hosts,
    written: new Map(),
    observed: new Map(),
    braking: false,
    now: 0,
  };
  const { placement, refused, violations } = decide(given, { moves: [move('a', 'w2', 'w3')], by: 'w1' });
  expect(violations).toEqual([]);
  expect(refused).toHaveLength(1);
  expect(hostsOfUnit(placement, 'a.service')).toEqual(['w1']);
});
