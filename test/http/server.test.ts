import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Metrics } from '../../src/http/metrics.ts';
import { createServer, type DaemonStatus, type HttpSources } from '../../src/http/server.ts';
import type { Assignments } from '../../src/leader/assignments.ts';

const STATUS: DaemonStatus = {
  host: 'w1',
  software: '1.0',
  leading: false,
  ready: true,
  zookeeper: { state: 'connected', detail: 'connected to ZooKeeper' },
  systemd: { connected: true },
  spec: { file: 'sha256:a', cluster: 'sha256:a', stale: false },
  configuration: {
    file: '/etc/servicewatcher/config.yml',
    zookeeper: { servers: ['zk1:2181'], chroot: '/servicewatcher', sessionTimeoutMs: 4_000 },
  },
  templates: [],
  observed: undefined,
};

const ASSIGNMENTS: Assignments = {
  leader: 'w1',
  epoch: 3,
  generation: 17,
  spec: 'sha256:a',
  settled: true,
  brake: false,
  hosts: { w1: { state: 'ready', units: [{ unit: 'a.service', service: 'a', state: 'active', why: 'kept' }] } },
  unplaced: [{ unit: 'b@1.service', service: 'b', wanted: 3, placed: 1, why: [] }],
  failed: [{ unit: 'b@1.service', host: 'w2', kind: 'failed', message: 'it failed' }],
  problems: [],
};

let status: DaemonStatus;
let metrics: Metrics;
let app: ReturnType<typeof createServer>;

function serve(sources: Partial<HttpSources> = {}): void {
  app = createServer({
    status: () => status,
    assignments: () => undefined,
    findLeader: async () => undefined,
    metrics: metrics.registry,
    discovery: { labels: async () => [], read: async () => [], follow: () => () => {} },
    ...sources,
  });
}

beforeEach(() => {
  status = STATUS;
  metrics = new Metrics(() => ({
    leading: true,
    zookeeperConnected: true,
    specStale: false,
    hookEvents: 0,
    failedTemplates: 0,
    registrations: 0,
  }));
});
afterEach(() => app.close());

const get = (url: string) => app.inject({ method: 'GET', url });

describe('the HTTP interface', () => {
  it('is alive as soon as it answers', async () => {
    serve();
    status = { ...STATUS, ready: false };
    expect((await get('/healthz')).statusCode).toBe(200);
  });

  it('is ready when the daemon is, and says what is missing otherwise', async () => {
    serve();
    expect((await get('/readyz')).statusCode).toBe(200);
    status = { ...STATUS, ready: false, zookeeper: { state: 'suspended', detail: 'no answer' } };
    const answer = await get('/readyz');
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ ready: false, zookeeper: { detail: 'no answer' } });
  });

  it('shows the state of the daemon', async () => {
    serve();
    expect((await get('/status')).json()).toMatchObject({ host: 'w1', ready: true, spec: { stale: false } });
  });

  it('answers the assignments on the leader', async () => {
    serve({ assignments: () => ASSIGNMENTS });
    const answer = await get('/assignments');
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual(ASSIGNMENTS);
  });

  it('sends followers’ callers to the leader, and names it', async () => {
    serve({ findLeader: async () => ({ host: 'w2', url: 'http://w2:9780' }) });
    const answer = await get('/assignments');
    expect(answer.statusCode).toBe(307);
    expect(answer.headers.location).toBe('http://w2:9780/assignments');
    expect(answer.json()).toEqual({ leader: 'w2', url: 'http://w2:9780/assignments' });
  });

  it.each<[string, Partial<DaemonStatus>, HttpSources['findLeader']]>([
    ['there is no leader', {}, async () => undefined],
    ['ZooKeeper does not answer', {}, () => Promise.reject(new Error('connection-loss'))],
    ['this host is still written down as the leader', {}, async () => ({ host: 'w1', url: 'http://w1:9780' })],
    ['this host leads, but has not placed anything yet', { leading: true }, async () => undefined],
  ])('asks to come again, and redirects nobody, when %s', async (_what, change, findLeader) => {
    status = { ...STATUS, ...change };
    serve({ findLeader });
    const answer = await get('/assignments');
    expect(answer.statusCode).toBe(503);
    expect(answer.json().error).toContain('ask again');
  });

  it.each(['POST', 'PUT', 'DELETE', 'PATCH'] as const)('takes no %s anywhere', async (method) => {
    serve({ assignments: () => ASSIGNMENTS });
    for (const url of ['/assignments', '/status', '/metrics', '/healthz', '/'])
      expect((await app.inject({ method, url, payload: '{}' })).statusCode).toBeGreaterThanOrEqual(400);
  });

  it('knows no other page', async () => {
    serve();
    expect((await get('/../etc/passwd')).statusCode).toBe(404);
  });
});

