/**
 * Bugs that are planted in the product, one at a time, to see that the simulation finds each: the sensitivity of its
 * invariants, by example. Each is one exact piece of the product's text; who changes that text gives it a new one here.
 */
import type { Mutation } from './bundle.ts';
import type { Invariant } from './invariants.ts';

export interface PlantedBug extends Mutation {
  readonly what: string;
  /** One of these is violated. */
  readonly violates: readonly Invariant[];
}

export const PLANTED: readonly PlantedBug[] = [
  {
    what: 'a leader writes without the fence of its term',
    file: 'leader/desired-writer.ts',
    find: 'const operations = [this.fence, ...batch.map((step) => step.operation)];',
    replace: 'const operations = batch.map((step) => step.operation);',
    violates: ['INV-FENCE'],
  },
  {
    what: 'units are observed from memory once they have been seen, not from systemd',
    file: 'executor/survey.ts',
    find: 'const full = this.due || at.now - this.listedAt >= at.everyMs;',
    replace: 'const full = !this.done;',
    violates: ['INV-LIVE'],
  },
  {
    what: 'stopping begins only when the session may be over',
    file: 'executor/isolation.ts',
    find: 'return this.confirmedAt + isolationTiming(this.timeoutMs).stopAfterMs;',
    replace: 'return this.confirmedAt + isolationTiming(this.timeoutMs).expiryMs;',
    violates: ['INV-ONCE'],
  },
  {
    // half of it breaks the rule only where all that may be late is so at its worst at once: 1,000 seeds do not show it
    what: 'stopping begins a sixth of the session too late',
    file: 'executor/isolation.ts',
    find: 'return this.confirmedAt + isolationTiming(this.timeoutMs).stopAfterMs;',
    replace: 'return this.confirmedAt + isolationTiming(this.timeoutMs).stopAfterMs + this.timeoutMs / 6;',
    violates: ['INV-ONCE'],
  },
  {
    what: 'units that run already are restarted, not adopted',
    file: 'executor/diff.ts',
    find: "if (!memory.ours || (!memory.ran && state.active === 'active')) return { kind: 'adopt', unit, desired };",
    replace: "if (!memory.ours) return { kind: 'stop', unit, reason: 'values-changed' };",
    violates: ['INV-NEEDLESS-STOP'],
  },
  {
    what: 'what may run once is started before its guard counts',
    file: 'executor/lease.ts',
    find: 'return new Set([...this.options.runOnce()].filter((unit) => this.guards.covers(unit, aheadMs)));',
    replace: 'return new Set(this.options.runOnce());',
    violates: ['INV-ONCE'],
  },
  {
    what: 'the new host starts without waiting for the old one to stop',
    file: 'leader/hand-over.ts',
    find: 'return absent.length < others ? rest : absent.slice(absent.length - others);',
    replace: 'return [];',
    violates: ['INV-ONCE', 'INV-PLACEMENT'],
  },
  {
    what: 'an executor obeys an older order than it has obeyed',
    file: 'executor/accept.ts',
    find: 'if (order < 0) {',
    replace: 'if (order < Number.NEGATIVE_INFINITY) {',
    violates: ['INV-ORDER'],
  },
  {
    what: 'machines with the same host name are not told apart',
    file: 'shared/membership.ts',
    find: 'const self = describe();',
    replace: "const self = { ...describe(), machineId: 'any' };",
    violates: ['INV-NAME'],
  },
  {
    what: 'a leader takes no notice of failures',
    file: 'leader/inputs.ts',
    find: 'if (unit.failure) excluded.set',
    replace: "if (unit.failure?.kind === 'masked') excluded.set",
    violates: ['INV-LIVE'],
  },
  {
    what: 'a leader whose epoch executors have left behind does not take a higher one',
    file: 'leader/leader.ts',
    find: 'if (ahead.length === 0) return false;',
    replace: 'if (ahead.length >= 0) return false;',
    violates: ['INV-LIVE'],
  },
  {
    what: 'a placement is computed without regard to the one before',
    file: 'leader/decision.ts',
    find: 'previous: placedOn(written)',
    replace: 'previous: new Map()',
    violates: ['INV-NEEDLESS-MOVE', 'INV-NEEDLESS-STOP'],
  },
  {
    what: 'after a lost session the last order counts as if nothing had been',
    file: 'executor/isolation.ts',
    find: 'this.lapsed ||= !continuous;',
    replace: '',
    violates: ['INV-ONCE', 'INV-START'],
  },
  {
    what: 'any answer counts as proof that the session lives',
    file: 'executor/heartbeat.ts',
    find: 'store.onConfirmed((sentAt) => this.note(sentAt)),',
    replace: 'store.onConfirmed((sentAt) => options.onConfirmed(sentAt)),',
    violates: ['INV-ONCE'],
  },
  {
    what: 'a unit is restarted for its health though it is only to be reported, or moved',
    file: 'executor/health-watch.ts',
    find: "if (state !== 'unhealthy' || check?.onUnhealthy !== 'restart') return undefined;",
    replace: "if (state !== 'unhealthy' || !check) return undefined;",
    violates: ['INV-NEEDLESS-STOP'],
  },
  {
    what: 'an instance moves for its health whatever its check says',
    file: 'leader/relocation.ts',
    find: "if (health?.state !== 'unhealthy' ||",
    replace: 'if (',
    violates: ['INV-NEEDLESS-MOVE'],
  },
  {
    what: 'one more than may has its turn to start',
    file: 'discovery/start-place.ts',
    find: 'if (at < this.atOnce) {',
    replace: 'if (at <= this.atOnce) {',
    violates: ['INV-TURN'],
  },
  {
    what: 'what comes after another service is started whether or not that is up',
    file: 'executor/diff.ts',
    find: 'const ahead = serviceAhead(decision.desired, input.starts);',
    replace: 'const ahead: string | undefined = undefined;',
    violates: ['INV-AFTER'],
  },
  {
    what: 'a leader holds nothing back that comes after another service',
    file: 'leader/after.ts',
    find: 'services.filter((each) => down.has(each))',
    replace: 'services.slice(services.length)',
    violates: ['INV-AFTER'],
  },
];
