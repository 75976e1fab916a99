/** What happens to ZooKeeper, and to the way between it and a host. */
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import { hasDaemon, type Kind, onHost, some, unitsOn } from './kind.ts';
import { ONCE_ONLY } from './scenario.ts';
import type { SimulatedHost, Way } from './world.ts';

const CUTS: readonly Way[] = ['silent', 'requests', 'answers', 'reset'];

function cut(way: Way, name: string, weight: number): Kind {
  return onHost(
    name,
    weight,
    (host) => host.way === 'whole' && host.powered,
    (host, world) => world.setWay(host, way),
  );
}

export const ZOOKEEPER_FAULTS: readonly Kind[] = [
  cut('silent', 'partition', 5),
  cut('requests', 'partition of requests', 2),
  cut('answers', 'partition of answers', 2),
  cut('reset', 'connection refused', 2),
  onHost(
    'network mended',
    14,
    (host) => CUTS.includes(host.way),
    (host, world) => world.setWay(host, 'whole'),
  ),
  onHost(
    'connection reset',
    4,
    (host) => host.way === 'whole' && hasDaemon(host),
    (host, world) => {
      world.setWay(host, 'reset');
      world.setWay(host, 'whole');
    },
  ),
  onHost('answer lost', 4, hasDaemon, (host) => host.daemon?.store.loseNextAnswer()),
  onHost(
    'session expired',
    3,
    (host, { ensemble }) => host.way === 'whole' && host.daemon?.store.state.kind === 'connected' && ensemble.isServing,
    async (host, world) => {
      // no server ends a session before its time: whoever counts on that is right
      world.setWay(host, 'requests');
      await world.clock.advance(world.scenario.sessionTimeoutMs + world.scenario.tickMs + world.random.int(0, 1_000));
      world.setWay(host, 'whole');
    },
  ),
  {
    name: 'server cut from the others',
    weight: 4,
    act: async (world) => {
      const { random, scenario, clock, ensemble } = world;
      const isCut = ({ daemon, way }: SimulatedHost) => daemon?.store.state.kind === 'connected' && way === 'whole';
      const holds = (each: SimulatedHost) => unitsOn(each, world).some((unit) => ONCE_ONLY.has(unit));
      const host = some(world, (each) => isCut(each) && (holds(each) || random.chance(0.3)));
      if (!host?.daemon || !ensemble.isServing) return undefined;
      const { touchLagMs, stopAfterMs } = isolationTiming(scenario.sessionTimeoutMs);
      const ms = random.int(100, stopAfterMs);
      host.daemon.store.strand(ms, random.next() * touchLagMs);
      // when the server gives up, none of the others may be in reach
      if (random.chance(0.5)) {
        await clock.advance(ms - 1);
        if (host.way === 'whole' && host.powered) world.setWay(host, 'silent');
        await clock.advance(random.int(0, scenario.sessionTimeoutMs));
      }
      return host.name;
    },
  },
  {
    name: 'servers frozen',
    weight: 1.5,
    act: ({ ensemble }) => {
      if (ensemble.isFrozen) return undefined;
      ensemble.freeze();
      return 'all servers';
    },
  },
  {
    name: 'servers thawed',
    weight: 9,
    act: ({ ensemble }) => {
      if (!ensemble.isFrozen) return undefined;
      ensemble.thaw();
      return 'all servers';
    },
  },
  {
    name: 'no quorum',
    weight: 2,
    act: ({ ensemble }) => {
      if (!ensemble.isServing) return undefined;
      ensemble.stop();
      return 'all servers';
    },
  },
  {
    name: 'quorum again',
    weight: 8,
    act: (world) => {
      if (world.ensemble.isServing || world.clock.now() < (world.lostUntil ?? 0)) return undefined;
      world.lostUntil = undefined;
      world.ensemble.start();
      return 'all servers';
    },
  },
  {
    name: 'all data lost',
    weight: 0.7,
    act: (world) => {
      world.loseStore();
      return 'all servers';
    },
  },
];
