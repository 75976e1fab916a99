/** An executor whose units need no turn to be started: it is always theirs. */
import type { ExecutorOptions } from '../../src/executor/executor.ts';

export const NO_ORDER: Pick<ExecutorOptions, 'turns' | 'isRegistered'> = {
  turns: { want: () => {}, state: () => ({ kind: 'has' }) },
  isRegistered: () => true,
};
