/** Sends signals byte by byte, as a malicious local user could: no library would write some of them. */
import { once } from 'node:events';
import { createConnection } from 'node:net';

const METHOD_CALL = 1;
const SIGNAL = 4;

export interface RawSignal {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly body: Buffer;
}

/** Little-endian D-Bus marshalling, as far as needed. */
export class Marshal {
  #bytes: number[] = [];

  get buffer(): Buffer {
    return Buffer.from(this.#bytes);
  }

  align(to: number): this {
    while (this.#bytes.length % to !== 0) this.#bytes.push(0);
    return this;
  }

  byte(value: number): this {
    this.#bytes.push(value);
    return this;
  }

  u32(value: number): this {
    this.align(4);
    this.#bytes.push(value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255);
    return this;
  }

  string(value: string): this {
    this.u32(value.length);
    this.#bytes.push(...Buffer.from(value), 0);
    return this;
  }

  signature(value: string): this {
    this.#bytes.push(value.length, ...Buffer.from(value), 0);
    return this;
  }

  /** An array whose elements are aligned to 8; its length counts from the first element. */
  array(write: (inner: Marshal) => void): this {
    this.u32(0);
    const lengthAt = this.#bytes.length - 4;
    this.align(8);
    const start = this.#bytes.length;
    write(this);
    new Marshal().u32(this.#bytes.length - start).#bytes.forEach((byte, index) => {
      this.#bytes[lengthAt + index] = byte;
    });
    return this;
  }
}

/** Connects as this process' user, sends the signals and resolves when the bus has read them. */
export async function sendRaw(socketPath: string, signals: readonly RawSignal[]): Promise<void> {
  const socket = createConnection(socketPath);
  await once(socket, 'connect', { signal: AbortSignal.timeout(5_000) });
  const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
  socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
  await once(socket, 'data', { signal: AbortSignal.timeout(5_000) });
  socket.write('BEGIN\r\n');
  const bus = { destination: 'org.freedesktop.DBus', path: '/', interface: 'org.freedesktop.DBus' };
  const call = { ...bus, signature: '', body: Buffer.alloc(0) };
  socket.write(message(METHOD_CALL, 1, { ...call, member: 'Hello' }));
  await once(socket, 'data', { signal: AbortSignal.timeout(5_000) });
  signals.forEach((signal, index) => {
    socket.write(message(SIGNAL, index + 2, signal));
  });
  socket.end(message(METHOD_CALL, signals.length + 2, { ...call, member: 'GetId' }));
  await once(socket.resume(), 'close', { signal: AbortSignal.timeout(5_000) });
}

function message(type: number, serial: number, signal: RawSignal): Buffer {
  const header = new Marshal().byte(0x6c).byte(type).byte(0).byte(1).u32(signal.body.length).u32(serial);
  header.array((fields) => {
    const field = (code: number, kind: 'o' | 's', value: string) =>
      fields.align(8).byte(code).signature(kind).string(value);
    field(1, 'o', signal.path);
    field(2, 's', signal.interface);
    field(3, 's', signal.member);
    field(6, 's', signal.destination);
    if (signal.signature) fields.align(8).byte(8).signature('g').signature(signal.signature);
  });
  return Buffer.concat([header.align(8).buffer, signal.body]);
}

/** What a bus answers to the call with this serial: a return or an error, whose body is one string. */
export function busReply(kind: 'return' | 'error', replySerial: number, text: string): Buffer {
  const body = new Marshal().string(text).buffer;
  const type = kind === 'return' ? 2 : 3;
  const header = new Marshal().byte(0x6c).byte(type).byte(1).byte(1).u32(body.length).u32(1);
  header.array((fields) => {
    fields.align(8).byte(5).signature('u').u32(replySerial);
    if (kind === 'error') fields.align(8).byte(4).signature('s').string('org.freedesktop.DBus.Error.LimitsExceeded');
    fields.align(8).byte(8).signature('g').signature('s');
  });
  return Buffer.concat([header.align(8).buffer, body]);
}
