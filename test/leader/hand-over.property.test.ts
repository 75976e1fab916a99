/** What holds for every hand-over, whatever hosts are told, obey and report. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compare } from '../../src/shared/names.ts';
import type { DesiredUnit } from '../../src/shared/state.ts';
import { type At, decide, entry, WRITTEN, withdrawn } from './hand-over-hosts.ts';
import {
  anOrder,
  aStep,
  COUNTS,
  EVERYWHERE,
  HandOverWorld,
  HOSTS,
  type Step,
  settle,
  someSteps,
} from './hand-over-world.ts';

describe('a unit with isolation: stop that may run on more hosts than shall have it', () => {
  const anAt: fc.Arbitrary<At & { readonly wanted: readonly DesiredUnit[] }> = fc.record({
    wanted: fc.constantFrom([], [entry('a')]),
    written: fc.constantFrom([], [entry('a')], [withdrawn('a')]),
    obeys: fc.constantFrom(WRITTEN, WRITTEN - 1),
    up: fc.constantFrom<NonNullable<At['up']>>({}, { a: 'active' }, { a: 'deactivating' }),
  });
  const waiting: At = { wanted: [entry('a')], written: [withdrawn('a')], obeys: WRITTEN, up: {} };
  const someHosts = fc
    .tuple(anAt, anAt, anAt, fc.constant(waiting))
    .map((each) => Object.fromEntries(HOSTS.map((host, index): [string, At] => [host, each[index] ?? {}])));
  const has = (units: readonly DesiredUnit[] | undefined) => (units?.length ?? 0) > 0;

  /** Told to stop it, has said so, and that it is down. */
  const hasStopped = ({ written, obeys, up }: At) =>
    written?.[0]?.withdrawn === true && obeys === WRITTEN && up?.a === undefined;

  it('starts where it was told to wait only when those that have it are no more than shall have it', () => {
    let seen = 0;
    fc.assert(
      fc.property(someHosts, (hosts) => {
        const all = Object.entries(hosts);
        const wanted = all.filter(([, at]) => has(at.wanted));
        const others = all.filter(([, at]) => !has(at.wanted));
        const surplus = others.filter(([, at]) => (has(at.written) ? !hasStopped(at) : at.up?.a !== undefined));
        const { units } = decide(hosts);
        const told = HOSTS.filter((host) => units.get(host)?.some(({ withdrawn: waits }) => !waits));
        const begins = told.filter((host) => {
          const at = hosts[host] ?? {};
          return at.written?.[0]?.withdrawn === true && at.up?.a === undefined;
        });
        if (begins.length === 0) return;
        seen += 1;
        if (told.length + surplus.length > wanted.length)
          throw new Error(`${begins} is told to start, though ${surplus.map(([host]) => host)} has it`);
      }),
      { numRuns: 500 },
    );
    expect(seen).toBeGreaterThan(20);
  });
});

