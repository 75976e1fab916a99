/** A TCP proxy on loopback that can do to a connection what networks do. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What goes to the server, and what comes from it. */
export type Direction = 'requests' | 'answers';

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
  /** It was accepted while something was held: on a network like that it would not be there yet. */
  readonly early: boolean;
}

export class TcpProxy {
  private readonly pairs = new Set<Pair>();
  private readonly held = new Set<Direction>();
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

  /**
   * What is sent in these directions waits until `heal`, and nobody is told: so it is for programs where a network loses all
   * packets, as TCP repeats them. New connections are accepted, and nothing passes on them either way.
   */
  hold(...directions: readonly Direction[]): void {
    for (const direction of directions) this.held.add(direction);
    for (const pair of this.pairs) this.holdBack(pair);
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

  /** All is well: what was held arrives, but for what came on new connections, which are reset. */
  heal(): void {
    this.refusing = false;
    this.held.clear();
    for (const { client, upstream, early } of this.pairs) {
      for (const socket of [client, upstream]) {
        if (early) resetSocket(socket);
        else if (client.destroyed || upstream.destroyed) socket.destroy();
        else socket.resume();
      }
    }
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
    upstream.on('error', () => {});
    const pair = { client, upstream, early: this.held.size > 0 };
    this.pairs.add(pair);
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => this.onAnswer(pair, chunk));
    client.on('close', () => this.onClose(pair, 'requests'));
    upstream.on('close', () => this.onClose(pair, 'answers'));
    this.holdBack(pair);
  }

  private holdBack({ client, upstream, early }: Pair): void {
    if (early || this.held.has('requests')) client.pause();
    if (early || this.held.has('answers')) upstream.pause();
  }

  /** `direction`: in which the other side would hear of it. */
  private onClose(pair: Pair, direction: Direction): void {
    const { client, upstream } = pair;
    if (client.destroyed && upstream.destroyed) this.pairs.delete(pair);
    if (!this.held.has(direction)) for (const other of [client, upstream]) other.destroy();
  }

  private onAnswer({ client, upstream }: Pair, chunk: Buffer): void {
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
