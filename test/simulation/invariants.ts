/** What must hold in the simulation, by name. `simulate.ts` tells the whole of each. */
export const INVARIANTS = {
  'INV-ONCE': 'a unit that may run once only has processes on at most one host, at every moment',
  'INV-NEEDLESS-STOP': 'no healthy unit is stopped or restarted unless a rule says so',
  'INV-NEEDLESS-MOVE': 'no instance is taken from a host unless a rule says so',
  'INV-START':
    'only what a host was told to run is started there, and what may run once only not while the host is cut off',
  'INV-TURN': 'of a service with turns to start no more instances are being started at once than may',
  'INV-AFTER': 'what comes after another service is started only once that was up, as far as anybody can know',
  'INV-FENCE': 'desired states are written by the holder of the newest epoch alone',
  'INV-ORDER':
    'the (epoch, generation) of a host’s desired state rises with each write, and what an executor has applied never goes back',
  'INV-FOREIGN': 'no unit is touched that no file has declared and that is not ours',
  'INV-PLACEMENT': 'what is desired satisfies count, force, exclusive and enabled',
  'INV-KEEP':
    'nothing of ours but the guard acts on units when no daemon lives, and the guard only on units that may run once',
  'INV-NAME': 'no second machine takes the place of a member that has the same host name',
  'INV-NO-BUG': 'nothing throws, and nothing is logged that only a bug explains',
  'INV-LIVE': 'once all faults are over, all is in order within a bounded time, and stays so',
} as const;

export type Invariant = keyof typeof INVARIANTS;

export interface Violation {
  readonly invariant: Invariant;
  /** Milliseconds since the start of the run. */
  readonly at: number;
  readonly what: string;
}
