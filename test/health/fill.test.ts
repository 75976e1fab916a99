import { describe, expect, it } from 'vitest';
import { fillProbe, instanceOf } from '../../src/health/fill.ts';
import type { Probe } from '../../src/shared/attachments.ts';

const values = { host: 'w1', address: '198.18.0.7', instance: 'blue' };
const filled = (probe: Probe, change: Partial<typeof values> = {}) => fillProbe(probe, { ...values, ...change });

describe('the instance of a unit', () => {
  it.each([
    ['web.service', 'web'],
    ['web@blue.service', 'blue'],
    ['web@a@b.service', 'a@b'],
    ['a.b.service', 'a.b'],
    ['web.service@x.service', 'x'],
  ])('%s: %s', (unit, instance) => {
    expect(instanceOf(unit)).toBe(instance);
  });
});

describe('a filled probe', () => {
  it('names host, address and instance wherever they stand', () => {
    const probe: Probe = { kind: 'exec', command: ['/check-{instance}', '{host}:{address}', '{instance}{instance}'] };
    expect(filled(probe)).toEqual({ kind: 'exec', command: ['/check-blue', 'w1:198.18.0.7', 'blueblue'] });
  });

  it('leaves all other braces alone', () => {
    const command = ['/bin/check', '{other}', '${host', '{HOST}', '{}'] as const;
    expect(filled({ kind: 'exec', command })).toEqual({ kind: 'exec', command });
  });

  it('does not fill in what was filled in', () => {
    const probe: Probe = { kind: 'exec', command: ['/c', '{instance}'] };
    expect(filled(probe, { instance: '{host}' })).toEqual({ kind: 'exec', command: ['/c', '{host}'] });
  });

  it('has an IPv6 address in brackets where a port follows', () => {
    const address = '2001:db8::1';
    expect(filled({ kind: 'tcp', address: '{address}:80' }, { address })).toEqual({
      kind: 'tcp',
      address: '[2001:db8::1]:80',
    });
    expect(filled({ kind: 'http', url: 'http://{address}:80/' }, { address })).toEqual({
      kind: 'http',
      url: 'http://[2001:db8::1]:80/',
    });
    expect(filled({ kind: 'exec', command: ['/c', '{address}'] }, { address })).toEqual({
      kind: 'exec',
      command: ['/c', address],
    });
  });

  it('has a key in a URL that cannot change the URL', () => {
    const probe: Probe = { kind: 'http', url: 'http://{host}/{instance}/x' };
    expect(filled(probe, { instance: 'a@evil\\b' })).toEqual({ kind: 'http', url: 'http://w1/a%40evil%5Cb/x' });
  });
});
