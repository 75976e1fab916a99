/** Reasons as sentences for people. Pure. */
import type { MoveCause, Why } from '../shared/model.ts';

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
    case 'excluded':
      return cause.reason === 'draining' ? 'host is draining' : `${cause.reason} there`;
  }
}
