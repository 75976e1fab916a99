/** The state of a ZooKeeper session as a sentence for people. Pure. */
import type { SessionState } from './store.ts';

/** `why`: what is known of why there is no connection. */
export function describeConnection(state: SessionState, why: string | undefined): string {
  return why === undefined ? describeState(state) : `${describeState(state)}; ${why}`;
}

export function describeState(state: SessionState): string {
  switch (state.kind) {
    case 'connected':
      return `connected to ZooKeeper at ${state.server}, session ${state.session}, timeout ${state.timeoutMs} ms`;
    case 'connecting':
      return 'connecting to ZooKeeper';
    case 'suspended':
      return `the connection to ZooKeeper is in doubt: ${state.why}`;
    case 'lost':
      return `the ZooKeeper session ${state.session} has expired; a new one is being made`;
    case 'closed':
      return 'closed';
  }
}
