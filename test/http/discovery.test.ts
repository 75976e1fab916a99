import { get as httpGet, type IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Registration } from '../../src/discovery/registration.ts';
import type { DiscoverySource } from '../../src/http/discovery.ts';
import { Metrics } from '../../src/http/metrics.ts';
import { createServer } from '../../src/http/server.ts';
import { until } from '../harness/until.ts';

const entry = (id: string, more: Partial<Registration> = {}): Registration => ({
  label: 'web',
  id,
  host: id,
  address: id,
  healthy: true,
  source: 'service',
  ...more,
});

/** What is registered under `web`; every other label is unknown. */
class FakeSource implements DiscoverySource {
  entries: readonly Registration[] = [];
  why: string | undefined;
  readonly listeners = new Set<() => void>();

  async labels() {
    return [{ label: 'web', entries: this.entries.length }];
  }

  async read(label: string) {
    if (this.why !== undefined) throw new Error(this.why);
    return label === 'web' ? this.entries : [];
  }

  follow(_label: string, listener: () => void) {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  become(...entries: Registration[]): void {
    this.entries = entries;
    for (const listener of this.listeners) listener();
  }
}

let source: FakeSource;
let app: ReturnType<typeof createServer>;

beforeEach(() => {
  source = new FakeSource();
  const gauges = {
    leading: true,
    zookeeperConnected: true,
    specStale: false,
    hookEvents: 0,
    failedTemplates: 0,
    registrations: 7,
  };
  app = createServer({
    status: () => {
      throw new Error('nobody asks for it');
    },
    assignments: () => undefined,
    findLeader: async () => undefined,
    metrics: new Metrics(() => gauges).registry,
    discovery: source,
  });
});
afterEach(() => app.close());

const get = (url: string) => app.inject({ method: 'GET', url });

describe('discovery over HTTP', () => {
  it('lists the labels', async () => {
    source.become(entry('w1'));
    expect((await get('/discovery')).json()).toEqual([{ label: 'web', entries: 1 }]);
  });

  it('answers the entries of a label, and of those the ones that are asked for', async () => {
    source.become(entry('w1'), entry('w2', { healthy: false }), entry('w3', { role: 'front' }));
    const ids = async (query: string) => (await get(`/discovery/web${query}`)).json().map(({ id }: Registration) => id);
    expect(await ids('')).toEqual(['w1', 'w2', 'w3']);
    expect(await ids('?healthy')).toEqual(['w1', 'w3']);
    expect(await ids('?healthy=false')).toEqual(['w1', 'w2', 'w3']);
    expect(await ids('?role=front')).toEqual(['w3']);
    expect((await get('/discovery/web')).json()[0]).toEqual(entry('w1'));
  });

  it('answers addresses for programs that want nothing else', async () => {
    source.become(entry('w2'), entry('w1'));
    const answer = await get('/discovery/web?format=csv&port=9300');
    expect(answer.body).toBe('w1:9300,w2:9300');
    expect(answer.headers['content-type']).toContain('text/csv');
  });

  it('answers an empty list for a label that nobody has heard of', async () => {
    const answer = await get('/discovery/other');
    expect([answer.statusCode, answer.json()]).toEqual([200, []]);
    expect((await get('/discovery/other?format=csv')).body).toBe('');
  });

  it.each(['a%2Fb', 'a%0Ab', '..%2F..', '%20', '-a', encodeURIComponent('ä'), 'a%00', 'a'.repeat(5_000)])(
    'refuses what is no label: %s',
    async (label) => {
      for (const rest of ['', '/stream', '/prometheus']) {
        const answer = await get(`/discovery/${label}${rest}`);
        expect([answer.statusCode, answer.json().error], rest).toEqual([400, expect.stringContaining('not a label')]);
        expect(answer.body.length).toBeLessThan(400);
      }
    },
  );

  it.each(['format=xml', 'port=0', 'port=x', 'healthy=perhaps', 'role=a&role=b'])(
    'refuses a query that it does not understand: %s',
    async (query) => {
      const answer = await get(`/discovery/web?${query}`);
      expect(answer.statusCode).toBe(400);
      expect(answer.json().error).toContain(`?${query.split('=')[0]}`);
    },
  );

  it('says why there is no answer', async () => {
    source.why = 'ZooKeeper is silent';
    for (const path of ['/discovery/web', '/discovery/web/prometheus', '/discovery/web/stream'])
      expect((await get(path)).statusCode).toBe(503);
    expect((await get('/discovery/web')).json()).toEqual({ error: 'ZooKeeper is silent' });
  });

  it('answers targets for Prometheus', async () => {
    source.become(entry('w1', { port: 80, unit: 'web.service' }));
    expect((await get('/discovery/web/prometheus')).json()).toEqual([
      { targets: ['w1:80'], labels: { label: 'web', id: 'w1', host: 'w1', unit: 'web.service' } },
    ]);
  });

  it('counts the registrations of the host in a metric', async () => {
    expect((await get('/metrics')).body).toContain('servicewatcher_registrations 7');
  });
});

describe('a stream', () => {
  const WAIT = { deadlineMs: 5_000, everyMs: 5 };
  let responses: IncomingMessage[];

  beforeEach(async () => {
    responses = [];
    await app.listen({ port: 0, host: '127.0.0.1' });
  });
  afterEach(() => {
    for (const response of responses) response.destroy();
  });

  function open(
    query = '',
  ): Promise<{ readonly status: number | undefined; text: () => string; ended: () => boolean }> {
    return new Promise((resolve, reject) => {
      const at = app.server.address();
      const port = typeof at === 'object' ? at?.port : undefined;
      httpGet({ host: '127.0.0.1', port, path: `/discovery/web/stream${query}`, agent: false }, (response) => {
        responses.push(response);
        let text = '';
        let ended = false;
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('close', () => {
          ended = true;
        });
        resolve({ status: response.statusCode, text: () => text, ended: () => ended });
      }).on('error', reject);
    });
  }

  it('begins with the list, and goes on with each change of it', async () => {
    const [w1, w2] = [entry('w1'), entry('w2')];
    source.become(w1);
    const { text } = await open();
    await until(() => text().includes('event: list'), { ...WAIT, what: 'the list' });
    source.become(w1, w2);
    await until(() => text().includes('event: set'), { ...WAIT, what: 'the new one' });
    source.become(w2);
    await until(() => text().includes('event: remove'), { ...WAIT, what: 'the end of the other' });
    expect(text()).toBe(
      [
        `event: list\ndata: ${JSON.stringify([w1])}\n\n`,
        `event: set\ndata: ${JSON.stringify(w2)}\n\n`,
        'event: remove\ndata: {"id":"w1"}\n\n',
      ].join(''),
    );
  });

  it('makes what it sends once for all who ask for the same, however many they are', async () => {
    const w1 = entry('w1');
    let made = 0;
    const w2 = Object.defineProperty(entry('w2'), 'toJSON', {
      value: () => {
        made += 1;
        return entry('w2');
      },
    });
    source.become(w1);
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => open(n % 2 === 0 ? '' : '?healthy')));
    const every = (text: string) => all.every((stream) => stream.text().includes(text));
    await until(() => every('event: list'), { ...WAIT, what: 'the lists' });
    source.become(w1, w2);
    await until(() => every(`event: set\ndata: ${JSON.stringify(entry('w2'))}\n\n`), { ...WAIT, what: 'the new one' });
    expect(made).toBe(2);
  });

