/** The order of sequential znodes, also where ZooKeeper's counter has gone beyond its highest number. */
import { expect, it } from 'vitest';
import { compareSequence, sequenceOf } from '../../src/shared/sequence.ts';

it.each([
  ['n_0000000000', 0],
  ['n_2147483647', 2_147_483_647],
  ['n_-2147483648', -2_147_483_648],
  ['n_-000000001', -1],
  ['/election/n_0000000012', 12],
  ['w1:es@1.service_0000000003', 3],
  ['w1:es@a-5.service_-2147483000', -2_147_483_000],
  ['leader-0000000007', 7],
  ['leader--2147483641', -2_147_483_641],
  ['turn-0b0c-4d-5-0000000009', 9],
])('the number of %s is %d', (name, number) => {
  expect(sequenceOf(name)).toBe(number);
});

it('a name without a number has none', () => {
  expect(['', 'n_', 'holder', 'n_1x'].map(sequenceOf)).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
});

it('those that were made after the highest number come after it', () => {
  const made = ['n_2147483646', 'n_2147483647', 'n_-2147483648', 'n_-2147483647'];
  expect([...made].reverse().sort(compareSequence)).toEqual(made);
  expect(['n_0000000010', 'n_0000000009'].sort(compareSequence)).toEqual(['n_0000000009', 'n_0000000010']);
});
