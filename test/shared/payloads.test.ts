import { describe, expect, test } from 'vitest';
import {
  type Decoded,
  decodeDesired,
  decodeEpoch,
  decodeHostIntent,
  decodeMember,
  decodeObserved,
  decodeSpecRecord,
  encodeDesired,
  encodeEpoch,
  encodeObserved,
} from '../../src/shared/payloads.ts';
import type { Desired, Observed } from '../../src/shared/state.ts';

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const problem = (decoded: Decoded<unknown>): string => (decoded.ok ? 'accepted' : decoded.problem);

const UNIT = { unit: 'a.service', service: 'a', isolation: 'keep', why: { kind: 'kept' } };
const DESIRED = { version: 1, host: 'w1', epoch: 1, generation: 2, spec: 'sha256:0', units: [UNIT] };
const withUnit = (fields: object) => json({ ...DESIRED, units: [{ ...UNIT, ...fields }] });

describe('reading', () => {
  test('fields that this version does not know are ignored, at every level', () => {
    const decoded = decodeDesired(
      json({ ...DESIRED, extra: 1, units: [{ ...UNIT, later: { deep: true } }] }),
      '/desired/w1',
    );
    const { version: _, ...value } = DESIRED;
    expect(decoded).toEqual({ ok: true, value });
  });

  test.each([
    ['no bytes', Buffer.alloc(0), '/d does not hold JSON (0 bytes); it is ignored'],
    ['half a payload', json(DESIRED).subarray(0, 40), '/d does not hold JSON (40 bytes); it is ignored'],
    [
      'no version',
      json({ ...DESIRED, version: undefined }),
      '/d has format version none, but this software reads 1; it is ignored',
    ],
    [
      'a later version',
      json({ ...DESIRED, version: 2 }),
      '/d has format version 2, but this software reads 1; it is ignored',
    ],
    [
      'a version of a wrong type',
      json({ ...DESIRED, version: '1' }),
      '/d has format version of a wrong type, but this software reads 1; it is ignored',
    ],
    ['null', json(null), '/d has format version none, but this software reads 1; it is ignored'],
    [
      'a unit that is a path',
      withUnit({ unit: '../a.service' }),
      '/d is not valid: units.0.unit: is not the name of a service unit; it is ignored',
    ],
    [
      'a unit that is no service',
      withUnit({ unit: 'a.socket' }),
      '/d is not valid: units.0.unit: is not the name of a service unit; it is ignored',
    ],
    [
      'a host that is a path',
      json({ ...DESIRED, host: 'a/b' }),
      '/d is not valid: host: is not the name of a host; it is ignored',
    ],
    [
      'several mistakes',
      json({ version: 1, host: 'w1', epoch: 1, generation: 1 }),
      '/d is not valid: spec: Invalid input: expected string, received undefined (and 1 more); it is ignored',
    ],
  ])('%s is refused', (_name, data, expected) => {
    expect(problem(decodeDesired(data, '/d'))).toBe(expected);
  });

  test.each([
    ['a fractional epoch', decodeEpoch(json({ version: 1, epoch: 1.5, leader: 'w1' }), '/epoch')],
    ['a negative epoch', decodeEpoch(json({ version: 1, epoch: -1, leader: 'w1' }), '/epoch')],
    ['an unknown reason', decodeDesired(withUnit({ why: { kind: 'because' } }), '/d')],
    ['an unknown isolation', decodeDesired(withUnit({ isolation: 'maybe' }), '/d')],
    [
      'a prestart value that is no list',
      decodeDesired(withUnit({ prestart: { script: '', values: { a: 'w1' } } }), '/d'),
    ],
    [
      'an unknown state',
      decodeObserved(
        json({
          version: 1,
          host: 'w1',
          epoch: 0,
          generation: 0,
          units: [{ unit: 'a.service', load: 'loaded', active: 'up', sub: '' }],
        }),
        '/o',
      ),
    ],
    [
      'labels that are a list',
      decodeMember(
        json({ version: 1, host: 'w1', machineId: '', address: '', url: '', labels: [], software: '', file: '' }),
        '/m',
      ),
    ],
    ['an unknown intent', decodeHostIntent(json({ version: 1, host: 'w1', state: 'gone', since: '', why: '' }), '/h')],
    [
      'a brake above 1',
      decodeSpecRecord(
        json({
          version: 1,
          spec: { services: [], brake: { above: 2, atLeast: 1, holdMs: 1 } },
          digest: '',
          proposedBy: '',
          at: '',
          earlier: [],
        }),
        '/spec',
      ),
    ],
  ])('%s is refused', (_name, decoded) => {
    expect(problem(decoded)).toMatch(/ is not valid: .+; it is ignored$/);
  });
});

describe('writing', () => {
  test('payloads are JSON with the version in front', () => {
    expect(encodeEpoch({ epoch: 3, leader: 'w1' }).toString()).toBe('{"version":1,"epoch":3,"leader":"w1"}');
  });

  test('optional fields that are undefined come back as absent', () => {
    const observed: Observed = { host: 'w1', epoch: 0, generation: 0, refused: undefined, units: [] };
    expect(decodeObserved(encodeObserved(observed), '/o')).toStrictEqual({
      ok: true,
      value: { host: 'w1', epoch: 0, generation: 0, units: [] },
    });
  });

  test('desired states for 5,000 hosts of 20 units each are written and read', () => {
    const units: Desired['units'] = Array.from({ length: 20 }, (_, i) => ({
      unit: `svc-${i}.service`,
      service: `svc-${i}`,
      isolation: 'keep',
      why: { kind: 'moved', from: 'w1', because: { kind: 'host-lost' } },
    }));
    const states = Array.from(
      { length: 5000 },
      (_, i): Desired => ({ host: `w${i}`, epoch: 1, generation: 1, spec: 'sha256:0', units }),
    );
    expect(states.every((state) => decodeDesired(encodeDesired(state), '/d').ok)).toBe(true);
  });
});
