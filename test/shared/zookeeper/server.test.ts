import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fourLetterWord } from '../../../src/shared/zookeeper/four-letter-word.ts';
import { renderConfig, serverCommand, startServer, writeServerFiles } from '../../../src/shared/zookeeper/server.ts';
import { until } from '../../harness/until.ts';
import { freePort } from '../../harness/zookeeper.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-server-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

it('renders the configuration of a member of an ensemble', () => {
  const config = renderConfig({
    dataDir: '/data',
    clientPort: 2181,
    clientAddress: '10.0.0.1',
    tickTime: 250,
    id: 1,
    servers: [1, 2, 3].map((id) => ({ id, address: `10.0.0.${id}`, peerPort: 2888, electionPort: 3888 })),
    extra: { maxSessionTimeout: 5000 },
  });
  const lines = config.split('\n');
  expect(lines).toContain('tickTime=250');
  expect(lines).toContain('clientPortAddress=10.0.0.1');
  expect(lines).toContain('server.3=10.0.0.3:2888:3888');
  expect(lines).toContain('maxSessionTimeout=5000');
});

it('refuses a data directory that would become other lines of the configuration', () => {
  expect(() => renderConfig({ dataDir: '/data\nadmin.enableServer=true', clientPort: 2181 })).toThrow('newline');
});

it('writes the number of the server', async () => {
  await writeServerFiles({ dataDir: folder, clientPort: 2181, id: 3 });
  expect(await readFile(join(folder, 'myid'), 'utf8')).toBe('3\n');
});

it('names the package to install when ZooKeeper is missing', () => {
  expect(() => serverCommand({ dataDir: folder, clientPort: 2181, jarDir: folder })).toThrow(
    'apt-get install zookeeper',
  );
});

it('starts a server that serves on loopback only, and stops it', async () => {
  const clientPort = await freePort();
  const server = await startServer({ dataDir: folder, clientPort });
  expect(await fourLetterWord('127.0.0.1', clientPort, 'srvr', 2000)).toContain('Mode: standalone');
  expect(await listenersOf(server.pid)).toEqual(['127.0.0.1']);
  await server.stop();
  await server.stop();
  await expect(fourLetterWord('127.0.0.1', clientPort, 'srvr', 2000)).rejects.toThrow(
    `127.0.0.1:${clientPort}, command srvr`,
  );
}, 30_000);

it('starts three servers that find each other', async () => {
  const ports = await Promise.all(Array.from({ length: 9 }, () => freePort()));
  const servers = [1, 2, 3].map((id) => ({
    id,
    address: '127.0.0.1',
    peerPort: ports[id + 2] ?? 0,
    electionPort: ports[id + 5] ?? 0,
  }));
  const members = [1, 2, 3].map((id) => ({
    id,
    clientPort: ports[id - 1] ?? 0,
    dataDir: join(folder, String(id)),
    servers,
  }));
  const running = await Promise.all(members.map((member) => startServer(member)));
  const answers = await Promise.all(
    members.map(({ clientPort }) => fourLetterWord('127.0.0.1', clientPort, 'srvr', 2000)),
  );
  const modes = answers.map((answer) => /Mode: (\w+)/.exec(answer)?.[1]);
  await Promise.all(running.map((server) => server.stop()));
  expect(modes.sort()).toEqual(['follower', 'follower', 'leader']);
}, 40_000);

it('says why a server did not start, with its last words', async () => {
  const clientPort = await freePort();
  const odd = { dataDir: folder, clientPort, extra: { tickTime: 'soon' } };
  await expect(startServer(odd)).rejects.toThrow(/did not start: it ended.*\n.*soon/s);
}, 30_000);

it('does not take another program’s server for its own', async () => {
  const clientPort = await freePort();
  const server = await startServer({ dataDir: folder, clientPort });
  await expect(startServer({ dataDir: join(folder, 'other'), clientPort })).rejects.toThrow('in use already');
  await server.stop();
}, 30_000);

it('leaves no server behind when this process is killed', async () => {
  const script = `
    import { startServer } from ${JSON.stringify(join(process.cwd(), 'src/shared/zookeeper/server.ts'))};
    const server = await startServer(${JSON.stringify({ dataDir: folder, clientPort: await freePort() })});
    console.log(server.pid);
    setInterval(() => {}, 1000);`;
  const bundle = join(folder, 'parent.mjs');
  const { build } = await import('esbuild');
  await build({
    stdin: { contents: script, resolveDir: process.cwd() },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: bundle,
  });
  const parent = spawn(process.execPath, [bundle], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  parent.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const pid = Number(await until(() => output.includes('\n') && output, { deadlineMs: 20_000, what: 'the server' }));
  parent.kill('SIGKILL');
  await until(() => !isAlive(pid), { deadlineMs: 5000, what: 'the server to end' });
}, 40_000);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Local addresses (IPv4 in dotted form) on which a process listens. */
async function listenersOf(pid: number): Promise<string[]> {
  const sockets = new Set<string>();
  const { readdir, readlink } = await import('node:fs/promises');
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode !== undefined) sockets.add(inode);
  }
  const tables = await Promise.all(['tcp', 'tcp6'].map((table) => readFile(`/proc/${pid}/net/${table}`, 'utf8')));
  const listening = tables
    .flatMap((table) => table.split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3] === '0A' && sockets.has(columns[9] ?? ''))
    .map((columns) => columns[1]?.split(':')[0] ?? '');
  return [...new Set(listening.map(dotted))];
}

/** An address of /proc/net/tcp or tcp6 (an IPv4 one mapped into IPv6): the last four bytes, in reverse. */
function dotted(hex: string): string {
  const bytes = hex.slice(-8).match(/../g) ?? [];
  return bytes
    .map((byte) => Number.parseInt(byte, 16))
    .reverse()
    .join('.');
}
