/** The description of the HTTP interface, served as `/openapi.json`. */

const json = (schema: object) => ({ content: { 'application/json': { schema } } });
const object = (properties: Record<string, object>) => ({ type: 'object', properties });
const array = (items: object) => ({ type: 'array', items });
const string = { type: 'string' };
const integer = { type: 'integer' };
const boolean = { type: 'boolean' };

const assignedUnit = object({ unit: string, service: string, state: string, why: string, detail: string });
const unplaced = object({
  unit: string,
  service: string,
  wanted: integer,
  placed: integer,
  why: array(object({ reason: string, hosts: integer })),
});
const assignments = object({
  leader: string,
  epoch: integer,
  generation: integer,
  spec: string,
  settled: boolean,
  brake: boolean,
  hosts: { type: 'object', additionalProperties: object({ state: string, units: array(assignedUnit) }) },
  unplaced: array(unplaced),
  failed: array(object({ unit: string, host: string, kind: string, message: string })),
  problems: array(string),
});
const connections = {
  ready: boolean,
  zookeeper: object({ state: string, detail: string }),
  systemd: object({ connected: boolean }),
};
const status = object({
  host: string,
  software: string,
  leading: boolean,
  ...connections,
  spec: object({ file: string, cluster: string, stale: boolean }),
  observed: { type: 'object' },
});
const error = json(object({ error: string }));

/** OpenAPI 3.1; `version` is that of the software. */
export function openapi(version: string): object {
  const get = (summary: string, responses: Record<string, object>) => ({ get: { summary, responses } });
  return {
    openapi: '3.1.0',
    info: { title: 'ServiceWatcher', version, description: 'Read-only: nothing that is asked here changes anything.' },
    paths: {
      '/assignments': get('What runs where, and why; the leader answers', {
        200: { description: 'The placement', ...json(assignments) },
        307: {
          description: 'This host follows: the leader is named',
          ...json(object({ leader: string, url: string })),
        },
        503: { description: 'No leader is known, or it has not placed anything yet', ...error },
      }),
      '/status': get('This daemon and what runs on its host', { 200: { description: 'Its state', ...json(status) } }),
      '/healthz': get('Whether the daemon is alive', {
        200: { description: 'It is', ...json(object({ ok: boolean })) },
      }),
      '/readyz': get('Whether the host is a member and talks to systemd', {
        200: { description: 'Ready', ...json(object(connections)) },
        503: { description: 'Not ready, with the connection that is missing', ...json(object(connections)) },
      }),
      '/metrics': get('Metrics for Prometheus', {
        200: { description: 'Text format', content: { 'text/plain': { schema: string } } },
      }),
      '/openapi.json': get('This description', { 200: { description: 'OpenAPI 3.1', ...json({ type: 'object' }) } }),
    },
  };
}
