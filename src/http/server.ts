/** The HTTP interface: reads only, the same on every host. */
import Fastify, { type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { TemplateState } from '../discovery/template-runner.ts';
import type { Assignments } from '../leader/assignments.ts';
import { Backlog } from './backlog.ts';
import { addDiscovery, type DiscoverySource } from './discovery.ts';
import { openapi } from './openapi.ts';

/** What `/readyz` and `/status` answer. */
export interface DaemonStatus {
  readonly host: string;
  readonly software: string;
  readonly leading: boolean;
  readonly ready: boolean;
  readonly zookeeper: { readonly state: string; readonly detail: string };
  readonly systemd: { readonly connected: boolean };
  readonly spec: { readonly file: string; readonly cluster: string | undefined; readonly stale: boolean };
  /** What it runs with, whatever the file has become since: its absolute path, and where its cluster is. */
  readonly configuration: {
    readonly file: string;
    readonly zookeeper: {
      readonly servers: readonly string[];
      readonly chroot: string;
      readonly sessionTimeoutMs: number;
    };
  };
  /** The files of this host that are rendered. */
  readonly templates: readonly TemplateState[];
  /** The host's own report, as in `observed/<host>`. */
  readonly observed: unknown;
}

export interface HttpSources {
  readonly status: () => DaemonStatus;
  /** The leader's answer; undefined on followers and before the first placement. */
  readonly assignments: () => Assignments | undefined;
  /** Host and URL of the present leader. Rejects when ZooKeeper does not answer. */
  readonly findLeader: () => Promise<{ readonly host: string; readonly url: string } | undefined>;
  readonly metrics: Registry;
  readonly discovery: DiscoverySource;
}

/** For a client to send its request; longer is an attempt to hold connections open. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A connection on which nothing moves for so long is closed; streams send something more often. */
const IDLE_MS = 60_000;
/** Of a part of the path: what is too long for a label is told so, and not that there is no such page. */
const MAX_PARAMETER = 16 * 1024;
/** Connections at once; further ones are closed at once. */
export const MAX_CONNECTIONS = 1_000;
/** They are small, and tell others whether the daemon is well. */
const ALWAYS_ANSWERED: ReadonlySet<string> = new Set(['/healthz', '/readyz']);
/** No route has a schema: the compilers for them are not even loaded. */
const NO_SCHEMAS = { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } };

function noSchemas(): never {
  throw new Error('no route of this server has a schema');
}

/** Builds the server; `listen` is the caller's. Nothing that is asked can change anything. */
export function createServer(sources: HttpSources): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: 1024,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: IDLE_MS,
    exposeHeadRoutes: true,
    schemaController: NO_SCHEMAS,
    routerOptions: { maxParamLength: MAX_PARAMETER },
  });

  const backlog = new Backlog(app.server);
  app.server.maxConnections = MAX_CONNECTIONS;
  app.addHook('onRequest', async (request, reply) => {
    if (!backlog.full || ALWAYS_ANSWERED.has(request.url)) return undefined;
    return reply.code(503).send({ error: 'clients of this host read too slowly for another answer: ask again' });
  });

  app.get('/healthz', async () => ({ ok: true }));

  app.get('/readyz', async (_request, reply) => {
    const { ready, zookeeper, systemd } = sources.status();
    return reply.code(ready ? 200 : 503).send({ ready, zookeeper, systemd });
  });

  app.get('/status', async () => sources.status());

  app.get('/openapi.json', async () => openapi(sources.status().software));

  app.get('/metrics', async (_request, reply) => {
    return reply.type(sources.metrics.contentType).send(await sources.metrics.metrics());
  });

  app.get('/assignments', async (_request, reply) => {
    const assignments = sources.assignments();
    if (assignments) return assignments;
    const { leading, host } = sources.status();
    if (leading)
      return reply.code(503).send({ error: `${host} leads and has not finished its first placement: ask again` });
    const leader = await sources.findLeader().catch(() => undefined);
    if (!leader || leader.host === host) {
      return reply
        .code(503)
        .send({ error: 'no leader is known at the moment: ask again; see /status for the connection to ZooKeeper' });
    }
    const url = `${leader.url}/assignments`;
    return reply.code(307).header('location', url).send({ leader: leader.host, url });
  });

  addDiscovery(app, sources.discovery, backlog);

  return app;
}
