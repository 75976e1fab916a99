/** What happens to daemons and the machines that they run on: killed, paused, deposed, stopped, without power. */
import { compare } from '../../src/shared/names.ts';
import { hasDaemon, type Kind, onHost, runs, some, unitsOn } from './kind.ts';
import { byHand } from './operator-faults.ts';
import { SIGKILL } from './unit-faults.ts';
import type { SimulatedHost, World } from './world.ts';

const isPaused = (host: SimulatedHost) => host.daemon?.process.paused === true;

/** Something happens to a daemon at the moment at which it has asked systemd to start a unit. */
function atNextStart(
  name: string,
  weight: number,
  of: 'any' | 'once-only',
  act: (host: SimulatedHost, world: World) => void,
): Kind {
  return onHost(
    name,
    weight,
    (host) => runs(host) && host.atStart === undefined,
    (host, world) => {
      host.atStart = { of, act: () => act(host, world) };
    },
  );
}

export const DAEMON_FAULTS: readonly Kind[] = [
  onHost('kill', 4, hasDaemon, (host, world) => world.kill(host)),
  onHost('kill and start again', 4, hasDaemon, (host, world) => {
    world.kill(host);
    return world.boot(host);
  }),
  onHost(
    'start',
    12,
    (host) => host.powered && !host.daemon,
    (host, world) => world.boot(host),
  ),
  onHost(
    'second daemon of the same name',
    2,
    (host) => host.daemon?.membership.joined === true,
    async (host, world) => {
      const impostor = await world.impersonate(host);
      await world.clock.advance(world.random.int(50, 500));
      impostor.kill();
    },
  ),
  atNextStart('paused when it starts a unit', 1, 'any', (host) => host.daemon?.process.pause()),
  atNextStart('killed when it starts a unit', 1, 'any', (host, world) => world.kill(host)),
  atNextStart('paused when it starts what may run once', 3, 'once-only', (host) => host.daemon?.process.pause()),
  atNextStart('killed when it starts what may run once', 2, 'once-only', (host, world) => world.kill(host)),
  {
    name: 'leader deposed while paused',
    weight: 3,
    act: async (world) => {
      const leader = world.hosts.find(({ daemon }) => daemon?.election.leading && !daemon.process.paused);
      const path = leader?.daemon && electionZnodeOf(world, leader.name);
      if (!leader?.daemon || path === undefined) return undefined;
      const { process } = leader.daemon;
      // something has happened that it would act upon
      const victim = some(world, (host) => unitsOn(host, world).length > 0);
      if (victim) victim.fake.systemd.kill(world.random.pick(unitsOn(victim, world)), SIGKILL);
      await world.clock.advance(world.random.int(0, world.scenario.timings.reactionMs));
      process.pause();
      const done = byHand(world, { op: 'remove', path, version: -1 });
      await world.clock.advance(world.random.int(50, 1_000));
      process.resume(world.random.chance(0.5) ? 'timers' : 'messages');
      return done ? leader.name : undefined;
    },
  },
  onHost('pause', 5, runs, (host) => host.daemon?.process.pause()),
  onHost('continue', 10, isPaused, (host, world) =>
    host.daemon?.process.resume(world.random.chance(0.5) ? 'timers' : 'messages'),
  ),
  onHost(
    'stop in good order',
    3,
    (host) => runs(host) && !host.ending,
    (host, world) => world.stop(host, 'all'),
  ),
  onHost(
    'stop, units run on',
    1.5,
    (host) => runs(host) && !host.ending,
    (host, world) => world.stop(host, 'once-only'),
  ),
  onHost(
    'restart in good order',
    3,
    (host) => runs(host) && !host.ending,
    (host, world) => world.restart(host),
  ),
  onHost(
    'power off',
    2,
    (host) => host.powered,
    (host, world) => world.powerOff(host),
  ),
  onHost(
    'power on',
    8,
    (host) => !host.powered,
    (host, world) => world.powerOn(host),
  ),
];

/** The election znode of the host's daemon. */
function electionZnodeOf(world: World, host: string): string | undefined {
  const names = [...(world.ensemble.tree.get('/election')?.children ?? [])].sort(compare);
  const paths = names.map((name) => `/election/${name}`);
  return paths.find((path) => world.ensemble.tree.get(path)?.data.includes(`"${host}"`));
}
