/** The client library on a real ZooKeeper. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Connection,
  connect,
  createPicker,
  hosts,
  type Picker,
  PickerReplacedError,
  type Server,
  watchLabel,
} from '../src/client.ts';
import { type Client, countClients } from '../src/discovery/choose.ts';
import { clientsAmong } from '../src/discovery/client-entry.ts';
import { hold } from '../src/discovery/hold.ts';
import { encodeRegistration, registrationPath } from '../src/discovery/registration.ts';
import { systemClock } from '../src/shared/clock.ts';
import type { Store } from '../src/shared/store.ts';
import { clientsPath, discoveryPath } from '../src/shared/znodes.ts';
import { connect as connectStore } from '../src/shared/zookeeper/store.ts';
import { MemoryLog } from './fakes/log.ts';
import { TcpProxy } from './harness/tcp-proxy.ts';
import { until, untilEqual } from './harness/until.ts';
import { TestServer } from './harness/zookeeper.ts';

const LABEL = 'mqtt';
const WAIT = { deadlineMs: 20_000, everyMs: 10 };

let zookeeper: TestServer;
let chroot: string;
let store: Store;
let count = 0;
const stores: Store[] = [];
const pickers: Picker[] = [];
const connections: Connection[] = [];

beforeAll(async () => {
  zookeeper = await TestServer.start();
}, 30_000);
afterAll(() => zookeeper.stop());

beforeEach(async () => {
  count += 1;
  chroot = `/client/${count}`;
  store = await session();
  await store.ensure(discoveryPath(LABEL));
});

afterEach(async () => {
  await Promise.all(pickers.splice(0).map((picker) => picker.close()));
  await Promise.all(connections.splice(0).map((each) => each.close()));
  await Promise.all(stores.splice(0).map((each) => each.close()));
});

const about = () => ({ servers: `127.0.0.1:${zookeeper.port}`, chroot, label: LABEL });

async function session(): Promise<Store> {
  const servers = [`127.0.0.1:${zookeeper.port}`];
  const made = connectStore({ servers, chroot, sessionTimeoutMs: 4_000, clock: systemClock, log: new MemoryLog() });
  stores.push(made);
  await until(() => made.state.kind === 'connected', { ...WAIT, what: 'a session' });
  return made;
}

async function register(...ids: readonly string[]): Promise<void> {
  for (const id of ids) await store.create(registrationPath(LABEL, id), registration(id), 'ephemeral');
}

const registration = (id: string, healthy = true) =>
  encodeRegistration({
    ...{ label: LABEL, id, host: id, address: `10.0.0.${id.slice(1)}`, port: 1883 },
    ...{ healthy, info: { zone: 'a' }, source: 'service' },
  });

const server = (id: string): Server => ({
  ...{ id, host: id, address: `10.0.0.${id.slice(1)}`, port: 1883, info: { zone: 'a' } },
});

function picker(client: string): Picker {
  const made = createPicker({ ...about(), client });
  pickers.push(made);
  return made;
}

/** The servers that an iteration has come to. */
function collect(from: AsyncIterable<Server>): { readonly seen: string[]; readonly end: Promise<unknown> } {
  const seen: string[] = [];
  const end = (async () => {
    for await (const { id } of from) seen.push(id);
    return 'done';
  })().catch((error: unknown) => error);
  return { seen, end };
}

async function counted(): Promise<Client[]> {
  return clientsAmong((await store.children(clientsPath(LABEL))) ?? []);
}

const loads = async (...ids: readonly string[]) => {
  const counts = countClients(await counted());
  return ids.map((id) => counts.get(id) ?? 0);
};

