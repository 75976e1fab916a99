// Runs inside a lab's network namespace and listens on a Unix socket outside it: a client writes one line, "HOST PORT",
// and is then connected to that address. A connection that fails is closed. usage: relay-process.mjs SOCKET
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';

const server = createServer((client) => {
  client.on('error', () => client.destroy());
  client.once('data', (first) => {
    const end = first.indexOf('\n');
    const [host, port] = first.toString('latin1', 0, end).split(' ');
    const upstream = connect({ host, port: Number(port) });
    upstream.write(first.subarray(end + 1));
    // Each direction ends the other side in good order; a failure of either destroys both.
    pipeline(client, upstream, () => {});
    pipeline(upstream, client, () => {});
  });
});
server.listen(process.argv[2]);
