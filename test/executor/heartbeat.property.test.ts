/** A heartbeat never says more than ZooKeeper's leader knows of the session, and comes round in the end. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { isolationTiming } from '../../src/shared/isolation-timing.ts';
import { HeartbeatRig, PATH, SESSION_MS } from './heartbeat-rig.ts';

const { touchLagMs, stopAfterMs } = isolationTiming(SESSION_MS);

describe('whatever becomes of messages, connections, sessions and the process', () => {
  type Step =
    | { readonly kind: 'wait' | 'latency'; readonly ms: number }
    | { readonly kind: 'cut'; readonly how: 'silent' | 'requests' | 'answers' | 'reset' }
    | { readonly kind: 'heal' | 'expire' | 'pause' | 'resume' | 'need' | 'need-not' | 'remove' };
  const aStep: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 0, max: 1_500 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('latency'), ms: fc.integer({ min: 0, max: 400 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('cut'),
        how: fc.constantFrom('silent', 'requests', 'answers', 'reset'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('heal') }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('expire', 'pause', 'resume', 'need', 'need', 'need-not', 'remove'),
      }),
    },
  );

  function take(rig: HeartbeatRig, step: Step): Promise<void> | undefined {
    switch (step.kind) {
      case 'wait':
        return rig.clock.advance(step.ms);
      case 'latency':
        rig.latencyMs = step.ms;
        return;
      case 'cut':
        rig.store.cut(step.how);
        return;
      case 'heal':
        rig.store.heal();
        return;
      case 'expire':
        if (rig.session !== undefined) rig.ensemble.expire(rig.session);
        return;
      case 'pause':
        rig.process.pause();
        return;
      case 'resume':
        rig.process.resume();
        return;
      case 'need':
      case 'need-not':
        if (!rig.process.paused) rig.heartbeat.need(step.kind === 'need');
        return;
      case 'remove':
        rig.ensemble.apply('somebody', [{ op: 'remove', path: PATH, version: -1 }]);
        return;
    }
  }

  it('what is said is what the leader knew when the last beat came to it, though it hears of clients only after a lag', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 10, maxLength: 60 }), async (steps) => {
        const rig = new HeartbeatRig();
        let needing = false;
        rig.onSaid = (confirmedAt) => {
          const session = rig.session ?? '';
          // what is said when it begins rests on what was read, and not on a beat
          const provenAt = needing ? rig.clock.now() : (rig.beats.at(-1) ?? Number.NEGATIVE_INFINITY);
          const told = (rig.heard.get(session) ?? []).filter((at) => at <= provenAt - touchLagMs + 1e-6);
          const greeted = (rig.greeted.get(session) ?? []).filter((at) => at <= provenAt);
          const known = Math.max(Number.NEGATIVE_INFINITY, ...told, ...greeted);
          if (confirmedAt > known + 1e-6)
            throw new Error(
              `${confirmedAt} is said at ${rig.clock.now()}, but the leader knows ${known} of ${session}`,
            );
        };
        const failures: unknown[] = [];
        const check = rig.onSaid;
        rig.onSaid = (confirmedAt) => {
          try {
            check(confirmedAt);
          } catch (error) {
            failures.push(error);
          }
        };
        for (const step of steps) {
          needing = step.kind === 'need';
          await take(rig, step);
          needing = false;
        }
        rig.process.resume();
        rig.store.heal();
        rig.latencyMs = 1;
        needing = true;
        rig.heartbeat.need(true);
        needing = false;
        await rig.clock.advance(2 * SESSION_MS);
        if (failures.length > 0) throw failures[0];
        // and it comes round in the end
        const last = rig.said.at(-1);
        if (last === undefined || rig.clock.now() - last.confirmedAt > stopAfterMs / 2)
          throw new Error(`nothing is said at ${rig.clock.now()}, but ${last?.confirmedAt} at ${last?.at}`);
      }),
      { numRuns: 150 },
    );
  });
});
