/** What is registered, over HTTP: as JSON, as a list of addresses, as targets for Prometheus, and as a stream of changes. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import * as z from 'zod';
import type { Registration } from '../discovery/registration.ts';
import { addressList, prometheusTargets, type Selection, select } from '../discovery/select.ts';
import { messageOf } from '../shared/error-text.ts';
import { isLabel } from '../shared/names.ts';
import type { Backlog } from './backlog.ts';
import { EventStreams } from './event-streams.ts';

/** `LabelViews` is one. */
export interface DiscoverySource {
  labels(): Promise<readonly { readonly label: string; readonly entries: number }[]>;
  read(label: string): Promise<readonly Registration[]>;
  follow(label: string, listener: () => void): () => void;
}

const flag = z.enum(['', 'true', 'false', '1', '0']).transform((text) => text !== 'false' && text !== '0');
const query = z.object({
  format: z.enum(['json', 'csv']).default('json'),
  healthy: flag.default(false),
  role: z.string().optional(),
  port: z.coerce.number().int().min(1).max(65_535).optional(),
});
type Query = z.infer<typeof query>;

/** A question that can be answered. */
interface Asked extends Query {
  readonly label: string;
}

const LABEL_RULE = 'letters, digits and _ . -, beginning with a letter or digit, at most 100 characters';

/** Adds the routes; streams end when the server is closed. */
export function addDiscovery(app: FastifyInstance, source: DiscoverySource, backlog: Pick<Backlog, 'full'>): void {
  const streams = new EventStreams(source, backlog);
  app.addHook('preClose', async () => streams.close());

  app.get('/discovery', (_request, reply) => answer(reply, () => source.labels()));

  app.get('/discovery/:label', async (request, reply) => {
    const asked = understand(request.params, request.query, reply);
    if (!asked) return reply;
    return answer(reply, async () => {
      const entries = select(await source.read(asked.label), asked);
      if (asked.format === 'json') return entries;
      reply.type('text/csv; charset=utf-8');
      return addressList(entries, asked.port);
    });
  });

  app.get('/discovery/:label/prometheus', async (request, reply) => {
    const asked = understand(request.params, request.query, reply);
    if (!asked) return reply;
    return answer(reply, async () => prometheusTargets(select(await source.read(asked.label), asked), asked.port));
  });

  // a stream has no end that HEAD could wait for
  app.get('/discovery/:label/stream', { exposeHeadRoute: false }, async (request, reply) => {
    const asked = understand(request.params, request.query, reply);
    if (!asked) return reply;
    const selection: Selection = { healthy: asked.healthy, role: asked.role };
    const tooMany = () => reply.code(503).send({ error: 'too many streams on this host: ask another one' });
    if (streams.full) return tooMany();
    return answer(reply, async () => {
      await source.read(asked.label);
      // others may have been opened meanwhile
      if (streams.full) return tooMany();
      reply.hijack();
      streams.open(asked.label, selection, reply.raw);
      return reply;
    });
  });
}

/** Undefined when it cannot be understood; the client has been told. */
function understand(params: unknown, asked: unknown, reply: FastifyReply): Asked | undefined {
  const refuse = (error: string): undefined => {
    void reply.code(400).send({ error });
  };
  const label = z.object({ label: z.string() }).safeParse(params).data?.label ?? '';
  if (!isLabel(label)) return refuse(`${JSON.stringify(label.slice(0, 200))} is not a label: ${LABEL_RULE}`);
  const parsed = query.safeParse(asked);
  if (parsed.success) return { label, ...parsed.data };
  const [first] = parsed.error.issues;
  return refuse(`?${first?.path.map(String).join('.') ?? ''}: ${first?.message ?? 'not understood'}`);
}

async function answer(reply: FastifyReply, work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    return reply.code(503).send({ error: messageOf(error) });
  }
}
