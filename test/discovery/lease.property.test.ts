/** What must hold of a startup lease whatever happens, and in whatever order: commands, faults and releases at random. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { acquireLease } from '../../src/discovery/acquire-lease.ts';
import { decodeHolder, holderPath, releaseLease } from '../../src/discovery/lease.ts';
import { sequenceOf } from '../../src/shared/sequence.ts';
import { leasePath } from '../../src/shared/znodes.ts';
import type { WireOperation } from '../../src/shared/zookeeper/calls.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

const LABEL = 'db';
const HOLDER = holderPath(LABEL);
const LONGEST_LEASE_MS = 8_000;

interface Fault {
  readonly kind: 'kill' | 'reset' | 'silent' | 'lose-answer' | 'expire' | 'interrupt';
  readonly afterMs: number;
  readonly forMs: number;
}

/** At `atMs` somebody begins to acquire it, for `leaseMs`; what befalls that one, and when it gives it back. */
interface Command {
  readonly id: string;
  readonly atMs: number;
  readonly acquireMs: number;
  readonly leaseMs: number;
  readonly releasesAfterMs: number | null;
  readonly fault: Fault | null;
}

const commands = fc.array(
  fc.record<Command>({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
    atMs: fc.integer({ min: 0, max: 6_000 }),
    acquireMs: fc.integer({ min: 0, max: 20_000 }),
    leaseMs: fc.integer({ min: 200, max: LONGEST_LEASE_MS }),
    releasesAfterMs: fc.option(fc.integer({ min: 0, max: 6_000 })),
    fault: fc.option(
      fc.record<Fault>({
        kind: fc.constantFrom('kill', 'reset', 'silent', 'lose-answer', 'expire', 'interrupt'),
        afterMs: fc.integer({ min: 0, max: 5_000 }),
        forMs: fc.integer({ min: 50, max: 9_000 }),
      }),
    ),
  }),
  { minLength: 1, maxLength: 12 },
);
/** Moments at which somebody who does not hold it asks to end it. */
const strangers = fc.array(fc.integer({ min: 0, max: 15_000 }), { maxLength: 4 });
const latencies = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 30 });

/** Sees every change of the holder, and notes what must not be. */
class Witness {
  readonly faults: string[] = [];
  readonly releasing: string[] = [];
  taken = 0;
  private holder: { readonly id: string; readonly ctime: number; readonly timeoutMs: number } | undefined;

  constructor(private readonly ensemble: FakeEnsemble) {
    ensemble.onApplied = (_session, operations) => this.applied(operations);
  }

  private applied(operations: readonly WireOperation[]): void {
    const ends = operations.some(({ op, path }) => op === 'remove' && path === HOLDER);
    const begins = operations.some(({ op, path }) => op === 'create' && path === HOLDER);
    const before = this.holder;
    if (ends) this.holder = undefined;
    if (begins) this.begun(operations, before);
    if (ends && !begins && !this.releasing.includes(before?.id ?? ''))
      this.faults.push(`the lease of ${before?.id} was ended by another`);
  }

  private begun(operations: readonly WireOperation[], before: Witness['holder']): void {
    const node = this.ensemble.tree.get(HOLDER);
    const decoded = node && decodeHolder(node.data, HOLDER);
    if (!node || !decoded?.ok) throw new Error('the holder cannot be read');
    const { id, timeoutMs } = decoded.value;
    this.taken += 1;
    this.holder = { id, timeoutMs, ctime: node.ctime };
    if (before && node.ctime - before.ctime < before.timeoutMs)
      this.faults.push(`${id} took it from ${before.id} after ${node.ctime - before.ctime} of ${before.timeoutMs} ms`);
    const own = operations.find(({ op, path }) => op === 'remove' && path !== HOLDER)?.path ?? '';
    const left = [...(this.ensemble.tree.get(leasePath(LABEL))?.children ?? [])].filter((name) => name !== 'holder');
    const earlier = left.filter((name) => sequenceOf(name) < sequenceOf(own));
    if (own === '' || earlier.length > 0) this.faults.push(`${id} took it before ${earlier.join()}`);
  }
}

function inflict({ kind, forMs }: Fault, store: FakeStore, ensemble: FakeEnsemble, interrupt: () => void): void {
  const { state } = store;
  switch (kind) {
    case 'kill':
      store.kill();
      return;
    case 'lose-answer':
      store.loseNextAnswer();
      return;
    case 'interrupt':
      interrupt();
      return;
    case 'expire':
      if (state.kind === 'connected') ensemble.expire(state.session);
      return;
    case 'reset':
    case 'silent':
      store.cut(kind);
      ensemble.clock.after(forMs, () => store.heal());
      return;
  }
}

it('has one holder at any time, first come first served, ended by itself or its time only, and is never lost', async () => {
  await fc.assert(
    fc.asyncProperty(commands, strangers, latencies, async (planned, strangersAt, delays) => {
      const clock = new FakeClock({ files: false });
      let sent = 0;
      const ensemble = new FakeEnsemble({ clock, latencyMs: () => delays[sent++ % delays.length] ?? 1 });
      const witness = new Witness(ensemble);
      const begin = (command: Command) => {
        const store = ensemble.connect();
        const abort = new AbortController();
        const { id, acquireMs, leaseMs, fault, releasesAfterMs } = command;
        if (fault) clock.after(fault.afterMs, () => inflict(fault, store, ensemble, () => abort.abort()));
        const options = { store, clock: store.process, label: LABEL, id, host: id, signal: abort.signal };
        return acquireLease({ ...options, acquireTimeoutMs: acquireMs, leaseTimeoutMs: leaseMs }).then(
          async (acquisition) => {
            if (acquisition.kind === 'acquired' && releasesAfterMs !== null) {
              await new Promise<void>((resolve) => void clock.after(releasesAfterMs, resolve));
              witness.releasing.push(id);
              // it may come to nothing, as commands that lose their connection do
              await releaseLease(store, LABEL, id).catch(() => undefined);
            }
            await store.close();
            return acquisition;
          },
        );
      };
      for (const command of planned) clock.after(command.atMs, () => void begin(command));
      const stranger = ensemble.connect();
      for (const at of strangersAt)
        clock.after(at, () => void releaseLease(stranger, LABEL, 'stranger').catch(() => undefined));
      await clock.advance(60_000);
      const last = begin({ id: 'z', atMs: 0, acquireMs: 30_000, leaseMs: 1, releasesAfterMs: null, fault: null });
      const { kind } = await clock.finish('the last one', last);
      expect(witness.faults).toEqual([]);
      expect(kind).toBe('acquired');
      expect(witness.taken).toBeGreaterThan(0);
      expect([...(ensemble.tree.get(leasePath(LABEL))?.children ?? [])]).toEqual(['holder']);
    }),
    { numRuns: 150 },
  );
}, 60_000);
