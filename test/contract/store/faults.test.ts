/** What networks and servers do to a real client. */
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import type { Logger } from '../../../src/shared/log.ts';
import type { SessionState, Store } from '../../../src/shared/store.ts';
import { calls } from '../../../src/shared/zookeeper/client.ts';
import { Dialer } from '../../../src/shared/zookeeper/dialer.ts';
import { fourLetterWord } from '../../../src/shared/zookeeper/four-letter-word.ts';
import { LAST_XID, SessionClient } from '../../../src/shared/zookeeper/session.ts';
import { connect } from '../../../src/shared/zookeeper/store.ts';
import { TcpProxy } from '../../harness/tcp-proxy.ts';
import { until, untilEqual } from '../../harness/until.ts';
import { freePort, TestServer } from '../../harness/zookeeper.ts';
import { bytes, refused, untilConnected, untilKind } from './rig.ts';

const DEADLINE = { deadlineMs: 15_000, everyMs: 5 };
const BUSY = { deadlineMs: 40_000, everyMs: 50 };
const CHROOT = '/faults';
/** Sessions of clients that keep the server busy: it may leave them without an answer for some seconds. */
const BUSY_MS = 20_000;

let server: TestServer;
const disposals: (() => Promise<unknown> | unknown)[] = [];
const logged: string[] = [];
const note = (level: string) => (message: string, fields?: object) =>
  void logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
const log: Logger = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };

beforeAll(async () => {
  server = await TestServer.start({ extra: { enforceQuota: true, maxSessionTimeout: BUSY_MS } });
}, 30_000);

afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose();
  logged.length = 0;
});

afterAll(() => server.stop());

/** Tries the servers in the order given. */
function client(servers: string[], sessionTimeoutMs = 3000, chroot = CHROOT): Store {
  const store = connect({ servers, chroot, sessionTimeoutMs, clock: systemClock, log, random: () => 0 });
  disposals.push(() => store.close());
  return store;
}

async function proxy(): Promise<TcpProxy> {
  const started = await TcpProxy.start(server.port);
  disposals.push(() => started.stop());
  return started;
}

