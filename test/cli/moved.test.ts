import { beforeEach, expect, it } from 'vitest';
import { type MoveEnd, untilMoved } from '../../src/cli/moved.ts';
import type { HealthCheck } from '../../src/shared/attachments.ts';
import { encodeDesired, encodeObserved } from '../../src/shared/payloads.ts';
import { encodeNotes } from '../../src/shared/rebalance.ts';
import type { ActiveState, Health, ObservedUnit } from '../../src/shared/state.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';
import { checkOf } from '../fixtures/health-check.ts';

const MOVE = { unit: 'a.service', from: 'w1', to: 'w2' };
const CHECK = checkOf();

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let end: MoveEnd | undefined;

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect();
  await clock.until('a session', () => store.state.kind === 'connected');
  end = undefined;
  for (const parent of ['/desired', '/observed']) await clock.finish(parent, store.ensure(parent));
  const what = { move: MOVE, id: 'x', deadlineMs: 60_000, answerMs: 20_000 };
  void untilMoved(store, clock, what, new AbortController().signal).then((how) => {
    end = how;
  });
});

async function write(path: string, data: Buffer): Promise<void> {
  const exists = ensemble.tree.get(path) !== undefined;
  await clock.finish<unknown>(path, exists ? store.set(path, data) : store.create(path, data, 'persistent'));
  await clock.advance(100);
}

function told(
  host: string,
  generation: number,
  ...units: { check?: HealthCheck; withdrawn?: boolean }[]
): Promise<void> {
  const list = units.map(
    (more) => ({ unit: MOVE.unit, service: 'a', isolation: 'keep', why: { kind: 'kept' }, ...more }) as const,
  );
  return write(`/desired/${host}`, encodeDesired({ host, epoch: 1, generation, spec: '', units: list }));
}

function seen(generation: number, active: ActiveState, more: Partial<ObservedUnit> = {}): Promise<void> {
  const units = [{ unit: MOVE.unit, load: 'loaded', active, sub: '', ...more } as const];
  return write('/observed/w2', encodeObserved({ host: 'w2', epoch: 1, generation, units }));
}

it('an instance has moved when its new host says that it is active, in a report of the order to run it', async () => {
  await told('w2', 2, {});
  await seen(1, 'active');
  expect(end).toBeUndefined();
  await seen(2, 'activating');
  expect(end).toBeUndefined();
  await seen(2, 'active');
  expect(end).toEqual({ kind: 'moved' });
});

it('one with a check has moved when it is healthy', async () => {
  const health = (state: Health['state']) => ({ health: { state } });
  await told('w2', 2, { check: CHECK });
  await seen(2, 'active');
  await seen(2, 'active', health('starting'));
  expect(end).toBeUndefined();
  await seen(2, 'active', health('healthy'));
  expect(end).toEqual({ kind: 'moved' });
});

it('one whose check fails did not succeed', async () => {
  await told('w2', 2, { check: CHECK });
  await seen(2, 'active', { health: { state: 'unhealthy', output: 'HTTP 503' } });
  expect(end).toEqual({ kind: 'failed', why: 'it is unhealthy there: HTTP 503' });
});

it('one that fails did not succeed, nor one that is given away again', async () => {
  await told('w2', 2, {});
  await seen(2, 'failed', { failure: { kind: 'failed', message: 'exit status 1' } });
  expect(end).toEqual({ kind: 'failed', why: 'exit status 1' });
});

it('one that is given away again did not succeed', async () => {
  await told('w2', 2, {});
  await told('w2', 3);
  expect(end).toEqual({ kind: 'failed', why: 'w2 is not to run it any more' });
});

it('it is refused when the leader refuses this very move of this very wish', async () => {
  const notes = (id: string, to: string) =>
    write(
      '/leader',
      encodeNotes({
        epoch: 1,
        held: [],
        brake: false,
        joining: [],
        rebalance: { id, refused: [{ ...MOVE, to, why: 'no' }] },
      }),
    );
  await notes('y', 'w2');
  await notes('x', 'w3');
  expect(end).toBeUndefined();
  await notes('x', 'w2');
  expect(end).toEqual({ kind: 'refused', why: 'no' });
});

it('a leader that does not begin with it is not waited for as long as one that waits for the old host', async () => {
  await clock.advance(20_000);
  expect(end).toEqual({ kind: 'late', why: 'the leader has not begun with it; does it run this version?' });
});

it('what the old host has yet to stop is waited for until the deadline', async () => {
  await told('w1', 2, { withdrawn: true });
  await clock.advance(50_000);
  expect(end).toBeUndefined();
  await clock.advance(10_000);
  expect(end).toEqual({ kind: 'late', why: 'w1 has yet to stop it' });
});
