/** Which hosts and events a hook is for. */
import { describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../../src/discovery/hook-event.ts';
import { complete, selects, servicesByUnit, wants } from '../../src/discovery/hook-match.ts';
import { EMPTY_VIEW, type View } from '../../src/discovery/hook-view.ts';
import type { Hook, HostSelector, Service } from '../../src/shared/spec.ts';

describe('a selector of hosts', () => {
  const facts = { labels: { zone: 'a', role: 'lb' }, services: new Set(['haproxy']) };
  it.each<[HostSelector, boolean]>([
    [{}, true],
    [{ labels: {} }, true],
    [{ labels: { zone: 'a' } }, true],
    [{ labels: { zone: 'b' } }, false],
    [{ labels: { zone: 'a', disk: 'ssd' } }, false],
    [{ labels: { constructor: 'x' } }, false],
    [{ service: 'haproxy' }, true],
    [{ service: 'web' }, false],
    [{ labels: { zone: 'b' }, service: 'haproxy' }, false],
    [{ labels: { zone: 'a' }, service: 'haproxy' }, true],
  ])('%j selects the host: %s', (on, expected) => {
    expect(selects(on, facts)).toBe(expected);
  });
});

describe('a filter', () => {
  const moved: ClusterEvent = {
    event: 'unit-moved',
    host: 'w2',
    from: 'w1',
    to: 'w2',
    unit: 'web@1.service',
    service: 'web',
    role: 'backend',
    label: 'http',
  };
  it.each<[Hook['filter'], boolean]>([
    [{}, true],
    [{ host: 'w2' }, true],
    [{ host: 'w1' }, true],
    [{ host: 'w3' }, false],
    [{ service: 'web' }, true],
    [{ service: 'db' }, false],
    [{ label: 'http' }, true],
    [{ label: 'https' }, false],
    [{ role: 'backend' }, true],
    [{ role: 'frontend' }, false],
    [{ role: 'backend', host: 'w3' }, false],
    [{ role: 'backend', host: 'w2', service: 'web', label: 'http' }, true],
  ])('%j lets the move through: %s', (filter, expected) => {
    expect(wants({ events: ['unit-moved'], filter }, moved)).toBe(expected);
  });

  it('lets nothing through that does not say what it asks for', () => {
    const joined: ClusterEvent = { event: 'member-join', host: 'w1' };
    for (const filter of [{ role: 'x' }, { service: 'x' }, { label: 'x' }])
      expect(wants({ events: ['member-join'], filter }, joined)).toBe(false);
  });

  it('lets no other event through than those that the hook names', () => {
    expect(wants({ events: ['unit-failed', 'member-join'], filter: {} }, moved)).toBe(false);
  });
});

describe('an event', () => {
  const services: readonly Service[] = [
    {
      name: 'web',
      type: 'multi',
      enabled: true,
      isolation: 'keep',
      instances: { 1: 1 },
      force: {},
      exclusive: false,
      discovery: { label: 'http', role: 'backend', onlyHealthy: true },
    },
    { name: 'agent', type: 'global', enabled: true, isolation: 'keep' },
  ];
  const after: View = {
    ...EMPTY_VIEW,
    members: new Map([['w1', { address: '10.0.0.1', labels: { role: 'node' }, leaving: false }]]),
  };
  const surroundings = { services: servicesByUnit(services), before: EMPTY_VIEW, after };

  it('of a unit says its service, with label and role, and where its host is', () => {
    expect(complete({ event: 'unit-failed', host: 'w1', unit: 'web@1.service' }, surroundings)).toEqual({
      event: 'unit-failed',
      host: 'w1',
      unit: 'web@1.service',
      service: 'web',
      label: 'http',
      role: 'backend',
      address: '10.0.0.1',
      labels: { role: 'node' },
    });
  });

  it('has the role of its host where nothing else has one', () => {
    expect(complete({ event: 'unit-failed', host: 'w1', unit: 'agent.service' }, surroundings).role).toBe('node');
    expect(complete({ event: 'member-join', host: 'w9', labels: { role: 'x' } }, surroundings).role).toBe('x');
  });

  it('of a registration has the labels of a host that went with it', () => {
    const gone = { ...surroundings, before: after, after: EMPTY_VIEW };
    const event: ClusterEvent = { event: 'unregistered', host: 'w1', address: 'a', label: 'x', id: 'w1', role: 'own' };
    expect(complete(event, gone)).toMatchObject({ labels: { role: 'node' }, role: 'own', address: 'a' });
  });

  it('about what nobody knows is as it was', () => {
    const event: ClusterEvent = { event: 'unit-started', host: 'w9', unit: 'x.service' };
    expect(complete(event, surroundings)).toEqual(event);
  });
});
