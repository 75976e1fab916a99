/** What a step may be: each kind with its weight, and how it is done; what those that concern one host have in common. */
import { compare, unitsOf } from '../../src/shared/names.ts';
import type { SimulatedHost, World } from './world.ts';

export interface Kind {
  readonly name: string;
  readonly weight: number;
  /** Does it; answers what was done to whom, or undefined when nothing could be. */
  readonly act: (world: World) => Promise<string | undefined> | string | undefined;
}

export function some(world: World, may: (host: SimulatedHost) => boolean): SimulatedHost | undefined {
  const able = world.hosts.filter(may);
  return able.length === 0 ? undefined : world.random.pick(able);
}

/** A step that concerns one host, of those that `may`. */
export function onHost(
  name: string,
  weight: number,
  may: (host: SimulatedHost, world: World) => boolean,
  act: (host: SimulatedHost, world: World) => Promise<string | undefined> | string | undefined | void | Promise<void>,
): Kind {
  return {
    name,
    weight,
    act: async (world) => {
      const host = some(world, (each) => may(each, world));
      if (!host) return undefined;
      const what = await act(host, world);
      return `${host.name}${what === undefined ? '' : ` ${what}`}`;
    },
  };
}

export const hasDaemon = (host: SimulatedHost) => host.daemon !== undefined;
export const runs = (host: SimulatedHost) => host.daemon !== undefined && !host.daemon.process.paused;

/** Units of declared services that have processes on the host. */
export function unitsOn(host: SimulatedHost, world: World): string[] {
  const declared = declaredUnits(world);
  return host.fake.systemd.running().filter((unit) => declared.has(unit));
}

const declaredIn = new WeakMap<World, ReadonlySet<string>>();

/** Units of all services of the files, in their order. */
export function declaredUnits(world: World): ReadonlySet<string> {
  const known = declaredIn.get(world);
  if (known) return known;
  const names = world.scenario.files.flatMap(({ services }) => services.flatMap(unitsOf));
  const declared = new Set([...names].sort(compare));
  declaredIn.set(world, declared);
  return declared;
}
