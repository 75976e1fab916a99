import { describe, expect, it } from 'vitest';
import { type BusSignal, variant } from '../../../src/executor/systemd/bus.ts';
import { UnitChanges } from '../../../src/executor/systemd/unit-changes.ts';
import { unitPath } from '../../../src/executor/systemd/unit-path.ts';

const changed = (path: string, properties: Readonly<Record<string, string>>): BusSignal => ({
  sender: ':1.0',
  path,
  interface: 'org.freedesktop.DBus.Properties',
  member: 'PropertiesChanged',
  body: [
    'org.freedesktop.systemd1.Unit',
    Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, variant('s', value)])),
    [],
  ],
});
const state = (unit: string, active: string, sub: string) =>
  changed(unitPath(unit), { ActiveState: active, SubState: sub, Description: 'x' });

describe('changes of units', () => {
  it('are told once for each state, again after signals were missed', () => {
    const changes = new UnitChanges();
    const running = { names: ['a.service'], listed: false, active: 'active', sub: 'running' };
    expect(changes.read(state('a.service', 'active', 'running'))).toEqual(running);
    expect(changes.read(state('a.service', 'active', 'running'))).toBeUndefined();
    expect(changes.read(state('a.service', 'active', 'exited'))).toEqual({ ...running, sub: 'exited' });
    changes.forget();
    expect(changes.read(state('a.service', 'active', 'exited'))).toEqual({ ...running, sub: 'exited' });
  });

  it('are told of units that were listed as such, until signals were missed', () => {
    const changes = new UnitChanges();
    changes.learnName('alias.service', 'real.service');
    expect(changes.read(state('real.service', 'active', 'running'))?.listed).toBe(true);
    expect(changes.read(state('other.service', 'active', 'running'))?.listed).toBe(false);
    changes.forget();
    expect(changes.read(state('real.service', 'active', 'running'))?.listed).toBe(false);
  });

  it('are told under every name by which the unit was listed, as long as it is the same unit', () => {
    const changes = new UnitChanges();
    changes.learnName('alias.service', 'real.service');
    changes.learnName('real.service', 'real.service');
    expect(changes.read(state('real.service', 'active', 'running'))?.names).toEqual(['real.service', 'alias.service']);
    changes.learnName('alias.service', 'other.service');
    expect(changes.read(state('real.service', 'failed', 'failed'))?.names).toEqual(['real.service']);
    changes.learnName('alias.service', 'alias.service');
    expect(changes.read(state('other.service', 'failed', 'failed'))?.names).toEqual(['other.service']);
  });

  it.each([
    ['a unit of another type', changed('/org/freedesktop/systemd1/unit/a_2etimer', { ActiveState: 'active' })],
    ['other properties', changed(unitPath('a.service'), { Result: 'success' })],
    ['a name that is none', changed(unitPath('.service'), { ActiveState: 'active', SubState: 'running' })],
    ['a body of another shape', { ...state('a.service', 'active', 'running'), body: [] }],
  ])('are not seen in signals of %s', (_, signal) => {
    expect(new UnitChanges().read(signal)).toBeUndefined();
  });
});
