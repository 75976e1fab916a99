/** Probes of real servers on loopback, the ill-behaved ones above all. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_OUTPUT_BYTES, type ProbeResult, runProbe, toOutput } from '../../src/health/probe.ts';
import type { Command } from '../../src/shared/attachments.ts';
import { until } from '../harness/until.ts';

const servers: (Server | TcpServer)[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(server: Server | TcpServer): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

const serve = (answer: RequestListener) => listen(createServer(answer));
const never = new AbortController().signal;

async function http(answer: RequestListener, timeoutMs = 5_000): Promise<ProbeResult> {
  const port = await serve(answer);
  return runProbe({ kind: 'http', url: `http://127.0.0.1:${port}/health?a=b` }, timeoutMs, never);
}

const failed = (output: RegExp | string): ProbeResult => ({
  ok: false,
  output: typeof output === 'string' ? output : expect.stringMatching(output),
});

describe('an http probe', () => {
  it.each([200, 201, 204, 299])('takes %i for healthy', async (code) => {
    expect(await http((_, answer) => answer.writeHead(code).end())).toEqual({ ok: true });
  });

  it.each([301, 302, 400, 404, 500, 503])('takes %i for unhealthy, and says what was answered', async (code) => {
    const result = await http((_, answer) => answer.writeHead(code, { location: '/other' }).end('disk is full'));
    expect(result).toEqual(failed(new RegExp(`^HTTP ${code} .*: disk is full$`)));
  });

  it('follows no redirect', async () => {
    const urls: (string | undefined)[] = [];
    await http((request, answer) => {
      urls.push(request.url);
      answer.writeHead(302, { location: '/ok' }).end();
    });
    expect(urls).toEqual(['/health?a=b']);
  });

  it('fails when nobody listens', async () => {
    const port = await serve(() => {});
    const [server] = servers.splice(0);
    await new Promise((resolve) => server?.close(resolve));
    expect(await runProbe({ kind: 'http', url: `http://127.0.0.1:${port}/` }, 5_000, never)).toEqual(
      failed(/ECONNREFUSED/),
    );
  });

  it('fails when there is no answer in time', async () => {
    expect(await http(() => {}, 200)).toEqual(failed('no complete answer within 0.2 s'));
  });

  it('fails when the answer begins but does not end in time', async () => {
    const slow: RequestListener = (_, answer) => {
      answer.writeHead(200);
      answer.write('begun');
    };
    expect(await http(slow, 200)).toEqual(failed('no complete answer within 0.2 s'));
  });

  it('fails when the connection is cut before or in the middle of the answer', async () => {
    expect(await http((request) => request.socket.destroy())).toEqual(failed(/hang up|closed|ECONNRESET/));
    const cut: RequestListener = (_, answer) => {
      answer.writeHead(200, { 'content-length': '1000' });
      answer.write('x', () => answer.destroy());
    };
    expect(await http(cut)).toEqual(failed(/aborted|closed|ECONNRESET/));
  });

  it('fails on what is not HTTP', async () => {
    const port = await listen(
      createTcpServer(
        (socket) =>
          void socket
            .on('error', () => {})
            .resume()
            .end('220 mail\r\n'),
      ),
    );
    expect(await runProbe({ kind: 'http', url: `http://127.0.0.1:${port}/` }, 5_000, never)).toEqual(
      failed(/Parse Error/),
    );
  });

  /** What a TCP server sends again and again, once it was asked. */
  const MISBEHAVIOUR: readonly (readonly [what: string, head: string, again: string])[] = [
    ['headers without end', 'HTTP/1.1 200 OK\r\n', `x-more: ${'x'.repeat(10_000)}\r\n`],
    ['a header without end', 'HTTP/1.1 200 OK\r\nx-more: ', 'x'.repeat(10_000)],
    ['a status line without end', 'HTTP/1.1 200 ', 'x'.repeat(10_000)],
    ['answers without end that are none yet', '', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)],
    [
      'chunks without end of one byte',
      'HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n',
      '1\r\nx\r\n'.repeat(500),
    ],
    ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', 'x'.repeat(10_000)],
    [
      'another protocol',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
      'x'.repeat(10_000),
    ],
    ['zeros', '', '\0'.repeat(10_000)],
  ];
  it.each(MISBEHAVIOUR)('fails in time on a server that sends %s', async (_what, head, again) => {
    const port = await listen(
      createTcpServer((socket) => {
        const more = () => {
          while (!socket.destroyed && socket.write(again));
        };
        socket
          .on('error', () => {})
          .on('drain', () => setImmediate(more))
          .resume();
        socket.write(head);
        more();
      }),
    );
    const begun = performance.now();
    const result = await runProbe({ kind: 'http', url: `http://127.0.0.1:${port}/` }, 1_000, never);
    expect(result.ok).toBe(false);
    expect(performance.now() - begun).toBeLessThan(4_000);
    expect(result.ok ? '' : result.output).not.toMatch(/\p{Cc}/u);
  });

  it('fails on a server that does not speak TLS where it should, or has no certificate', async () => {
    const plain = await serve((_, answer) => answer.end('fine'));
    const bare = await listen(createTlsServer());
    for (const port of [plain, bare]) {
      const result = await runProbe({ kind: 'http', url: `https://127.0.0.1:${port}/` }, 5_000, never);
      expect(result).toEqual(failed(/SSL routines|handshake|EPROTO|ECONNRESET/));
    }
  });

  it('takes an endless body for healthy, and reads no more of it than it must', async () => {
    let closed = false;
    const result = await http((_, answer) => {
      answer.writeHead(200);
      const more = () => {
        while (!answer.destroyed && answer.write('x'.repeat(10_000)));
      };
      answer.on('drain', more);
      answer.on('close', () => {
        closed = true;
      });
      more();
    });
    expect(result).toEqual({ ok: true });
    await until(() => closed, { deadlineMs: 5_000, what: 'the connection to be closed' });
  });

  it('cuts what an unhealthy service says', async () => {
    const result = await http((_, answer) => answer.writeHead(500).end('é'.repeat(5_000)));
    expect(result.ok ? 0 : Buffer.byteLength(result.output)).toBeGreaterThan(MAX_OUTPUT_BYTES - 3);
    expect(result.ok ? 0 : Buffer.byteLength(result.output)).toBeLessThanOrEqual(MAX_OUTPUT_BYTES);
  });

  it('makes a connection of its own each time', async () => {
    const ports = new Set<number | undefined>();
    const port = await serve((request, answer) => {
      ports.add(request.socket.remotePort);
      answer.end();
    });
    for (let index = 0; index < 3; index += 1)
      expect(await runProbe({ kind: 'http', url: `http://127.0.0.1:${port}/` }, 5_000, never)).toEqual({ ok: true });
    expect(ports.size).toBe(3);
  });

  it.each(['http://', 'nonsense', 'ftp://127.0.0.1/', 'http://127.0.0.1:99999/'])(
    'fails on the URL %s',
    async (url) => {
      expect(await runProbe({ kind: 'http', url }, 5_000, never)).toEqual(failed(/./));
    },
  );

  it('is given up at once when the signal is aborted', async () => {
    const abort = new AbortController();
    let asked = false;
    const port = await serve(() => {
      asked = true;
    });
    const probing = runProbe({ kind: 'http', url: `http://127.0.0.1:${port}/` }, 60_000, abort.signal);
    await until(() => asked, { deadlineMs: 5_000, what: 'the request' });
    abort.abort();
    expect(await probing).toEqual(failed('given up'));
    expect(await runProbe({ kind: 'http', url: `http://127.0.0.1:${port}/` }, 60_000, abort.signal)).toEqual(
      failed('given up'),
    );
  });
});

