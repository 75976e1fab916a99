import { describe, expect, it } from 'vitest';
import type { Placement, UnitPlacement } from '../../src/leader/placement.ts';
import { differs, renderUnits } from '../../src/leader/render.ts';
import type { Attachments, Discovery, StartAfter } from '../../src/shared/attachments.ts';
import type { Service, Spec } from '../../src/shared/spec.ts';
import type { Desired, DesiredPrestart, DesiredUnit } from '../../src/shared/state.ts';
import { checkOf } from '../fixtures/health-check.ts';

const base = { enabled: true, isolation: 'keep' } as const;
const SPEC: Spec = {
  services: [
    { ...base, name: 'a', type: 'shared', count: 2, isolation: 'stop', prestart: 'x {instance:m@1} {instance:none}' },
    { ...base, name: 'm', type: 'multi', instances: { 1: 1 }, force: {}, exclusive: false },
  ] satisfies Service[],
  brake: { above: 0.5, atLeast: 3, holdMs: 1 },
};

const CHECK = checkOf({ probe: { kind: 'exec', command: ['a', 'b'] } });

function placed(unit: string, service: string, ...hosts: string[]): [string, UnitPlacement] {
  const instances = hosts.map((host) => ({ host, why: { kind: 'least-loaded' } as const }));
  return [unit, { unit, service, wanted: hosts.length, instances }];
}

function placement(...units: [string, UnitPlacement][]): Placement {
  return { units: new Map(units), unplaced: [], moves: [] };
}

describe('the desired units of a host', () => {
  const rendered = renderUnits(
    placement(placed('m@1.service', 'm', 'w1'), placed('a.service', 'a', 'w1', 'w2')),
    SPEC,
    ['w1', 'w2', 'w3'],
  );

  it('are those placed on it, sorted; a host without any has an empty list', () => {
    const names = [...rendered].map(([host, units]) => [host, ...units.map(({ unit }) => unit)]);
    expect(names).toEqual([['w1', 'a.service', 'm@1.service'], ['w2', 'a.service'], ['w3']]);
  });

  it('carry all the executor needs: isolation, reason, script and the hosts of each reference', () => {
    expect(rendered.get('w2')).toEqual([
      {
        unit: 'a.service',
        service: 'a',
        isolation: 'stop',
        why: { kind: 'least-loaded' },
        prestart: { script: 'x {instance:m@1} {instance:none}', values: { 'm@1': ['w1'], none: [] } },
      },
    ]);
  });

  it('carry what the service has beside its placement, one object for all hosts', () => {
    const attachments: Attachments = {
      check: CHECK,
      discovery: { label: 'a', onlyHealthy: true },
      start: { atOnce: 1, until: 'active', timeoutMs: 1 },
      after: [{ service: 'm', where: 'anywhere' }],
    };
    const services = [{ ...base, name: 'a', type: 'shared', count: 2, ...attachments }] as const;
    const hosts = renderUnits(placement(placed('a.service', 'a', 'w1', 'w2')), { ...SPEC, services }, ['w1', 'w2']);
    const [first, second] = [hosts.get('w1')?.[0], hosts.get('w2')?.[0]];
    expect(first).toEqual({
      unit: 'a.service',
      service: 'a',
      isolation: 'keep',
      why: { kind: 'least-loaded' },
      ...attachments,
    });
    for (const key of ['check', 'discovery', 'start', 'after'] as const) expect(first?.[key]).toBe(second?.[key]);
  });

  it('do not name a host that was not asked for', () => {
    expect([...renderUnits(placement(placed('a.service', 'a', 'w9')), SPEC, ['w1']).keys()]).toEqual(['w1']);
  });

  it('of a service that the spec does not declare are a bug', () => {
    expect(() => renderUnits(placement(placed('z.service', 'z', 'w1')), SPEC, ['w1'])).toThrow('does not declare');
  });
});

