/** `status` on a host whose file is bad, while its daemon runs on with what it read before. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runningConfig } from '../../src/cli/running-config.ts';
import { show, status } from '../../src/cli/status.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeEnsemble } from '../fakes/store.ts';

const ONCE = { json: false, watch: false };
const ZOOKEEPER = { servers: ['zk1:2181', '198.18.0.7:2182'], chroot: '/servicewatcher', sessionTimeoutMs: 4_000 };

let folder: string;
let file: string;
let out: string;
let err: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servicewatcher-bad-file-'));
  file = join(folder, 'config.yml');
  out = '';
  err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

describe('what the daemon of this host runs with', () => {
  let server: Server | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    server = undefined;
  });

  /** Where something answers like this. */
  async function daemon(answer: RequestListener): Promise<{ readonly url: string }> {
    const listening = createServer(answer);
    server = listening;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    const address = listening.address();
    if (typeof address !== 'object' || address === null) throw new Error('it does not listen');
    return { url: `http://127.0.0.1:${address.port}/status` };
  }

  const says = (body: unknown) => daemon((_, response) => response.end(JSON.stringify(body)));
  const configuration = (change: object = {}, more: object = {}) => ({
    host: 'w1',
    configuration: { file, zookeeper: { ...ZOOKEEPER, ...change }, ...more },
    observed: { units: [] },
  });

  it('is where its cluster is, if it has read it from the same file, however that is named', async () => {
    const at = await says(configuration());
    expect(await runningConfig(file, at)).toEqual({ file, zookeeper: ZOOKEEPER });
    const named = relative(process.cwd(), file);
    expect(await runningConfig(named, at)).toEqual({ file: named, zookeeper: ZOOKEEPER });
  });

  it('does not count when it comes from another file: that may be of another cluster', async () => {
    expect(await runningConfig(file, await says(configuration({}, { file: '/etc/other.yml' })))).toBeUndefined();
  });

  it.each([
    ['a daemon that says less', () => ({ host: 'w1' })],
    ['no JSON object', () => 'a text'],
    ['no servers', () => configuration({ servers: [] })],
    ['what is no server', () => configuration({ servers: ['zk1:2181', 'a b'] })],
    ['a path that ZooKeeper refuses', () => configuration({ chroot: '/a/../b' })],
    ['a session that is too long', () => configuration({ sessionTimeoutMs: 3_600_000 })],
    ['a session of no number', () => configuration({ sessionTimeoutMs: '4s' })],
  ])('is not known from %s', async (_, body) => {
    expect(await runningConfig(file, await says(body()))).toBeUndefined();
  });

  it('is not known from what is no JSON, nor from a page elsewhere', async () => {
    expect(await runningConfig(file, await daemon((_, response) => response.end('<html>')))).toBeUndefined();
    server?.close();
    const elsewhere = await daemon((request, response) => {
      if (request.url === '/status') response.writeHead(307, { location: '/other' }).end();
      else response.end(JSON.stringify(configuration()));
    });
    expect(await runningConfig(file, elsewhere)).toBeUndefined();
  });

  it('is not known where nobody listens', async () => {
    const at = await says({});
    await new Promise((resolve) => server?.close(resolve));
    server = undefined;
    expect(await runningConfig(file, at)).toBeUndefined();
  });

  it('is not waited for longer than its time, whether nothing is said or it does not come to an end', async () => {
    const silent = await daemon(() => {});
    expect(await runningConfig(file, { ...silent, deadlineMs: 50 })).toBeUndefined();
    server?.closeAllConnections();
    server?.close();
    const endless = await daemon((_, response) => void response.write('{"host":'));
    expect(await runningConfig(file, { ...endless, deadlineMs: 50 })).toBeUndefined();
  });

  it('is not read any further once there is more of it than any daemon says', async () => {
    let sent = 0;
    const at = await daemon((_, response) => {
      const more = () => {
        for (let room = true; room && !response.destroyed; sent += 65_536)
          room = response.write(Buffer.alloc(65_536, ' '));
      };
      response.on('drain', more);
      more();
    });
    expect(await runningConfig(file, { ...at, deadlineMs: 30_000 })).toBeUndefined();
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });
});

describe('status with a bad file', () => {
  beforeEach(() => writeFile(file, 'zookeeper: {quorum: zk1}\nservices: [{name: a, count: -1}]\n'));

  it('names the mistakes, and no more, where no daemon runs with it: exit 2', async () => {
    const asked: string[] = [];
    const nobody = async (name: string) => {
      asked.push(name);
      return undefined;
    };
    expect(await status(file, ONCE, nobody)).toBe(2);
    expect(asked).toEqual([file]);
    expect(err).toMatch(/^\S+config\.yml:2:29: [^\n]+\n$/);
    expect(out).toBe('');
  });

  it('names the mistakes and asks the cluster that the daemon is of; without an answer it stays at exit 2', async () => {
    // nobody listens there
    const zookeeper = { ...ZOOKEEPER, servers: ['127.0.0.1:1'] };
    expect(await status(file, ONCE, async (name) => ({ file: name, zookeeper }))).toBe(2);
    expect(err).toContain('config.yml:2:29: ');
    expect(err).toContain('shown by the last good configuration, with which the daemon of this host runs\n');
    expect(err.indexOf('config.yml:2:29: ')).toBeLessThan(err.indexOf('shown by'));
    expect(err).toContain('ZooKeeper cannot be reached at 127.0.0.1:1 ');
    expect(out).toBe('');
  }, 15_000);
});

describe('the table', () => {
  it.each([
    ['begins with what is to be known of it', ONCE, /^it is shown by this\n.*no leader.*; 0 host\(s\)/],
    ['stays JSON alone for programs', { json: true, watch: false }, /^\{"hosts":\[\]/],
  ])('%s', async (_, options, expected) => {
    const clock = new FakeClock();
    const store = new FakeEnsemble({ clock }).connect();
    expect(await clock.finish('the table', show(store, options, ['it is shown by this']))).toBe(0);
    expect(out).toMatch(expected);
    await clock.finish('the end', store.close());
  });
});
