import { beforeEach, describe, expect, it } from 'vitest';
import { type Alongside, DesiredWriter } from '../../src/leader/desired-writer.ts';
import { decodeDesired, encodeDesired } from '../../src/shared/payloads.ts';
import type { Desired } from '../../src/shared/state.ts';
import type { Operation } from '../../src/shared/store.ts';
import { MAX_DATA_BYTES } from '../../src/shared/znodes.ts';
import { FakeClock } from '../fakes/clock.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeEnsemble, type FakeStore } from '../fakes/store.ts';

let clock: FakeClock;
let ensemble: FakeEnsemble;
let store: FakeStore;
let log: MemoryLog;
let fence: Operation;
let transactions: number[];

beforeEach(async () => {
  clock = new FakeClock();
  ensemble = new FakeEnsemble({ clock });
  store = ensemble.connect();
  log = new MemoryLog();
  transactions = [];
  await clock.until('the session', () => store.state.kind === 'connected');
  await done(Promise.all([store.ensure('/desired'), store.ensure('/epoch')]));
  fence = { op: 'check', path: '/epoch', version: await done(store.set('/epoch', Buffer.from('1'))) };
  const transaction = store.transaction.bind(store);
  store.transaction = (operations) => {
    transactions.push(operations.length);
    return transaction(operations);
  };
});

const done = <T>(promise: Promise<T>): Promise<T> => clock.finish('an answer', promise);
const open = () => done(DesiredWriter.open(store, fence, log));
const names = (count: number) => Array.from({ length: count }, (_, index) => `w${index}`);

function desired(host: string, script = ''): Desired {
  const prestart = { script, values: {} };
  const unit = { unit: 'a.service', service: 'a', isolation: 'keep', why: { kind: 'kept' }, prestart } as const;
  return { host, epoch: 1, generation: 1, spec: 'sha256:', units: [unit] };
}

function written(host: string): Desired | undefined {
  const node = ensemble.tree.get(`/desired/${host}`);
  const decoded = node && decodeDesired(node.data, '');
  return decoded?.ok ? decoded.value : undefined;
}

/** A state whose payload has this many bytes. */
function sized(host: string, bytes: number): Desired {
  return desired(host, 'x'.repeat(bytes - encodeDesired(desired(host)).length));
}