describe('a desired state that is written', () => {
  const prestart = (...hosts: string[]): DesiredPrestart => ({ script: 's', values: { c: hosts } });
  const unit = (change: Partial<DesiredUnit> = {}): DesiredUnit => ({
    unit: 'a.service',
    service: 'a',
    isolation: 'keep',
    why: { kind: 'kept' },
    ...change,
  });
  const discovery = (label: string, a?: string): Discovery => ({ label, onlyHealthy: true, ...(a && { info: { a } }) });
  const waits = (...services: string[]): StartAfter[] => services.map((service) => ({ service, where: 'anywhere' }));
  const written = (...units: DesiredUnit[]): Desired => ({ host: 'w1', epoch: 1, generation: 1, spec: 'd', units });

  it.each([
    ['the same', [unit()], [unit()], false],
    ['another reason only', [unit()], [unit({ why: { kind: 'forced' } })], false],
    ['the same values', [unit({ prestart: prestart('w1') })], [unit({ prestart: prestart('w1') })], false],
    ['moves that are to be remembered', [unit()], [unit({ moves: [{ from: 'w2', at: 5 }] })], true],
    ['the same moves', [unit({ moves: [{ from: 'w2', at: 5 }] })], [unit({ moves: [{ from: 'w2', at: 5 }] })], false],
    ['another unit', [unit()], [unit({ unit: 'b.service' })], true],
    ['another service', [unit()], [unit({ service: 'b' })], true],
    ['another isolation', [unit()], [unit({ isolation: 'stop' })], true],
    ['one that waits for a service', [unit()], [unit({ waitsFor: ['b'] })], true],
    ['one that waits for the same', [unit({ waitsFor: ['b'] })], [unit({ waitsFor: ['b'] })], false],
    ['one that waits for another', [unit({ waitsFor: ['b'] })], [unit({ waitsFor: ['c'] })], true],
    ['one more unit', [unit()], [unit(), unit({ unit: 'b.service' })], true],
    ['one unit less', [unit()], [], true],
    ['a prestart where was none', [unit()], [unit({ prestart: prestart() })], true],
    ['no prestart where was one', [unit({ prestart: prestart() })], [unit()], true],
    ['other values', [unit({ prestart: prestart('w1') })], [unit({ prestart: prestart('w2') })], true],
    [
      'another script',
      [unit({ prestart: prestart('w1') })],
      [unit({ prestart: { ...prestart('w1'), script: 't' } })],
      true,
    ],
    [
      'another reference',
      [unit({ prestart: prestart('w1') })],
      [unit({ prestart: { script: 's', values: { d: ['w1'] } } })],
      true,
    ],
    [
      'the same check as read from ZooKeeper',
      [unit({ check: CHECK })],
      [unit({ check: structuredClone(CHECK) })],
      false,
    ],
    ['a check where was none', [unit()], [unit({ check: CHECK })], true],
    ['no check where was one', [unit({ check: CHECK })], [unit()], true],
    ['another interval', [unit({ check: CHECK })], [unit({ check: { ...CHECK, intervalMs: 2 } })], true],
    [
      'another probe',
      [unit({ check: CHECK })],
      [unit({ check: { ...CHECK, probe: { kind: 'exec', command: ['a', 'c'] } } })],
      true,
    ],
    ['another label', [unit({ discovery: discovery('a') })], [unit({ discovery: discovery('b') })], true],
    ['the same label', [unit({ discovery: discovery('a') })], [unit({ discovery: discovery('a') })], false],
    ['other information', [unit({ discovery: discovery('a', 'x') })], [unit({ discovery: discovery('a', 'y') })], true],
    ['a start order where was none', [unit()], [unit({ start: { atOnce: 1, until: 'active', timeoutMs: 1 } })], true],
    ['the same service to wait for', [unit({ after: waits('b') })], [unit({ after: waits('b') })], false],
    ['another service to wait for', [unit({ after: waits('b') })], [unit({ after: waits('c') })], true],
    ['one more service to wait for', [unit({ after: waits('b') })], [unit({ after: waits('b', 'c') })], true],
  ] as const)('compared with %s is found different only where it matters', (_what, before, now, expected) => {
    expect(differs(written(...before), now, 'd')).toBe(expected);
  });

  it('differs when there is none, and when it was computed from another spec', () => {
    expect(differs(undefined, [], 'd')).toBe(true);
    expect(differs(written(), [], 'e')).toBe(true);
    expect(differs(written(), [], 'd')).toBe(false);
  });
});
