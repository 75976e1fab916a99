/** What a drill does to an ensemble of a given size, step by step. Pure. */

/** `orderly`: `zkServer.sh stop`; the others are signals. */
export const METHODS = ['orderly', 'SIGTERM', 'SIGKILL'] as const;
export type Method = (typeof METHODS)[number];

export type Step =
  | {
      readonly kind: 'end';
      readonly method: Method;
      /** Whom: a server that stands alone counts as the leader. */
      readonly role: 'leader' | 'follower';
      /** Servers that are down afterwards. */
      readonly down: number;
      /** Enough servers are left. */
      readonly quorum: boolean;
    }
  /** Starts one server that is down, or all of them. */
  | { readonly kind: 'return'; readonly which: 'one' | 'all'; readonly down: number; readonly quorum: boolean };

/** Sizes of an ensemble that a drill is for. */
export const SIZES = [1, 3, 5, 6, 7] as const;
export type Size = (typeof SIZES)[number];

/** How many servers an ensemble can lose: more than half must be left. */
export function tolerated(size: number): number {
  return size - (Math.floor(size / 2) + 1);
}

/**
 * Leader and follower are ended by each method, as many at a time as the ensemble stands; then it is brought down to its
 * quorum, below it, back to it, and to full strength. It ends with all servers up.
 */
export function plan(size: number): Step[] {
  const most = tolerated(size);
  const steps: Step[] = [];
  let down = 0;
  const end = (method: Method, role: 'leader' | 'follower') => {
    down += 1;
    steps.push({ kind: 'end', method, role, down, quorum: down <= most });
  };
  const startAgain = (which: 'one' | 'all') => {
    down = which === 'all' ? 0 : down - 1;
    steps.push({ kind: 'return', which, down, quorum: down <= most });
  };
  if (size === 1) {
    for (const method of METHODS) {
      end(method, 'leader');
      startAgain('all');
    }
    return steps;
  }
  for (const method of METHODS) {
    for (const role of ['leader', 'follower'] as const) {
      if (down >= most) startAgain('all');
      end(method, role);
    }
    if (method !== 'SIGKILL') startAgain('all');
  }
  while (down < most) end('SIGKILL', 'follower');
  end('SIGKILL', 'follower');
  startAgain('one');
  if (down > 0) startAgain('all');
  return steps;
}
