/** The description of the HTTP interface, served as `/openapi.json`. */

const json = (schema: object) => ({ content: { 'application/json': { schema } } });
const object = (properties: Record<string, object>) => ({ type: 'object', properties });
const array = (items: object) => ({ type: 'array', items });
const string = { type: 'string' };
const integer = { type: 'integer' };
const boolean = { type: 'boolean' };

const health = object({ state: string, output: string, action: string });
const assignedUnit = object({ unit: string, service: string, state: string, why: string, detail: string, health });
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
  configuration: object({
    file: string,
    zookeeper: object({ servers: array(string), chroot: string, sessionTimeoutMs: integer }),
  }),
  templates: array(object({ destination: string, state: string, problem: string })),
  observed: { type: 'object' },
});
const error = json(object({ error: string }));
const registration = object({
  label: string,
  id: string,
  host: string,
  address: string,
  port: integer,
  role: string,
  info: { type: 'object' },
  healthy: boolean,
  unit: string,
  source: { type: 'string', enum: ['service', 'watch'] },
});
const target = object({ targets: array(string), labels: { type: 'object', additionalProperties: string } });
const selection = ['label', 'healthy', 'role', 'port', 'format'].map((name) => ({
  name,
  in: name === 'label' ? 'path' : 'query',
  ...(name === 'label' && { required: true }),
  schema: name === 'healthy' ? boolean : name === 'port' ? integer : string,
}));
const unusual = {
  400: { description: 'Not a label, or not such a query', ...error },
  503: { description: 'ZooKeeper has not answered, or too many ask', ...error },
};

/** OpenAPI 3.1; `version` is that of the software. */
export function openapi(version: string): object {
  const get = (summary: string, responses: Record<string, object>, parameters?: object) => ({
    get: { summary, ...(parameters && { parameters }), responses },
  });
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
      '/discovery': get('The labels under which something is or was registered', {
        200: { description: 'With the number of entries', ...json(array(object({ label: string, entries: integer }))) },
        503: unusual[503],
      }),
      '/discovery/{label}': get(
        'What is registered under a label; ?format=csv: addresses, with ?port=N each with this port',
        { 200: { description: 'Sorted by id; empty for an unknown label', ...json(array(registration)) }, ...unusual },
        selection,
      ),
      '/discovery/{label}/stream': get(
        'The list (event list), then each change (event set with a registration, event remove with an id)',
        {
          200: { description: 'Server-sent events', content: { 'text/event-stream': { schema: string } } },
          ...unusual,
        },
        selection.slice(0, 3),
      ),
      '/discovery/{label}/prometheus': get(
        "Targets for Prometheus' HTTP service discovery; ?port=N for entries without one",
        { 200: { description: 'One target for each entry', ...json(array(target)) }, ...unusual },
        selection.slice(0, 4),
      ),
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
