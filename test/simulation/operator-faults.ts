/** What an operator does: other files, intents, an old backup, znodes that are spoilt or removed. */
import { compare } from '../../src/shared/names.ts';
import { encodeHostIntent } from '../../src/shared/payloads.ts';
import type { WireOperation } from '../../src/shared/zookeeper/calls.ts';
import { type Kind, onHost, runs } from './kind.ts';
import { OPERATOR } from './orders.ts';
import type { World } from './world.ts';

/** The operator changes znodes by hand; false when ZooKeeper refuses. */
export function byHand(world: World, ...operations: readonly WireOperation[]): boolean {
  return world.ensemble.isServing && !world.ensemble.isFrozen && world.ensemble.apply(OPERATOR, operations).ok;
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

export const OPERATOR_FAULTS: readonly Kind[] = [
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
