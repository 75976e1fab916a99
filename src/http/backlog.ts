/** What was answered and has not been read by the clients yet, of all connections of a server together: it is memory. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** A label with 10,000 entries takes 2 MB: so much is enough for dozens of slow readers of the largest clusters. */
export const MAX_BACKLOG_BYTES = 64 * 1024 * 1024;

export class Backlog {
  private readonly sockets = new Set<Socket>();

  constructor(server: Server) {
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** More is not to be answered now. */
  get full(): boolean {
    let bytes = 0;
    for (const socket of this.sockets) if (!socket.destroyed) bytes += socket.writableLength;
    return bytes > MAX_BACKLOG_BYTES;
  }
}
