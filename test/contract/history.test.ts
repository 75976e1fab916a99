/** What is decided and that it was decided, in one transaction, on a real ZooKeeper. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Alongside, DesiredWriter } from '../../src/leader/desired-writer.ts';
import { Historian } from '../../src/leader/historian.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { HistoryReader } from '../../src/shared/history-reader.ts';
import type { Desired } from '../../src/shared/state.ts';
import type { Store } from '../../src/shared/store.ts';
import { connect } from '../../src/shared/zookeeper/store.ts';
import { MemoryLog } from '../fakes/log.ts';
import { until } from '../harness/until.ts';
import { TestServer } from '../harness/zookeeper.ts';

let server: TestServer;
let store: Store;
let count = 0;

beforeAll(async () => {
  server = await TestServer.start();
}, 30_000);
afterAll(() => server.stop());

beforeEach(async () => {
  count += 1;
  const servers = [`127.0.0.1:${server.port}`];
  const log = new MemoryLog();
  store = connect({ servers, chroot: `/history/${count}`, sessionTimeoutMs: 4_000, clock: systemClock, log });
  await until(() => store.state.kind === 'connected', { deadlineMs: 8_000, what: 'a session' });
  return () => store.close();
});

async function lead(): Promise<{ writer: DesiredWriter; along: Alongside }> {
  await store.ensure('/epoch');
  const version = await store.set('/epoch', Buffer.from('w1'));
  const fence = { op: 'check', path: '/epoch', version } as const;
  const log = new MemoryLog();
  const historian = new Historian({ epoch: version, fence }, { host: 'w1', store, clock: systemClock, log });
  const writer = await DesiredWriter.open(store, fence, log);
  await until(async () => (await told()).length === version, { deadlineMs: 8_000, what: 'the leader to be told' });
  await historian.close();
  return { writer, along: historian.tell(writer, 1, [], () => false) };
}

async function told(): Promise<string[]> {
  const { events, problems } = await new HistoryReader(store).read((await store.children('/history')) ?? []);
  expect(problems).toEqual([]);
  return events.map(({ kind, unit, host }) => [kind, unit, host].filter((part) => part !== undefined).join(' '));
}

const states = (hosts: number): Desired[] =>
  Array.from({ length: hosts }, (_, n) => ({
    host: `w${n}`,
    epoch: 1,
    generation: 1,
    spec: 'sha256:',
    units: Array.from({ length: 10 }, (_, unit) => ({
      unit: `service-${unit}.service`,
      service: `service-${unit}`,
      isolation: 'keep',
      why: { kind: 'least-loaded' },
    })),
  }));

it('a placement of many hosts is written together with an event for each of its instances', async () => {
  const { writer, along } = await lead();
  await writer.write(states(250), [], along);
  expect(await store.children('/desired')).toHaveLength(250);
  const all = await told();
  expect(all.filter((line) => line.startsWith('placed service-3.service '))).toHaveLength(250);
  expect(all).toHaveLength(1 + 250 + 2_500);
  // three transactions, and the leader itself
  expect(await store.children('/history')).toHaveLength(4);
});

it('a leader that was deposed writes neither a placement nor an event', async () => {
  const { writer, along } = await lead();
  const next = await lead();
  await expect(writer.write(states(3), [], along)).rejects.toMatchObject({ code: 'bad-version' });
  expect(await store.children('/desired')).toEqual([]);
  expect(await told()).toEqual(['leader-changed w1', 'leader-changed w1']);
  await next.writer.write(states(1).slice(0, 1), [], next.along);
  expect((await told()).slice(2, 4)).toEqual(['member-joined w0', 'placed service-0.service w0']);
});
