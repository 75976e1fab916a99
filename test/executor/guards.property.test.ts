import fc from 'fast-check';
import { describe, it } from 'vitest';
import { A, B, GuardRig, SESSION_MS, SLACK_MS, stopAfterMs } from './guard-rig.ts';

type Step =
  | { readonly kind: 'renew'; readonly units: readonly string[]; readonly agoMs: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'latency'; readonly ms: number }
  | { readonly kind: 'refuse'; readonly start: boolean; readonly end: boolean }
  | { readonly kind: 'disconnect' | 'reconnect' | 'pause' | 'resume' | 'restart' };

/** A promise to the rest of the daemon: the unit is stopped by systemd at `deadline` at the latest. */
interface Promised {
  readonly at: number;
  readonly deadline: number;
}

/** Watches a rig, and throws when a unit that was covered is left alone. */
class Watched {
  readonly rig = new GuardRig(() => this.check());
  private until = Number.NEGATIVE_INFINITY;
  private wanted: readonly string[] = [];
  private readonly promised = new Map<string, Promised>();

  constructor() {
    this.rig.onConnected = () => {
      this.rig.guards.forget();
      if (this.rig.clock.now() < this.until) this.renew(this.wanted, this.until);
    };
  }

  async take(step: Step): Promise<void> {
    const { rig } = this;
    switch (step.kind) {
      case 'renew': {
        if (rig.process.paused) return;
        this.renew(step.units, Math.max(this.until, rig.clock.now() + stopAfterMs - step.agoMs));
        return;
      }
      case 'wait':
        await rig.clock.advance(step.ms);
        return;
      case 'latency':
        rig.latencyMs = step.ms;
        return;
      case 'refuse':
        rig.refusal = { ...(step.start && { start: 'no' }), ...(step.end && { end: 'no' }) };
        return;
      case 'disconnect':
        rig.systemd.disconnect();
        return;
      case 'reconnect':
        rig.systemd.reconnect();
        return;
      case 'pause':
        rig.process.pause();
        return;
      case 'resume':
        rig.process.resume();
        return;
      case 'restart':
        rig.restart();
        return;
    }
  }

  private renew(units: readonly string[], until: number): void {
    this.until = until;
    this.wanted = units;
    for (const [unit, { at }] of [...this.promised]) {
      // a later lease may be held to instead of the earlier one
      if (units.includes(unit)) this.promised.set(unit, { at, deadline: until + SLACK_MS });
      else this.promised.delete(unit);
    }
    this.rig.guards.renew({ units: new Set(units), until, sessionTimeoutMs: SESSION_MS });
  }

  /** Whatever the process has come to, and will. */
  check(): void {
    const now = this.rig.clock.now();
    const deadline = this.until + SLACK_MS;
    for (const unit of this.wanted) {
      if (this.rig.guards.covers(unit)) {
        const inTime = this.rig.waiting(unit).some(({ firesAt }) => firesAt <= deadline + 1e-6);
        if (!inTime) throw new Error(`${unit} is covered at ${now}, but no guard stops it until ${deadline}`);
        this.promised.set(unit, { at: now, deadline });
      }
      const promise = this.promised.get(unit);
      if (promise && now > promise.deadline + 1 && !this.stopped(unit, promise))
        throw new Error(`${unit} was covered at ${promise.at}, but not stopped until ${promise.deadline}`);
    }
  }

  private stopped(unit: string, { at, deadline }: Promised): boolean {
    return this.rig.seen.some(
      ({ guard, firesAt, endedAt }) =>
        guard.units.includes(unit) && firesAt >= at && firesAt <= deadline + 1e-6 && (endedAt ?? firesAt) >= firesAt,
    );
  }
}

describe('from the first guard on, whatever happens', () => {
  const aStep: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('renew'),
        units: fc.constantFrom([A], [A], [A], [A, B], [B]),
        agoMs: fc.integer({ min: 0, max: 1_300 }),
      }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 0, max: 900 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('latency'), ms: fc.integer({ min: 0, max: 300 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('refuse'), start: fc.boolean(), end: fc.boolean() }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom('disconnect', 'reconnect', 'pause', 'resume', 'restart') }),
    },
  );

  it('each covered unit has a guard that stops it in time, though the process is frozen or dies at any moment', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 10, maxLength: 60 }), async (steps) => {
        const watched = new Watched();
        await watched.rig.clock.advance(10);
        for (const step of steps) {
          await watched.take(step);
          watched.check();
        }
        watched.rig.process.kill();
        await watched.rig.clock.advance(2 * SESSION_MS);
        watched.check();
      }),
      { numRuns: 500 },
    );
  });
});