  it('tells only of those that are asked for: one that becomes unhealthy is gone', async () => {
    source.become(entry('w1'));
    const { text } = await open('?healthy');
    await until(() => text().includes('event: list'), { ...WAIT, what: 'the list' });
    source.become(entry('w1', { healthy: false }), entry('w2', { healthy: false }));
    await until(() => text().includes('event: remove\ndata: {"id":"w1"}'), { ...WAIT, what: 'the end' });
    expect(text()).not.toContain('w2');
  });

  it('ends when the server is closed, and does not hold it up', async () => {
    const { ended } = await open();
    await until(() => source.listeners.size === 1, { ...WAIT, what: 'the stream' });
    const begun = performance.now();
    await app.close();
    expect(performance.now() - begun).toBeLessThan(2_000);
    await until(ended, { ...WAIT, what: 'the end of the stream' });
    expect(source.listeners.size).toBe(0);
  });

  it('is forgotten when its client goes away', async () => {
    await open();
    await until(() => source.listeners.size === 1, { ...WAIT, what: 'the stream' });
    for (const response of responses) response.destroy();
    await until(() => source.listeners.size === 0, { ...WAIT, what: 'the stream to be forgotten' });
  });

  it('is refused when there are too many, until one ends', async () => {
    const all = await Promise.all(Array.from({ length: 100 }, () => open()));
    expect(all.every(({ status }) => status === 200)).toBe(true);
    expect((await open()).status).toBe(503);
    responses[0]?.destroy();
    await until(() => source.listeners.size === 99, { ...WAIT, what: 'one to end' });
    expect((await open()).status).toBe(200);
  });

