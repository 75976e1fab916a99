import { describe, expect, it } from 'vitest';
import { withWaits } from '../../src/leader/after.ts';
import type { Service, Spec } from '../../src/shared/spec.ts';
import type { DesiredUnit, Observed, ObservedUnit } from '../../src/shared/state.ts';
import { checkOf } from '../fixtures/health-check.ts';

const base = { enabled: true, isolation: 'keep', type: 'global' } as const;
const check = checkOf();

const specOf = (...services: Service[]): Spec => ({ services, brake: { above: 0.5, atLeast: 3, holdMs: 1 } });
const spec = specOf(
  { ...base, name: 'kafka', type: 'multi', instances: { 1: 1, 2: 1 }, force: {}, exclusive: false },
  { ...base, name: 'db', check },
  { ...base, name: 'disk' },
  {
    ...base,
    name: 'web',
    after: [
      { service: 'kafka', where: 'anywhere' },
      { service: 'db', where: 'anywhere' },
      { service: 'disk', where: 'same-host' },
    ],
  },
);

function report(host: string, ...units: (Pick<ObservedUnit, 'unit' | 'active'> & Partial<ObservedUnit>)[]): Observed {
  return { host, epoch: 1, generation: 1, units: units.map((unit) => ({ load: 'loaded', sub: '', ...unit })) };
}

const unit = (service: string): DesiredUnit => ({
  unit: `${service}.service`,
  service,
  isolation: 'keep',
  why: { kind: 'every-host' },
});
const rendered = new Map([
  ['w1', [unit('disk'), unit('web')]],
  ['w2', [unit('web')]],
]);
const waits = (...observed: Observed[]) => {
  const told = withWaits(rendered, spec, observed);
  return [...told].map(([host, units]) => [host, ...units.map(({ waitsFor }) => waitsFor)]);
};

describe('a unit that starts after services of other hosts', () => {
  it('is told of all that are up nowhere, in their order, on every host; others are told nothing', () => {
    expect(waits()).toEqual([
      ['w1', undefined, ['kafka', 'db']],
      ['w2', ['kafka', 'db']],
    ]);
  });

  it.each([
    ['runs', { unit: 'kafka@2.service', active: 'active' }, ['db']],
    ['is being reloaded', { unit: 'kafka@1.service', active: 'reloading' }, ['db']],
    ['is about to run', { unit: 'kafka@1.service', active: 'activating' }, ['kafka', 'db']],
    ['has failed', { unit: 'kafka@1.service', active: 'failed' }, ['kafka', 'db']],
    ['runs and is not declared', { unit: 'kafka@3.service', active: 'active' }, ['kafka', 'db']],
    ['runs and has not said yet that it is healthy', { unit: 'db.service', active: 'active' }, ['kafka', 'db']],
    ['runs unhealthily', { unit: 'db.service', active: 'active', health: { state: 'unhealthy' } }, ['kafka', 'db']],
    ['runs and is healthy', { unit: 'db.service', active: 'active', health: { state: 'healthy' } }, ['kafka']],
  ] as const)('waits for one of which an instance %s only as long as none is up', (_what, seen, expected) => {
    expect(waits(report('w9', seen))[1]).toEqual(['w2', expected]);
  });

  it('waits for nothing when an instance of each is up on any host', () => {
    const healthy = { unit: 'db.service', active: 'active', health: { state: 'healthy' } } as const;
    const told = waits(report('w1', { unit: 'kafka@1.service', active: 'active' }), report('w2', healthy));
    expect(told[1]).toEqual(['w2', undefined]);
  });

  it('of no service leaves everything as it was rendered', () => {
    expect(withWaits(rendered, specOf({ ...base, name: 'web' }), [])).toBe(rendered);
  });
});
