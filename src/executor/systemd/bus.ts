/**
 * One connection to a message bus: calls with deadlines, signals, and certainty about its end. The only file that knows
 * dbus-next, of which it uses the low-level messages alone: its proxies leak match rules, and it keeps silent about a
 * dead connection, so the end is taken from the underlying stream.
 */
import { Duplex } from 'node:stream';
import { DBusError, Message, type MessageBus, MessageType, sessionBus, Variant } from 'dbus-next';
import type { Clock } from '../../shared/clock.ts';
import { messageOf, stackOf } from '../../shared/error-text.ts';
import type { Logger } from '../../shared/log.ts';
import { BusCallError, BusClosedError } from './bus-error.ts';
import { CallQueue } from './call-queue.ts';

/** The system bus refuses bursts (LimitsExceeded, 128 unanswered calls by default); half of that leaves room for late answers. */
const MAX_CALLS_IN_FLIGHT = 64;
/** The deadline that D-Bus libraries use by default (sd-bus, libdbus): 25 s. */
export const CALL_DEADLINE_MS = 25_000;

export interface BusCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** D-Bus signature of `body`; absent: no arguments. */
  readonly signature?: string;
  readonly body?: readonly unknown[];
}

/** A signal as received. `sender` is a unique name such as `:1.0`, or `org.freedesktop.DBus`. */
export interface BusSignal {
  readonly sender: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly body: readonly unknown[];
}

export interface BusOptions {
  /** One address as `parseBusAddress` gives it. */
  readonly address: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long connecting, authentication and Hello may take together. */
  readonly openDeadlineMs: number;
  /** Aborted: as `close()`, also while connecting. */
  readonly signal: AbortSignal;
  /** Called for every signal, in order. What it throws is logged. */
  readonly onSignal: (signal: BusSignal) => void;
  /** Called once when an open connection has ended, for whatever reason but `signal`. */
  readonly onClosed: (why: string) => void;
}

export interface Bus {
  /**
   * Answers the body of the reply. Rejects with BusCallError (an error reply), BusClosedError or BusDeadlineError.
   * @param deadlineMs counted from now; default CALL_DEADLINE_MS.
   */
  call(call: BusCall, deadlineMs?: number): Promise<readonly unknown[]>;
  /** Ends the connection at once; calls under way are rejected. */
  close(why: string): void;
}

/** A value with its D-Bus signature, for `v` arguments. */
export function variant(signature: string, value: unknown): unknown {
  return new Variant(signature, value);
}

/** The value in a variant of a received body; undefined when it is none. */
export function variantValue(value: unknown): unknown {
  return value instanceof Variant ? value.value : undefined;
}

/** Connects, authenticates (EXTERNAL) and says Hello. Rejects with an Error that says why there is no connection. */
export function openBus(options: BusOptions): Promise<Bus> {
  return new Promise((resolve, reject) => {
    const bus = sessionBus({ busAddress: options.address, authMethods: ['EXTERNAL'] });
    const stream = streamOf(bus);
    const queue = new CallQueue(options.clock, MAX_CALLS_IN_FLIGHT);
    let phase: 'opening' | 'open' | 'closed' = 'opening';

    const end = (why: string) => {
      if (phase === 'closed') return;
      const before = phase;
      phase = 'closed';
      cancelDeadline();
      options.signal.removeEventListener('abort', onAbort);
      queue.close(why);
      stream.destroy();
      if (before === 'opening') reject(new BusClosedError(why));
      else if (!options.signal.aborted)
        guard(options.log, 'the end of the D-Bus connection', () => options.onClosed(why));
    };
    const onAbort = () => end('closed by this program');
    const cancelDeadline = options.clock.after(options.openDeadlineMs, () => {
      if (phase === 'opening') end(`no answer from the bus within ${options.openDeadlineMs} ms`);
    });

    options.signal.addEventListener('abort', onAbort, { once: true });
    if (options.signal.aborted) onAbort();
    stream.once('close', () => end('the bus closed the connection'));
    // One unreadable message from any peer is such an error, too: it must not cost an open connection.
    bus.on('error', (error: unknown) => {
      if (phase === 'opening') end(messageOf(error));
      else options.log.debug('dbus-next reported an error', { error: messageOf(error) });
    });
    bus.on('message', (message) => {
      if (phase === 'opening' && message.type === MessageType.ERROR) {
        // dbus-next turns a refused Hello into an unhandled rejection, so the answer must not reach its handler.
        message.replySerial = '';
        end(`the bus refused the connection: ${messageOf(message.body[0] ?? message.errorName)}`);
      }
      if (phase === 'open' && message.type === MessageType.SIGNAL) {
        guard(options.log, 'a D-Bus signal', () => options.onSignal(message));
      }
    });
    bus.on('connect', () => {
      if (phase !== 'opening') return;
      phase = 'open';
      cancelDeadline();
      surviveUnreadableMessages(stream, options.log);
      resolve({
        call: (call, deadlineMs = CALL_DEADLINE_MS) => queue.run(call.member, deadlineMs, () => send(bus, call)),
        close: end,
      });
    });
  });
}

async function send(bus: MessageBus, call: BusCall): Promise<readonly unknown[]> {
  const { destination, path, interface: iface, member, signature = '', body = [] } = call;
  const message = new Message({ destination, path, interface: iface, member, signature, body: [...body] });
  try {
    const reply = await bus.call(message);
    return reply?.body ?? [];
  } catch (error) {
    throw error instanceof DBusError ? new BusCallError(error.type, error.text) : error;
  }
}

/** The socket below dbus-next, which offers no way to learn that it closed. */
function streamOf(bus: MessageBus): Duplex {
  const connection: unknown = Reflect.get(bus, '_connection');
  const stream: unknown = typeof connection === 'object' && connection ? Reflect.get(connection, 'stream') : undefined;
  if (stream instanceof Duplex) return stream;
  throw new Error('dbus-next keeps its stream elsewhere than expected; only version 0.10.2 is supported');
}

/**
 * dbus-next's parser throws out of its 'readable' handler on legal messages that it cannot represent (a variant holding
 * a file descriptor), which any local user may send and which would end the process. The message is consumed by then, so
 * reading goes on behind it.
 */
function surviveUnreadableMessages(stream: Duplex, log: Logger): void {
  const listeners = stream.listeners('readable');
  stream.removeAllListeners('readable');
  for (const listener of listeners) {
    stream.on('readable', () => {
      let unread = Number.POSITIVE_INFINITY;
      while (stream.readableLength < unread) {
        unread = stream.readableLength;
        try {
          Reflect.apply(listener, stream, []);
          return;
        } catch (error) {
          log.warn('Skipped a D-Bus message that cannot be decoded', { error: messageOf(error) });
        }
      }
    });
  }
}

function guard(log: Logger, what: string, handler: () => void): void {
  try {
    handler();
  } catch (error) {
    log.error(`Handling ${what} failed; this is a bug`, {
      error: stackOf(error),
    });
  }
}
