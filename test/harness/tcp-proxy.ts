/** A TCP proxy on loopback that can do to a connection what networks do. */
import { connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
}

export class TcpProxy {
  private readonly pairs = new Set<Pair>();
  private silent = false;
  private refusing = false;
  private cutAfterBytes: number | undefined;
  /** Connections accepted so far. */
  accepted = 0;

  private constructor(
    private readonly server: Server,
    private readonly targetPort: number,
  ) {
    server.on('connection', (client) => this.onConnection(client));
  }

  /** Listens on a free port and forwards to `targetPort`, both on 127.0.0.1. */
  static start(targetPort: number): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    const proxy = new TcpProxy(server, targetPort);
    return new Promise((resolve, reject) => {
      server.on('error', reject);
      server.listen(0, '127.0.0.1', () => resolve(proxy));
    });
  }

  /** `host:port` */
  get address(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return `127.0.0.1:${address.port}`;
  }

  /** Connections stay open and new ones are accepted, but nothing passes any more; what is sent meanwhile is lost. */
  blackHole(): void {
    this.silent = true;
  }

  /** Every connection is reset, and so is each new one. */
  cut(): void {
    this.refusing = true;
    this.reset();
  }

  /** Every connection is reset; new ones are welcome. */
  reset(): void {
    for (const { client, upstream } of this.pairs) {
      resetSocket(client);
      resetSocket(upstream);
    }
    this.pairs.clear();
  }

  /** After so many bytes more from the server the connection that gets them is reset, in the middle of an answer. */
  cutAfter(bytes: number): void {
    this.cutAfterBytes = bytes;
  }

  /** All is well for new connections; those that lost bytes are reset. */
  heal(): void {
    if (this.silent) this.reset();
    this.silent = false;
    this.refusing = false;
  }

  stop(): Promise<void> {
    this.reset();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private onConnection(client: Socket): void {
    this.accepted += 1;
    client.on('error', () => {});
    if (this.refusing) {
      resetSocket(client);
      return;
    }
    const upstream = connect({ host: '127.0.0.1', port: this.targetPort, noDelay: true });
    const pair = { client, upstream };
    this.pairs.add(pair);
    client.on('data', (chunk) => {
      if (!this.silent) upstream.write(chunk);
    });
    upstream.on('data', (chunk) => this.onAnswer(pair, chunk));
    for (const socket of [client, upstream]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        if (client.destroyed && upstream.destroyed) this.pairs.delete(pair);
        // A black hole also swallows the news that the other side is gone.
        if (!this.silent) for (const other of [client, upstream]) other.destroy();
      });
    }
  }

  private onAnswer({ client, upstream }: Pair, chunk: Buffer): void {
    if (this.silent) return;
    if (this.cutAfterBytes === undefined || chunk.length <= this.cutAfterBytes) {
      if (this.cutAfterBytes !== undefined) this.cutAfterBytes -= chunk.length;
      client.write(chunk);
      return;
    }
    client.end(chunk.subarray(0, this.cutAfterBytes));
    this.cutAfterBytes = undefined;
    upstream.destroy();
  }
}

/** A reset while the socket is shutting down fails within libuv and leaves a handle that keeps the process busy for ever. */
function resetSocket(socket: Socket): void {
  if (socket.readyState === 'open') socket.resetAndDestroy();
  else socket.destroy();
}