describe('a tcp probe', () => {
  it('takes an accepted connection for healthy, and closes it', async () => {
    let closed = false;
    const port = await listen(
      createTcpServer((socket) => {
        socket.on('error', () => {});
        socket.on('close', () => {
          closed = true;
        });
        socket.resume();
      }),
    );
    expect(await runProbe({ kind: 'tcp', address: `127.0.0.1:${port}` }, 5_000, never)).toEqual({ ok: true });
    await until(() => closed, { deadlineMs: 5_000, what: 'the connection to be closed' });
  });

  it('fails when nobody listens, at a name that is none, and without a port', async () => {
    expect(await runProbe({ kind: 'tcp', address: '127.0.0.1:1' }, 5_000, never)).toEqual(failed(/ECONNREFUSED/));
    expect(await runProbe({ kind: 'tcp', address: '[::1]:1' }, 5_000, never)).toEqual(
      failed(/ECONNREFUSED|EADDRNOTAVAIL|ENETUNREACH/),
    );
    expect(await runProbe({ kind: 'tcp', address: '127.0.0.1' }, 5_000, never)).toEqual(failed(/./));
    expect(await runProbe({ kind: 'tcp', address: '127.0.0.1:x' }, 5_000, never)).toEqual(failed(/./));
  });
});

describe('an exec probe', () => {
  const exec = (command: Command, timeoutMs = 5_000) => runProbe({ kind: 'exec', command }, timeoutMs, never);

  it('takes exit status 0 for healthy', async () => {
    expect(await exec(['/bin/true'])).toEqual({ ok: true });
  });

  it('says of any other end how it was and what was printed', async () => {
    expect(await exec(['/bin/sh', '-c', 'echo too late >&2; exit 4'])).toEqual(failed('exit status 4: too late'));
    expect(await exec(['/bin/sh', '-c', 'kill -KILL $$'])).toEqual(failed('ended by SIGKILL'));
    expect(await exec(['/nowhere'])).toEqual(failed(/^\/nowhere could not be started: .*ENOENT/));
    expect(await exec(['/bin/sh', '-c', 'echo so far; exec sleep 60'], 200)).toEqual(
      failed('still running after 0.2 s: so far'),
    );
  });
});

describe('what a probe said', () => {
  it('is one harmless line, cut to 1 KiB', () => {
    expect(toOutput('a\r\nb\u001b[31mred\u0000\n')).toBe('a b [31mred');
    expect(toOutput('é'.repeat(600))).toBe('é'.repeat(512));
    expect(toOutput(`x${'é'.repeat(600)}`)).toBe(`x${'é'.repeat(511)}`);
  });
});
