/** How another terminal reaches the running demo: a Unix socket that only this user may open. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Lab } from '../harness/lab.ts';
import { type Outcome, runCommand } from './commands.ts';

const SOCKET = join(tmpdir(), `servicewatcher-demo-${process.getuid?.() ?? 0}.sock`);

/** Rejects when a demo runs already: its machines would be shown, and not those of another one. */
export async function refuseSecondDemo(): Promise<void> {
  if (await isServed()) throw new Error('a demo is running already: end it first (Ctrl-C in its terminal)');
}

/** Runs the commands that come in, as JSON arrays of one line each, until the answered function is called. */
export async function serveCommands(lab: Lab): Promise<() => void> {
  await refuseSecondDemo();
  rmSync(SOCKET, { force: true });
  const server = createServer((client) => {
    client.on('error', () => client.destroy());
    let received = '';
    client.setEncoding('utf8').on('data', (text) => {
      received += text;
      if (!received.endsWith('\n')) return;
      void runCommand(lab, words(received)).then((outcome) => client.end(JSON.stringify(outcome)));
    });
  });
  const mask = process.umask(0o177);
  server.listen(SOCKET);
  await once(server, 'listening');
  process.umask(mask);
  return () => {
    server.close();
    rmSync(SOCKET, { force: true });
  };
}

/** Sends a command to the demo that runs; prints what it answers. Answers the exit status. */
export async function sendCommand(argv: readonly string[]): Promise<number> {
  const socket = connect(SOCKET);
  socket.write(`${JSON.stringify(argv)}\n`);
  let answer = '';
  try {
    for await (const part of socket.setEncoding('utf8')) answer += part;
  } catch {
    console.error('no demo is running here: start one with npm run demo');
    return 1;
  }
  const outcome: Outcome = JSON.parse(answer);
  process.stdout.write(outcome.output);
  return outcome.code;
}

function words(line: string): string[] {
  const parsed: unknown = JSON.parse(line);
  return Array.isArray(parsed) ? parsed.map(String) : [];
}

function isServed(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(SOCKET);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
