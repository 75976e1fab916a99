/**
 * What must hold in the simulation after every event; each in one sentence, by name, stands below:
 *
 * 1. INV-ONCE. A unit with `isolation: stop` and count 1 has processes (activating, active, reloading, deactivating) on at
 *    most one host, at every moment, whatever is cut, paused or killed. An operator who starts a second one by hand, and
 *    one who removes another host's member znode, are not simulated: no program can undo what they did beforehand.
 * 2. INV-NEEDLESS-STOP. A daemon stops a unit that is active or activating only if the order that its executor obeys does
 *    not name it, or names it with other prestart values than it was started with, or the unit may run once only and the
 *    host was paused or cut off within a session timeout (by a fault, or not connected, or not a member), or the daemon is stopping
 *    in good order, or its check asks for a restart and failed.
 * 3. INV-NEEDLESS-MOVE. A leader takes a unit from a host only if, within the time for which a leader may be wrong (a
 *    session timeout and what it takes to gather events), the host was no member, was leaving or draining, or reported the
 *    unit as failed, or as unhealthy where its check moves it; or if the spec of its service changed, or it is placed too often, or its template is exclusive and
 *    another instance takes the host.
 * 4. INV-START. A daemon starts only what the order that its executor obeys names, and a unit that may run once only never
 *    while the host is cut off.
 * 5. INV-FENCE. `desired` znodes are written only by the session that took the newest epoch, and say that epoch; each epoch
 *    is higher than all before it (but for an ensemble that lost its data).
 * 6. INV-ORDER. The (epoch, generation) of a host's desired state rises with each write (but for an ensemble that lost its
 *    data); that which an executor reports as applied never falls, across restarts and lost data, too.
 * 7. INV-FOREIGN. Units that no spec declared and that were never desired on the host are not touched; strangers whose names
 *    look like ours run on, on every host that has power.
 * 8. INV-PLACEMENT. Desired states of members, of one spec, place no unit more often than its count, none twice on a host, none that is
 *    disabled or not declared, forced ones on their host only, and at most one of an exclusive template per host.
 * 9. INV-KEEP. Where no daemon runs nobody touches units but the guard, and the guard names only units with
 *    `isolation: stop`: the death or pause of a daemon alone touches no unit with `isolation: keep`.
 * 10. INV-NAME. While a daemon is a member, another machine with the same host name neither takes its place nor does anything.
 * 11. INV-NO-BUG. No unhandled rejection, no exception out of a timer, no log line that says that something is a bug.
 * 12. INV-TURN. When a daemon asks for the start of a unit with `start`, fewer than `at_once` others of its service are being
 *    started in their turn: asked for by a daemon that has run, been a member and had its bus ever since, less than their
 *    time ago, and neither active nor, where they are to be and have a check, healthy yet. Nobody keeps its turn for certain
 *    who was paused, or cut off, or whose order does not name the unit any more.
 * 13. INV-AFTER. A leader holds back what comes after a service (anywhere) unless a report said that it ran, within the
 *    time for which a leader may be wrong; a daemon starts nothing that its order holds back, nor, on the same host, what comes after
 *    a service that did not run there.
 * 14. INV-LIVE. Once every fault is over, within a bounded time one daemon leads, the cluster is settled, every unit runs as
 *    often as its count and the hosts that may take it allow, and failed ones are excluded; and then nothing more is done.
 */
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