describe('whatever is placed where, and whenever hosts obey and report', () => {
  const runs = { numRuns: 500 };

  it('a unit that may run n times is named for n hosts at most, and runs on n hosts at most', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const world = new HandOverWorld();
        for (const step of steps) {
          world.take(step);
          for (const [name, count] of Object.entries(COUNTS)) {
            const named = world.named(`${name}.service`).filter((host) => world.at(host).state !== 'lost');
            if (named.length > count) throw new Error(`${name} is named for ${named}`);
            const running = world.running(`${name}.service`);
            if (running.length > count && name !== 'keep') throw new Error(`${name} runs on ${running}`);
          }
        }
      }),
      runs,
    );
  });

  it('the successor of an instance on a draining or leaving host is told only after it was reported down', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const world = new HandOverWorld();
        for (const step of steps) {
          const before = new Map(Object.keys(COUNTS).map((name) => [name, world.named(`${name}.service`, true)]));
          world.take(step);
          if (step.kind !== 'lead') continue;
          for (const [name, count] of Object.entries(COUNTS)) {
            const unit = `${name}.service`;
            const told = world.named(unit, true);
            // had it until this very step, and nobody can have said that it is down since it was told to stop it
            const busy = (before.get(name) ?? []).filter((host) => {
              const { state } = world.at(host);
              const seen = world.observed.get(host)?.units.some((each) => each.unit === unit) ?? false;
              return !told.includes(host) && seen && (state === 'draining' || state === 'leaving');
            });
            if (told.length + busy.length > count) throw new Error(`${name} is told to ${told} while ${busy} has it`);
          }
        }
      }),
      runs,
    );
  });

  it('all hosts are told just what they shall have, but for what waits and what is withdrawn', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const world = new HandOverWorld();
        for (const step of steps) {
          world.take(step);
          if (step.kind !== 'lead') continue;
          const { units, pending } = world.handOver();
          for (const [host, told] of units) {
            const names = told.map(({ unit }) => unit);
            if (names.join() !== [...new Set(names)].sort(compare).join()) throw new Error(`${host} is told ${names}`);
            const plain = told.filter((each) => !each.withdrawn);
            const later = pending.filter(({ to }) => to === host).map(({ unit }) => unit);
            const wanted = (world.wanted.get(host) ?? []).filter(({ unit }) => !later.includes(unit));
            if (!isDeepStrictEqual(plain, wanted)) expect(plain).toEqual(wanted);
          }
        }
      }),
      runs,
    );
  });

  it('units with isolation: keep wait for draining and leaving hosts only, and global services are never touched', () => {
    fc.assert(
      fc.property(someSteps, (steps) => {
        const world = new HandOverWorld();
        for (const step of steps) {
          world.take(step);
          if (step.kind !== 'lead') continue;
          for (const { unit, from } of world.pending) {
            const states = new Set(from.map((host) => world.at(host).state));
            const inOrder = [...states].every((state) => state === 'draining' || state === 'leaving');
            if (unit === 'everywhere.service' || from.length === 0 || (unit === 'keep.service' && !inOrder))
              throw new Error(`${unit} waits for ${from}: ${[...states]}`);
          }
          for (const { host, units } of world.written.values())
            if (units.some((each) => each.withdrawn && EVERYWHERE.has(each.service)))
              throw new Error(`a global service is withdrawn from ${host}`);
        }
      }),
      runs,
    );
  });

  it('a leader that looks again, or the next one, writes nothing new', () => {
    fc.assert(
      fc.property(someSteps, anOrder, (steps, order) => {
        const world = new HandOverWorld();
        for (const step of steps) world.take(step);
        world.lead(order, COUNTS);
        const before = new Map(world.written);
        world.lead(order, COUNTS);
        expect(world.written).toEqual(before);
        world.take({ kind: 'succeed', spoilt: [] });
        world.lead(order, COUNTS);
        expect(world.written).toEqual(before);
      }),
      runs,
    );
  });

  it('nothing waits for ever: once all hosts obey, each has what it shall have, and nothing else runs', () => {
    fc.assert(
      fc.property(someSteps, anOrder, (steps, order) => {
        const world = new HandOverWorld();
        for (const step of steps) world.take(step);
        settle(world, order);
        expect(world.pending).toEqual([]);
        for (const [host, { state, up }] of world.hosts) {
          if (state === 'lost') continue;
          expect(world.written.get(host)?.units).toEqual(world.wanted.get(host));
          expect([...up.keys()].sort(compare)).toEqual(world.wanted.get(host)?.map(({ unit }) => unit));
        }
      }),
      runs,
    );
  });

  it('changes of the count never add a host while another has yet to stop', () => {
    // an order that is spoilt may still be obeyed, and names nobody
    const counted = aStep.chain((step): fc.Arbitrary<Step> => {
      if (step.kind === 'succeed') return fc.constant({ ...step, spoilt: [] });
      if (step.kind !== 'lead') return fc.constant(step);
      return fc.constantFrom(0, 1, 2, 3).map((once) => ({ ...step, counts: { ...COUNTS, once } }));
    });
    fc.assert(
      fc.property(fc.array(counted, { minLength: 20, maxLength: 120 }), (steps) => {
        const world = new HandOverWorld();
        let most = COUNTS.once ?? 0;
        for (const step of steps) {
          const before = world.running('once.service').length;
          world.take(step);
          if (step.kind === 'lead') most = step.counts.once ?? 0;
          const after = world.running('once.service').length;
          // an order of the time of a higher count may be carried out still, but none beyond what is named now
          const named = world.named('once.service').filter((host) => world.at(host).state !== 'lost').length;
          if (after > Math.max(most, before, named)) throw new Error(`it runs on ${world.running('once.service')}`);
        }
      }),
      runs,
    );
  });
});
