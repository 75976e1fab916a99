/** A client and an ensemble of three servers that lose one another. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import type { Store } from '../../../src/shared/store.ts';
import { type RunningServer, type ServerOptions, startServer } from '../../../src/shared/zookeeper/server.ts';
import { connect } from '../../../src/shared/zookeeper/store.ts';
import { freePort } from '../../harness/zookeeper.ts';
import { bytes, untilConnected, untilKind } from './rig.ts';

let folder: string;
let members: ServerOptions[];
let running: RunningServer[];
const stores: Store[] = [];
const log = { debug() {}, info() {}, warn() {}, error() {} };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-ensemble-'));
  const ports = await Promise.all(Array.from({ length: 9 }, () => freePort()));
  const port = (index: number) => ports[index] ?? 0;
  const servers = [1, 2, 3].map((id) => ({
    id,
    address: '127.0.0.1',
    peerPort: port(id + 2),
    electionPort: port(id + 5),
  }));
  members = servers.map(({ id }) => ({
    id,
    clientPort: port(id - 1),
    dataDir: join(folder, String(id)),
    servers,
    tickTime: 200,
    forceSync: false,
  }));
  running = await Promise.all(members.map((member) => startServer(member)));
}, 40_000);

afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await Promise.all(running.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

/** Kills the server that a client is connected to; answers its index. */
async function killServerOf(store: Store): Promise<number> {
  const { server } = await untilConnected(store);
  const index = running.findIndex((each) => each.server === server);
  running[index]?.signal('SIGKILL');
  await running[index]?.exited;
  return index;
}

it('keeps its session while servers die, through a time without quorum, and until they are back', async () => {
  const servers = running.map(({ server }) => server);
  const store = connect({ servers, chroot: '/ensemble', sessionTimeoutMs: 4000, clock: systemClock, log });
  stores.push(store);
  const { session } = await untilConnected(store);
  await store.create('/e', bytes('1'), 'ephemeral');

  const first = await killServerOf(store);
  await untilKind(store, 'suspended');
  expect((await untilConnected(store)).session).toBe(session);
  expect(await store.set('/e', bytes('2'))).toBe(1);

  const second = await killServerOf(store);
  await untilKind(store, 'suspended');
  for (const index of [first, second]) {
    const member = members[index];
    if (member === undefined) throw new Error('the client was connected to no server of the ensemble');
    running[index] = await startServer(member);
  }
  expect((await untilConnected(store)).session).toBe(session);
  expect(await store.set('/e', bytes('3'))).toBe(2);
  expect((await store.get('/e'))?.owner).toBe(session);
}, 60_000);
