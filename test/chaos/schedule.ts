/** What is done to the cluster, as a pure function of the seed. */
import { FAULT_KINDS, FAULTS, type FaultKind, isOfServers, type PlannedFault } from './faults.ts';
import { Random } from './random.ts';

/** One or two faults that overlap; after them the cluster must settle. */
export interface Round {
  /** From 1. */
  readonly number: number;
  /** Milliseconds of rest before it. */
  readonly restMs: number;
  readonly faults: readonly [PlannedFault] | readonly [PlannedFault, PlannedFault];
}

/** Where what is chosen must be possible. */
export interface Size {
  readonly hosts: number;
  readonly servers: number;
  /** Only faults of these kinds; default all. */
  readonly only?: readonly FaultKind[];
}

const LONGEST_REST_MS = 1500;
const TWO_AT_ONCE = 0.45;
/** The second one begins so much later at most; it may begin when the first one is over, before the cluster has settled. */
const LATEST_SECOND_MS = 3000;
const AT_LEADER = 0.35;
const ON_SAME_HOST = 0.4;

/** Rounds without end. The kinds come in turns: each occurs once before any occurs again as often. */
export function* schedule(seed: number, size: Size): Generator<Round, never> {
  const random = new Random(seed);
  let bag: FaultKind[] = [];
  const draw = (allowed: (kind: FaultKind) => boolean): FaultKind | undefined => {
    if (bag.length === 0) bag = random.shuffled(size.only ?? FAULT_KINDS);
    const at = bag.findIndex(allowed);
    return at < 0 ? undefined : bag.splice(at, 1)[0];
  };
  for (let number = 1; ; number++) {
    const restMs = random.whole(0, LONGEST_REST_MS);
    const kind = draw(() => true);
    if (kind === undefined) throw new Error('an empty bag of faults');
    const first = plan(random, kind, { afterMs: 0, sameHost: false });
    const next = random.chance(TWO_AT_ONCE) ? draw((other) => mayMeet(kind, other, size)) : undefined;
    if (next === undefined) {
      yield { number, restMs, faults: [first] };
      continue;
    }
    const sameHost = random.chance(ON_SAME_HOST) && mayShareHost(kind, next);
    const afterMs = random.whole(0, Math.min(LATEST_SECOND_MS, first.lastsMs + 1000));
    yield { number, restMs, faults: [first, plan(random, next, { afterMs, sameHost })] };
  }
}

function plan(random: Random, kind: FaultKind, fixed: Pick<PlannedFault, 'afterMs' | 'sameHost'>): PlannedFault {
  const { lasts, units } = FAULTS[kind];
  const range = lasts.length === 0 ? undefined : random.pick(lasts);
  return {
    kind,
    ...fixed,
    rank: random.next(),
    atLeader: random.chance(AT_LEADER),
    lastsMs: range === undefined ? 0 : random.whole(...range),
    ...(units !== undefined && { unit: random.pick(units) }),
  };
}

/** Whether two faults may overlap, so that hosts and servers lost at once stay few, and each can be undone. */
export function mayMeet(a: FaultKind, b: FaultKind, size: Size): boolean {
  if (a === b && FAULTS[a].target !== 'server') return false;
  if (isOfServers(a) && isOfServers(b)) {
    const single = FAULTS[a].target === 'server' && FAULTS[b].target === 'server';
    return single && size.servers >= 5;
  }
  // a file can be proposed only while ZooKeeper answers, and says nothing while all others are being reloaded too
  if (a === 'reload-changed' || b === 'reload-changed')
    return !isOfServers(a) && !isOfServers(b) && a !== 'reload' && b !== 'reload';
  return true;
}

/** Whether both can strike one host at the same time. */
export function mayShareHost(a: FaultKind, b: FaultKind): boolean {
  if (FAULTS[a].target !== 'host' || FAULTS[b].target !== 'host') return false;
  const off = (kind: FaultKind) => kind === 'host-power' || kind === 'host-reboot';
  if (off(a) || off(b)) return false;
  return !(FAULTS[a].ofDaemon === true && FAULTS[b].ofDaemon === true);
}