  it('is refused when there are too many that were asked for in the same moment', async () => {
    let answer = () => {};
    const read = new Promise<void>((resolve) => {
      answer = resolve;
    });
    source.read = async () => {
      await read;
      return [];
    };
    const all = Array.from({ length: 150 }, () => open());
    const asked = promisify(app.server.getConnections.bind(app.server));
    await until(async () => (await asked()) === 150, { ...WAIT, what: 'all to have asked' });
    answer();
    const status = (await Promise.all(all)).map((each) => each.status);
    expect(status.filter((each) => each === 200)).toHaveLength(100);
    expect(status.filter((each) => each === 503)).toHaveLength(50);
  });

  it('to clients that do not read is ended when too much waits for them; others go on, and the health is told', async () => {
    const slow = await Promise.all(Array.from({ length: 12 }, () => open()));
    await until(() => slow.every(({ text }) => text().includes('event: list')), { ...WAIT, what: 'the lists' });
    for (const response of responses) response.pause();
    expect(slow.map(({ status }) => status)).toEqual(slow.map(() => 200));
    source.become(entry('w1', { info: { fill: 'x'.repeat(12_000_000) } }));
    await until(() => source.listeners.size < 12, { ...WAIT, what: 'one to be hung up on' });
    expect(source.listeners.size).toBeGreaterThan(3);
    const at = app.server.address();
    const port = typeof at === 'object' ? at?.port : undefined;
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    for (const response of responses) response.resume();
    await until(() => slow.filter(({ ended }) => ended()).length === 12 - source.listeners.size, {
      ...WAIT,
      what: 'the ends',
    });
    source.become(entry('w2'));
    await until(() => slow.filter(({ text }) => text().includes('"id":"w2"')).length === source.listeners.size, {
      ...WAIT,
      what: 'the others to go on',
    });
  });

  it('to a client that does not read holds what is to be sent only once, and brings it up to date in the end', async () => {
    const big = (n: number) => entry('w1', { info: { n, fill: 'x'.repeat(200_000) } });
    source.become(big(0));
    const { text } = await open();
    const [response] = responses;
    await until(() => text().includes('event: list'), { ...WAIT, what: 'the list' });
    response?.pause();
    for (let n = 1; n <= 100; n++) {
      source.become(big(n));
      await new Promise((resolve) => setImmediate(resolve));
    }
    response?.resume();
    await until(() => text().includes('"n":100'), { ...WAIT, what: 'the last change' });
    expect(text().match(/event: set/g)?.length).toBeLessThan(60);
  });
});
