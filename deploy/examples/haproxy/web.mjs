// A backend: answers with the name of its host. On SIGTERM it answers what it has been asked, and ends.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { hostname } from 'node:os';

/** How long it thinks about an answer. */
const WORK_MS = 40;

let last = 0;

const server = createServer((request, response) => {
  if (request.url === '/health') {
    response.writeHead(existsSync('/run/web-is-sick') ? 503 : 200).end();
    return;
  }
  last = performance.now();
  request.resume();
  setTimeout(() => response.end(`${hostname()}\n`), WORK_MS);
});
server.listen(8080);
process.on('SIGTERM', () => {
  console.log(`told to end ${Math.round(performance.now() - last)} ms after the last request`);
  server.close(() => process.exit(0));
});
