import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compare,
  instanceUnit,
  isHostName,
  isInstanceKey,
  isServiceName,
  isUnitName,
  toUnitName,
  unitsOf,
} from '../../src/shared/names.ts';

describe('the name of a unit', () => {
  it.each([
    'a.service',
    'A-b_c:d.e.service',
    'a@1.service',
    'a@b@c.service',
    'dev-\\x2d.service',
    `${'a'.repeat(247)}.service`,
  ])('may be %s', (name) => {
    expect(isUnitName(name)).toBe(true);
  });

  it.each([
    '',
    '.service',
    'a',
    'a.socket',
    'a@.service',
    '@a.service',
    'a b.service',
    'a/b.service',
    '../a.service',
    'ä.service',
    'a.service\n',
    'a.service ',
    'a;b.service',
    `${'a'.repeat(248)}.service`,
  ])('may not be %j', (name) => {
    expect(isUnitName(name)).toBe(false);
  });

  it('is made of a name with or without its suffix', () => {
    expect(toUnitName('hadoop@namenode')).toBe('hadoop@namenode.service');
    expect(toUnitName('hadoop@namenode.service')).toBe('hadoop@namenode.service');
    expect(instanceUnit('dummy_multi', '3')).toBe('dummy_multi@3.service');
  });

  it('is made of any service name and instance key that are allowed', () => {
    const part = fc.stringMatching(/^[A-Za-z0-9:_.\\-]{1,40}$/);
    fc.assert(
      fc.property(part, part, (service, key) => {
        expect([isServiceName(service), isInstanceKey(key)]).toEqual([true, true]);
        expect(isUnitName(instanceUnit(service, key))).toBe(true);
      }),
    );
  });
});

describe('the name of a service', () => {
  it.each(['', 'a@b', 'a b', 'a/b', 'a\n', 'a'.repeat(248)])('may not be %j', (name) => {
    expect(isServiceName(name)).toBe(false);
  });

  it('may be as long as systemd allows', () => {
    expect(isServiceName('a'.repeat(247))).toBe(true);
  });
});

describe('the key of an instance', () => {
  it.each(['1', 'a.b', 'x@y', '-'])('may be %j', (key) => expect(isInstanceKey(key)).toBe(true));
  it.each(['', 'a b', 'a/b', 'a\n', '*'])('may not be %j', (key) => expect(isInstanceKey(key)).toBe(false));
});

describe('the name of a host', () => {
  it.each(['w1', 'W1.example.org', 'a-b_c', '1', 'a.b.c', 'a'.repeat(253)])('may be %s', (name) => {
    expect(isHostName(name)).toBe(true);
  });

  it.each(['', '.', '..', 'a..b', '-a', 'a-', 'a.', '.a', 'a/b', 'a b', 'ä', 'a\n', 'a'.repeat(254)])(
    'may not be %j',
    (name) => {
      expect(isHostName(name)).toBe(false);
    },
  );
});

describe('the units of a service', () => {
  const base = { enabled: true, isolation: 'keep' } as const;

  it('are one for a global and a shared one, and one for each key of a multi one, in the order of the file', () => {
    expect(unitsOf({ ...base, name: 'a', type: 'global' })).toEqual(['a.service']);
    expect(unitsOf({ ...base, name: 'a@b', type: 'shared', count: 2 })).toEqual(['a@b.service']);
    const instances = { z: 1, a: 2 };
    expect(unitsOf({ ...base, name: 'm', type: 'multi', instances, force: {}, exclusive: false })).toEqual([
      'm@z.service',
      'm@a.service',
    ]);
  });

  it('are declared also by a service that is not enabled', () => {
    expect(unitsOf({ ...base, enabled: false, name: 'a', type: 'global' })).toEqual(['a.service']);
  });
});

describe('the order of names', () => {
  it('is by code unit, whatever the locale', () => {
    expect(['b', 'a', 'B', 'ä', 'a1', 'a10', 'a2'].sort(compare)).toEqual(['B', 'a', 'a1', 'a10', 'a2', 'b', 'ä']);
  });

  it('is total', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(compare(a, b) + compare(b, a)).toBe(0);
        expect(compare(a, b) === 0).toBe(a === b);
      }),
    );
  });
});
