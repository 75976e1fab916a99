// Runs inside a lab's network namespace and listens on a Unix socket outside it: a client writes one line, "HOST PORT",
// and is then connected to that address. A connection that fails is closed. usage: relay-process.mjs SOCKET
import { connect, createServer } from 'node:net';

const server = createServer((client) => {
  client.on('error', () => client.destroy());
  client.once('data', (first) => {
    const end = first.indexOf('\n');
    const [host, port] = first.toString('latin1', 0, end).split(' ');
    const upstream = connect({ host, port: Number(port) });
    upstream.write(first.subarray(end + 1));
    upstream.on('error', () => client.destroy());
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
    client.pipe(upstream).pipe(client);
  });
});
server.listen(process.argv[2]);
