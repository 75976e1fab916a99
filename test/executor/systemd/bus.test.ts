import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BusOptions, openBus } from '../../../src/executor/systemd/bus.ts';
import { parseBusAddress } from '../../../src/executor/systemd/bus-address.ts';
import { connectSystemd } from '../../../src/executor/systemd/connect.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import type { Logger } from '../../../src/shared/log.ts';
import { busReply } from '../../contract/systemd/raw-bus.ts';
import { ManualClock } from './manual-clock.ts';

/** How a bus of the tests answers authentication and Hello. */
type Manner = 'silent' | 'refuses authentication' | 'refuses Hello' | 'welcomes';

describe('a connection to a bus', () => {
  let folder: string;
  let address: string;
  let server: Server;
  let manner: Manner;
  let sockets: Socket[];
  const warnings: string[] = [];
  const log: Logger = { debug() {}, info() {}, warn: (message) => warnings.push(message), error() {} };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bus-'));
    const path = join(folder, 'socket');
    address = `unix:path=${path}`;
    sockets = [];
    warnings.length = 0;
    server = createServer((socket) => serve(socket, sockets, manner)).listen(path);
    await once(server, 'listening');
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });

  const options = (more: Partial<BusOptions> = {}): BusOptions => ({
    address: parseBusAddress(address)[0],
    clock: systemClock,
    log,
    signal: new AbortController().signal,
    openDeadlineMs: 5_000,
    onSignal: () => undefined,
    onClosed: () => undefined,
    ...more,
  });

  it('is given up at the deadline when the bus accepts and then says nothing', async () => {
    manner = 'silent';
    await expect(openBus(options({ openDeadlineMs: 100 }))).rejects.toThrow('no answer from the bus within 100 ms');
  });

  it.each(['refuses authentication', 'refuses Hello'] as const)('is rejected by a bus that %s', async (how) => {
    manner = how;
    await expect(openBus(options())).rejects.toThrow('not connected to the D-Bus system bus');
  });

  it('is rejected where no bus is', async () => {
    await expect(openBus(options({ address: 'unix:socket=/nonexistent/bus' }))).rejects.toThrow('ENOENT');
  });

  it('ends an unanswered call at its deadline, and all calls when the bus hangs up', async () => {
    manner = 'welcomes';
    let closed = '';
    const bus = await openBus(
      options({
        onClosed: (why) => {
          closed = why;
        },
      }),
    );
    const call = { destination: 'org.example', path: '/', interface: 'org.example.I', member: 'Wait' };
    await expect(bus.call(call, 50)).rejects.toThrow('did not answer Wait');
    const pending = bus.call(call);
    for (const socket of sockets) socket.destroy();
    await expect(pending).rejects.toThrow('not connected to the D-Bus system bus');
    expect(closed).toBe('the bus closed the connection');
    await expect(bus.call(call)).rejects.toThrow('the bus closed the connection');
  });

  it('is given up at once when it is no longer wanted', async () => {
    manner = 'silent';
    const abort = new AbortController();
    const opening = openBus(options({ signal: abort.signal }));
    abort.abort();
    await expect(opening).rejects.toThrow('closed by this program');
  });

  it('is tried again after waits that double up to two seconds, with one warning for one reason', async () => {
    const clock = new ManualClock();
    const events = { onConnected() {}, onDisconnected() {}, onUnit() {}, onReloaded() {} };
    manner = 'refuses authentication';
    const systemd = connectSystemd({ address, clock, log, events });
    for (const [index, wait] of [50, 100, 200, 400, 800, 1600, 2000, 2000].entries()) {
      await expect.poll(() => clock.nextIn, { timeout: 5_000, interval: 5 }).toBe(wait);
      expect(sockets.length).toBe(index + 1);
      await clock.advance(wait);
    }
    expect(warnings).toEqual(['Cannot reach systemd over D-Bus; trying until it answers']);
    await systemd.close();
    expect(clock.pending).toBe(0);
  });
});

function serve(socket: Socket, sockets: Socket[], manner: Manner): void {
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.on('data', (data) => {
    if (manner === 'silent') return;
    if (data.includes('AUTH')) {
      if (manner === 'refuses authentication') socket.end('REJECTED EXTERNAL\r\n');
      else socket.write('OK 00\r\n');
    } else if (data.includes('Hello')) {
      const kind = manner === 'refuses Hello' ? 'error' : 'return';
      socket.write(busReply(kind, 1, kind === 'error' ? 'too many connections' : ':1.1'));
    }
  });
}