describe('a picker', () => {
  it('has a server, then the next when that is gone, and counts until it is closed', async () => {
    await register('w1');
    const mine = picker('c1');
    const { seen, end } = collect(mine);
    await untilEqual(() => seen, ['w1'], { ...WAIT, what: 'a server' });
    expect(mine.current).toEqual(server('w1'));
    expect(await counted()).toEqual([{ client: 'c1', server: 'w1' }]);
    await register('w2');
    await store.remove(registrationPath(LABEL, 'w1'));
    await untilEqual(() => seen, ['w1', 'w2'], { ...WAIT, what: 'another' });
    expect(mine.current).toEqual(server('w2'));
    await mine.close();
    expect(await counted()).toEqual([]);
    expect(await end).toBe('done');
    await mine.close();
  });

  it('waits for the first server', async () => {
    const { seen } = collect(picker('c1'));
    const other = await hosts(about());
    expect(other).toEqual([]);
    await register('w1');
    await untilEqual(() => seen, ['w1'], { ...WAIT, what: 'the first' });
  });

  it('is closed by its signal', async () => {
    await register('w1');
    const abort = new AbortController();
    const { seen, end } = collect(createPicker({ ...about(), client: 'c1', signal: abort.signal }));
    await until(() => seen.length > 0, { ...WAIT, what: 'a server' });
    abort.abort();
    expect(await end).toBe('done');
    await untilEqual(counted, [], { ...WAIT, what: 'nobody to count' });
    expect(await collect(createPicker({ ...about(), client: 'c1', signal: abort.signal })).end).toBe('done');
  });

  it('ends with an error when another process counts as the same client', async () => {
    await register('w1');
    const { seen, end } = collect(picker('c1'));
    await until(() => seen.length > 0, { ...WAIT, what: 'a server' });
    const newer = collect(picker('c1'));
    const error = await end;
    expect(error).toBeInstanceOf(PickerReplacedError);
    expect(String(error)).toContain(`process ${process.pid}`);
    await until(() => newer.seen.length > 0, { ...WAIT, what: 'the newer one to have a server' });
    expect(await counted()).toHaveLength(1);
  });

  it('says at once what cannot be used', () => {
    const bad = [
      [{ client: 'a/b' }, 'no client'],
      [{ client: 'c1', label: 'a/b' }, 'no label'],
      [{ client: 'c1', servers: 'zk1:0' }, 'zk1:0'],
      [{ client: 'c1', servers: [] }, 'not a server'],
      [{ client: 'c1', servers: 'embedded' }, '127.0.0.1:2181'],
      [{ client: 'c1', sessionTimeoutMs: Number.NaN }, 'sessionTimeoutMs'],
    ] as const;
    for (const [options, why] of bad) expect(() => createPicker({ ...about(), ...options })).toThrow(why);
    expect(() => createPicker({ ...about(), client: '' })).toThrow(TypeError);
  });

  it('keeps its server while it is cut off, and counts for it again after its session was lost', async () => {
    await register('w1');
    const proxy = await TcpProxy.start(zookeeper.port);
    try {
      const mine = createPicker({ ...about(), servers: proxy.address, client: 'c1', sessionTimeoutMs: 1_000 });
      pickers.push(mine);
      const { seen } = collect(mine);
      await until(() => seen.length > 0, { ...WAIT, what: 'a server' });
      // where there would be more room by now
      picker('c2');
      await until(async () => (await counted()).length === 2, { ...WAIT, what: 'another client' });
      await register('w2');
      proxy.cut();
      await until(async () => (await counted()).length === 1, { ...WAIT, what: 'its session to be over' });
      proxy.heal();
      await until(async () => (await counted()).length === 2, { ...WAIT, what: 'it to count again' });
      expect(await loads('w1', 'w2')).toEqual([2, 0]);
      expect(seen).toHaveLength(1);
    } finally {
      await proxy.stop();
    }
  });
});

