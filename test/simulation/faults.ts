/** What a step may be: all kinds of faults, each with its weight, and how all of them are put right. */
import { DAEMON_FAULTS } from './daemon-faults.ts';
import type { Kind } from './kind.ts';
import { byHand, OPERATOR_FAULTS } from './operator-faults.ts';
import { mend, UNIT_FAULTS } from './unit-faults.ts';
import type { World } from './world.ts';
import { ZOOKEEPER_FAULTS } from './zookeeper-faults.ts';

/** The kind of step that is no fault. */
export const TIME_PASSES = 'time passes';
/** What was to happen at a start has happened. */
export const STRUCK_AT_START = 'struck as it starts a unit';
/** A start came after others had had their turn, as its host had said before. */
export const WAITED_FOR_TURN = 'start that waited for its turn';
/** A start came after that of another service, as its host had said before. */
export const WAITED_FOR_SERVICE = 'start that waited for another service';

/** Their order is a part of what a seed decides. */
export const FAULTS: readonly Kind[] = [...DAEMON_FAULTS, ...ZOOKEEPER_FAULTS, ...UNIT_FAULTS, ...OPERATOR_FAULTS];

/** The passing of time, and all kinds of faults. */
export const KINDS: readonly string[] = [
  TIME_PASSES,
  ...FAULTS.map(({ name }) => name),
  STRUCK_AT_START,
  WAITED_FOR_TURN,
  WAITED_FOR_SERVICE,
];

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
