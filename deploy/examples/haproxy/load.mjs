// Steady requests. usage: node load.mjs URL…, until SIGTERM
// One JSON line on standard output for each request that has ended; times in ms of the machine's monotonic clock.
import { Agent, request } from 'node:http';

/** Between two requests of a lane, whether or not the one before was answered. */
const EVERY_MS = 50;
const TIMEOUT_MS = 15_000;
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** Each URL is asked in two ways: over connections that are kept, and over a new one for each request. */
const lanes = process.argv.slice(2).flatMap((url) => [
  { url, kept: true, agent: new Agent({ keepAlive: true, maxSockets: 16 }) },
  { url, kept: false, agent: false },
]);

/** When those were sent that are under way, the oldest first. */
const open = new Set();
let sent = 0;
function send({ url, kept, agent }) {
  // every fourth one changes something: nobody may repeat it
  const method = sent++ % 4 === 0 ? 'POST' : 'GET';
  const begun = now();
  open.add(begun);
  let isOver = false;
  const end = (outcome) => {
    if (isOver) return;
    isOver = true;
    open.delete(begun);
    const [oldest = null] = open;
    process.stdout.write(`${JSON.stringify({ url, kept, method, begun, ended: now(), oldest, ...outcome })}\n`);
  };
  const asked = request(url, { method, agent, timeout: TIMEOUT_MS }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    response.on('error', (error) => end({ ok: false, said: error.message }));
    response.on('end', () => end({ ok: response.statusCode === 200, said: text.trim().split('\n')[0] }));
  });
  asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
  asked.on('error', (error) => end({ ok: false, said: error.message }));
  asked.end(method === 'POST' ? 'something' : undefined);
}

const timers = lanes.map((lane) => setInterval(send, EVERY_MS, lane));
// what is under way is waited for
process.on('SIGTERM', () => {
  for (const timer of timers) clearInterval(timer);
  for (const { agent } of lanes) if (agent) agent.destroy();
});