describe('the metrics', () => {
  const text = async () => (await get('/metrics')).body;
  const sample = async (name: string) =>
    (await text()).split('\n').find((line) => line.startsWith(`servicewatcher_${name}`));

  beforeEach(() => serve());

  it('are all prefixed, and have a help text each', async () => {
    const lines = (await text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const own = lines.filter((line) => !/^(servicewatcher_|process_)/.test(line));
    expect(own).toEqual([]);
    const helped = new Set([...(await text()).matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name));
    const typed = [...(await text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(typed.filter((name) => !helped.has(name))).toEqual([]);
  });

  it('tell what the daemon is at the moment of the scrape', async () => {
    expect(await sample('leader')).toBe('servicewatcher_leader 1');
    expect(await sample('zookeeper_connected')).toBe('servicewatcher_zookeeper_connected 1');
    expect(await sample('spec_stale')).toBe('servicewatcher_spec_stale 0');
  });

  it('tell what the leader knows, and nothing of it once it does not lead any more', async () => {
    metrics.leader.cluster({ assignments: ASSIGNMENTS, brake: true, members: 5 });
    expect(await sample('epoch')).toBe('servicewatcher_epoch 3');
    expect(await sample('members')).toBe('servicewatcher_members 5');
    expect(await sample('brake_engaged')).toBe('servicewatcher_brake_engaged 1');
    expect(await sample('unplaced_instances{')).toBe('servicewatcher_unplaced_instances{service="b"} 2');
    expect(await sample('failed_instances{')).toBe('servicewatcher_failed_instances{service="b"} 1');
    metrics.stoppedLeading();
    expect(await sample('unplaced_instances{')).toBeUndefined();
    expect(await sample('members')).toBe('servicewatcher_members 0');
  });

  it('tell how many instances are unhealthy, of those that have a check', async () => {
    const units = (['unhealthy', 'healthy', 'unhealthy'] as const).map((state) => ({
      unit: 'a.service',
      service: 'a',
      state: 'active' as const,
      why: 'kept',
      health: { state },
    }));
    const hosts = { w1: { state: 'ready' as const, units } };
    metrics.leader.cluster({ assignments: { ...ASSIGNMENTS, hosts }, brake: false, members: 1 });
    expect(await sample('unhealthy_instances{')).toBe('servicewatcher_unhealthy_instances{service="a"} 2');
    metrics.leader.cluster({ assignments: ASSIGNMENTS, brake: false, members: 1 });
    expect(await sample('unhealthy_instances{')).toBeUndefined();
  });

  it('count moves by their reason, and drift', async () => {
    const move = { unit: 'a.service', from: 'w1', to: 'w2' };
    metrics.leader.moved([
      { ...move, because: { kind: 'host-lost' } },
      { ...move, because: { kind: 'excluded', reason: 'failed' } },
      { ...move, because: { kind: 'excluded', reason: 'failed' } },
    ]);
    metrics.executor.drift('a.service');
    expect(await text()).toContain('servicewatcher_moves_total{reason="failed"} 2');
    expect(await text()).toContain('servicewatcher_moves_total{reason="host-lost"} 1');
    expect(await sample('drift_total')).toBe('servicewatcher_drift_total 1');
  });

  it('count units by state, 0 where there is none', async () => {
    metrics.executor.units(new Map([['active', 3]]));
    expect(await text()).toContain('servicewatcher_units{state="active"} 3');
    expect(await text()).toContain('servicewatcher_units{state="failed"} 0');
  });

  it('measure durations in seconds', async () => {
    metrics.leader.placed(0.002);
    metrics.executor.reconciled(0.02);
    metrics.leader.converged(1.5);
    for (const name of ['placement_duration_seconds', 'reconcile_duration_seconds', 'convergence_seconds'])
      expect(await sample(`${name}_count`)).toBe(`servicewatcher_${name}_count 1`);
  });
});