/** A server that does with each connection what `serve` does. */
async function strangeServer(serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const listener: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', () => resolve()));
  disposals.push(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return `127.0.0.1:${port}`;
}

function statesOf(store: Store): SessionState['kind'][] {
  const states: SessionState['kind'][] = [];
  store.onState(({ kind }) => states.push(kind));
  return states;
}

it('is suspended after 5/12 of the session on a black-holed link, and keeps its session on the next server', async () => {
  const [first, second] = [await proxy(), await proxy()];
  const store = client([first.address, second.address]);
  const { session, timeoutMs, server: used } = await untilConnected(store);
  expect(used).toBe(first.address);
  await store.ensure('/black-hole');
  await store.create('/black-hole/e', bytes(''), 'ephemeral');
  const cutAt = performance.now();
  first.hold('requests', 'answers');
  const lost = refused(store.set('/black-hole', bytes('x')), 'connection-loss', '/black-hole');
  await untilKind(store, 'suspended');
  const noticedMs = performance.now() - cutAt;
  expect(noticedMs).toBeLessThan((timeoutMs * 2) / 3);
  await lost;
  expect(await untilConnected(store)).toMatchObject({ session, server: second.address });
  expect((await store.get('/black-hole/e'))?.owner).toBe(session);
  expect(logged.filter((line) => line.startsWith('warn') && line.includes(first.address))).not.toEqual([]);
});

it('leaves a server that accepts and never answers for a healthy one, and names it in the log', async () => {
  const mute = await strangeServer(() => {});
  const store = client([mute, server.server]);
  expect((await untilConnected(store)).server).toBe(server.server);
  expect(logged.find((line) => line.startsWith('warn'))).toContain(mute);
});

it.each<[string, Buffer]>([
  ['text', bytes('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['a frame too short', Buffer.from([0, 0, 0, 2, 1, 1])],
  ['a negative length', Buffer.from([255, 255, 255, 255, 0, 0])],
])('leaves a server that answers %s for a healthy one', async (_what, answer) => {
  const odd = await strangeServer((socket) => socket.write(answer));
  const store = client([odd, server.server]);
  expect((await untilConnected(store)).server).toBe(server.server);
});

it.each<[string, (socket: Socket) => void]>([
  ['before the handshake', (socket) => socket.destroy()],
  ['after the handshake', cutAfterHandshake],
])('pauses between attempts on a server that accepts and cuts every connection %s', async (_when, cut) => {
  let accepted = 0;
  const rude = await strangeServer((socket) => {
    accepted += 1;
    cut(socket);
  });
  const store = client([rude], 1500);
  await until(() => accepted >= 6, { ...DEADLINE, what: 'six attempts' });
  const sixAt = performance.now();
  await until(() => accepted >= 8, { ...DEADLINE, what: 'two more' });
  // a pause is at most a quarter of the session, 375 ms, less up to half of it for the jitter
  expect(performance.now() - sixAt).toBeGreaterThan(350);
  expect(store.state.kind).not.toBe('connected');
});

/** Passes the handshake on to the real server and back, then closes the connection. */
function cutAfterHandshake(socket: Socket): void {
  const upstream = connectSocket(server.port, '127.0.0.1');
  upstream.on('error', () => {});
  socket.on('data', (chunk) => upstream.write(chunk));
  upstream.once('data', (chunk) => {
    socket.end(chunk);
    upstream.destroy();
  });
}

it('recovers at the first attempt when it is cut in the middle of an answer', async () => {
  const link = await proxy();
  const store = client([link.address]);
  const { session } = await untilConnected(store);
  await store.ensure('/cut');
  await store.set('/cut', Buffer.alloc(200_000, 7));
  for (const bytesPassed of [2, 30, 100_000]) {
    const before = link.accepted;
    link.cutAfter(bytesPassed);
    await refused(store.get('/cut'), 'connection-loss', '/cut');
    expect((await store.get('/cut'))?.data).toHaveLength(200_000);
    expect(link.accepted).toBe(before + 1);
  }
  expect(await untilConnected(store)).toMatchObject({ session });
});

it('does not call itself connected after its process stood still for longer than the limit', async () => {
  const store = client([server.server]);
  const { session } = await untilConnected(store);
  const states = statesOf(store);
  // two thirds of the session: there is time enough to come back before its end
  const standstillEnds = performance.now() + 2000;
  while (performance.now() < standstillEnds);
  expect(store.state.kind).toBe('suspended');
  expect(states).toEqual(['suspended']);
  expect(await untilConnected(store)).toMatchObject({ session });
});

it('stays connected while it only listens or does nothing, for many sessions’ time', async () => {
  const [listening, idle] = [client([server.server], 1600), client([server.server], 1600)];
  const other = client([server.server]);
  await Promise.all([untilConnected(listening), untilConnected(idle)]);
  await other.ensure('/busy');
  const states = [statesOf(listening), statesOf(idle)];
  const seen: number[] = [];
  listening.watch('/busy', (node) => seen.push(node?.version ?? -1));
  const start = performance.now();
  while (performance.now() - start < 4000) await other.set('/busy', bytes(''));
  const last = (await other.get('/busy'))?.version;
  await untilEqual(() => seen.at(-1), last, { ...DEADLINE, what: 'the last version' });
  expect(states).toEqual([[], []]);
});

it('does 20,000 requests at once', async () => {
  const store = client([server.server], BUSY_MS);
  await store.ensure('/many');
  const states = statesOf(store);
  const versions = await Promise.all(Array.from({ length: 20_000 }, () => store.set('/many', Buffer.alloc(512))));
  expect(versions.at(-1)).toBe(20_000);
  expect(states).toEqual([]);
}, 30_000);

it('leaves no watch on the server for what is gone for good', async () => {
  const [store, other] = [client([server.server]), client([server.server])];
  await untilConnected(store);
  const count = async () =>
    Number(/Total watches:(\d+)/.exec(await fourLetterWord('127.0.0.1', server.port, 'wchs', 1_000))?.[1]);
  const before = await count();
  await other.ensure('/gone');
  const paths = Array.from({ length: 50 }, (_, i) => `/gone/${i}`);
  await Promise.all(paths.map((path) => other.create(path, bytes(''), 'persistent')));
  const seen: unknown[] = [];
  for (const path of [...paths, '/gone/never']) store.watch(path, (node) => seen.push(node?.path), 'gone');
  await untilEqual(() => seen.length, 51, { ...DEADLINE, what: 'the first values' });
  expect(await count()).toBe(before + 50);
  await Promise.all(paths.map((path) => other.remove(path)));
  await untilEqual(() => seen.length, 101, { ...DEADLINE, what: 'their end' });
  // an answer to this comes after whatever its end made the client ask for
  await store.get('/gone');
  expect(await count()).toBe(before);
});

it('keeps 5,000 watches through a reconnect', async () => {
  const link = await proxy();
  const store = client([link.address], BUSY_MS);
  const other = client([server.server], BUSY_MS);
  await other.ensure('/watched');
  // As long as names may be: all together far more than fits one packet.
  const paths = Array.from({ length: 5000 }, (_, i) => `/watched/${String(i).padStart(250, 'x')}`);
  await Promise.all(paths.map((path) => other.create(path, bytes(''), 'persistent')));
  const versions = new Map<string, number[]>();
  for (const path of paths) {
    const seen: number[] = [];
    versions.set(path, seen);
    store.watch(path, (node) => seen.push(node?.version ?? -1));
  }
  const settled = (version: number) => () => paths.filter((path) => versions.get(path)?.at(-1) === version).length;
  await untilEqual(settled(0), 5000, { ...BUSY, what: 'all first values' });
  link.cut();
  await untilKind(store, 'suspended');
  const changed = paths.filter((_, i) => i % 100 === 0);
  await Promise.all(changed.map((path) => other.set(path, bytes('1'))));
  link.heal();
  await untilEqual(settled(1), changed.length, { ...BUSY, what: 'what changed meanwhile' });
  await Promise.all(paths.map((path) => other.set(path, bytes('2'))));
  await untilEqual(() => settled(1)() + settled(2)(), 5000, { ...BUSY, what: 'all later changes' });
  expect(paths.every((path) => [2, 3].includes(versions.get(path)?.length ?? 0))).toBe(true);
}, 120_000);

it('delivers a change at once while thousands of requests wait', async () => {
  const store = client([server.server], BUSY_MS);
  const other = client([server.server], BUSY_MS);
  await other.ensure('/urgent');
  let version: number | undefined;
  store.watch('/urgent', (node) => {
    version = node?.version;
  });
  await untilEqual(() => version, 0, { ...DEADLINE, what: 'the first value' });
  let answered = 0;
  const flood = Array.from({ length: 10_000 }, () => store.get('/urgent').then(() => (answered += 1)));
  await other.set('/urgent', bytes('1'));
  await untilEqual(() => version, 1, { ...DEADLINE, what: 'the change' });
  expect(answered).toBeLessThan(10_000);
  await Promise.all(flood);
}, 120_000);

it('tells quota errors, which its client library does not know, from bugs', async () => {
  const store = client([server.server], 3000, '/');
  await store.ensure('/zookeeper/quota/limited');
  await store.ensure('/limited');
  await store.create(
    '/zookeeper/quota/limited/zookeeper_limits',
    bytes('count=1,bytes=-1=;byteHardLimit=-1;countHardLimit=1'),
    'persistent',
  );
  await store.create('/zookeeper/quota/limited/zookeeper_stats', bytes('count=1,bytes=0'), 'persistent');
  await expect(store.create('/limited/a', bytes(''), 'persistent')).rejects.toThrow(/quota/);
  expect(await store.get('/limited/a')).toBeUndefined();
});

it('wraps the numbers of its requests before they overflow', async () => {
  const dialer = new Dialer({
    servers: [server.server],
    sessionTimeoutMs: 1500,
    clock: systemClock,
    log,
    random: () => 0,
  });
  const events: string[] = [];
  const session = new SessionClient(
    { sessionTimeoutMs: 1500, clock: systemClock, log, dialer, firstXid: LAST_XID - 5 },
    {
      connected: () => events.push('connected'),
      confirmed: () => {},
      disconnected: (why) => events.push(why),
      expired: () => events.push('expired'),
      watch: () => {},
    },
  );
  disposals.push(() => session.destroy());
  session.start();
  await untilEqual(() => events, ['connected'], { ...DEADLINE, what: 'the connection' });
  const outcomes: boolean[] = [];
  for (let i = 0; i < 20; i += 1) session.send(calls.exists('/', false), ({ ok }) => outcomes.push(ok));
  await untilEqual(() => outcomes, Array(20).fill(true), { ...DEADLINE, what: 'all answers' });
  expect(events).toEqual(['connected']);
});

it('closes at once before it ever connected, and in time on a black hole', async () => {
  const mute = await strangeServer(() => {});
  const link = await proxy();
  const never = client([mute]);
  const cut = client([link.address]);
  await untilConnected(cut);
  link.hold('requests', 'answers');
  // the promise of `close`: no server is waited for where there is no session, and 2 s at most where there is one
  const order: string[] = [];
  await Promise.all([never.close().then(() => order.push('never')), cut.close().then(() => order.push('cut'))]);
  expect(order).toEqual(['never', 'cut']);
});

it('ends its session when it is closed while reconnecting', async () => {
  const link = await proxy();
  const store = client([link.address], 4000);
  const other = client([server.server]);
  await untilConnected(store);
  await store.ensure('/closing');
  await store.create('/closing/e', bytes(''), 'ephemeral');
  link.cut();
  await untilKind(store, 'suspended');
  const closed = store.close();
  link.heal();
  await closed;
  expect(await other.get('/closing/e')).toBeUndefined();
});

it('keeps its session through a restart of the server, and notices a server that is frozen', async () => {
  const store = client([server.server], 4000);
  const { session, timeoutMs } = await untilConnected(store);
  const states = statesOf(store);
  await server.kill();
  await untilKind(store, 'suspended');
  await server.restart();
  expect(await untilConnected(store)).toMatchObject({ session });
  server.signal('SIGSTOP');
  const frozenAt = performance.now();
  try {
    await untilKind(store, 'suspended');
    expect(performance.now() - frozenAt).toBeLessThan(timeoutMs * 0.9);
  } finally {
    server.signal('SIGCONT');
  }
  await untilConnected(store);
  expect(states).toEqual(['suspended', 'connected', 'suspended', 'connected']);
}, 30_000);

it('begins a new session on servers that have lost their data', async () => {
  const store = client([server.server], 1000);
  const { session } = await untilConnected(store);
  await store.ensure('/wiped');
  const seen: unknown[] = [];
  store.watch('/wiped', (node) => seen.push(node?.version));
  await untilEqual(() => seen, [0], { ...DEADLINE, what: 'the first value' });
  const states = statesOf(store);
  await server.restart({ wipe: true });
  await untilEqual(() => seen, [0, undefined], { ...DEADLINE, what: 'the loss' });
  const state = await untilConnected(store);
  expect(state.session).not.toBe(session);
  expect(states).toEqual(['suspended', 'lost', 'connected']);
}, 30_000);
