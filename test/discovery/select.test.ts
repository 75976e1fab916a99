import { describe, expect, it } from 'vitest';
import type { Registration } from '../../src/discovery/registration.ts';
import { addressList, changesBetween, endpoint, prometheusTargets, select } from '../../src/discovery/select.ts';

const entry = (id: string, more: Partial<Registration> = {}): Registration => ({
  label: 'web',
  id,
  host: id,
  address: id,
  healthy: true,
  source: 'service',
  ...more,
});

describe('a selection', () => {
  const all = [entry('w1'), entry('w2', { healthy: false, role: 'front' }), entry('w3', { role: 'front' })];

  it.each([
    [{ healthy: false }, ['w1', 'w2', 'w3']],
    [{ healthy: true }, ['w1', 'w3']],
    [{ healthy: false, role: 'front' }, ['w2', 'w3']],
    [{ healthy: true, role: 'front' }, ['w3']],
    [{ healthy: false, role: 'back' }, []],
  ])('of %j is %j', (selection, expected) => {
    expect(select(all, selection).map(({ id }) => id)).toEqual(expected);
  });
});

describe('a list of addresses', () => {
  it('is sorted, and names a host with several instances once', () => {
    expect(addressList([entry('w2:b', { address: 'w2' }), entry('w10'), entry('w2:a', { address: 'w2' })])).toBe(
      'w10,w2',
    );
  });

  it('has the port at each', () => {
    expect(addressList([entry('w1'), entry('w2', { address: 'fd00::2' })], 9300)).toBe('[fd00::2]:9300,w1:9300');
  });

  it('is empty where nothing is registered', () => {
    expect(addressList([])).toBe('');
    expect(addressList([], 80)).toBe('');
  });

  it.each([
    ['w1', 'w1:80'],
    ['198.18.0.1', '198.18.0.1:80'],
    ['fd00::1', '[fd00::1]:80'],
  ])('writes %s as %s', (address, expected) => {
    expect(endpoint(address, 80)).toBe(expected);
  });
});

describe('the targets for Prometheus', () => {
  it('have the port of the entry, else the one that was asked for, else none', () => {
    const targets = (port?: number) =>
      prometheusTargets([entry('w1', { port: 80 }), entry('w2')], port).map(({ targets: [target] }) => target);
    expect(targets(9100)).toEqual(['w1:80', 'w2:9100']);
    expect(targets()).toEqual(['w1:80', 'w2']);
  });

  it('have labels with names that Prometheus takes, and texts as values', () => {
    const info = { 'rack-row': 'a', weight: 3, nested: { deep: true } };
    const [target] = prometheusTargets([entry('w1', { unit: 'web.service', role: 'front', info })]);
    expect(target?.labels).toEqual({
      label: 'web',
      id: 'w1',
      host: 'w1',
      unit: 'web.service',
      role: 'front',
      info_rack_row: 'a',
      info_weight: '3',
      info_nested: '{"deep":true}',
    });
  });
});

describe('the changes between two lists', () => {
  it('are what is new, other than before, or gone', () => {
    const [same, changed, gone] = [entry('a'), entry('b'), entry('c')];
    const now = entry('b', { healthy: false });
    const fresh = entry('d');
    expect(changesBetween([same, changed, gone], [same, now, fresh])).toEqual({ set: [now, fresh], removed: ['c'] });
    expect(changesBetween([same], [same])).toEqual({ set: [], removed: [] });
  });
});
