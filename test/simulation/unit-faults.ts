/** What happens to units and what they need of their host: how they behave, their checks, what people do by hand, bus and clock. */
import type { UnitScript } from '../fakes/systemd-script.ts';
import { declaredUnits, type Kind, onHost, unitsOn } from './kind.ts';
import { CHECKED, ONCE_ONLY } from './scenario.ts';
import type { SimulatedHost, World } from './world.ts';

export const SIGKILL = 9;
const SIGTERM = 15;

function signal(name: string, weight: number, number: number): Kind {
  return onHost(
    name,
    weight,
    (host, world) => unitsOn(host, world).length > 0,
    (host, world) => {
      const unit = world.random.pick(unitsOn(host, world));
      host.fake.systemd.kill(unit, number);
      return unit;
    },
  );
}

/** From now on a unit file of the host behaves in another way. */
function spoil(name: string, weight: number, how: (world: World) => Partial<UnitScript>, once: boolean): Kind {
  return onHost(
    name,
    weight,
    (host) => host.powered,
    (host, world) => {
      const files = [...world.scenario.scripts.keys()].filter((file) => once || !isOnceFile(file));
      const file = world.random.pick(files);
      host.fake.systemd.define(file, { ...world.scenario.scripts.get(file), ...how(world) });
      host.broken.add(file);
      return file;
    },
  );
}

const isOnceFile = (file: string) => [...ONCE_ONLY].some((unit) => unit.startsWith(file.replace('.service', '')));

export function mend(host: SimulatedHost, world: World): void {
  for (const file of host.broken) host.fake.systemd.define(file, world.scenario.scripts.get(file));
  host.broken.clear();
}

export const UNIT_FAULTS: readonly Kind[] = [
  signal('unit fails', 6, SIGKILL),
  signal('unit exits', 4, SIGTERM),
  spoil('unit will fail to start', 2, () => ({ start: 'fails', exitStatus: 1 }), true),
  spoil('unit will hang at start', 2, ({ random }) => ({ start: random.pick(['hangs', 'hangs-before']) }), true),
  spoil('unit will be slow to start', 2, ({ random }) => ({ startMs: random.int(200, 3_000) }), true),
  spoil('unit will hang at stop', 2, () => ({ stop: 'ignores-sigterm', stopTimeoutMs: 5_000 }), true),
  spoil(
    'unit will exit soon',
    2,
    ({ random }) => ({ exitsAfterMs: random.int(10, 3_000), exitStatus: random.int(0, 1) }),
    true,
  ),
  onHost('units mended', 8, (host) => host.broken.size > 0, mend),
  onHost(
    'checks fail',
    3,
    (host) => host.powered,
    (host, { random }) => {
      const service = random.pick(CHECKED);
      host.sick.add(service);
      return service;
    },
  ),
  onHost(
    'checks succeed again',
    4,
    (host) => host.sick.size > 0,
    (host) => host.sick.clear(),
  ),
  onHost(
    'started by hand',
    3,
    (host) => host.powered,
    (host, world) => {
      // a second instance of a unit that may run once only would be the operator's deed
      const units = [...declaredUnits(world)].filter((unit) => !ONCE_ONLY.has(unit));
      const unit = world.random.pick(units);
      host.fake.systemd.systemctl('start', unit);
      return unit;
    },
  ),
  onHost(
    'stopped by hand',
    4,
    (host, world) => unitsOn(host, world).length > 0,
    (host, world) => {
      const unit = world.random.pick(unitsOn(host, world));
      host.fake.systemd.systemctl('stop', unit);
      return unit;
    },
  ),
  onHost(
    'reset-failed by hand',
    6,
    (host) => host.powered,
    (host, world) => {
      const units = [...declaredUnits(world)].filter((unit) => host.fake.systemd.state(unit).active === 'failed');
      for (const unit of units) host.fake.systemd.systemctl('reset-failed', unit);
      return units.join(' ');
    },
  ),
  onHost(
    'bus gone',
    3,
    (host) => host.busUp && host.powered,
    (host, world) => world.setBus(host, false),
  ),
  onHost(
    'bus back',
    9,
    (host) => !host.busUp,
    (host, world) => world.setBus(host, true),
  ),
  onHost(
    'daemon-reload',
    2,
    (host) => host.powered,
    (host) => host.fake.systemd.daemonReload(),
  ),
  {
    name: 'wall clock stepped',
    weight: 2,
    act: ({ clock, random }) => {
      const ms = random.int(-3_600_000, 3_600_000);
      clock.stepWall(ms);
      return `${ms} ms`;
    },
  },
];
