/** Connections from the test into a lab's network. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { freshControlGroup, spawnInControlGroup } from './control-group.ts';
import type { LabNames } from './lab-state.ts';
import { projectRoot } from './project.ts';
import { until } from './until.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A port on this machine's loopback that leads to a port in the lab. */
export interface Tunnel {
  readonly port: number;
  close(): Promise<void>;
}

export class Relay {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /** Starts the process inside the lab's network; it ends with the lab. */
  static async start(lab: LabNames): Promise<Relay> {
    const socket = join(lab.folder, 'relay.sock');
    const group = join(lab.controlGroup, 'relay');
    await freshControlGroup(group);
    const script = join(projectRoot, 'test/harness/relay-process.mjs');
    const inside = ['nsenter', `--net=/run/netns/${lab.namespace}`, process.execPath, script, socket];
    await spawnInControlGroup(group, inside, join(lab.folder, 'relay.log'));
    await until(() => existsSync(socket), { deadlineMs: 10_000, what: `the relay to listen on ${socket}`, everyMs: 5 });
    return new Relay(socket);
  }

  /** A connection to an address in the lab. One that is refused, or dies, closes. */
  connect(address: string, port: number): Socket {
    const socket = connect(this.#socket);
    socket.write(`${address} ${port}\n`);
    return socket;
  }

  /** Sends `text`, answers all that comes until the peer closes. Rejects when that takes longer than `deadlineMs`. */
  ask(address: string, port: number, text: string, deadlineMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = this.connect(address, port);
      let answer = '';
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new Error(`${address}:${port} did not answer within ${deadlineMs} ms`));
      }, deadlineMs);
      socket.setEncoding('utf8').on('data', (part) => {
        answer += part;
      });
      socket.on('error', reject);
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(answer);
      });
      socket.write(text);
    });
  }

  /** HTTP GET; redirects are answered, not followed. Rejects when it is refused, or takes longer than `deadlineMs`. */
  http(address: string, port: number, path: string, deadlineMs = 5000): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const get = request({
        host: address,
        port,
        path,
        signal: AbortSignal.timeout(deadlineMs),
        // With any `agent`, even false, Node would connect by itself: on this machine's own network.
        createConnection: () => this.connect(address, port),
      });
      get.on('error', (error) => reject(new Error(`GET http://${address}:${port}${path}: ${error.message}`)));
      get.on('response', (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part) => {
          body += part;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      });
      get.end();
    });
  }

  /** Opens a tunnel, for clients that know addresses only (a ZooKeeper client in a test). */
  async tunnel(address: string, port: number): Promise<Tunnel> {
    const open = new Set<Socket>();
    const server = createServer((client) => {
      const upstream = this.connect(address, port);
      for (const socket of [client, upstream]) {
        open.add(socket);
        socket.on('close', () => open.delete(socket));
      }
      pipeline(client, upstream, () => {});
      pipeline(upstream, client, () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('a TCP server without a port');
    return {
      port: bound.port,
      async close() {
        for (const socket of open) socket.destroy();
        server.close();
        await once(server, 'close');
      },
    };
  }
}
