/** What a step may be: each kind with its weight, and how it is done. A kind that has no effect now answers false. */

import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import { compare, unitsOf } from '../../src/shared/names.ts';
import { encodeHostIntent } from '../../src/shared/payloads.ts';
import type { WireOperation } from '../../src/shared/zookeeper/calls.ts';
import type { UnitScript } from '../fakes/systemd-script.ts';
import { OPERATOR } from './orders.ts';
import { CHECKED, ONCE_ONLY } from './scenario.ts';
import type { SimulatedHost, Way, World } from './world.ts';

export interface Kind {
  readonly name: string;
  readonly weight: number;
  /** Does it; answers what was done to whom, or undefined when nothing could be. */
  readonly act: (world: World) => Promise<string | undefined> | string | undefined;
}

/** The kind of step that is no fault. */
export const TIME_PASSES = 'time passes';
/** What was to happen at a start has happened. */
export const STRUCK_AT_START = 'struck as it starts a unit';
/** A start came after others had had their turn, as its host had said before. */
export const WAITED_FOR_TURN = 'start that waited for its turn';
/** A start came after that of another service, as its host had said before. */
export const WAITED_FOR_SERVICE = 'start that waited for another service';

const SIGKILL = 9;
const SIGTERM = 15;

function some(world: World, may: (host: SimulatedHost) => boolean): SimulatedHost | undefined {
  const able = world.hosts.filter(may);
  return able.length === 0 ? undefined : world.random.pick(able);
}

/** A step that concerns one host, of those that `may`. */
function onHost(
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

const hasDaemon = (host: SimulatedHost) => host.daemon !== undefined;
const runs = (host: SimulatedHost) => host.daemon !== undefined && !host.daemon.process.paused;
const isPaused = (host: SimulatedHost) => host.daemon?.process.paused === true;

/** Units of declared services that have processes on the host. */
function unitsOn(host: SimulatedHost, world: World): string[] {
  const declared = declaredUnits(world);
  return host.fake.systemd.running().filter((unit) => declared.has(unit));
}

const declaredIn = new WeakMap<World, ReadonlySet<string>>();

/** Units of all services of the files, in their order. */
function declaredUnits(world: World): ReadonlySet<string> {
  const known = declaredIn.get(world);
  if (known) return known;
  const names = world.scenario.files.flatMap(({ services }) => services.flatMap(unitsOf));
  const declared = new Set([...names].sort(compare));
  declaredIn.set(world, declared);
  return declared;
}

const CUTS: readonly Way[] = ['silent', 'requests', 'answers', 'reset'];

function cut(way: Way, name: string, weight: number): Kind {
  return onHost(
    name,
    weight,
    (host) => host.way === 'whole' && host.powered,
    (host, world) => world.setWay(host, way),
  );
}

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

function mend(host: SimulatedHost, world: World): void {
  for (const file of host.broken) host.fake.systemd.define(file, world.scenario.scripts.get(file));
  host.broken.clear();
}

/** The operator changes znodes by hand; false when ZooKeeper refuses. */
function byHand(world: World, ...operations: readonly WireOperation[]): boolean {
  return world.ensemble.isServing && !world.ensemble.isFrozen && world.ensemble.apply(OPERATOR, operations).ok;
}

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

function intend(name: string, weight: number, state: 'cordoned' | 'draining'): Kind {
  return onHost(
    name,
    weight,
    () => true,
    (host, world) => {
      const path = `/hosts/${host.name}`;
      const since = world.clock.date().toISOString();
      const data = encodeHostIntent({ host: host.name, state, since, why: 'simulated' });
      const done =
        byHand(world, { op: 'set', path, data, version: -1 }) ||
        byHand(world, { op: 'create', path, data, mode: 'persistent' });
      return done ? undefined : 'in vain';
    },
  );
}

function spoilZnode(name: string, weight: number, paths: readonly string[], how: 'spoil' | 'remove'): Kind {
  return {
    name,
    weight,
    act: (world) => {
      const folder = world.random.pick(paths);
      const children = [...(world.ensemble.tree.get(folder)?.children ?? [])].sort(compare);
      const path =
        folder === '/spec' ? folder : children.length > 0 ? `${folder}/${world.random.pick(children)}` : undefined;
      if (path === undefined) return undefined;
      const data = Buffer.from(world.random.pick(['', '{', '{"version":1}', 'null', '{"version":99,"host":"w1"}']));
      const done =
        how === 'spoil'
          ? byHand(world, { op: 'set', path, data, version: -1 })
          : byHand(world, { op: 'remove', path, version: -1 });
      return done ? path : undefined;
    },
  };
}

export const FAULTS: readonly Kind[] = [
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
  onHost(
    'reload with another file',
    3,
    (host) => runs(host) && !host.ending,
    (host, world) => {
      host.file = world.random.int(0, world.scenario.files.length - 1);
      world.reload(host);
      return `file ${host.file}`;
    },
  ),
  onHost(
    'another file, no reload',
    3,
    () => true,
    (host, world) => {
      host.file = world.random.int(0, world.scenario.files.length - 1);
      return `file ${host.file}`;
    },
  ),
  {
    name: 'apply',
    weight: 3,
    act: (world) => {
      const file = world.random.int(0, world.scenario.files.length - 1);
      void world.propose(world.file(file));
      return `file ${file}`;
    },
  },
  intend('cordon', 1.5, 'cordoned'),
  intend('drain', 1.5, 'draining'),
  {
    name: 'old desired state restored',
    weight: 2,
    act: (world) => {
      const old = world.oldDesired();
      if (!old) return undefined;
      const { path, data } = old;
      return byHand(world, { op: 'set', path, data, version: -1 }) ? path : undefined;
    },
  },
  onHost(
    'uncordon',
    4,
    (host, world) => world.ensemble.tree.get(`/hosts/${host.name}`) !== undefined,
    (host, world) => {
      byHand(world, { op: 'remove', path: `/hosts/${host.name}`, version: -1 });
    },
  ),
  spoilZnode('znode spoilt', 2, ['/desired', '/observed', '/hosts', '/spec'], 'spoil'),
  spoilZnode('znode removed', 2, ['/desired', '/observed', '/election'], 'remove'),
];

/** The passing of time, and all kinds of faults. */
export const KINDS: readonly string[] = [
  TIME_PASSES,
  ...FAULTS.map(({ name }) => name),
  STRUCK_AT_START,
  WAITED_FOR_TURN,
  WAITED_FOR_SERVICE,
];

/** The election znode of the host's daemon. */
function electionZnodeOf(world: World, host: string): string | undefined {
  const names = [...(world.ensemble.tree.get('/election')?.children ?? [])].sort(compare);
  const paths = names.map((name) => `/election/${name}`);
  return paths.find((path) => world.ensemble.tree.get(path)?.data.includes(`"${host}"`));
}

/** Everything that is wrong is put right; `all`: units that failed, too. */
export async function mendAll(world: World, all: boolean): Promise<void> {
  world.ensemble.thaw();
  if (!world.ensemble.isServing) {
    await world.clock.advance(Math.max(0, (world.lostUntil ?? 0) - world.clock.now()));
    world.lostUntil = undefined;
    world.ensemble.start();
  }
  for (const host of world.hosts) {
    host.atStart = undefined;
    host.sick.clear();
    world.setWay(host, 'whole');
    world.setBus(host, true);
    host.daemon?.process.resume();
    if (all) {
      mend(host, world);
      byHand(world, { op: 'remove', path: `/hosts/${host.name}`, version: -1 });
    }
    if (!host.powered) await world.powerOn(host);
    else if (!host.daemon) await world.boot(host);
  }
}