describe('pickers that share a connection', () => {
  const shared = (options: { readonly servers?: string; readonly sessionTimeoutMs?: number } = {}) => {
    const { servers, chroot } = about();
    const made = connect({ servers, chroot, ...options });
    connections.push(made);
    return made;
  };

  it('are a thousand at most: what one session leaves behind must not be too much for ZooKeeper', async () => {
    const connection = shared({ servers: '127.0.0.1:1' });
    for (let n = 0; n < 1_000; n++) connection.pick({ label: LABEL, client: `c${n}` });
    expect(() => connection.pick({ label: LABEL, client: 'more' })).toThrow('1000 pickers at most: make another one');
    await connection.close();
  });

  it('are spread evenly, and each counts until it is closed, whatever becomes of the others', async () => {
    await register('w1', 'w2', 'w3');
    const connection = shared();
    const all = Array.from({ length: 100 }, (_, n) => connection.pick({ label: LABEL, client: `c${n}` }));
    const start = performance.now();
    await until(() => all.every(({ current }) => current !== undefined), { ...WAIT, what: '100 to have a server' });
    process.stdout.write(`100 pickers of one connection: ${Math.round(performance.now() - start)} ms\n`);
    expect((await loads('w1', 'w2', 'w3')).sort()).toEqual([33, 33, 34]);
    const owners = await Promise.all(
      ((await store.children(clientsPath(LABEL))) ?? []).map((name) => store.get(`${clientsPath(LABEL)}/${name}`)),
    );
    expect(new Set(owners.map((node) => node?.owner)).size).toBe(1);
    const left = async () => (await store.children(clientsPath(LABEL))) ?? [];
    const turns = async () => (await left()).filter((name) => name.startsWith('turn-')).length;
    await store.remove(registrationPath(LABEL, 'w1'));
    await until(async () => (await turns()) > 5, { deadlineMs: 5_000, everyMs: 1, what: 'some to be about to choose' });
    await Promise.all(all.slice(1).map((picker) => picker.close()));
    expect(await turns()).toBeLessThanOrEqual(1);
    await until(async () => /^c0=w[23]$/.test((await left()).join()), { ...WAIT, what: 'one to be left' });
    await connection.close();
    expect(await left()).toEqual([]);
    expect(() => connection.pick({ label: LABEL, client: 'c0' })).toThrow('the connection is closed');
  });

  it('may not be the same client twice at a time, and leave alone who took the place of one', async () => {
    await register('w1');
    const connection = shared();
    const one = connection.pick({ label: LABEL, client: 'c1' });
    const { seen, end } = collect(one);
    await until(() => seen.length > 0, { ...WAIT, what: 'a server' });
    expect(() => connection.pick({ label: LABEL, client: 'c1' })).toThrow('c1 has a server of mqtt by this connection');
    expect(() => connection.pick({ label: 'a/b', client: 'c2' })).toThrow('no label');
    await one.close();
    const again = connection.pick({ label: LABEL, client: 'c1' });
    const { end: replaced } = collect(again);
    await until(() => again.current !== undefined, { ...WAIT, what: 'a server again' });
    const newer = picker('c1');
    expect(await replaced).toBeInstanceOf(PickerReplacedError);
    expect(await end).toBe('done');
    await until(() => newer.current !== undefined, { ...WAIT, what: 'the newer one to count' });
    const entry = async () => (await store.get(`${clientsPath(LABEL)}/c1=w1`))?.czxid;
    const before = await entry();
    await again.close();
    await connection.close();
    expect([await entry(), before]).toEqual([before, expect.any(BigInt)]);
  });

  it('keep their servers when the session is lost, and count again', async () => {
    await register('w1');
    const proxy = await TcpProxy.start(zookeeper.port);
    try {
      const connection = shared({ servers: proxy.address, sessionTimeoutMs: 1_000 });
      const all = ['c1', 'c2', 'c3'].map((client) => collect(connection.pick({ label: LABEL, client })));
      await until(() => all.every(({ seen }) => seen.length > 0), { ...WAIT, what: 'servers' });
      // with more room by now
      await register('w2');
      proxy.cut();
      await until(async () => (await counted()).length === 0, { ...WAIT, what: 'the session to be over' });
      proxy.heal();
      await untilEqual(() => loads('w1', 'w2'), [3, 0], { ...WAIT, what: 'them to count again' });
      expect(all.map(({ seen }) => seen)).toEqual([['w1'], ['w1'], ['w1']]);
    } finally {
      await proxy.stop();
    }
  });

  it('count no more when they were closed while ZooKeeper was silent', async () => {
    await register('w1');
    const proxy = await TcpProxy.start(zookeeper.port);
    try {
      const connection = shared({ servers: proxy.address, sessionTimeoutMs: 20_000 });
      const one = connection.pick({ label: LABEL, client: 'c1' });
      const { seen } = collect(one);
      await until(() => seen.length > 0, { ...WAIT, what: 'a server' });
      proxy.cut();
      // does not wait for ever
      await one.close();
      expect(await counted()).toHaveLength(1);
      proxy.heal();
      await untilEqual(counted, [], { ...WAIT, what: 'nobody to count, though the session lives on' });
    } finally {
      await proxy.stop();
    }
  }, 40_000);
});

