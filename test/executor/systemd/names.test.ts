import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseBusAddress, systemBusAddress } from '../../../src/executor/systemd/bus-address.ts';
import { isServicePath, unitOfPath, unitPath } from '../../../src/executor/systemd/unit-path.ts';

describe('object paths of units', () => {
  it('are those that systemd gives', () => {
    expect(unitPath('getty@tty1.service')).toBe('/org/freedesktop/systemd1/unit/getty_40tty1_2eservice');
    expect(unitPath('dbus-org.service')).toBe('/org/freedesktop/systemd1/unit/dbus_2dorg_2eservice');
    expect(unitPath('1a_b.service')).toBe('/org/freedesktop/systemd1/unit/_31a_5fb_2eservice');
  });

  it('lead back to the name', async () => {
    const name = fc.stringMatching(/^[A-Za-z0-9:_.\\@-]{1,40}$/).map((stem) => `${stem}.service`);
    await fc.assert(
      fc.property(name, (unit) => {
        expect(unitOfPath(unitPath(unit))).toBe(unit);
        expect(isServicePath(unitPath(unit))).toBe(true);
      }),
    );
  });

  it('are not taken from elsewhere or from broken escapes', () => {
    expect(isServicePath('/org/freedesktop/systemd1/unit/a_2etimer')).toBe(false);
    expect(isServicePath('/org/example/a_2eservice')).toBe(false);
    for (const path of [
      '/org/example/a_2eservice',
      '/org/freedesktop/systemd1/unit/a_zz',
      '/org/freedesktop/systemd1/unit/',
    ]) {
      expect(unitOfPath(path)).toBeUndefined();
    }
  });
});

describe('D-Bus addresses', () => {
  it('default to the system bus of the environment', () => {
    expect(systemBusAddress({})).toBe('unix:path=/run/dbus/system_bus_socket');
    expect(systemBusAddress({ DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/x' })).toBe('unix:path=/x');
  });

  it('are rewritten for the client library, each of a list', () => {
    expect(parseBusAddress('unix:path=/run/a%20b,guid=00;unix:abstract=/tmp/x;tcp:host=h,port=1')).toEqual([
      'unix:socket=/run/a b',
      'unix:socket=\0/tmp/x',
      'tcp:host=h,port=1',
    ]);
  });

  it.each([
    ['', 'is empty'],
    ['nonsense', 'is not a D-Bus address'],
    ['unix:path', 'is not a D-Bus address'],
    ['unix:runtime=yes', 'neither path= nor abstract='],
    ['unix:path=/a%3ab', 'not supported'],
    ['unix:path=/a%zz', 'two hexadecimal digits'],
    ['tcp:host=h', 'no port='],
    ['launchd:env=X', 'transport "launchd"'],
  ])('that cannot be used are refused with the reason: %s', (address, reason) => {
    expect(() => parseBusAddress(address)).toThrow(reason);
  });
});