describe('the writer of desired states', () => {
  it('creates, replaces and removes, and knows what is written', async () => {
    const writer = await open();
    await done(writer.write([desired('w1'), desired('w2')], []));
    await done(writer.write([desired('w1', 'new')], ['w2']));
    expect([written('w1'), written('w2')]).toEqual([desired('w1', 'new'), undefined]);
    expect(writer.hosts).toEqual(['w1']);
    expect([...writer.written.keys()]).toEqual(['w1']);
  });

  it.each([
    ['the same', true, encodeDesired(desired('w1'))],
    [
      'the same in another notation',
      true,
      Buffer.from(JSON.stringify(JSON.parse(String(encodeDesired(desired('w1')))), null, 1)),
    ],
    ['other content of the same version', false, encodeDesired(desired('w1', 'other'))],
    ['an older state', false, encodeDesired({ ...desired('w1'), generation: 0 })],
    ['nonsense', false, Buffer.from('nonsense')],
    ['nothing', false, undefined],
  ])('tells whether a state stands as it wrote it: %s', async (_, stands, data) => {
    const writer = await open();
    await done(writer.write([desired('w1')], []));
    if (data) await done(store.set('/desired/w1', data));
    else await done(store.remove('/desired/w1'));
    expect(await done(writer.stands('w1'))).toBe(stands);
  });

  it('begins with what an earlier leader wrote; what nobody can read is reported and can be replaced', async () => {
    await done(store.create('/desired/w1', encodeDesired(desired('w1')), 'persistent'));
    await done(store.create('/desired/w2', Buffer.from('nonsense'), 'persistent'));
    const writer = await open();
    expect([...writer.written]).toEqual([['w1', desired('w1')]]);
    expect(writer.hosts).toEqual(['w1', 'w2']);
    expect(log.at('error')[0]).toContain('/desired/w2');
    await done(writer.write([desired('w2')], []));
    expect(written('w2')).toEqual(desired('w2'));
  });

  it('writes many hosts in each transaction, but not too many', async () => {
    const writer = await open();
    await done(
      writer.write(
        names(250).map((host) => desired(host)),
        [],
      ),
    );
    expect(transactions).toEqual([101, 101, 51]);
    expect(writer.hosts).toHaveLength(250);
  });

  it('writes large states in transactions of their own', async () => {
    const writer = await open();
    await done(
      writer.write(
        names(3).map((host) => sized(host, 300 * 1024)),
        [],
      ),
    );
    expect(transactions).toEqual([2, 2, 2]);
  });

  it('writes a state as large as may be, and leaves a larger one out, saying so', async () => {
    const writer = await open();
    const states = [sized('w1', MAX_DATA_BYTES), sized('w2', MAX_DATA_BYTES + 1), desired('w3')];
    await done(writer.write(states, []));
    expect(ensemble.tree.get('/desired/w1')?.data).toHaveLength(MAX_DATA_BYTES);
    expect([written('w2'), written('w3')]).toEqual([undefined, desired('w3')]);
    expect(log.at('error')[0]).toContain('the desired state of w2 is');
  });

  it('writes nothing once another leader has won, and rejects', async () => {
    const writer = await open();
    await done(store.set('/epoch', Buffer.from('2')));
    await expect(done(writer.write([desired('w1')], []))).rejects.toMatchObject({ code: 'bad-version' });
    expect(written('w1')).toBeUndefined();
    expect(writer.hosts).toEqual([]);
  });

  it('writes what goes along in the same transaction, each time asked for anew', async () => {
    const writer = await open();
    const asked: string[][] = [];
    const written: number[] = [];
    const alongside: Alongside = (states, gone) => {
      asked.push([...states.map(({ host }) => host), ...gone]);
      const data = Buffer.from(`${states.length} states`);
      const operation: Operation = { op: 'create', path: '/history/x-', data, mode: 'persistent-sequential' };
      return { operations: [operation], done: () => void written.push(states.length) };
    };
    const states = names(150).map((host) => desired(host));
    await done(writer.write(states, ['w0'], alongside));
    expect(transactions).toEqual([102, 53]);
    expect(asked.map((hosts) => hosts.length)).toEqual([100, 51]);
    expect(asked[1]?.at(-1)).toBe('w0');
    expect(written).toEqual([100, 50]);
    const told = ensemble.tree.get('/history')?.children ?? new Set();
    expect([...told].sort().map((name) => ensemble.tree.get(`/history/${name}`)?.data.toString())).toEqual([
      '100 states',
      '50 states',
    ]);
  });

  it('writes nothing of what goes along when the states are refused', async () => {
    const writer = await open();
    await done(store.set('/epoch', Buffer.from('2')));
    const written: true[] = [];
    const operation: Operation = { op: 'create', path: '/history/x', data: Buffer.alloc(0), mode: 'persistent' };
    const alongside: Alongside = () => ({ operations: [operation], done: () => void written.push(true) });
    await expect(done(writer.write([desired('w1')], [], alongside))).rejects.toMatchObject({ code: 'bad-version' });
    expect(ensemble.tree.get('/history/x')).toBeUndefined();
    expect(written).toEqual([]);
  });

  it('writes what goes along afterwards where a state leaves no room for it', async () => {
    const writer = await open();
    const data = Buffer.alloc(60 * 1024);
    const operation: Operation = { op: 'create', path: '/history/x', data, mode: 'persistent' };
    const alongside: Alongside = () => ({ operations: [operation], done: () => {} });
    await done(writer.write([sized('w1', MAX_DATA_BYTES)], [], alongside));
    expect(transactions).toEqual([2, 2]);
    expect(ensemble.tree.get('/history/x')?.data).toHaveLength(60 * 1024);
  });

  it('knows after a failure in the middle what was written before it', async () => {
    const writer = await open();
    await done(store.create('/desired/w150', Buffer.alloc(0), 'persistent'));
    const states = names(250).map((host) => desired(host));
    await expect(done(writer.write(states, []))).rejects.toMatchObject({ code: 'node-exists' });
    expect(writer.hosts).toHaveLength(100);
    expect(written('w99')).toBeDefined();
    expect(written('w100')).toBeUndefined();
  });
});
