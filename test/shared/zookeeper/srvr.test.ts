import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askServer, parseSrvr } from '../../../src/shared/zookeeper/srvr.ts';
import { askTickTime } from '../../../src/shared/zookeeper/tick-time.ts';
import { freePort, TestServer } from '../../harness/zookeeper.ts';

const FOLLOWER = `Zookeeper version: 3.8.0-1, built on 2023-01-01 00:00 UTC
Latency min/avg/max: 0/0.5/12
Received: 202
Sent: 201
Connections: 3
Outstanding: 0
Zxid: 0x700000000
Mode: follower
Node count: 4
`;

describe('an answer of srvr', () => {
  it('tells role, latency, connections, zxid and version', () => {
    expect(parseSrvr(FOLLOWER)).toEqual({
      kind: 'serving',
      role: 'follower',
      latency: { min: 0, avg: 0.5, max: 12 },
      connections: 3,
      zxid: '0x700000000',
      version: '3.8.0',
    });
  });

  it('tells a server without a quorum', () => {
    expect(parseSrvr('This ZooKeeper instance is not currently serving requests\n')).toEqual({ kind: 'not-serving' });
  });

  it.each([
    ['srvr is not executed because it is not in the whitelist.\n', '4lw.commands.whitelist'],
    ['HTTP/1.1 400 Bad Request\r\n', 'not that of a ZooKeeper server'],
    ['', 'not that of a ZooKeeper server'],
  ])('that is none says so: %j', (text, why) => {
    expect(parseSrvr(text)).toMatchObject({ kind: 'unreachable', why: expect.stringContaining(why) });
  });
});

describe('a real server', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.stop());

  it('that stands alone says so', async () => {
    expect(await askServer(server.server, 5_000)).toMatchObject({ kind: 'serving', role: 'standalone' });
  });

  it('says how long its tick is', async () => {
    expect(await askTickTime(server.server, 5_000)).toEqual({ server: server.server, tickTimeMs: 200 });
  });

  it('that is not there is unreachable', async () => {
    expect(await askServer(`127.0.0.1:${await freePort()}`, 5_000)).toMatchObject({
      kind: 'unreachable',
      why: expect.stringContaining('ECONNREFUSED'),
    });
  });
});
