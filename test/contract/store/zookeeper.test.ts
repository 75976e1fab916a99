import { afterAll, beforeAll } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import { connect } from '../../../src/shared/zookeeper/store.ts';
import { TcpProxy } from '../../harness/tcp-proxy.ts';
import { TestServer } from '../../harness/zookeeper.ts';
import { describeStore } from './contract.ts';
import { LONG_SESSION_MS } from './rig.ts';

let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start({ extra: { maxSessionTimeout: LONG_SESSION_MS } });
}, 30_000);

afterAll(() => server.stop());

const log = { debug() {}, info() {}, warn() {}, error() {} };

describeStore('a store on a real ZooKeeper', async (sessionTimeoutMs) => {
  const proxy = await TcpProxy.start(server.port);
  const store = connect({
    servers: [proxy.address],
    chroot: '/contract/test',
    sessionTimeoutMs,
    clock: systemClock,
    log,
  });
  return {
    store,
    cut: () => proxy.cut(),
    silence: (...directions) => proxy.hold(...directions),
    heal: () => proxy.heal(),
    async dispose() {
      // A client that is cut off waits longer to say goodbye.
      proxy.heal();
      await store.close();
      await proxy.stop();
    },
  };
});
