/** A real ZooKeeper server for a test file: on loopback, on a port of its own, with data that is thrown away. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningServer, type StartOptions, startServer } from '../../src/shared/zookeeper/server.ts';

/** A port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port'));
        else resolve(address.port);
      });
    });
  });
}

/** A server that can be stopped and started again with its data. */
export class TestServer {
  private constructor(
    private readonly options: StartOptions,
    private running: RunningServer,
  ) {}

  /** `tickTime` 200 ms unless told: sessions of 0.4 to 4 s. */
  static async start(options: Partial<StartOptions> = {}): Promise<TestServer> {
    const all: StartOptions = {
      dataDir: await mkdtemp(join(tmpdir(), 'servicewatcher-zookeeper-')),
      clientPort: await freePort(),
      tickTime: 200,
      heapMiB: 256,
      forceSync: false,
      ...options,
    };
    return new TestServer(all, await startServer(all));
  }

  /** `host:port` */
  get server(): string {
    return this.running.server;
  }

  get port(): number {
    return this.options.clientPort;
  }

  get pid(): number {
    return this.running.pid;
  }

  signal(signal: NodeJS.Signals): void {
    this.running.signal(signal);
  }

  /** Ends the process at once; the data stay. */
  async kill(): Promise<void> {
    this.running.signal('SIGKILL');
    await this.running.exited;
  }

  /** Ends the process if it still runs, and starts one anew; `wipe`: without the data. */
  async restart({ wipe = false } = {}): Promise<void> {
    await this.running.stop();
    if (wipe) await rm(this.options.dataDir, { recursive: true, force: true });
    this.running = await startServer(this.options);
  }

  /** Ends the process and removes its data. */
  async stop(): Promise<void> {
    await this.running.stop();
    await rm(this.options.dataDir, { recursive: true, force: true });
  }
}