describe('many pickers', () => {
  it('of 100 that come at once, each with a connection of its own, servers have 33 or 34', async () => {
    await register('w1', 'w2', 'w3');
    const start = performance.now();
    const all = Array.from({ length: 100 }, (_, n) => picker(`c${n}`));
    await until(() => all.every(({ current }) => current !== undefined), { ...WAIT, what: '100 to have a server' });
    process.stdout.write(`100 pickers at once: ${Math.round(performance.now() - start)} ms\n`);
    expect((await loads('w1', 'w2', 'w3')).sort()).toEqual([33, 33, 34]);
    // a third of them choose again at once
    const again = performance.now();
    await store.remove(registrationPath(LABEL, 'w1'));
    await untilEqual(() => loads('w1', 'w2', 'w3'), [0, 50, 50], { ...WAIT, what: 'all to be elsewhere' });
    process.stdout.write(`a third of them again: ${Math.round(performance.now() - again)} ms\n`);
  });

  it('of 300 that come at once, all count within 18 s (1,000 a minute), and no server has more than one more than another', async () => {
    const ids = Array.from({ length: 7 }, (_, n) => `w${n + 1}`);
    await register(...ids);
    const sessions = await Promise.all(Array.from({ length: 20 }, session));
    const aborts: AbortController[] = [];
    const start = performance.now();
    const chosen = Array.from({ length: 300 }, (_, n) => {
      const own = sessions[n % sessions.length] ?? store;
      const abort = new AbortController();
      aborts.push(abort);
      return new Promise<void>((resolve) => {
        const one = { store: own, clock: systemClock, log: new MemoryLog(), label: LABEL, client: `c${n}` };
        hold({ ...one, who: randomUUID(), by: 'the test', onServer: () => resolve() }, abort.signal).catch(() => {});
      });
    });
    await Promise.all(chosen);
    const ms = performance.now() - start;
    process.stdout.write(`300 clients: ${Math.round(ms)} ms\n`);
    expect(ms).toBeLessThan(18_000);
    expect((await loads(...ids)).sort()).toEqual([42, 43, 43, 43, 43, 43, 43]);
    for (const abort of aborts) abort.abort();
  });
});

describe('the servers of a label', () => {
  it('are the live ones at this moment', async () => {
    await register('w2', 'w1', 'w3');
    await store.set(registrationPath(LABEL, 'w3'), registration('w3', false));
    expect(await hosts(about())).toEqual([server('w1'), server('w2')]);
  });

  it('are told again whenever they change, until nobody asks', async () => {
    await register('w1');
    const seen: string[][] = [];
    const done = (async () => {
      for await (const list of watchLabel(about())) {
        seen.push(list.map(({ id }) => id));
        if (list.length === 0) break;
      }
    })();
    await untilEqual(() => seen, [['w1']], { ...WAIT, what: 'the first list' });
    await register('w2');
    await untilEqual(() => seen.at(-1), ['w1', 'w2'], { ...WAIT, what: 'the second' });
    await store.remove(registrationPath(LABEL, 'w1'));
    await store.set(registrationPath(LABEL, 'w2'), registration('w2', false));
    await done;
    expect(seen.at(-1)).toEqual([]);
  });

  it('are not to be had where nobody answers, which is said in time', async () => {
    await expect(hosts({ ...about(), servers: '127.0.0.1:1', timeoutMs: 300 })).rejects.toThrow(
      'ZooKeeper did not answer within 300 ms at 127.0.0.1:1',
    );
    await expect(hosts({ ...about(), label: '' })).rejects.toThrow(TypeError);
    await expect(hosts({ ...about(), signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop');
  });
});
