/** An executor whose units need no turn to be started, it is always theirs, and none of which is found by others. */
import type { ExecutorOptions } from '../../src/executor/executor-options.ts';

export const NO_ORDER: Pick<ExecutorOptions, 'turns' | 'isRegistered' | 'mayBeFound'> = {
  turns: { want: () => {}, state: () => ({ kind: 'has' }) },
  isRegistered: () => true,
  mayBeFound: () => false,
};
