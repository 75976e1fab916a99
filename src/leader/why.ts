/** Reasons as sentences for people. Pure. */
import type { MoveCause, Why } from '../shared/state.ts';

/** `kept`, `least loaded`, `moved from w2: failed there`, … */
export function describeWhy(why: Why): string {
  switch (why.kind) {
    case 'kept':
    case 'adopted':
    case 'forced':
      return why.kind;
    case 'every-host':
      return 'every host';
    case 'least-loaded':
      return 'least loaded';
    case 'moved':
      return `moved from ${why.from}: ${describeCause(why.because)}`;
  }
}

/** Why an instance left its host. */
export function describeCause(cause: MoveCause): string {
  switch (cause.kind) {
    case 'host-lost':
      return 'host lost';
    case 'surplus':
      return 'no longer wanted';
    case 'displaced':
      return `${cause.by} had to have the host`;
    case 'rebalanced':
      return `to even out the load, as asked for on ${cause.by}`;
    case 'excluded':
      switch (cause.reason) {
        case 'draining':
          return 'host is draining';
        case 'leaving':
          return 'the daemon there is stopping';
        default:
          return `${cause.reason} there`;
      }
  }
}

/** Hosts that are named where many are meant. */
const NAMED = 10;

/** Why the brake is engaged. */
export function describeBrake(hosts: readonly string[], holdMs: number): string {
  const more = hosts.length > NAMED ? ` and ${hosts.length - NAMED} more` : '';
  const lost = hosts.slice(0, NAMED).join(', ') + more;
  return `many hosts were lost at once (${lost}): nothing is moved for ${holdMs / 1000} s, in case the fault is elsewhere`;
}

/** Why the brake is released. */
export function describeRelease(allBack: boolean): string {
  return allBack ? 'all hosts that were held are back' : 'its time is over: what ran on the lost hosts moves now';
}
