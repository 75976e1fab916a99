import { describe, expect, it } from 'vitest';
import { isSettled } from '../../src/leader/settled.ts';
import type { ActiveState, Desired, Observed } from '../../src/shared/state.ts';

function desired(change: Partial<Desired> = {}): Desired {
  const unit = { unit: 'a.service', service: 'a', isolation: 'keep', why: { kind: 'kept' } } as const;
  return { host: 'w1', epoch: 2, generation: 3, spec: 'd', units: [unit], ...change };
}

function observed(units: Readonly<Record<string, ActiveState>>, change: Partial<Observed> = {}): Observed {
  const seen = Object.entries(units).map(([unit, active]) => ({ unit, load: 'loaded', active, sub: '' }) as const);
  return { host: 'w1', epoch: 2, generation: 3, units: seen, ...change };
}

const settled = (wanted: Desired | undefined, seen: Observed | undefined, hosts: readonly string[] = ['w1']) =>
  isSettled(hosts, new Map(wanted && [['w1', wanted]]), new Map(seen && [['w1', seen]]), 'd');

describe('a cluster is settled', () => {
  it('when every host obeys the newest desired state and all its units are active', () => {
    expect(settled(desired(), observed({ 'a.service': 'active' }))).toBe(true);
    expect(settled(undefined, undefined, [])).toBe(true);
  });

  it.each<[string, Desired | undefined, Observed | undefined]>([
    ['a host has no desired state', undefined, observed({ 'a.service': 'active' })],
    ['a host has not reported', desired(), undefined],
    ['the desired state is of another spec', desired({ spec: 'old' }), observed({ 'a.service': 'active' })],
    ['an older epoch is obeyed', desired(), observed({ 'a.service': 'active' }, { epoch: 1 })],
    ['an older generation is obeyed', desired(), observed({ 'a.service': 'active' }, { generation: 2 })],
    ['a unit starts', desired(), observed({ 'a.service': 'activating' })],
    ['a unit failed', desired(), observed({ 'a.service': 'failed' })],
    ['a unit is not reported', desired(), observed({})],
    [
      'a unit goes to another host',
      desired({ units: desired().units.map((unit) => ({ ...unit, withdrawn: true })) }),
      observed({ 'a.service': 'active' }),
    ],
    [
      'a unit is about to be stopped',
      desired(),
      observed({}, { units: [{ unit: 'a.service', load: 'loaded', active: 'active', sub: '', waiting: 'a moment' }] }),
    ],
    ['another unit runs', desired(), observed({ 'a.service': 'active', 'b.service': 'active' })],
    ['another unit still stops', desired(), observed({ 'a.service': 'active', 'b.service': 'deactivating' })],
  ])('not when %s', (_what, wanted, seen) => {
    expect(settled(wanted, seen)).toBe(false);
  });

  it('although a unit that is not desired failed', () => {
    expect(settled(desired(), observed({ 'a.service': 'active', 'b.service': 'failed' }))).toBe(true);
  });
});
