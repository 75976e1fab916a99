/** Of which hosts a leader does not know what they obey. */
import { describe, expect, it } from 'vitest';
import { unsureHosts } from '../../src/leader/hand-over.ts';
import type { Observed } from '../../src/shared/state.ts';
import { SPEC } from './hand-over-hosts.ts';

describe('what a host obeys', () => {
  const written = new Map([['w1', { host: 'w1', epoch: 2, generation: 7, spec: SPEC, units: [] }]]);
  const says = (epoch: number, generation: number) => new Map([['w1', { host: 'w1', epoch, generation, units: [] }]]);
  const table: readonly (readonly [string, ReadonlyMap<string, Observed>, boolean])[] = [
    ['it has not reported', new Map(), false],
    ['it says that it obeys what is written', says(2, 7), true],
    ['it obeys an earlier order', says(2, 6), false],
    ['it obeys an order of another epoch', says(1, 7), false],
    ['it has never obeyed an order', says(0, 0), false],
  ];
  it.each(table)('at the beginning of a term, when %s', (_what, observed, isKnown) => {
    expect(unsureHosts(undefined, ['w1'], written, observed)).toEqual(new Set(isKnown ? [] : ['w1']));
    expect(unsureHosts(new Set(['w1']), ['w1'], written, observed)).toEqual(new Set(isKnown ? [] : ['w1']));
    // what was written during the term is known
    expect(unsureHosts(new Set(), ['w1'], written, observed)).toEqual(new Set());
  });

  it('is not known when nothing is written for it any more, and concerns nobody when it is lost', () => {
    expect(unsureHosts(undefined, ['w1'], new Map(), says(2, 7))).toEqual(new Set(['w1']));
    expect(unsureHosts(new Set(['w1']), [], written, says(2, 6))).toEqual(new Set());
  });
});
